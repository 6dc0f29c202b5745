/**
 * What native devices rely on: memory outside of the heap is free soon after its collection, and the flag is not left behind.
 */
import { assert, describe, it } from "@effect/vitest"
import { YoungGeneration } from "@strata/drivers"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { runInNewContext } from "node:vm"

const program = new URL("./programs/chunks.ts", import.meta.url).pathname

interface Told {
  /** Octets left of those that nobody holds, and octets made. */
  readonly least: number
  readonly made: number
  readonly kept: boolean
}

const run = async (): Promise<Told> => {
  const { stdout } = await promisify(execFile)(process.execPath, [program])
  return JSON.parse(stdout) as Told
}

describe("YoungGeneration", () => {
  it("frees chunks that nobody holds, and leaves those that somebody does", async () => {
    const { kept, least, made } = await run()
    assert.isBelow(least, made / 10)
    assert.isTrue(kept)
  })

  it.effect("does not leave the collector to anybody else", () =>
    Effect.gen(function*() {
      assert.isDefined(yield* YoungGeneration)
      assert.strictEqual(runInNewContext("typeof gc"), "undefined")
    }))
})
