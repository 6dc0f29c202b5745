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

const named = CELLS.map((cell) => ({ ...cell, name: format(cell) }))
const cells = named.filter((_, index) => index % EVERY === FIRST)
const large = { seed: SEED, offload: true }

describe("the scenario matrix, with large segments", () => {
  it.effect.each(cells)("is as theory says: $name", (cell) =>
    Effect.gen(function*() {
      const { checks } = yield* rowOf(cell, large)
      assert.deepStrictEqual(checks.filter((check) => !holds(check)).map(complain), [])
    }), 60_000)

  it.effect.each(cells.filter((_, index) => index % 4 === 0))(
    "is what it is with small ones: $name",
    (cell) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* measure(cell, large), yield* measure(cell, { seed: SEED, offload: false }))
      }),
    60_000
  )

  it.effect.each(
    named.filter(({ loss, reordering, roundTrip }) => loss === "none" && reordering === "none" && roundTrip === 100)
  )("repairs a tail loss without a timeout: $name", (cell) =>
    Effect.gen(function*() {
      const { check } = yield* tailOf(cell, large)
      assert.isTrue(holds(check), complain(check))
    }))
})
