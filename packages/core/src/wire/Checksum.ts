/**
 * The Internet checksum (RFC 1071).
 *
 * A running sum is an unsigned 16-bit one's complement number, not yet
 * inverted, so that sums of a header, a pseudo-header and a payload can be
 * added in any order.
 */

/** Folds a whole number below 2^53. */
const fold = (sum: number): number => {
  const low = sum >>> 0
  const folded = (low & 0xffff) + (low >>> 16) + Math.floor(sum / 0x1_0000_0000)
  const again = (folded & 0xffff) + (folded >>> 16)
  return (again & 0xffff) + (again >>> 16)
}

/** Below this many octets, making a view of whole words costs more than it saves. */
const SHORT = 64

/** RFC 1071 §2(B): a sum of words in the machine's own order is the sum in network order, with its octets swapped. */
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** Adds `bytes[start, end)`, at most 8 MiB, to a running sum; an odd last byte counts as padded with zero. */
export const add = (sum: number, bytes: Uint8Array, start: number, end: number): number => {
  if (end - start < SHORT) return fold(sum + addPairs(bytes, start, end))
  const lead = -(bytes.byteOffset + start) & 3
  const aligned = start + lead
  const count = (end - aligned) >>> 2
  const words = fold(addWords(new Uint32Array(bytes.buffer, bytes.byteOffset + aligned, count)))
  const rest = fold((LITTLE_ENDIAN ? swap(words) : words) + addPairs(bytes, aligned + 4 * count, end))
  return fold(sum + addPairs(bytes, start, aligned) + ((lead & 1) === 0 ? rest : swap(rest)))
}

/** The running sum of the twenty octets at `at`: an IPv4 header without options. */
export const ofTwenty = (view: DataView, at: number): number =>
  fold(
    view.getUint32(at) + view.getUint32(at + 4) + view.getUint32(at + 8) + view.getUint32(at + 12) +
      view.getUint32(at + 16)
  )

const addPairs = (bytes: Uint8Array, start: number, end: number): number => {
  let total = 0
  let at = start
  for (; at + 1 < end; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!
  return at < end ? total + (bytes[at]! << 8) : total
}

/** In doubles, which hold the sum of 2^21 words exactly; two sums, so that one addition need not wait for the other. */
const addWords = (words: Uint32Array): number => {
  const whole = words.length & ~7
  let even = 0
  let odd = 0
  let at = 0
  for (; at < whole; at += 8) {
    even += (words[at]! + words[at + 1]!) + (words[at + 2]! + words[at + 3]!)
    odd += (words[at + 4]! + words[at + 5]!) + (words[at + 6]! + words[at + 7]!)
  }
  for (; at < words.length; at++) even += words[at]!
  return even + odd
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
