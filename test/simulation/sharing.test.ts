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
  it.effect.each([...algorithms].map(([name, algorithm]) => ({ name, algorithm })))(
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
