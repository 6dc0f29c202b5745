/**
 * Programs that some tests need.
 */
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Whether a test that needs `tool` is to be left out: never where `CI` promises that all tools are there. */
export const isMissing = (tool: string): boolean => {
  if (process.env.CI !== undefined && process.env.CI !== "") return false
  return spawnSync(tool, ["--version"], { stdio: "ignore" }).error !== undefined
}

/** A folder of its own for as long as `use` runs. */
export const withFolder = <A, E, R>(use: (path: string) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "strata-"))),
    use,
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
