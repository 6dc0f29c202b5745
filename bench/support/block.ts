/**
 * The bytes that bulk transfers are made of: one block again and again, so that
 * a receiver can compare what it gets at little cost.
 */
export const BLOCK = 1024 * 1024

/** The same pseudo-random octets (xorshift32) in every process. */
export const block: Uint8Array = (() => {
  const words = new Uint32Array(BLOCK / 4)
  let state = 0x9e3779b9
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state
  }
  return new Uint8Array(words.buffer)
})()

/** Compares a stream of chunks with the block. */
export class Verifier {
  octets = 0
  equal = true

  accept(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const from = this.octets % BLOCK
      const length = Math.min(chunk.length - at, BLOCK - from)
      if (Buffer.compare(chunk.subarray(at, at + length), block.subarray(from, from + length)) !== 0) this.equal = false
      this.octets += length
      at += length
    }
  }
}

/** Ports of every bulk server: one takes all it gets and answers with one octet, the other sends. */
export const SINK = 9
export const SOURCE = 19

/** What the sink answers. */
export const Verdict = { equal: 1, different: 2 } as const
