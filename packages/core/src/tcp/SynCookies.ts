/**
 * SYN cookies (RFC 4987 §3.6): an initial sequence number that says what the SYN said, so that nothing of it need be
 * kept until the peer acknowledges it.
 *
 * A cookie has five bits that count periods of 64 seconds, so that the numbers of one pair of endpoints ascend for half an
 * hour; three bits for the peer's MSS; and 24 bits of a keyed hash over both, the endpoints and the peer's initial
 * sequence number. Each period has a secret of its own. A cookie is believed in its period and in the next one; a number
 * chosen at random is one with a probability of 2⁻²⁸.
 *
 * What else the SYN said is in the lowest six bits of the timestamp beside the cookie (`stamp`, `stamped`), as Linux
 * has it, since the peer's timestamp comes back with the acknowledgement. Towards a peer without timestamps, only the MSS
 * is kept.
 */
import type { Entropy } from "../Entropy.ts"
import type { AgreedOptions, Endpoints } from "./ControlBlock.ts"
import * as Sequence from "./Sequence.ts"
import * as SipHash from "./SipHash.ts"

/** Milliseconds. */
export const PERIOD = 64_000
/** Periods are counted modulo this. */
const PERIODS = 32

/** The MSS that three bits stand for: the largest that the peer's allows. */
const SIZES = [48, 536, 1220, 1300, 1400, 1440, 1460, 8960]

const sizeIndex = (mss: number): number => Math.max(0, SIZES.findLastIndex((size) => size <= mss))

export class SynCookies {
  private readonly entropy: Entropy["Service"]
  /** The number of the latest period, its secret, and that of the period before. */
  private period = -Infinity
  private current: SipHash.Key
  private previous: SipHash.Key
  /** When a cookie was last given out. */
  private issuedAt = -Infinity

  constructor(entropy: Entropy["Service"]) {
    this.entropy = entropy
    this.current = this.draw()
    this.previous = this.draw()
  }

  /** The cookie for a SYN with sequence number `irs` from a peer whose MSS is `mss`. */
  issue(endpoints: Endpoints, irs: number, mss: number, now: number): number {
    this.advance(now)
    this.issuedAt = now
    const head = (this.period % PERIODS) << 3 | sizeIndex(mss)
    return (head << 24 | digest(this.current, endpoints, irs, head)) >>> 0
  }

  /** Whether there can be cookies that were given out and are still believed. */
  isAwaiting(now: number): boolean {
    return now - this.issuedAt < 2 * PERIOD
  }

  /** The MSS of the peer whose SYN, with sequence number `irs`, was answered by `cookie`; undefined when it was not. */
  check(endpoints: Endpoints, irs: number, cookie: number, now: number): number | undefined {
    this.advance(now)
    const head = cookie >>> 24
    const age = (this.period - (head >>> 3)) & (PERIODS - 1)
    if (age > 1) return undefined
    const key = age === 0 ? this.current : this.previous
    return digest(key, endpoints, irs, head) === (cookie & 0xff_ffff) ? SIZES[head & 7] : undefined
  }

  private advance(now: number): void {
    const period = Math.floor(now / PERIOD)
    if (period === this.period) return
    this.previous = period === this.period + 1 ? this.current : this.draw()
    this.current = this.draw()
    this.period = period
  }

  private draw(): SipHash.Key {
    const { entropy } = this
    return [entropy.u32(), entropy.u32(), entropy.u32(), entropy.u32()]
  }
}

const digest = (key: SipHash.Key, endpoints: Endpoints, irs: number, head: number): number => {
  const { localAddress, localPort, remoteAddress, remotePort } = endpoints
  const words = [localAddress | 0, remoteAddress | 0, localPort << 16 | remotePort, irs | 0, head]
  return SipHash.hash(key, words, 20) & 0xff_ffff
}

/** The low bits of a timestamp: the peer's shift count or `UNSCALED`, and whether SACK and ECN were agreed on. */
const MASK = 0x3f
const UNSCALED = 0xf
const SACK = 0x10
const ECN = 0x20

/** What a SYN said besides its MSS. */
export type Extras = Pick<AgreedOptions, "sack" | "ecn"> & { readonly windowScale: number | undefined }

/** The latest timestamp not after `value` that says `extras`. */
export const stamp = (value: number, { ecn, sack, windowScale }: Extras): number => {
  const bits = (windowScale ?? UNSCALED) | (sack ? SACK : 0) | (ecn ? ECN : 0)
  const stamped = ((value & ~MASK) | bits) >>> 0
  return Sequence.greaterThan(stamped, value) ? Sequence.add(stamped, -(MASK + 1)) : stamped
}

/** What a timestamp made by `stamp` says. */
export const stamped = (value: number): Extras => ({
  windowScale: (value & UNSCALED) === UNSCALED ? undefined : value & UNSCALED,
  sack: (value & SACK) !== 0,
  ecn: (value & ECN) !== 0
})
