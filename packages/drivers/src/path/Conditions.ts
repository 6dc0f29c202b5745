/**
 * What one direction of a link does to the packets on it. Everything can be
 * changed while packets are under way; those already past a stage keep what it
 * did to them.
 */
import * as Distribution from "./Distribution.ts"
import * as Faults from "./Faults.ts"
import * as Loss from "./Loss.ts"

/** What one direction of a link does to packets. */
export interface Conditions {
  /** How long a packet travels, in milliseconds. The order of packets is kept, unless `reordering` says otherwise. */
  readonly latency: Distribution.Distribution
  /** Bits per second; `Infinity` for no limit. */
  readonly bandwidth: number
  /** Octets that may leave at once after a pause: the depth of the token bucket. */
  readonly burst: number
  /** How much may wait for its turn to leave; the newest packet is dropped at the bound. */
  readonly queue: { readonly packets: number; readonly octets: number }
  /**
   * With as many packets in the queue, one more is marked as having met congestion, if its sender takes notice of that (RFC
   * 3168 §5); `Infinity` by default.
   */
  readonly marking: number
  readonly loss: Loss.Loss
  /** Probability that a packet arrives twice. */
  readonly duplication: number
  /** Probability that one random bit of a packet, behind its Ethernet header, is flipped. */
  readonly corruption: number
  readonly reordering: Reordering
  /** What happens to single packets, besides. */
  readonly faults: Faults.Faults
  /** Frames with a larger payload than this, in octets without the Ethernet header, are dropped. */
  readonly mtu: number
  /** Nothing arrives, nothing is told. */
  readonly blackhole: boolean
}

export interface Reordering {
  readonly probability: number
  /** A chosen packet arrives that much later, in milliseconds, … */
  readonly delay?: number | undefined
  /** … or after that many later packets, … */
  readonly packets?: number | undefined
  /** … but no later than this where none follow; 100 milliseconds by default. */
  readonly atMost?: number | undefined
}

/** An ideal wire. */
export const ideal: Conditions = {
  latency: Distribution.constant(0),
  bandwidth: Infinity,
  burst: 0,
  queue: { packets: 1000, octets: Infinity },
  marking: Infinity,
  loss: Loss.bernoulli(0),
  duplication: 0,
  corruption: 0,
  reordering: { probability: 0 },
  faults: Faults.none,
  mtu: Infinity,
  blackhole: false
}

/** Whether anything is done to single packets: else one that stands for several may pass as it is. */
export const looksAtPackets = (conditions: Conditions): boolean => {
  const { bandwidth, corruption, duplication, faults, loss, mtu, reordering } = conditions
  return bandwidth !== Infinity || corruption > 0 || duplication > 0 || faults !== Faults.none || !Loss.isNone(loss) ||
    mtu !== Infinity || reordering.probability > 0
}

/** Conditions, or a `RangeError` that says in one line which of them makes no sense. */
export const check = (conditions: Conditions): Conditions => {
  const { bandwidth, burst, corruption, duplication, latency, loss, marking, mtu, queue, reordering } = conditions
  for (const [name, value] of Object.entries(latency)) {
    if (typeof value === "number") atLeast(`latency.${name}`, value, -Infinity)
  }
  for (const [name, value] of Object.entries(loss)) if (typeof value === "number") probability(`loss.${name}`, value)
  probability("duplication", duplication)
  probability("corruption", corruption)
  probability("reordering.probability", reordering.probability)
  atLeast("reordering.delay", reordering.delay ?? 0, 0)
  atLeast("reordering.packets", reordering.packets ?? 0, 0)
  atLeast("reordering.atMost", reordering.atMost ?? 0, 0)
  atLeast("bandwidth", bandwidth, Number.MIN_VALUE)
  atLeast("burst", burst, 0)
  atLeast("queue.packets", queue.packets, 0)
  atLeast("queue.octets", queue.octets, 0)
  atLeast("marking", marking, 0)
  atLeast("mtu", mtu, 0)
  return conditions
}

const atLeast = (name: string, value: number, least: number): void => {
  if (value >= least) return
  const expected = least > 0 ? "a number above 0" : least === 0 ? "0 or more" : "a number"
  throw new RangeError(`the condition ${name} of a link is ${value}, and must be ${expected}`)
}

const probability = (name: string, value: number): void => {
  if (value >= 0 && value <= 1) return
  throw new RangeError(`the condition ${name} of a link is ${value}, and must be a probability from 0 to 1`)
}
