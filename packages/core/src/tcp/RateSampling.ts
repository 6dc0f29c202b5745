/**
 * How fast the network delivers (draft-ietf-ccwg-bbr, "Delivery Rate Samples").
 *
 * Each segment carries a note of what had been delivered when it left; when it is delivered itself, the difference over the time is a
 * sample of the rate. The longer one of the times in which that much was sent, and acknowledged, is what counts: so neither a burst of
 * acknowledgements nor one of segments makes the path look faster than it is.
 */
import type { RateSample } from "./Congestion.ts"
import type { Writable } from "./ControlBlock.ts"
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

/** Writes `markOf(state)` into a mark that nobody else holds. */
export const remark = (mark: Writable<Mark>, state: DeliveryState): void => {
  mark.delivered = state.delivered
  mark.deliveredAt = state.deliveredAt
  mark.firstSentAt = state.firstSentAt
  mark.lost = state.lost
  mark.isLimited = state.limitedUntil > 0
}

/** Before a segment leaves, with `inFlight` octets under way: after a pause, time starts anew. */
export const sending = (state: DeliveryState, inFlight: number, now: number): DeliveryState => {
  if (inFlight > 0 || (state.firstSentAt === now && state.deliveredAt === now)) return state
  const next = draft(state)
  send(next, inFlight, now)
  return next
}

/** What `sending` does, to a record that nobody else holds. */
export const send = (state: Writable<DeliveryState>, inFlight: number, now: number): void => {
  if (inFlight > 0) return
  state.firstSentAt = now
  state.deliveredAt = now
}

/** The program has nothing more to send, though `inFlight` octets leave room. */
export const limited = (state: DeliveryState, inFlight: number): DeliveryState => {
  const next = draft(state)
  limit(next, inFlight)
  return next
}

/** What `limited` does, to a record that nobody else holds. */
export const limit = (state: Writable<DeliveryState>, inFlight: number): void => {
  state.limitedUntil = Math.max(1, state.delivered + inFlight)
}

/** A copy to be changed before it is given away; written out, since a spread of it takes longer. */
const draft = (state: DeliveryState): Writable<DeliveryState> => ({
  delivered: state.delivered,
  deliveredAt: state.deliveredAt,
  firstSentAt: state.firstSentAt,
  lost: state.lost,
  lostRanges: state.lostRanges,
  limitedUntil: state.limitedUntil,
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
export const delivered = (state: DeliveryState, news: News, minimumRtt: number, now: number): DeliveryState => {
  if (news.delivered === 0) return state
  const next = draft(state)
  deliver(next, news, minimumRtt, now)
  return next
}

/** What `delivered` does, to a record that nobody else holds. */
export const deliver = (
  state: Writable<DeliveryState>,
  { delivered: octets, newest }: News,
  minimumRtt: number,
  now: number
): void => {
  if (octets === 0) return
  const total = state.delivered + octets
  state.delivered = total
  state.deliveredAt = now
  if (total > state.limitedUntil) state.limitedUntil = 0
  if (newest === undefined) return
  const { mark } = newest
  state.firstSentAt = newest.sentAt
  const interval = intervalOf(newest, minimumRtt, now)
  const rate = interval > 0 ? (total - mark.delivered) / interval : 0
  if (rate === 0 || (mark.isLimited && rate < state.rate)) return
  state.rate = rate
  state.isRateLimited = mark.isLimited
}

/**
 * The sample that the newest delivered segment gives, in `into` where that is given; undefined when it cannot be trusted. `state` is as
 * `delivered` has returned it.
 */
export const sample = (
  state: DeliveryState,
  { newest }: News,
  minimumRtt: number,
  now: number,
  into: Writable<RateSample> = nothingSampled()
): RateSample | undefined => {
  if (newest === undefined) return undefined
  const { mark } = newest
  const interval = intervalOf(newest, minimumRtt, now)
  if (interval <= 0) return undefined
  into.delivered = state.delivered - mark.delivered
  into.priorDelivered = mark.delivered
  into.interval = interval
  into.inFlightAtSend = newest.inFlight
  into.lost = state.lost - mark.lost
  into.applicationLimited = mark.isLimited
  return into
}

export const nothingSampled = (): Writable<RateSample> => ({
  delivered: 0,
  priorDelivered: 0,
  interval: 0,
  inFlightAtSend: 0,
  lost: 0,
  applicationLimited: false
})
