/**
 * Chance, for code that is not an Effect.
 *
 * Initial sequence numbers, ports, IP identifications and cookies are secrets,
 * so the default draws from the platform's cryptographic generator. A
 * simulation replaces it with a seeded one.
 */
import * as Context from "effect/Context"
import { SecureRandom } from "effect/crypto"
import * as Layer from "effect/Layer"

/** Chance: whatever the stack does not want to be guessed, and what a simulation wants to be the same each time. */
export class Entropy extends Context.Service<Entropy, {
  /** An unsigned 32-bit integer. */
  readonly u32: () => number
  /** A uniform integer in `[0, bound)`; `bound` is at most 2^32. */
  readonly below: (bound: number) => number
}>()("@strata/core/Entropy") {
  static readonly layer: Layer.Layer<Entropy> = Layer.sync(Entropy, () => {
    const POOL = 4096
    let pool: DataView = new DataView(new ArrayBuffer(0))
    let at = 0
    return make(() => {
      if (at >= pool.byteLength) {
        const bytes = SecureRandom.randomBytesUnsafe(POOL)
        pool = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
        at = 0
      }
      const value = pool.getUint32(at)
      at += 4
      return value
    })
  })

  /** Reproducible: the same seed gives the same numbers (SplitMix32). Not for use on a real network. */
  static readonly layerSeeded = (seed: number): Layer.Layer<Entropy> =>
    Layer.sync(Entropy, () => {
      let state = seed >>> 0
      return make(() => {
        state = (state + 0x9e3779b9) >>> 0
        let z = state
        z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
        z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
        return (z ^ (z >>> 15)) >>> 0
      })
    })
}

const make = (u32: () => number): Entropy["Service"] => ({
  u32,
  below: (bound) => {
    // Draws from the incomplete last multiple of `bound` would favour small numbers.
    const limit = 0x1_0000_0000 - 0x1_0000_0000 % bound
    let value = u32()
    while (value >= limit) value = u32()
    return value % bound
  }
})
