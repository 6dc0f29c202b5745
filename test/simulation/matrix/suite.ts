/**
 * The tests of one congestion control's part of the matrix.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { afterAll } from "vitest"
import { type AlgorithmName, CELLS, format } from "./Cell.ts"
import { type Check, complain, holds } from "./Expectation.ts"
import { rowOf, tailOf } from "./Matrix.ts"
import { markdown, type Row } from "./Table.ts"

const complaints = (checks: ReadonlyArray<Check>): ReadonlyArray<string> =>
  checks.filter((check) => !holds(check)).map(complain)

export const suite = (algorithm: AlgorithmName): void => {
  const cells = CELLS.filter((cell) => cell.algorithm === algorithm).map((cell) => ({ ...cell, name: format(cell) }))
  const calm = cells.filter(({ loss, reordering }) => loss === "none" && reordering === "none")
  const rows: Array<Row> = []

  describe(`the scenario matrix, ${algorithm}`, () => {
    it.effect.each(cells)("is as theory says: $name", (cell) =>
      Effect.gen(function*() {
        const row = yield* rowOf(cell)
        rows.push(row)
        assert.deepStrictEqual(complaints(row.checks), [])
      }), 60_000)

    it.effect.each(calm)("repairs a tail loss without a timeout: $name", (cell) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(complaints([(yield* tailOf(cell)).check]), [])
      }))

    afterAll(() => void process.stdout.write(`\n${markdown(rows)}\n`))
  })
}
