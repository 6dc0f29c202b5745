/**
 * What the matrix measures is what happened.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Cell, octetsOf } from "./Cell.ts"
import { complain, holds } from "./Expectation.ts"
import { measure, measureTail } from "./Measure.ts"

const cell: Cell = { algorithm: "reno", rate: 100e6, roundTrip: 10, loss: "1 %", reordering: "1 %" }

describe("a cell of the matrix", () => {
  it.effect("does the same each time from one seed, and something else from another", () =>
    Effect.gen(function*() {
      const [one, again, other] = [
        yield* measure(cell, { seed: 1 }),
        yield* measure(cell, { seed: 1 }),
        yield* measure(cell, { seed: 2 })
      ]
      assert.deepStrictEqual(one, again)
      assert.notDeepEqual(one, other)
    }))

  it.effect("accounts for every segment", () =>
    Effect.gen(function*() {
      const { lost, retransmitted, segments, spurious } = yield* measure(cell, { seed: 1 })
      const needed = Math.ceil(octetsOf(cell) / 1460)
      assert.isAtLeast(segments - retransmitted, needed)
      assert.isAtMost(segments - retransmitted, needed * 1.02)
      assert.closeTo(lost / segments, 0.01, 0.004)
      // Some may be under way at the end.
      assert.closeTo(retransmitted, lost + spurious, 10)
    }))

  it.effect("sends nothing twice but what overran the queue where the path is as good as it gets", () =>
    Effect.gen(function*() {
      const calm = yield* measure({ ...cell, roundTrip: 0.1, loss: "none", reordering: "none", rate: 1e9 }, { seed: 1 })
      // But what overruns the queue at the end of slow start, which goes once more.
      assert.deepInclude(calm, { retransmitted: calm.lost, spurious: 0, timeouts: 0 })
      assert.isAtLeast(calm.goodput, 0.9e9)
    }))

  it.effect("knows when a tail loss was repaired", () =>
    Effect.gen(function*() {
      const [near, far] = [
        yield* measureTail({ ...cell, roundTrip: 10 }, { seed: 1 }),
        yield* measureTail({ ...cell, roundTrip: 300 }, { seed: 1 })
      ]
      assert.isAtLeast(near, 15)
      assert.isAtMost(near, 500)
      assert.isAtLeast(far, 450)
    }))
})

describe("an expectation", () => {
  const check = { what: "goodput in Mbit/s", value: 3.2571, least: 4, most: 12, why: "of Mathis" }

  it("holds within its bounds", () => {
    assert.isFalse(holds(check))
    assert.isTrue(holds({ ...check, value: 4 }))
    assert.isTrue(holds({ ...check, value: 12 }))
    assert.isFalse(holds({ ...check, value: 12.1 }))
    assert.isFalse(holds({ ...check, value: Number.NaN }))
  })

  it("says by how much it does not hold, and why", () => {
    assert.strictEqual(complain(check), "goodput in Mbit/s: 3.26, and should be 4 to 12: of Mathis")
  })
})
