/**
 * How a datagram is cut (RFC 791 §3.2).
 */
import { Ipv4OptionKind } from "../wire/Ipv4Options.ts"

/**
 * Octets of payload that go into the next fragment: all that are left where they fit, else as many as fit in units of
 * eight. 0 when there is no room for a single unit.
 */
export const nextLength = (left: number, mtu: number, headerLength: number): number => {
  const room = mtu - headerLength
  return left <= room ? left : Math.max(0, room & ~7)
}

/** RFC 791 §3.1: the copied flag, the first bit of an option's type. */
const COPIED = 0x80

/**
 * The well-formed `options` that go into fragments other than the first: those whose copied flag is set, filled up to a
 * multiple of four with end-of-list.
 */
export const copiedOptions = (options: Uint8Array): Uint8Array => {
  const copied: Array<number> = []
  for (let at = 0; at < options.length && options[at] !== Ipv4OptionKind.end;) {
    const length = options[at] === Ipv4OptionKind.noOperation ? 1 : options[at + 1]!
    if ((options[at]! & COPIED) !== 0) copied.push(...options.subarray(at, at + length))
    at += length
  }
  while (copied.length % 4 !== 0) copied.push(Ipv4OptionKind.end)
  return Uint8Array.from(copied)
}
