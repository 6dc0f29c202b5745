/**
 * Slow start, congestion avoidance and fast recovery (RFC 5681, RFC 6582), with the initial window of RFC 6928.
 */
import type { CongestionAlgorithm, CongestionState, CongestionView } from "./Congestion.ts"

interface RenoState extends CongestionState {
  /** Octets acknowledged towards the next increase in congestion avoidance (RFC 5681 §3.1). */
  readonly credit: number
}

const state = (window: number, slowStartThreshold: number, credit: number): RenoState => ({
  window,
  slowStartThreshold,
  credit
})

/** RFC 6928 §2 */
const initialWindow = (mss: number): number => Math.min(10 * mss, Math.max(2 * mss, 14_600))

/** RFC 5681 §3.1, equation (4) */
const halved = (view: CongestionView): number => Math.max(Math.floor(view.inFlight / 2), 2 * view.mss)

const creditOf = (reno: CongestionState): number => (reno as RenoState).credit

const slowStart = (reno: CongestionState, acknowledged: number, view: CongestionView): CongestionState =>
  state(reno.window + Math.min(acknowledged, view.mss), reno.slowStartThreshold, 0)

const avoidCongestion = (reno: CongestionState, acknowledged: number, view: CongestionView): CongestionState => {
  const credit = creditOf(reno) + acknowledged
  return credit < reno.window
    ? state(reno.window, reno.slowStartThreshold, credit)
    : state(reno.window + view.mss, reno.slowStartThreshold, credit - reno.window)
}

export const Reno: CongestionAlgorithm = {
  name: "reno",
  initial: (mss) => state(initialWindow(mss), Infinity, 0),
  onAck: (reno, acknowledged, view) => {
    // A window that was not filled has proved nothing (RFC 7661 §4.1).
    if (view.inFlight * 2 <= reno.window) return reno
    if (reno.window < reno.slowStartThreshold) return slowStart(reno, acknowledged, view)
    return view.inFlight + view.mss < reno.window ? reno : avoidCongestion(reno, acknowledged, view)
  },
  onLoss: (_, view) => {
    const threshold = halved(view)
    // The three segments that caused duplicates have left the network (RFC 5681 §3.2, step 3).
    return state(threshold + 3 * view.mss, threshold, 0)
  },
  onDuplicate: (reno, view) => state(reno.window + view.mss, reno.slowStartThreshold, 0),
  // RFC 6582 §3.2, step 3, partial acknowledgements
  onPartial: (reno, acknowledged, view) =>
    state(
      Math.max(reno.window - acknowledged, 0) + (acknowledged >= view.mss ? view.mss : 0),
      reno.slowStartThreshold,
      0
    ),
  // RFC 6582 §3.2, step 3, full acknowledgements, the first way: no burst follows.
  onRecovered: (reno, view) =>
    state(
      Math.min(reno.slowStartThreshold, Math.max(view.inFlight, view.mss) + view.mss),
      reno.slowStartThreshold,
      0
    ),
  onTimeout: (reno, first, view) => state(view.mss, first ? halved(view) : reno.slowStartThreshold, 0)
}
