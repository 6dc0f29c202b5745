/**
 * What one acknowledgement tells BBR.
 */
import type { CongestionView, Delivery } from "../Congestion.ts"
import type { BbrState, ProbeRtt } from "./State.ts"

export interface Ack {
  readonly now: number
  readonly mss: number
  /** RS.newly_acked */
  readonly delivered: number
  /** RS.newly_lost */
  readonly lost: number
  /** Discontiguous ranges of these. */
  readonly lostRanges: number
  /** C.delivered, this acknowledgement included. */
  readonly total: number
  /** C.inflight after it, and before. */
  readonly inFlight: number
  readonly inFlightBefore: number
  readonly rtt: number | undefined
  readonly smoothedRtt: number | undefined
  /** RS.delivery_rate; 0 without a sample that can be relied upon. */
  readonly rate: number
  /** RS.delivered; 0 without a sample. */
  readonly flight: number
  /** RS.prior_delivered; −1 without a sample, so that no round begins. */
  readonly prior: number
  /** RS.tx_in_flight */
  readonly inFlightAtSend: number
  /** RS.lost */
  readonly lostSince: number
  /** RS.is_app_limited */
  readonly limited: boolean
  readonly recovering: boolean
  /** SND.UNA after it, and SND.NXT. */
  readonly una: number
  readonly nxt: number
  /** C.has_selective_acks */
  readonly selective: boolean
}

const isOwnLimit = ({ limitedFrom, limitedTo }: ProbeRtt, prior: number): boolean =>
  limitedFrom <= prior && prior <= limitedTo

/** A sample may fall a little short of the least round-trip time, since clocks are rounded. */
const SHORTEST = 0.99

export const make = (state: BbrState, delivery: Delivery, view: CongestionView): Ack => {
  const { rate } = delivery
  // A rate over less than a round trip comes from a segment that was sent twice (§4.1.2.3).
  const isReliable = rate !== undefined && rate.interval > 0 && rate.interval >= view.minimumRtt * SHORTEST
  return {
    now: view.now,
    mss: view.mss,
    delivered: delivery.delivered,
    lost: delivery.lost,
    lostRanges: delivery.lostRanges ?? 1,
    total: delivery.totalDelivered,
    inFlight: Math.max(0, view.inFlight - delivery.delivered - delivery.lost),
    inFlightBefore: view.inFlight,
    rtt: delivery.rtt,
    smoothedRtt: view.smoothedRtt,
    rate: isReliable ? rate.delivered / rate.interval : 0,
    flight: rate?.delivered ?? 0,
    prior: rate?.priorDelivered ?? -1,
    inFlightAtSend: rate?.inFlightAtSend ?? 0,
    lostSince: rate?.lost ?? 0,
    limited: rate !== undefined && (rate.applicationLimited || isOwnLimit(state.probeRtt, rate.priorDelivered)),
    recovering: delivery.recovering,
    una: delivery.una,
    nxt: delivery.nxt,
    selective: view.selective ?? true
  }
}
