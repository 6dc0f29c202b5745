/**
 * What a host has to tell about the groups of one interface, as a value (RFC 9776 §5, RFC 2236 §6).
 *
 * Everything that happens to it is a pure function from one value to the next and the messages that are to be sent: times in
 * milliseconds and chance are arguments. `deadline` says when `elapse` is to be called.
 *
 * | file            | what it knows                                           |
 * | --------------- | ------------------------------------------------------- |
 * | `Memberships`   | the value, and which version is spoken (§7.2.1)         |
 * | `Changes`       | what is told, and told again, when a filter changes     |
 * | `Answers`       | what is answered to a query, and when                   |
 * | `Older`         | the same in versions 1 and 2                            |
 * | `Machine`       | the four events: a change, a query, a report, a time    |
 * | `Queries`       | what the octets of a query say                          |
 * | `Reports`       | messages as octets                                      |
 *
 * Invariant: a group is there as long as somebody listens to it, or its end is still to be told again.
 */
import { isSourceSpecific } from "../ip/AddressClass.ts"
import type { SourceFilter } from "../ip/SourceFilter.ts"

export type Version = 1 | 2 | 3

/** One line of a report of version 3; `type` is one of `IgmpRecordType`. */
export interface GroupRecord {
  readonly type: number
  readonly group: number
  readonly sources: Iterable<number>
}

/** What is to be sent. */
export type Message =
  | { readonly _tag: "ReportV3"; readonly records: ReadonlyArray<GroupRecord> }
  | { readonly _tag: "ReportV1" | "ReportV2" | "Leave"; readonly group: number }

export interface Group {
  readonly filter: SourceFilter
  /** How often its latest changes are still to be told. */
  readonly repeats: number
  /** The sources that they are about; undefined when the mode changed, which is told with the whole list. */
  readonly changed: ReadonlySet<number> | undefined
  /** When a query about it is answered, or in versions 1 and 2 when it is reported next. `Infinity`: not at all. */
  readonly answerAt: number
  /** The sources that were asked about; undefined for the whole group. */
  readonly asked: ReadonlySet<number> | undefined
  /** In versions 1 and 2, how often the join is still to be told. */
  readonly joinRepeats: number
  /** In version 2, whether this host was the last to report the group. */
  readonly isLastReporter: boolean
}

export interface Memberships {
  readonly groups: ReadonlyMap<number, Group>
  readonly version: Version
  /** Until when a querier of an older version is taken to be there (§7.2.1). */
  readonly version1Until: number
  readonly version2Until: number
  /** How often everything is told, as the querier says (§8.1). */
  readonly robustness: number
  /** Milliseconds between general queries, as the querier says (§8.2). */
  readonly queryInterval: number
  /** When changes are told again. */
  readonly changesAt: number
  /** When a general query is answered. */
  readonly answerAt: number
}

/** What follows from an event. */
export interface Step {
  readonly state: Memberships
  readonly messages: ReadonlyArray<Message>
}

/** A whole number of milliseconds from 1 to `bound`, by chance. */
export type Delay = (bound: number) => number

/** RFC 9776 §8.1, §8.2. */
export const DEFAULT_ROBUSTNESS = 2
export const DEFAULT_QUERY_INTERVAL = 125_000
/** §8.3, and what a query of version 1 allows (§7.2.1). */
export const DEFAULT_MAX_RESPONSE = 10_000
/** §8.11. */
export const UNSOLICITED_INTERVAL = 1000
/** RFC 2236 §8.10. */
export const OLDER_UNSOLICITED_INTERVAL = 10_000

export const empty: Memberships = {
  groups: new Map(),
  version: 3,
  version1Until: -Infinity,
  version2Until: -Infinity,
  robustness: DEFAULT_ROBUSTNESS,
  queryInterval: DEFAULT_QUERY_INTERVAL,
  changesAt: Infinity,
  answerAt: Infinity
}

export const makeGroup = (filter: SourceFilter): Group => ({
  filter,
  repeats: 0,
  changed: undefined,
  answerAt: Infinity,
  asked: undefined,
  joinRepeats: 0,
  isLastReporter: false
})

export const withGroup = (state: Memberships, address: number, group: Group | undefined): Memberships => {
  const groups = new Map(state.groups)
  if (group === undefined) groups.delete(address)
  else groups.set(address, group)
  return { ...state, groups }
}

/** The earliest time at which there is something to do, or `Infinity`. */
export const deadline = (state: Memberships): number => {
  let earliest = Math.min(state.changesAt, state.answerAt)
  for (const { answerAt } of state.groups.values()) earliest = Math.min(earliest, answerAt)
  return earliest
}

/**
 * RFC 4604 §2.2: routers hear nothing of channels that versions 1 and 2 cannot name, nor that one is wanted from any
 * source.
 */
export const isTold = (version: Version, group: number, filter: SourceFilter): boolean =>
  !isSourceSpecific(group) || (version === 3 && filter.mode === "include")
