/**
 * The events of an interface (RFC 9776 §5, §7.2): a filter changes, a query or another host's report arrives, time passes.
 */
import { equals, isNothing, NOTHING, type SourceFilter } from "../ip/SourceFilter.ts"
import * as Answers from "./Answers.ts"
import * as Changes from "./Changes.ts"
import {
  DEFAULT_MAX_RESPONSE,
  type Delay,
  type Group,
  type GroupRecord,
  type Memberships,
  type Message,
  type Step,
  type Version,
  withGroup
} from "./Memberships.ts"
import * as Older from "./Older.ts"
import type { Query } from "./Queries.ts"

const reports = (records: ReadonlyArray<GroupRecord>): ReadonlyArray<Message> =>
  records.length === 0 ? [] : [{ _tag: "ReportV3", records }]

/** §7.2.1: the oldest version of whose queriers one is taken to be there. */
const versionAt = (state: Memberships, now: number): Version =>
  state.version1Until > now ? 1 : state.version2Until > now ? 2 : 3

/** §7.2.1: whoever changes the version forgets what it was about to tell. */
const settle = (state: Memberships, now: number): Memberships => {
  const version = versionAt(state, now)
  if (version === state.version) return state
  const groups = new Map<number, Group>()
  for (const [address, group] of state.groups) {
    if (isNothing(group.filter)) continue
    groups.set(address, {
      ...group,
      repeats: 0,
      changed: undefined,
      answerAt: Infinity,
      asked: undefined,
      joinRepeats: 0,
      isLastReporter: false
    })
  }
  return { ...state, groups, version, changesAt: Infinity, answerAt: Infinity }
}

/** The filters of some groups are now these; `NOTHING` is a leave. */
export const change = (
  state: Memberships,
  filters: Iterable<readonly [group: number, filter: SourceFilter]>,
  now: number,
  delay: Delay
): Step => {
  let next = settle(state, now)
  const messages: Array<Message> = []
  const changed: Array<number> = []
  for (const [address, after] of filters) {
    const group = next.groups.get(address)
    const before = group?.filter ?? NOTHING
    if (equals(before, after)) continue
    if (next.version < 3) {
      const step = Older.change(next, address, after, now, delay)
      next = step.state
      messages.push(...step.messages)
    } else {
      next = withGroup(next, address, Changes.note(group, before, after, next.robustness))
      changed.push(address)
    }
  }
  const told = Changes.tell(next, changed, now, delay)
  return { state: told.state, messages: [...messages, ...reports(told.records)] }
}

/** A query that is believed. */
export const query = (state: Memberships, asked: Query, now: number, delay: Delay): Memberships => {
  const next = settle(learn(state, asked, now), now)
  return next.version === 3 ? Answers.schedule(next, asked, now, delay) : Older.schedule(next, asked, now, delay)
}

/** What a query tells about the querier (§7.2.1, §8.1, §8.2, §8.12). */
const learn = (state: Memberships, asked: Query, now: number): Memberships => {
  const { robustness, queryInterval } = state
  const until = now + robustness * queryInterval + (asked.version === 1 ? DEFAULT_MAX_RESPONSE : asked.maxResponse)
  switch (asked.version) {
    case 1:
      return { ...state, version1Until: until }
    case 2:
      return { ...state, version2Until: until }
    case 3:
      return { ...state, robustness: asked.robustness, queryInterval: asked.interval }
  }
}

/** Another host's report of version 1 or 2; one of version 3 keeps nobody silent (RFC 4604 §2.2). */
export const hear = (state: Memberships, group: number, now: number): Memberships => {
  const next = settle(state, now)
  return next.version === 3 ? next : Older.hear(next, group)
}

/** What is due by now. */
export const elapse = (state: Memberships, now: number, delay: Delay): Step => {
  const next = settle(state, now)
  if (next.version < 3) return Older.due(next, now, delay)
  const answers = Answers.due(next, now)
  if (answers.state.changesAt > now) return { state: answers.state, messages: reports(answers.records) }
  const changes = Changes.tell(answers.state, answers.state.groups.keys(), now, delay)
  return { state: changes.state, messages: [...reports(answers.records), ...reports(changes.records)] }
}
