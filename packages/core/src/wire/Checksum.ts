/**
 * The Internet checksum (RFC 1071).
 *
 * A running sum is an unsigned 16-bit one's complement number, not yet
 * inverted, so that sums of a header, a pseudo-header and a payload can be
 * added in any order.
 */

const fold = (sum: number): number => {
  // `sum` may pass 2^32: a double holds it exactly up to 2^53.
  let folded = (sum % 0x1_0000) + Math.floor(sum / 0x1_0000)
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16)
  return folded
}

/** Adds `bytes[start, end)` to a running sum; an odd last byte counts as padded with zero. */
export const add = (sum: number, bytes: Uint8Array, start: number, end: number): number => {
  let at = start
  let total = 0
  for (; at + 1 < end; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!
  if (at < end) total += bytes[at]! << 8
  return fold(sum + total)
}

/** Adds a 16-bit word to a running sum. */
export const addWord = (sum: number, word: number): number => {
  const total = sum + word
  return (total & 0xffff) + (total >>> 16)
}

/** The pseudo-header of UDP and TCP over IPv4 (RFC 768, RFC 9293 §3.1); addresses as unsigned 32-bit integers. */
export const pseudoHeader = (source: number, destination: number, protocol: number, length: number): number =>
  fold((source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length)

/** What goes into a checksum field. */
export const finish = (sum: number): number => ~sum & 0xffff

/** The running sum of the second of two adjacent pieces when the first has an odd length. */
export const swap = (sum: number): number => ((sum & 0xff) << 8) | (sum >>> 8)

/** Whether a region that includes its own checksum field sums to "no error seen". */
export const verify = (sum: number): boolean => sum === 0xffff
