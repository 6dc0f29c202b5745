/**
 * What is answered to a query of version 3, and when (RFC 9776 §5.2).
 *
 * Each answer waits a random time within what the query allows, and then says how things are, not how they were. One timer is
 * for all groups, and one for each.
 */
import { difference, intersection, isNothing } from "../ip/SourceFilter.ts"
import { IgmpRecordType } from "../wire/IgmpHeader.ts"
import { type Delay, type Group, type GroupRecord, isTold, type Memberships, withGroup } from "./Memberships.ts"
import type { Query } from "./Queries.ts"

/** How many sources that were asked about are remembered for a group; beyond, all of it is answered. */
export const MAX_ASKED = 256

/** §5.2, rules 1 to 5. */
export const schedule = (state: Memberships, query: Query, now: number, delay: Delay): Memberships => {
  const at = now + delay(query.maxResponse)
  if (state.answerAt <= at) return state
  if (query.group === 0) return { ...state, answerAt: at }
  const group = state.groups.get(query.group)
  if (group === undefined || isNothing(group.filter)) return state
  return withGroup(state, query.group, {
    ...group,
    answerAt: Math.min(at, group.answerAt),
    asked: askedAbout(group, query.sources)
  })
}

/** The sources that an answer is to be about. */
const askedAbout = (group: Group, sources: ReadonlyArray<number>): ReadonlySet<number> | undefined => {
  const pending = group.answerAt < Infinity
  if (sources.length === 0 || (pending && group.asked === undefined)) return undefined
  const asked = new Set([...pending ? group.asked! : [], ...sources])
  return asked.size > MAX_ASKED ? undefined : asked
}

/** How a group is listened to; undefined when nobody does. */
const currentState = (address: number, { filter }: Group): GroupRecord | undefined => {
  if (isNothing(filter) || !isTold(3, address, filter)) return undefined
  const type = filter.mode === "include" ? IgmpRecordType.isInclude : IgmpRecordType.isExclude
  return { type, group: address, sources: filter.sources }
}

/** Which of the sources that were asked about are wanted; undefined when none is. */
const wantedOf = (address: number, { asked, filter }: Group): GroupRecord | undefined => {
  if (!isTold(3, address, filter)) return undefined
  const sources = filter.mode === "include" ? intersection(asked!, filter.sources) : difference(asked!, filter.sources)
  return sources.size === 0 ? undefined : { type: IgmpRecordType.isInclude, group: address, sources }
}

/** What is due by now. */
export const due = (
  state: Memberships,
  now: number
): { readonly state: Memberships; readonly records: ReadonlyArray<GroupRecord> } => {
  const groups = new Map(state.groups)
  const records: Array<GroupRecord> = []
  const general = state.answerAt <= now
  for (const [address, group] of state.groups) {
    const own = group.answerAt <= now
    if (!general && !own) continue
    const record = general || group.asked === undefined ? currentState(address, group) : wantedOf(address, group)
    if (record !== undefined) records.push(record)
    if (own) groups.set(address, { ...group, answerAt: Infinity, asked: undefined })
  }
  return { state: { ...state, groups, answerAt: general ? Infinity : state.answerAt }, records }
}
