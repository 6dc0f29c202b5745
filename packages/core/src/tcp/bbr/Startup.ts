/**
 * Startup doubles the rate in each round until the pipe is full; Drain empties the queue that this left behind
 * (draft-ietf-ccwg-bbr-06 §5.3.1, §5.3.2).
 */
import type { Ack } from "./Ack.ts"
import * as Cycle from "./Cycle.ts"
import * as Model from "./Model.ts"
import { DRAIN_ROUNDS, LOSS_THRESHOLD, STARTUP_LOSSES } from "./Parameters.ts"
import type { BbrState } from "./State.ts"

/** CheckStartupDone() */
export const checkDone = (state: BbrState, ack: Ack): BbrState => {
  const next = checkLosses(state, ack)
  return next.phase === "startup" && next.fullPipe.reached
    ? { ...next, phase: "drain", drainedFrom: next.rounds.count }
    : next
}

/**
 * CheckStartupHighLoss() of §5.3.1.3, at the end of each round of losses. A flow that sends in bursts may lose much in few places,
 * again and again; so those of rounds that follow each other are counted together.
 */
const checkLosses = (state: BbrState, ack: Ack): BbrState => {
  const { fullPipe, signals } = state
  if (fullPipe.reached || signals.ranges === 0) return state
  // A peer that does not acknowledge selectively shows one loss per round at most.
  if (!ack.selective) return ack.recovering ? overrun(state, ack.mss) : state
  if (!signals.started || signals.share < 0) return state
  if (signals.share <= LOSS_THRESHOLD) return { ...state, signals: { ...signals, ranges: 0 } }
  return signals.ranges < STARTUP_LOSSES ? state : overrun(state, ack.mss)
}

/** The pipe is full: it holds what was delivered in the last round. */
export const overrun = (state: BbrState, mss: number): BbrState => ({
  ...state,
  undo: { ...state.undo, phase: "startup" },
  fullPipe: { ...state.fullPipe, now: true, reached: true },
  longTerm: Math.max(
    Model.product(state, Model.bandwidth(state), 1, mss),
    state.signals.inFlight,
    Model.minimumWindow(mss)
  )
})

/** CheckDrainDone() */
export const checkDrained = (state: BbrState, ack: Ack): BbrState => {
  if (state.phase !== "drain") return state
  const isDrained = ack.inFlight <= Model.inFlight(state, Model.bandwidth(state), 1, ack.mss)
  return isDrained || state.rounds.count > state.drainedFrom + DRAIN_ROUNDS
    ? Cycle.startDown(state, ack.now, ack.mss)
    : state
}
