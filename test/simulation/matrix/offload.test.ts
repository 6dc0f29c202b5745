/**
 * The matrix where the sender's device cuts large segments.
 *
 * On the wire there is what there would have been one by one, at the same times, so cells are to be as theory says of them, with the
 * same bounds, and what is measured is to be the same. Every thirteenth cell is run: with these, each value of each dimension occurs,
 * and nearly every two of them together.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { CELLS, format } from "./Cell.ts"
import { complain, holds } from "./Expectation.ts"
import { rowOf, SEED, tailOf } from "./Matrix.ts"
import { measure } from "./Measure.ts"

const EVERY = 13
const FIRST = 6
/** Of these, every fourth is compared with what it is without. */
const COMPARED = 4

const named = CELLS.map((cell) => ({ ...cell, name: format(cell) }))
const cells = named.filter((_, index) => index % EVERY === FIRST).map((cell, index) => ({
  ...cell,
  isCompared: index % COMPARED === 0
}))
const large = { seed: SEED, offload: true }

describe("the scenario matrix, with large segments", () => {
  it.effect.each(cells)("is as theory says: $name", (cell) =>
    Effect.gen(function*() {
      const { checks, result } = yield* rowOf(cell, large)
      assert.deepStrictEqual(checks.filter((check) => !holds(check)).map(complain), [])
      if (cell.isCompared) assert.deepStrictEqual(result, yield* measure(cell, { seed: SEED, offload: false }))
    }), 60_000)

  it.effect.each(
    named.filter(({ loss, reordering, roundTrip }) => loss === "none" && reordering === "none" && roundTrip === 100)
  )("repairs a tail loss without a timeout: $name", (cell) =>
    Effect.gen(function*() {
      const { check } = yield* tailOf(cell, large)
      assert.isTrue(holds(check), complain(check))
    }))
})
