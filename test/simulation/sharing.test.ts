/**
 * Flows that share a bottleneck.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { algorithms } from "./matrix/algorithms.ts"
import { type Bottleneck, jain, share } from "./matrix/Sharing.ts"

const path: Bottleneck = { rate: 10e6, roundTrip: 20, settle: 20, measure: 40, apart: 2 }

describe("Jain's index", () => {
  it("is 1 for equal shares, and less for others", () => {
    assert.strictEqual(jain([3, 3]), 1)
    assert.strictEqual(jain([3, 0]), 0.5)
    assert.closeTo(jain([2, 1]), 0.9, 1e-9)
  })
})

describe("two flows of one algorithm", () => {
  it.effect.each(Object.entries(algorithms).map(([name, algorithm]) => ({ name, algorithm })))(
    "share a bottleneck with $name, and use all of it",
    ({ algorithm }) =>
      Effect.gen(function*() {
        for (const seed of [1, 2, 3]) {
          const shares = yield* share([algorithm, algorithm], path, seed)
          assert.isAtLeast(shares.jain, 0.95, `seed ${seed}: ${shares.goodputs}`)
          assert.isAtLeast(shares.total, 0.9 * path.rate, `seed ${seed}: ${shares.goodputs}`)
        }
      }),
    60_000
  )
})

const { cubic: Cubic, reno: Reno } = algorithms

/** How much more CUBIC gets than Reno, on average over two seeds. */
const advantage = Effect.fnUntraced(function*(bottleneck: Bottleneck) {
  const ratios = yield* Effect.forEach(
    [1, 2],
    (seed) => Effect.map(share([Cubic, Reno], bottleneck, seed), ({ goodputs: [cubic, reno] }) => cubic! / reno!)
  )
  return ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length
})

describe("CUBIC beside Reno", () => {
  it.effect("gets what Reno gets where windows are small (RFC 9438 §4.3)", () =>
    Effect.gen(function*() {
      const ratio = yield* advantage(path)
      assert.isAtLeast(ratio, 0.67)
      assert.isAtMost(ratio, 1.5)
    }), 60_000)

  it.effect(
    "gets more where Reno would leave a long fast path empty, and leaves Reno something (RFC 9438 §5.1)",
    () =>
      Effect.gen(function*() {
        const ratio = yield* advantage({ ...path, rate: 20e6, roundTrip: 100, settle: 30, measure: 40 })
        assert.isAtLeast(ratio, 1.5)
        assert.isAtMost(ratio, 15)
      }),
    120_000
  )
})
