/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash for short messages, in 32-bit integers.
 *
 * Without the key its values cannot be told from random ones, and it answers at
 * once, which the platform's asynchronous message authentication does not.
 */

/** 128 bits as four words, the least significant first. */
export type Key = readonly [number, number, number, number]

/**
 * The less significant word, unsigned, of the 64-bit hash of a message of `length` octets, which stand in `words`, four in each, the first
 * the least significant; zeros behind the end. Every connection that is opened asks for two, so the four words of state are eight
 * variables, `a` to `d` for v0 to v3, all is in one place, and nothing is allocated.
 */
export const hash = (key: Key, words: ArrayLike<number>, length: number): number => {
  let aLow = key[0] ^ 0x70736575
  let aHigh = key[1] ^ 0x736f6d65
  let bLow = key[2] ^ 0x6e646f6d
  let bHigh = key[3] ^ 0x646f7261
  let cLow = key[0] ^ 0x6e657261
  let cHigh = key[1] ^ 0x6c796765
  let dLow = key[2] ^ 0x79746573
  let dHigh = key[3] ^ 0x74656462
  const last = length - length % 8
  // Eight octets at a time, the last of them with the length; then the finalization.
  for (let at = 0; at <= last + 8; at += 8) {
    const isFinal = at > last
    const low = isFinal ? 0 : wordAt(words, at)
    const high = isFinal ? 0 : wordAt(words, at + 4) | (at === last ? length << 24 : 0)
    dLow ^= low
    dHigh ^= high
    if (isFinal) cLow ^= 0xff
    for (let round = isFinal ? 4 : 2; round > 0; round--) {
      let sum = (aLow >>> 0) + (bLow >>> 0)
      aLow = sum | 0
      aHigh = (aHigh + bHigh + (sum > 0xffff_ffff ? 1 : 0)) | 0
      let rest = bLow
      bLow = (bLow << 13 | bHigh >>> 19) ^ aLow
      bHigh = (bHigh << 13 | rest >>> 19) ^ aHigh
      rest = aLow
      aLow = aHigh
      aHigh = rest

      sum = (cLow >>> 0) + (dLow >>> 0)
      cLow = sum | 0
      cHigh = (cHigh + dHigh + (sum > 0xffff_ffff ? 1 : 0)) | 0
      rest = dLow
      dLow = (dLow << 16 | dHigh >>> 16) ^ cLow
      dHigh = (dHigh << 16 | rest >>> 16) ^ cHigh

      sum = (aLow >>> 0) + (dLow >>> 0)
      aLow = sum | 0
      aHigh = (aHigh + dHigh + (sum > 0xffff_ffff ? 1 : 0)) | 0
      rest = dLow
      dLow = (dLow << 21 | dHigh >>> 11) ^ aLow
      dHigh = (dHigh << 21 | rest >>> 11) ^ aHigh

      sum = (cLow >>> 0) + (bLow >>> 0)
      cLow = sum | 0
      cHigh = (cHigh + bHigh + (sum > 0xffff_ffff ? 1 : 0)) | 0
      rest = bLow
      bLow = (bLow << 17 | bHigh >>> 15) ^ cLow
      bHigh = (bHigh << 17 | rest >>> 15) ^ cHigh
      rest = cLow
      cLow = cHigh
      cHigh = rest
    }
    aLow ^= low
    aHigh ^= high
  }
  return (aLow ^ bLow ^ cLow ^ dLow) >>> 0
}

/** The word with the octet at `at`. */
const wordAt = (words: ArrayLike<number>, at: number): number => at >>> 2 < words.length ? words[at >>> 2]! : 0
