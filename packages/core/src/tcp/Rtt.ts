/**
 * The retransmission timeout (RFC 6298).
 *
 * One segment is timed at a time, and never one that was sent twice (Karn):
 * whoever sends again drops the `timing`.
 */
import type { RttState } from "./ControlBlock.ts"
import * as Sequence from "./Sequence.ts"
import type { TcpSettings } from "./TcpMachine.ts"

/** §2.1 */
const INITIAL_TIMEOUT = 1000
/** §5.7: when the SYN had to be sent again, the first timeout for data. */
const TIMEOUT_AFTER_LOST_SYN = 3000
/** G of §2: the clock's granularity. */
const GRANULARITY = 1

const bounded = (timeout: number, settings: TcpSettings): number =>
  Math.min(Math.max(timeout, settings.minimumRetransmissionTimeout), settings.maximumRetransmissionTimeout)

export const initial = (settings: TcpSettings): RttState => ({
  smoothed: undefined,
  variance: 0,
  timeout: bounded(INITIAL_TIMEOUT, settings),
  timing: undefined
})

/** Times the segment that ends before `seq`, unless another one is being timed. */
export const start = (rtt: RttState, seq: number, now: number): RttState =>
  rtt.timing !== undefined ? rtt : { ...rtt, timing: { seq, sentAt: now } }

/** Drops the segment being timed: it may be sent again. */
export const stop = (rtt: RttState): RttState => rtt.timing === undefined ? rtt : { ...rtt, timing: undefined }

/** Everything before `ack` was acknowledged. */
export const acknowledged = (rtt: RttState, ack: number, now: number, settings: TcpSettings): RttState =>
  rtt.timing === undefined || Sequence.lessThan(ack, rtt.timing.seq)
    ? rtt
    : measured(rtt, Math.max(0, now - rtt.timing.sentAt), settings)

/**
 * §2.2 and §2.3, after a round-trip time of `sample` milliseconds. The least timeout is also the least distance from the
 * smoothed time: after many like samples, an acknowledgement that the peer delays must not look lost.
 */
export const measured = (rtt: RttState, sample: number, settings: TcpSettings): RttState => {
  const smoothed = rtt.smoothed === undefined ? sample : rtt.smoothed + (sample - rtt.smoothed) / 8
  const variance = rtt.smoothed === undefined
    ? sample / 2
    : rtt.variance + (Math.abs(rtt.smoothed - sample) - rtt.variance) / 4
  return {
    smoothed,
    variance,
    timeout: bounded(
      smoothed + Math.max(GRANULARITY, settings.minimumRetransmissionTimeout, 4 * variance),
      settings
    ),
    timing: undefined
  }
}

/** §5.5, after the timer expired. The longer timeout stays until the next measurement. */
export const backedOff = (rtt: RttState, settings: TcpSettings): RttState => ({
  ...rtt,
  timeout: bounded(rtt.timeout * 2, settings),
  timing: undefined
})

/** §5.7: the handshake is complete, and its SYN was sent more than once. */
export const afterLostSyn = (settings: TcpSettings): RttState => ({
  smoothed: undefined,
  variance: 0,
  timeout: bounded(TIMEOUT_AFTER_LOST_SYN, settings),
  timing: undefined
})
