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

/** What a receiver tells. */
export interface Measured {
  readonly octets: number
  /** From the first octets to the last, or until the time was up. */
  readonly seconds: number
  /** Whether they all were those that were sent. */
  readonly equal: boolean
  /** Seconds of silences of at least 4 ms, in which the sender waited for a timer or nobody let it run. */
  readonly silent: number
  /** Silences as long as a retransmission timer's. */
  readonly stalls: number
}

/** Milliseconds. */
const SILENCE = 4
const STALL = 150

/** Verifies what arrives, and tells once when all is there or `seconds` have gone since the first of it. */
export class Meter {
  readonly #verifier = new Verifier()
  readonly #told: (measured: Measured) => void
  readonly #limit: number
  #timer: NodeJS.Timeout | undefined
  #started: number | undefined
  #last = 0
  #silent = 0
  #stalls = 0
  #done = false

  constructor(seconds: number, told: (measured: Measured) => void) {
    this.#limit = seconds * 1000
    this.#told = told
  }

  get octets(): number {
    return this.#verifier.octets
  }

  accept(chunk: Uint8Array): void {
    if (this.#done) return
    const now = performance.now()
    if (this.#started === undefined) {
      this.#started = now
      this.#timer = setTimeout(() => this.#tell(), this.#limit)
    } else this.#hush(now - this.#last)
    this.#last = now
    this.#verifier.accept(chunk)
  }

  #hush(silence: number): void {
    if (silence >= SILENCE) this.#silent += silence
    if (silence >= STALL) this.#stalls++
  }

  /** Nothing more will come. */
  finish(): void {
    this.#tell(this.#last)
  }

  #tell(end = performance.now()): void {
    if (this.#done) return
    this.#done = true
    clearTimeout(this.#timer)
    this.#hush(end - this.#last)
    const { equal, octets } = this.#verifier
    const seconds = (end - (this.#started ?? end)) / 1000
    this.#told({ octets, seconds, equal, silent: this.#silent / 1000, stalls: this.#stalls })
  }
}

/** Ports of every bulk server: one takes all it gets and answers with a line of JSON (`Measured`), the other sends. */
export const SINK = 9
export const SOURCE = 19
