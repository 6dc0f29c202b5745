/**
 * A row of the table: something that a program does with `node:net` or `node:dgram`, and why strata's log differs, if it does.
 */
import type { World } from "./world.ts"

export interface Row {
  readonly name: string
  readonly run: (world: World) => Promise<void>
  /** Why strata does otherwise, on purpose. */
  readonly differs?: string
}

export interface Group {
  readonly title: string
  readonly rows: ReadonlyArray<Row>
}

export const row = (name: string, run: Row["run"], differs?: string): Row =>
  differs === undefined ? { name, run } : { name, run, differs }
