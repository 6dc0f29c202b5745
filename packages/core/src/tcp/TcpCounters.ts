/**
 * What TCP counts for the whole stack. What a control block counts (`Counts`) is added to counters of the same names.
 */
import type { Counter, Statistics } from "../Statistics.ts"
import { type Counts, makeAdder } from "./Counts.ts"

export interface TcpCounters {
  /** `tcp.received`: segments, good and bad. `tcp.coalesced`: those of them that came in one packet with the one before. */
  readonly received: Counter
  readonly coalesced: Counter
  /**
   * Packets that were as expected and taken in place (see `SteadyPath`): `tcp.predictedText`, those with text, and
   * `tcp.predictedAcknowledgements`, those without.
   */
  readonly predictedText: Counter
  readonly predictedAcknowledgements: Counter
  /** Of RFC 4022: `tcp.activeOpens`, `tcp.passiveOpens`, `tcp.failedAttempts`, `tcp.establishedResets`. */
  readonly activeOpens: Counter
  readonly passiveOpens: Counter
  readonly failedAttempts: Counter
  readonly establishedResets: Counter
  /** What there is now: `tcp.established`; `tcp.connections` in any state but LISTEN and CLOSED; `tcp.listeners`. */
  readonly established: Counter
  readonly connections: Counter
  readonly listeners: Counter
  /** `tcp.textSent`: segments with text or a FIN, retransmissions included. */
  readonly textSent: Counter
  /** `tcp.outOfOrder`: segments whose text waits for what comes before it. */
  readonly outOfOrder: Counter
  /** `tcp.closedUnread`, `tcp.heardAfterClose`: connections reset as text was not read before CLOSE, or arrived after it. */
  readonly closedUnread: Counter
  readonly heardAfterClose: Counter
  /** `tcp.timedOut`: connections given up, as their peer did not answer. */
  readonly timedOut: Counter
  /** `tcp.timeWaitOverflows`: connections whose TIME-WAIT ended early, as there were too many of them. */
  readonly timeWaitOverflows: Counter
  /** `tcp.timeWaitsReused`: connections opened from here in place of one in TIME-WAIT. */
  readonly timeWaitsReused: Counter
  /** `tcp.orphansReset`: connections reset as programs had let go of too many. */
  readonly orphansReset: Counter
  /** `tcp.challengesLimited`, `tcp.resetsLimited`: answers to segments of a connection that `TcpDefaults` did not allow. */
  readonly challengesLimited: Counter
  readonly resetsLimited: Counter
  /** `tcp.windowsClosed`, `tcp.windowsReopened`: windows announced that were 0, or not 0 any more. */
  readonly windowsClosed: Counter
  readonly windowsReopened: Counter
  /** Adds what was counted between two control blocks. */
  readonly add: (before: Counts, after: Counts) => void
}

export const makeTcpCounters = (statistics: Statistics["Service"]): TcpCounters => {
  const counter = (name: string) => statistics.counter(`tcp.${name}`)
  const level = (name: string) => statistics.counter(`tcp.${name}`, "level")
  return {
    received: counter("received"),
    coalesced: counter("coalesced"),
    predictedText: counter("predictedText"),
    predictedAcknowledgements: counter("predictedAcknowledgements"),
    activeOpens: counter("activeOpens"),
    passiveOpens: counter("passiveOpens"),
    failedAttempts: counter("failedAttempts"),
    establishedResets: counter("establishedResets"),
    established: level("established"),
    connections: level("connections"),
    listeners: level("listeners"),
    textSent: counter("textSent"),
    outOfOrder: counter("outOfOrder"),
    closedUnread: counter("closedUnread"),
    heardAfterClose: counter("heardAfterClose"),
    timedOut: counter("timedOut"),
    timeWaitOverflows: counter("timeWaitOverflows"),
    timeWaitsReused: counter("timeWaitsReused"),
    orphansReset: counter("orphansReset"),
    challengesLimited: counter("challengesLimited"),
    resetsLimited: counter("resetsLimited"),
    windowsClosed: counter("windowsClosed"),
    windowsReopened: counter("windowsReopened"),
    add: makeAdder(statistics)
  }
}
