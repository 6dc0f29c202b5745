/**
 * The window laws of the RFCs, round trip by round trip, for the model of `Rounds`.
 */
import { ALPHA, BETA, C } from "./Theory.ts"

/** A window law; windows in segments, times in milliseconds. */
export interface Law {
  /** The window after a round without loss that used all of it; `delay` is what the round took beyond the path's round-trip time. */
  readonly grow: (window: number, now: number, roundTrip: number, delay: number) => number
  /** The window after a loss. */
  readonly reduce: (window: number, now: number) => number
  /** The retransmission timer expired: the window is one segment, and slow start ends at what this gives. */
  readonly timeout: (window: number, now: number) => void
}

/** RFC 9406 §4.2: milliseconds by which the round-trip time may rise, and the rounds and the growth of conservative slow start. */
const MIN_RTT_THRESH = 4
const MAX_RTT_THRESH = 16
const CSS_ROUNDS = 5
const CSS_GROWTH = 1.25
const HYSTART_LEAST = 16

/** RFC 5681 with the byte counting of RFC 3465: slow start doubles the window, congestion avoidance adds a segment a round trip. */
export const reno = (): Law => {
  let threshold = Infinity
  return {
    grow: (window) => window < threshold ? Math.min(2 * window, Math.max(threshold, window + 1)) : window + 1,
    reduce: (window) => (threshold = Math.max(2, window / 2)),
    timeout: (window) => void (threshold = Math.max(2, window / 2))
  }
}

/** RFC 9438 with HyStart++ (RFC 9406). */
export const cubic = (): Law => {
  let threshold = Infinity
  /** Rounds of conservative slow start; the queueing delay that the round before began with. */
  let conservative = 0
  let delayBefore = 0
  /** W_max, cwnd_prior, the start of the epoch and its K in seconds, W_est. */
  let most = 0
  let prior = 0
  let epoch: number | undefined
  let k = 0
  let estimate = 0

  /** The next round begins with the queueing delay that this one ends with: RFC 9406 §4.2 compares the least of a round with that of the last. */
  const slowStart = (window: number, roundTrip: number, delay: number): number => {
    const allowed = Math.min(MAX_RTT_THRESH, Math.max(MIN_RTT_THRESH, (roundTrip + delayBefore) / 8))
    const isSlower = delay - delayBefore > allowed
    delayBefore = delay
    if (threshold === Infinity && window >= HYSTART_LEAST && (conservative > 0 || isSlower)) {
      if (++conservative > CSS_ROUNDS) threshold = window
      return CSS_GROWTH * window
    }
    return Math.min(2 * window, Math.max(threshold, window + 1))
  }
  const begin = (window: number, now: number): void => {
    epoch = now
    if (most < window) most = window
    k = Math.cbrt((most - window) / C)
    estimate = window
  }
  /** W_cubic(t) */
  const at = (time: number) => C * (time / 1000 - k) ** 3 + most
  const avoidance = (window: number, now: number, roundTrip: number): number => {
    if (epoch === undefined) begin(window, now)
    const time = now - epoch!
    estimate += estimate < prior ? ALPHA : 1
    if (at(time) < estimate) return Math.max(window, estimate)
    return Math.min(1.5 * window, Math.max(window, at(time + roundTrip)))
  }
  const lost = (window: number): void => {
    // Fast convergence (RFC 9438 §4.7)
    most = window < most ? window * (1 + BETA) / 2 : window
    prior = window
    threshold = Math.max(2, BETA * window)
    epoch = undefined
  }
  return {
    grow: (window, now, roundTrip, delay) =>
      window < threshold ? slowStart(window, roundTrip, delay) : avoidance(window, now, roundTrip + delay),
    reduce: (window) => {
      lost(window)
      return threshold
    },
    timeout: lost
  }
}

/**
 * BBR (draft-ietf-ccwg-bbr, STARTUP and PROBE_BW) as long as less is lost than it minds: the window doubles until the path, of which
 * `fits` segments are a full one, delivers no more, and is then twice that, paced so that no queue builds.
 */
export const bbr = (fits: number): Law => {
  const grow = (window: number) => Math.max(window, Math.min(2 * window, 2 * fits + 4))
  return { grow, reduce: grow, timeout: () => {} }
}
