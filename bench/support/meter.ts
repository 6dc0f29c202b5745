/**
 * What a receiver of a bulk transfer sees through a network that loses packets: how much, how fast, and how long it was silent.
 */
import { Verifier } from "./pattern.ts"

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
