/**
 * Initial sequence numbers (RFC 6528): ISN = M + F(localip, localport, remoteip, remoteport, secretkey).
 *
 * M is a clock that ticks every four microseconds, so the numbers of one pair of
 * endpoints ascend; F is a keyed hash, so nobody can tell from one pair's
 * numbers those of another.
 */
import type { Entropy } from "../Entropy.ts"
import type { Endpoints } from "./ControlBlock.ts"
import * as SipHash from "./SipHash.ts"

/** Ticks of M in a millisecond. */
const TICKS = 250

/** The ISS for `endpoints` at `now`, in milliseconds of a clock that never goes back. */
export const initialSequence = (key: SipHash.Key, endpoints: Endpoints, now: number): number => {
  const { localAddress, localPort, remoteAddress, remotePort } = endpoints
  const hashed = SipHash.hash(key, [localAddress | 0, remoteAddress | 0, localPort << 16 | remotePort], 12)
  return (Math.floor(now * TICKS) + hashed) % 0x1_0000_0000
}

/** The generator of one stack, with a secret key of its own. */
export const make = (entropy: Entropy["Service"]): (endpoints: Endpoints, now: number) => number => {
  const key: SipHash.Key = [entropy.u32(), entropy.u32(), entropy.u32(), entropy.u32()]
  return (endpoints, now) => initialSequence(key, endpoints, now)
}

/** The generator of one stack of offsets for timestamps (RFC 7323 §5.4): the same for one pair of hosts, so that they ascend. */
export const makeTimestampOffset = (entropy: Entropy["Service"]): (endpoints: Endpoints) => number => {
  const key: SipHash.Key = [entropy.u32(), entropy.u32(), entropy.u32(), entropy.u32()]
  return ({ localAddress, remoteAddress }) => SipHash.hash(key, [localAddress | 0, remoteAddress | 0], 8)
}
