/**
 * The course of ProbeBW (draft-ietf-ccwg-bbr-06 §5.3.3): when each of its phases ends, and how far the long-term bound is raised
 * while nothing speaks against it.
 */
import type { Ack } from "./Ack.ts"
import * as Cycle from "./Cycle.ts"
import * as FullPipe from "./FullPipe.ts"
import * as Loss from "./Loss.ts"
import * as Model from "./Model.ts"
import { PROBE_WAIT_ROUNDS } from "./Parameters.ts"
import * as Signals from "./Signals.ts"
import { type BbrState, isProbeBandwidth, isWindowLimited } from "./State.ts"

/** UpdateProbeBWCyclePhase() */
export const update = (state: BbrState, ack: Ack): BbrState => {
  if (!state.fullPipe.reached) return state
  const next = adapt(state, ack)
  // A phase that has just begun is not left by the same acknowledgement.
  return next.phase === state.phase ? proceed(next, ack) : next
}

const proceed = (state: BbrState, ack: Ack): BbrState => {
  switch (state.phase) {
    case "down":
      if (isTimeToProbe(state, ack)) return Cycle.startRefill(state)
      return isTimeToCruise(state, ack) ? Cycle.startCruise(state) : state
    case "cruise":
      return isTimeToProbe(state, ack) ? Cycle.startRefill(state) : state
    case "refill":
      return state.rounds.started ? Cycle.startUp(state, ack.rate, ack.mss) : state
    case "up":
      return rising(state, ack)
    default:
      return state
  }
}

/** IsTimeToProbeBW(): after some seconds, or as soon as Reno would have recovered from a loss. */
const isTimeToProbe = (state: BbrState, ack: Ack): boolean => {
  const { roundsSinceUp, startedAt, wait } = state.probe
  return ack.now > startedAt + wait ||
    roundsSinceUp >= Math.min(Model.targetInFlight(state, ack.mss) / ack.mss, PROBE_WAIT_ROUNDS)
}

/** IsTimeToCruise(): the queue is gone, and others have room. */
const isTimeToCruise = (state: BbrState, ack: Ack): boolean =>
  ack.inFlight <= Model.withHeadroom(state, ack.mss) &&
  ack.inFlight <= Model.inFlight(state, Model.maximumBandwidth(state), 1, ack.mss)

/** IsTimeToGoDown(), and what follows from it. */
const rising = (state: BbrState, ack: Ack): BbrState => {
  const { fullPipe, longTerm, probe, window } = state
  // An acknowledgement makes room: the bound was reached before it.
  if (probe.tooHigh && ack.inFlightBefore + ack.mss > longTerm) {
    return fallen({ ...probe, precautionary: true }, state, ack)
  }
  // What the bound holds back says nothing of the path.
  if (isWindowLimited(state) && window >= longTerm) return { ...state, fullPipe: FullPipe.sought(fullPipe, ack.rate) }
  return fullPipe.now ? fallen(probe, state, ack) : state
}

const fallen = (probe: BbrState["probe"], state: BbrState, ack: Ack): BbrState =>
  Cycle.startDown({ ...state, probe: { ...probe, tooHigh: false } }, ack.now, ack.mss)

/** AdaptLongTermModel() */
const adapt = (state: BbrState, ack: Ack): BbrState => {
  const next = state.rounds.started ? heard(state, ack) : state
  if (next.phase !== state.phase) return next
  return Loss.isTooHigh(ack) ? Loss.answered(next, ack) : raised(next, ack)
}

/** A round has gone by: acknowledgements now tell of the phase that has begun a round ago. */
const heard = (state: BbrState, ack: Ack): BbrState => {
  switch (state.probe.feedback) {
    case "starting":
      return { ...state, probe: { ...state.probe, feedback: "feedback" } }
    case "stopping":
      return concluded({ ...state, probe: { ...state.probe, feedback: "none", sampling: false } }, ack)
    default:
      return state
  }
}

/** The end of a probe; one that was cut short out of caution, and went well, is followed by a bold one (§5.3.3.6). */
const concluded = (state: BbrState, ack: Ack): BbrState => {
  if (!isProbeBandwidth(state)) return state
  const next = ack.limited ? state : Signals.nextCycle(state)
  return next.probe.precautionary && !next.probe.tooHigh ? Cycle.startRefill(next) : next
}

/** Losses are few: the path bears what was in flight. */
const raised = (state: BbrState, ack: Ack): BbrState => {
  if (state.longTerm === Infinity) return state
  const longTerm = Math.max(state.longTerm, ack.inFlightAtSend)
  const next = longTerm === state.longTerm ? state : { ...state, longTerm }
  return state.phase === "up" ? probed(next, ack) : next
}

/** ProbeInflightLongtermUpward(): one segment more for each `ackedPerStep` octets, if all of the bound is used. */
const probed = (state: BbrState, ack: Ack): BbrState => {
  const { longTerm, probe, rounds, window } = state
  if (!isWindowLimited(state) || window < longTerm) return state
  const acked = probe.upAcked + ack.delivered
  const steps = Math.floor(acked / probe.ackedPerStep)
  const next = { ...probe, upAcked: acked - (steps === 0 ? 0 : steps * probe.ackedPerStep) }
  return {
    ...state,
    longTerm: longTerm + steps * ack.mss,
    probe: rounds.started ? Cycle.steeper(next, window, ack.mss) : next
  }
}
