/**
 * Runs cells and judges them.
 */
import * as Effect from "effect/Effect"
import type { Cell } from "./Cell.ts"
import { checks, tailCheck } from "./Expectation.ts"
import { BUFFERS, measure, measureTail } from "./Measure.ts"
import type { Row, Tail } from "./Table.ts"

/** Of the table in `docs/tcp-matrix.md`, and of the tests. */
export const SEED = 1

export const rowOf = (cell: Cell, seed: number = SEED): Effect.Effect<Row> =>
  Effect.map(measure(cell, seed), (result) => ({ cell, result, checks: checks(cell, result, BUFFERS) }))

export const tailOf = (cell: Cell, seed: number = SEED): Effect.Effect<Tail> =>
  Effect.map(measureTail(cell, seed), (value) => ({ cell, check: tailCheck(cell, value) }))
