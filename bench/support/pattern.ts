/**
 * The octets that bulk transfers are made of: one block again and again, so that a receiver can compare what it gets at
 * little cost. The same octets are in `native/pattern.h`.
 *
 * The length of the block is a prime: no multiple of a usual segment, read or write that goes missing or comes twice goes
 * unnoticed.
 */
export const BLOCK = 65_537
const REPEATS = 17

/** The block `REPEATS` times, so that all that fits into one less follows any of its octets. */
const octets: Buffer = (() => {
  const words = new Uint32Array(Math.ceil(BLOCK / 4))
  let state = 0x9e3779b9
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state
  }
  const block = new Uint8Array(words.buffer, 0, BLOCK)
  return Buffer.concat(Array.from({ length: REPEATS }, () => block))
})()

/** Sixteen whole blocks: what a sender writes again and again. */
export const chunk: Uint8Array = octets.subarray(0, BLOCK * (REPEATS - 1))

/** The pattern from its beginning, `length` octets of at most `chunk.length`. */
export const beginning = (length: number): Uint8Array => chunk.subarray(0, length)

/** Writes `length` octets of the pattern, fewer than `chunk` has, from any place on. */
export const copy = (place: number, target: Uint8Array, at: number, length: number): void => {
  const from = place % BLOCK
  octets.copy(target, at, from, from + length)
}

/** Whether these, fewer than `chunk` has, are the octets of the pattern from any place on. */
export const equals = (place: number, received: Uint8Array, start: number, end: number): boolean => {
  const from = place % BLOCK
  return octets.compare(received, start, end, from, from + end - start) === 0
}

/** Compares a stream of chunks with the pattern. */
export class Verifier {
  octets = 0
  equal = true

  accept(received: Uint8Array): void {
    for (let at = 0; at < received.length;) {
      const end = Math.min(received.length, at + BLOCK)
      if (!equals(this.octets, received, at, end)) this.equal = false
      this.octets += end - at
      at = end
    }
  }
}
