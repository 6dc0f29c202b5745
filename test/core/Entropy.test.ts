import { assert, describe, it } from "@effect/vitest"
import { Entropy } from "@strata/core/Entropy"
import { Effect, Schema } from "effect"

const draw = (count: number) => Effect.map(Entropy, (entropy) => Array.from({ length: count }, () => entropy.u32()))

const seeded = (seed: number) => draw(100).pipe(Effect.provide(Entropy.layerSeeded(seed)))

describe("entropy", () => {
  it.effect("is unsigned, of 32 bits, and does not repeat itself", () =>
    Effect.gen(function*() {
      const numbers = yield* draw(5_000)
      assert.isTrue(numbers.every((number) => Number.isInteger(number) && number >= 0 && number < 2 ** 32))
      // Among 5,000 of 2^32, one pair that is equal has a chance of 0.3 %, five pairs none to speak of.
      assert.isAtLeast(new Set(numbers).size, 4_996)
      for (let bit = 0; bit < 32; bit++) {
        const ones = numbers.filter((number) => (number >>> bit) & 1).length
        assert.isTrue(ones > 2_000 && ones < 3_000, `bit ${bit} is set ${ones} times`)
      }
    }).pipe(Effect.provide(Entropy.layer)))

  it.effect("differs from one stack to the next", () =>
    Effect.gen(function*() {
      const one = yield* draw(4).pipe(Effect.provide(Entropy.layer, { local: true }))
      const other = yield* draw(4).pipe(Effect.provide(Entropy.layer, { local: true }))
      assert.notDeepEqual(one, other)
    }))

  it.effect("from a seed is the same each time, and another from another seed", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* seeded(1), yield* seeded(1))
      assert.notDeepEqual(yield* seeded(1), yield* seeded(2))
      assert.strictEqual(new Set(yield* seeded(0)).size, 100)
    }))

  it.effect.prop(
    "below a bound stays below it",
    [Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 ** 32 }))],
    ([bound]) =>
      Effect.gen(function*() {
        const entropy = yield* Entropy
        for (let index = 0; index < 20; index++) {
          const value = entropy.below(bound)
          assert.isTrue(Number.isInteger(value) && value >= 0 && value < bound)
        }
      }).pipe(Effect.provide(Entropy.layerSeeded(7)))
  )

  it.effect("below a bound is uniform, also where the bound does not divide 2^32", () =>
    Effect.gen(function*() {
      const entropy = yield* Entropy
      const bound = 3 * 2 ** 30
      const counts = [0, 0, 0]
      for (let index = 0; index < 30_000; index++) counts[Math.floor(entropy.below(bound) / 2 ** 30)]!++
      // A remainder without rejection would fill the first third twice as often as the others.
      for (const count of counts) assert.isTrue(count > 9_500 && count < 10_500, String(counts))
      assert.strictEqual(entropy.below(1), 0)
    }).pipe(Effect.provide(Entropy.layerSeeded(11))))
})
