/**
 * What has lived long does not make V8 take all that follows for long-lived.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { promisify } from "node:util"

const program = new URL("./programs/literals.ts", import.meta.url).pathname
/** So that the young generation is at its largest at once, which is when V8 decides. */
const SMALL = ["--min-semi-space-size=1", "--max-semi-space-size=1"]

interface Told {
  /** Octets that went to the old generation, and octets made. */
  readonly grown: number
  readonly made: number
}

describe("Pretenuring", () => {
  it("leaves objects that die at once to the young generation", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [...SMALL, program])
    const { grown, made }: Told = JSON.parse(stdout)
    assert.isBelow(grown, made / 10)
  })
})
