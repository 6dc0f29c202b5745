/**
 * The round-trip time, and the retransmission timeout that follows from it (RFC 6298).
 */
import type { RttState, Writable } from "./ControlBlock.ts"
import type { TcpSettings } from "./TcpSettings.ts"

/** §2.1 */
const INITIAL_TIMEOUT = 1000
/** §5.7: when the SYN had to be sent again, the first timeout for data. */
const TIMEOUT_AFTER_LOST_SYN = 3000
/** G of §2: the clock's granularity. */
const GRANULARITY = 1
/** How long the least round-trip time counts, in milliseconds: paths change. */
const MEMORY = 300_000

const bounded = (timeout: number, settings: TcpSettings): number =>
  Math.min(Math.max(timeout, settings.minimumRetransmissionTimeout), settings.maximumRetransmissionTimeout)

export const initial = (settings: TcpSettings): RttState => ({
  smoothed: undefined,
  variance: 0,
  timeout: bounded(INITIAL_TIMEOUT, settings),
  latest: undefined,
  minimum: Infinity,
  minimumAt: -Infinity
})

/**
 * §2.2 and §2.3, after a round-trip time of `sample` milliseconds. The least timeout is also the least distance from the
 * smoothed time: after many like samples, an acknowledgement that the peer delays must not look lost.
 */
export const measured = (rtt: RttState, sample: number, now: number, settings: TcpSettings): RttState => {
  const next = draft(rtt)
  measure(next, sample, now, settings)
  return next
}

/** What `measured` does, to a record that nobody else holds. */
export const measure = (rtt: Writable<RttState>, sample: number, now: number, settings: TcpSettings): void => {
  const before = rtt.smoothed
  const smoothed = before === undefined ? sample : before + (sample - before) / 8
  const variance = before === undefined
    ? sample / 2
    : rtt.variance + (Math.abs(before - sample) - rtt.variance) / 4
  const margin = Math.max(GRANULARITY, settings.minimumRetransmissionTimeout, 4 * variance)
  rtt.smoothed = smoothed
  rtt.variance = variance
  rtt.timeout = bounded(smoothed + margin, settings)
  rtt.latest = sample
  if (sample <= rtt.minimum || now - rtt.minimumAt > MEMORY) {
    rtt.minimum = sample
    rtt.minimumAt = now
  }
}

const draft = ({ latest, minimum, minimumAt, smoothed, timeout, variance }: RttState): Writable<RttState> => ({
  smoothed,
  variance,
  timeout,
  latest,
  minimum,
  minimumAt
})

/** §5.5, after the timer expired. The longer timeout stays until the next measurement. */
export const backedOff = (rtt: RttState, settings: TcpSettings): RttState => ({
  ...rtt,
  timeout: bounded(rtt.timeout * 2, settings)
})

/** §5.7: the handshake is complete, and its SYN was sent more than once. */
export const afterLostSyn = (settings: TcpSettings): RttState => ({
  ...initial(settings),
  timeout: bounded(TIMEOUT_AFTER_LOST_SYN, settings)
})
