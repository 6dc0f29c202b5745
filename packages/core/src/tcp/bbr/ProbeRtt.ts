/**
 * The round-trip time without queues, and ProbeRTT, which takes the flight down so that it can be seen
 * (draft-ietf-ccwg-bbr-06 §5.3.4, §5.5.7).
 */
import type { Ack } from "./Ack.ts"
import * as Cycle from "./Cycle.ts"
import * as Model from "./Model.ts"
import { MINIMUM_RTT_SPAN, PROBE_RTT_DURATION, PROBE_RTT_INTERVAL } from "./Parameters.ts"
import { type BbrState, type MinimumRtt, restoredWindow, savedWindow, startRound, UNBOUNDED } from "./State.ts"

/** UpdateMinRTT() */
export const measure = (state: BbrState, ack: Ack): BbrState => {
  const rtt = measured(state.rtt, ack)
  return rtt === state.rtt ? state : { ...state, rtt }
}

const measured = (before: MinimumRtt, ack: Ack): MinimumRtt => {
  const expired = ack.now > before.recentStamp + PROBE_RTT_INTERVAL
  const isNew = ack.rtt !== undefined && (ack.rtt < before.recent || expired)
  const recent = isNew ? ack.rtt : before.recent
  const recentStamp = isNew ? ack.now : before.recentStamp
  const replaces = recent < before.value || ack.now > before.stamp + MINIMUM_RTT_SPAN
  if (!isNew && !replaces && expired === before.expired) return before
  return {
    value: replaces ? recent : before.value,
    stamp: replaces ? recentStamp : before.stamp,
    recent,
    recentStamp,
    expired
  }
}

/** CheckProbeRTT() */
export const check = (state: BbrState, ack: Ack): BbrState => {
  const isDue = state.phase !== "probeRtt" && state.rtt.expired && !state.idleRestart
  const next = isDue ? entered(state, ack) : state
  const handled = next.phase === "probeRtt" ? held(next, ack) : next
  return handled.idleRestart && ack.flight > 0 ? { ...handled, idleRestart: false } : handled
}

/** EnterProbeRTT() */
const entered = (state: BbrState, ack: Ack): BbrState =>
  startRound({
    ...state,
    phase: "probeRtt",
    priorWindow: savedWindow(state, ack.recovering),
    probe: { ...state.probe, feedback: "stopping" },
    probeRtt: { until: undefined, roundDone: false, limitedFrom: ack.total, limitedTo: ack.total }
  })

/** HandleProbeRTT(): some time, and at least a round, with a small flight. */
const held = (state: BbrState, ack: Ack): BbrState => {
  const probeRtt = { ...state.probeRtt, limitedTo: ack.total + ack.inFlight }
  if (probeRtt.until === undefined) {
    if (ack.inFlight > Model.probeRttWindow(state, ack.mss)) return { ...state, probeRtt }
    return startRound({ ...state, probeRtt: { ...probeRtt, until: ack.now + PROBE_RTT_DURATION, roundDone: false } })
  }
  const roundDone = probeRtt.roundDone || state.rounds.started
  const next: BbrState = { ...state, probeRtt: { ...probeRtt, roundDone } }
  return roundDone ? checkDone(next, ack.now, ack.mss) : next
}

/** CheckProbeRTTDone() and ExitProbeRTT() */
export const checkDone = (state: BbrState, now: number, mss: number): BbrState => {
  const { until } = state.probeRtt
  if (until === undefined || now <= until) return state
  const next: BbrState = {
    ...state,
    window: restoredWindow(state),
    rtt: { ...state.rtt, recentStamp: now },
    shortTerm: UNBOUNDED
  }
  return next.fullPipe.reached ? Cycle.startCruise(Cycle.startDown(next, now, mss)) : { ...next, phase: "startup" }
}
