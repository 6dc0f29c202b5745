/**
 * What follows from the model of the path: how fast, and how much in flight (draft-ietf-ccwg-bbr-06 §5.5.2, §5.6.4.2).
 */
import { initialWindow } from "../Reno.ts"
import * as Parameters from "./Parameters.ts"
import type { BbrState } from "./State.ts"

/** BBR.max_bw */
export const maximumBandwidth = ({ maximum }: BbrState): number => Math.max(maximum.previous, maximum.current)

/** BBR.bw: the greatest rate seen, as far as recent losses allow it. */
export const bandwidth = (state: BbrState): number => Math.min(maximumBandwidth(state), state.shortTerm.bandwidth)

export const minimumWindow = (mss: number): number => Parameters.MINIMUM_SEGMENTS * mss

/** BDPMultiple(): `gain` times the bandwidth-delay product at `rate`. */
export const product = (state: BbrState, rate: number, gain: number, mss: number): number =>
  state.rtt.value === Infinity ? initialWindow(mss) : gain * rate * state.rtt.value

/** C.send_quantum (§5.6.3): what may leave at once. */
export const sendQuantum = (pacingRate: number, mss: number): number =>
  Math.max(
    Math.min(pacingRate * Parameters.QUANTUM_TIME, Parameters.QUANTUM_LIMIT),
    Parameters.QUANTUM_SEGMENTS * mss
  )

/** QuantizationBudget(): room for whole quanta, and for a receiver that acknowledges every second segment. */
const quantized = (state: BbrState, volume: number, mss: number): number => {
  const budget = Parameters.QUANTUM_BUDGET * sendQuantum(state.pacingRate, mss)
  const floor = Math.max(volume, budget, minimumWindow(mss))
  return state.phase === "up" ? floor + 2 * mss : floor
}

/** Inflight(): `gain` times what the path holds at `rate`. */
export const inFlight = (state: BbrState, rate: number, gain: number, mss: number): number =>
  quantized(state, product(state, rate, gain, mss), mss)

const windowGain = ({ phase }: BbrState): number => {
  if (phase === "up") return Parameters.UP_WINDOW_GAIN
  return phase === "probeRtt" ? Parameters.PROBE_RTT_WINDOW_GAIN : Parameters.WINDOW_GAIN
}

/** BBR.max_inflight */
export const maximumInFlight = (state: BbrState, mss: number): number => {
  const volume = product(state, bandwidth(state), windowGain(state), mss)
  return quantized(state, volume + state.aggregation.extra.best.value, mss)
}

/** TargetInflight(): the bandwidth-delay product, unless congestion has cut the window. */
export const targetInFlight = (state: BbrState, mss: number): number =>
  Math.min(product(state, bandwidth(state), 1, mss), state.window)

/** ProbeRTTCwnd() of §5.6.4.5 */
export const probeRttWindow = (state: BbrState, mss: number): number =>
  Math.max(product(state, bandwidth(state), Parameters.PROBE_RTT_WINDOW_GAIN, mss), minimumWindow(mss))

/** InflightWithHeadroom(): the long-term bound, less what is left to others. */
export const withHeadroom = ({ longTerm }: BbrState, mss: number): number =>
  longTerm === Infinity
    ? Infinity
    : Math.max(longTerm - Math.max(mss, Parameters.HEADROOM * longTerm), minimumWindow(mss))
