/**
 * How fast the network delivers (draft-ietf-ccwg-bbr, "Delivery Rate Samples").
 *
 * Each segment carries a note of what had been delivered when it left; when it is delivered itself, the difference over the time is a
 * sample of the rate. The longer one of the times in which that much was sent, and acknowledged, is what counts: so neither a burst of
 * acknowledgements nor one of segments makes the path look faster than it is.
 */
import type { RateSample } from "./Congestion.ts"
import type { News } from "./News.ts"
import type { Run } from "./Transmissions.ts"

/** Octets and milliseconds. */
export interface DeliveryState {
  /** C.delivered: octets delivered in all. */
  readonly delivered: number
  /** C.delivered_time: when the last of them was. */
  readonly deliveredAt: number
  /** C.first_sent_time: when the first segment of the flight was sent that is being measured. */
  readonly firstSentAt: number
  /** C.lost: octets thought lost in all, and in how many places. */
  readonly lost: number
  readonly lostRanges: number
  /** C.app_limited: until that much is delivered, samples are limited by the program; 0 when they are not. */
  readonly limitedUntil: number
  /** The last rate that the network limited, or a greater one since, for people; octets per millisecond, 0 before the first. */
  readonly rate: number
  readonly isRateLimited: boolean
}

export const initial: DeliveryState = {
  delivered: 0,
  deliveredAt: 0,
  firstSentAt: 0,
  lost: 0,
  lostRanges: 0,
  limitedUntil: 0,
  rate: 0,
  isRateLimited: false
}

/** What a segment remembers of the time when it left. */
export interface Mark {
  readonly delivered: number
  readonly deliveredAt: number
  readonly firstSentAt: number
  readonly lost: number
  /** By the program. */
  readonly isLimited: boolean
}

export const markOf = ({ delivered, deliveredAt, firstSentAt, limitedUntil, lost }: DeliveryState): Mark => ({
  delivered,
  deliveredAt,
  firstSentAt,
  lost,
  isLimited: limitedUntil > 0
})

/** Before a segment leaves, with `inFlight` octets under way: after a pause, time starts anew. */
export const sending = (state: DeliveryState, inFlight: number, now: number): DeliveryState =>
  inFlight > 0 || (state.firstSentAt === now && state.deliveredAt === now)
    ? state
    : changed(state, now, now, state.limitedUntil)

/** The program has nothing more to send, though `inFlight` octets leave room. */
export const limited = (state: DeliveryState, inFlight: number): DeliveryState =>
  changed(state, state.firstSentAt, state.deliveredAt, Math.max(1, state.delivered + inFlight))

/** A copy, written out: there are one or two for each segment. */
const changed = (
  state: DeliveryState,
  firstSentAt: number,
  deliveredAt: number,
  limitedUntil: number
): DeliveryState => ({
  delivered: state.delivered,
  deliveredAt,
  firstSentAt,
  lost: state.lost,
  lostRanges: state.lostRanges,
  limitedUntil,
  rate: state.rate,
  isRateLimited: state.isRateLimited
})

/** `octets` more are thought lost, in `ranges` more places; in one at least. */
export const lost = (state: DeliveryState, octets: number, ranges: number): DeliveryState => ({
  ...state,
  lost: state.lost + octets,
  lostRanges: state.lostRanges + Math.max(1, ranges)
})

/** Milliseconds in which what was delivered since `run` was sent was sent and acknowledged; 0 when that cannot be trusted. */
const intervalOf = ({ mark, sentAt }: Run, minimumRtt: number, now: number): number => {
  const interval = Math.max(sentAt - mark.firstSentAt, now - mark.deliveredAt)
  // Faster than the path can be: a retransmission was taken for delivered by the acknowledgement of the original.
  return interval < minimumRtt ? 0 : interval
}

/** `minimumRtt` with the measurement of the same acknowledgement. */
export const delivered = (
  state: DeliveryState,
  { delivered: octets, newest }: News,
  minimumRtt: number,
  now: number
): DeliveryState => {
  if (octets === 0) return state
  const total = state.delivered + octets
  const interval = newest === undefined ? 0 : intervalOf(newest, minimumRtt, now)
  const isLimited = newest !== undefined && newest.mark.isLimited
  const rate = interval > 0 ? (total - newest!.mark.delivered) / interval : 0
  const isTaken = rate > 0 && (!isLimited || rate >= state.rate)
  return {
    delivered: total,
    deliveredAt: now,
    firstSentAt: newest === undefined ? state.firstSentAt : newest.sentAt,
    lost: state.lost,
    lostRanges: state.lostRanges,
    limitedUntil: total > state.limitedUntil ? 0 : state.limitedUntil,
    rate: isTaken ? rate : state.rate,
    isRateLimited: isTaken ? isLimited : state.isRateLimited
  }
}

/** The sample that the newest delivered segment gives; undefined when it cannot be trusted. `state` is as `delivered` has returned it. */
export const sample = (
  state: DeliveryState,
  { newest }: News,
  minimumRtt: number,
  now: number
): RateSample | undefined => {
  if (newest === undefined) return undefined
  const { mark } = newest
  const interval = intervalOf(newest, minimumRtt, now)
  if (interval <= 0) return undefined
  return {
    delivered: state.delivered - mark.delivered,
    priorDelivered: mark.delivered,
    interval,
    inFlightAtSend: newest.inFlight,
    lost: state.lost - mark.lost,
    applicationLimited: mark.isLimited
  }
}
