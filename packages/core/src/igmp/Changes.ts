/**
 * What is told when a filter changes (RFC 9776 §5.1).
 *
 * A change is told at once, and again as often as the robustness variable says, each time as it looks then: a later change of
 * the same group is told together with what is left of the earlier one.
 */
import { difference, isNothing, type SourceFilter } from "../ip/SourceFilter.ts"
import { IgmpRecordType } from "../wire/IgmpHeader.ts"
import {
  type Delay,
  type Group,
  type GroupRecord,
  isTold,
  makeGroup,
  type Memberships,
  UNSOLICITED_INTERVAL
} from "./Memberships.ts"

/** Notes a change of a group that is to be told `robustness` times. */
export const note = (group: Group | undefined, before: SourceFilter, after: SourceFilter, robustness: number): Group => {
  const known = group ?? makeGroup(before)
  if (before.mode !== after.mode) {
    // The new mode is told with its whole list, which says all that was left to say.
    return { ...known, filter: after, modeRepeats: robustness, sourceRepeats: new Map() }
  }
  const sourceRepeats = new Map(known.sourceRepeats)
  for (const source of difference(before.sources, after.sources)) sourceRepeats.set(source, robustness)
  for (const source of difference(after.sources, before.sources)) sourceRepeats.set(source, robustness)
  return { ...known, filter: after, sourceRepeats }
}

const hasRepeats = (group: Group): boolean => group.modeRepeats > 0 || group.sourceRepeats.size > 0

/** The records that tell what is left of a group's changes. */
const recordsOf = (address: number, { filter, modeRepeats, sourceRepeats }: Group): ReadonlyArray<GroupRecord> => {
  if (modeRepeats > 0) {
    const type = filter.mode === "include" ? IgmpRecordType.toInclude : IgmpRecordType.toExclude
    return [{ type, group: address, sources: filter.sources }]
  }
  const listed = [...sourceRepeats.keys()].filter((source) => filter.sources.has(source))
  const others = [...sourceRepeats.keys()].filter((source) => !filter.sources.has(source))
  const [allowed, blocked] = filter.mode === "include" ? [listed, others] : [others, listed]
  const records: Array<GroupRecord> = []
  if (allowed.length > 0) records.push({ type: IgmpRecordType.allow, group: address, sources: allowed })
  if (blocked.length > 0) records.push({ type: IgmpRecordType.block, group: address, sources: blocked })
  return records
}

/** The group once its changes were told once more; undefined when nobody listens and nothing is left to tell. */
const told = (group: Group): Group | undefined => {
  const sourceRepeats = new Map<number, number>()
  for (const [source, repeats] of group.sourceRepeats) if (repeats > 1) sourceRepeats.set(source, repeats - 1)
  const next = { ...group, modeRepeats: Math.max(0, group.modeRepeats - 1), sourceRepeats }
  return isNothing(next.filter) && !hasRepeats(next) ? undefined : next
}

/** Tells the changes of these groups; those that are left to tell are told again after a random delay. */
export const tell = (
  state: Memberships,
  addresses: Iterable<number>,
  now: number,
  delay: Delay
): { readonly state: Memberships; readonly records: ReadonlyArray<GroupRecord> } => {
  const groups = new Map(state.groups)
  const records: Array<GroupRecord> = []
  for (const address of addresses) {
    const group = groups.get(address)
    if (group === undefined) continue
    if (isTold(3, address, group.filter)) records.push(...recordsOf(address, group))
    const next = told(group)
    if (next === undefined) groups.delete(address)
    else groups.set(address, next)
  }
  const more = [...groups.values()].some(hasRepeats)
  const changesAt = !more
    ? Infinity
    : state.changesAt > now && state.changesAt < Infinity
    ? state.changesAt
    : now + delay(UNSOLICITED_INTERVAL)
  return { state: { ...state, groups, changesAt }, records }
}
