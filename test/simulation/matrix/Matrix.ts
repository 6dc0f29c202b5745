/**
 * Runs cells and judges them.
 */
import * as Effect from "effect/Effect"
import type { Cell } from "./Cell.ts"
import { checks, tailCheck } from "./Expectation.ts"
import { BUFFERS, measure, measureTail, type Run } from "./Measure.ts"
import type { Row, Tail } from "./Table.ts"

/** Of the table in `docs/tcp-matrix.md`, and of the tests. */
export const SEED = 1

export const rowOf = (cell: Cell, run: Run = { seed: SEED }): Effect.Effect<Row> =>
  Effect.map(measure(cell, run), (result) => ({ cell, result, checks: checks(cell, result, BUFFERS) }))

export const tailOf = (cell: Cell, run: Run = { seed: SEED }): Effect.Effect<Tail> =>
  Effect.map(measureTail(cell, run), (value) => ({ cell, check: tailCheck(cell, value) }))
