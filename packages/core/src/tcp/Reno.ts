/**
 * Slow start and congestion avoidance (RFC 5681) with appropriate byte counting (RFC 3465) and the initial window of
 * RFC 6928.
 */
import type { CongestionAlgorithm, CongestionState, CongestionView, Delivery } from "./Congestion.ts"

interface RenoState extends CongestionState {
  /** Octets acknowledged towards the next increase in congestion avoidance (RFC 3465 §2.1). */
  readonly credit: number
}

const state = (window: number, slowStartThreshold: number, credit: number): RenoState => ({
  window,
  slowStartThreshold,
  credit
})

/** RFC 6928 §2 */
export const initialWindow = (mss: number): number => Math.min(10 * mss, Math.max(2 * mss, 14_600))

/** L of RFC 3465 §2.3: how many segments one acknowledgement counts for in slow start; after a timeout, one. */
const LIMIT = 2

/** RFC 5681 §3.1, equation (4) */
const halved = (view: CongestionView): number => Math.max(Math.floor(view.inFlight / 2), 2 * view.mss)

const creditOf = (reno: CongestionState): number => (reno as RenoState).credit

const avoidCongestion = (reno: CongestionState, acknowledged: number, mss: number): CongestionState => {
  const credit = creditOf(reno) + acknowledged
  return credit < reno.window
    ? state(reno.window, reno.slowStartThreshold, credit)
    : state(reno.window + mss, reno.slowStartThreshold, credit - reno.window)
}

/** Grows the window for what `delivery` acknowledged. */
export const grow = (reno: CongestionState, delivery: Delivery, mss: number): CongestionState => {
  if (!delivery.windowLimited || delivery.recovering) return reno
  if (reno.window >= reno.slowStartThreshold) return avoidCongestion(reno, delivery.acknowledged, mss)
  const window = Math.min(
    reno.window + Math.min(delivery.acknowledged, (delivery.afterTimeout ? 1 : LIMIT) * mss),
    Math.max(reno.slowStartThreshold, reno.window)
  )
  return state(window, reno.slowStartThreshold, 0)
}

export const Reno: CongestionAlgorithm = {
  name: "reno",
  initial: (mss) => state(initialWindow(mss), Infinity, 0),
  onAck: (reno, delivery, view) => grow(reno, delivery, view.mss),
  onCongestion: (reno, _, view) => state(reno.window, halved(view), 0),
  onRecovered: (reno) => state(Math.min(reno.window, reno.slowStartThreshold), reno.slowStartThreshold, 0),
  onTimeout: (reno, first, view) => state(view.mss, first ? halved(view) : reno.slowStartThreshold, 0)
}
