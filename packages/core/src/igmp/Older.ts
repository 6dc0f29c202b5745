/**
 * How groups are reported while a querier of version 1 or 2 is there (RFC 9776 §7.2, RFC 2236 §3, RFC 1112 Appendix I).
 *
 * Each group has a timer. Who hears another's report while its own waits keeps silent: one is enough.
 */
import { isNothing, type SourceFilter } from "../ip/SourceFilter.ts"
import {
  DEFAULT_MAX_RESPONSE,
  type Delay,
  type Group,
  isTold,
  makeGroup,
  type Memberships,
  type Message,
  OLDER_UNSOLICITED_INTERVAL,
  type Step,
  withGroup
} from "./Memberships.ts"
import type { Query } from "./Queries.ts"

const report = ({ version }: Memberships, group: number): Message => ({
  _tag: version === 1 ? "ReportV1" : "ReportV2",
  group
})

/** A join is reported at once and again; a leave is told where this host was the last to report. */
export const change = (state: Memberships, address: number, after: SourceFilter, now: number, delay: Delay): Step => {
  const group = state.groups.get(address)
  if (isNothing(after)) {
    const leaves = state.version === 2 && group?.isLastReporter === true
    return { state: withGroup(state, address, undefined), messages: leaves ? [{ _tag: "Leave", group: address }] : [] }
  }
  if (group !== undefined && !isNothing(group.filter)) {
    return { state: withGroup(state, address, { ...group, filter: after }), messages: [] }
  }
  if (!isTold(state.version, address, after)) {
    return { state: withGroup(state, address, makeGroup(after)), messages: [] }
  }
  const joinRepeats = state.robustness - 1
  const joined: Group = {
    ...makeGroup(after),
    isLastReporter: true,
    joinRepeats,
    answerAt: joinRepeats > 0 ? now + delay(OLDER_UNSOLICITED_INTERVAL) : Infinity
  }
  return { state: withGroup(state, address, joined), messages: [report(state, address)] }
}

/** RFC 2236 §3: a timer that runs is set again only when it would run for longer than the query allows. */
export const schedule = (state: Memberships, query: Query, now: number, delay: Delay): Memberships => {
  const maxResponse = query.version === 1 ? DEFAULT_MAX_RESPONSE : query.maxResponse
  const groups = new Map(state.groups)
  for (const [address, group] of state.groups) {
    const asked = query.group === 0 || query.group === address
    if (!asked || !isTold(state.version, address, group.filter) || group.answerAt <= now + maxResponse) continue
    groups.set(address, { ...group, answerAt: now + delay(maxResponse) })
  }
  return { ...state, groups }
}

/** Another host's report of a group. */
export const hear = (state: Memberships, address: number): Memberships => {
  const group = state.groups.get(address)
  if (group === undefined || group.answerAt === Infinity) return state
  return withGroup(state, address, { ...group, answerAt: Infinity, joinRepeats: 0, isLastReporter: false })
}

/** The reports that are due by now. */
export const due = (state: Memberships, now: number, delay: Delay): Step => {
  const groups = new Map(state.groups)
  const messages: Array<Message> = []
  for (const [address, group] of state.groups) {
    if (group.answerAt > now) continue
    messages.push(report(state, address))
    const joinRepeats = Math.max(0, group.joinRepeats - 1)
    const answerAt = joinRepeats > 0 ? now + delay(OLDER_UNSOLICITED_INTERVAL) : Infinity
    groups.set(address, { ...group, answerAt, joinRepeats, isLastReporter: true })
  }
  return { state: { ...state, groups }, messages }
}
