/**
 * What is told when a filter changes (RFC 9776 §5.1).
 *
 * A change is told at once, and again until that was as often as the robustness variable says, each time as things are then.
 * A change while an earlier one of the same group is still told takes that one in, and both are told as often again.
 */
import { admits, difference, isNothing, type SourceFilter } from "../ip/SourceFilter.ts"
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
export const note = (
  group: Group | undefined,
  before: SourceFilter,
  after: SourceFilter,
  robustness: number
): Group => {
  const known = group ?? makeGroup(before)
  const isTelling = known.repeats > 0
  const newMode = before.mode !== after.mode || (isTelling && known.changed === undefined)
  const earlier = isTelling ? known.changed ?? [] : []
  const changed = newMode
    ? undefined
    : new Set([
      ...earlier,
      ...difference(before.sources, after.sources),
      ...difference(after.sources, before.sources)
    ])
  return { ...known, filter: after, repeats: robustness, changed }
}

/** The records that tell a group's latest changes. */
const recordsOf = (address: number, { changed, filter }: Group): ReadonlyArray<GroupRecord> => {
  if (changed === undefined) {
    const type = filter.mode === "include" ? IgmpRecordType.toInclude : IgmpRecordType.toExclude
    return [{ type, group: address, sources: filter.sources }]
  }
  const allowed = [...changed].filter((source) => admits(filter, source))
  const blocked = [...changed].filter((source) => !admits(filter, source))
  const records: Array<GroupRecord> = []
  if (allowed.length > 0) records.push({ type: IgmpRecordType.allow, group: address, sources: allowed })
  if (blocked.length > 0) records.push({ type: IgmpRecordType.block, group: address, sources: blocked })
  return records
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
    if (group === undefined || group.repeats === 0) continue
    if (isTold(3, address, group.filter)) records.push(...recordsOf(address, group))
    const repeats = group.repeats - 1
    if (repeats === 0 && isNothing(group.filter)) groups.delete(address)
    else groups.set(address, { ...group, repeats })
  }
  const more = [...groups.values()].some(({ repeats }) => repeats > 0)
  const isSet = state.changesAt > now && state.changesAt < Infinity
  const changesAt = !more ? Infinity : isSet ? state.changesAt : now + delay(UNSOLICITED_INTERVAL)
  return { state: { ...state, groups, changesAt }, records }
}
