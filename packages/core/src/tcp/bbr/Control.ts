/**
 * From the model to the two things that are controlled: the pacing rate and the window (draft-ietf-ccwg-bbr-06 §5.6).
 */
import { initialWindow } from "../Reno.ts"
import type { Ack } from "./Ack.ts"
import * as Model from "./Model.ts"
import * as Parameters from "./Parameters.ts"
import { type BbrState, initialRate } from "./State.ts"

const pacingGain = ({ phase }: BbrState): number => {
  switch (phase) {
    case "startup":
      return Parameters.STARTUP_PACING_GAIN
    case "drain":
      return Parameters.DRAIN_PACING_GAIN
    case "down":
      return Parameters.DOWN_PACING_GAIN
    case "up":
      return Parameters.UP_PACING_GAIN
    default:
      return 1
  }
}

/** SetPacingRate() of §5.6.2 */
export const pace = (state: BbrState, ack: Ack): BbrState => paced(timed(state, ack), pacingGain(state))

/** SetPacingRateWithGain(): as long as the pipe was not full, the rate only grows. */
export const paced = (state: BbrState, gain: number): BbrState => {
  const rate = gain * Model.bandwidth(state) * Parameters.PACING_SHARE
  if (rate === state.pacingRate || rate === 0) return state
  return state.fullPipe.reached || rate > state.pacingRate ? { ...state, pacingRate: rate } : state
}

/** The first round-trip time: before, the rate could only assume one. */
const timed = (state: BbrState, ack: Ack): BbrState => {
  const rtt = ack.smoothedRtt ?? ack.rtt
  if (state.timed || rtt === undefined || rtt <= 0) return state
  return { ...state, timed: true, pacingRate: initialRate(ack.mss, rtt) }
}

/** SetCwnd() of §5.6.4.6 */
export const open = (state: BbrState, ack: Ack): BbrState => {
  const grown = Math.max(target(state, ack), Model.minimumWindow(ack.mss))
  const window = Math.min(grown, bound(state, ack.mss))
  return window === state.window ? state : { ...state, window }
}

const target = (state: BbrState, ack: Ack): number => {
  const maximum = Model.maximumInFlight(state, ack.mss)
  const grown = state.window + ack.delivered
  if (state.fullPipe.reached) return Math.min(grown, maximum)
  return state.window < maximum || ack.total < initialWindow(ack.mss) ? grown : state.window
}

/** BoundCwndForProbeRTT() and BoundCwndForModel() of §5.6.4.5 and §5.6.4.7 */
const bound = (state: BbrState, mss: number): number => {
  const cap = Math.max(Math.min(longTermBound(state, mss), state.shortTerm.inFlight), Model.minimumWindow(mss))
  return state.phase === "probeRtt" ? Math.min(cap, Model.probeRttWindow(state, mss)) : cap
}

const longTermBound = (state: BbrState, mss: number): number => {
  switch (state.phase) {
    case "startup":
    case "drain":
      return Infinity
    case "cruise":
    case "probeRtt":
      return Model.withHeadroom(state, mss)
    default:
      return state.longTerm
  }
}
