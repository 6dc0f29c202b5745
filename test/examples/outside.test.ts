/**
 * An application outside of the repository, with nothing but the packages'
 * public entry points.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { run } from "../cli/process.ts"

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const settings = {
  compilerOptions: {
    noEmit: true,
    target: "ES2024",
    module: "NodeNext",
    strict: true,
    exactOptionalPropertyTypes: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    types: ["node"]
  },
  include: ["application.ts"]
}

const outside = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = mkdtempSync(join(tmpdir(), "strata-outside-"))
    writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module", private: true }))
    writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(settings))
    copyFileSync(here("outside/application.ts"), join(directory, "application.ts"))
    symlinkSync(here("../../node_modules"), join(directory, "node_modules"))
    return directory
  }),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

describe("an application outside of the repository", () => {
  it.live("does what the command line does", () =>
    Effect.gen(function*() {
      const directory = yield* outside
      const { code, stderr, stdout } = yield* run([process.execPath, join(directory, "application.ts")])
      expect([code, stderr]).toEqual([0, ""])
      const results = JSON.parse(stdout)
      expect(results).toMatchObject({
        ping: 4008,
        echo: "there and back",
        discard: "",
        udp: "datagram",
        refused: "ConnectionRefused"
      })
      expect(results.daytime).toMatch(/^[A-Z][a-z]+day, [A-Z][a-z]+ \d+, \d{4} \d\d:\d\d:\d\d-UTC\r\n$/)
      expect(results.chargen).toHaveLength(72)
      expect(results.received).toBeGreaterThan(20)
      expect(results.logged).toBeGreaterThan(20)
    }))

  it.live("finds the types it needs", () =>
    Effect.gen(function*() {
      const directory = yield* outside
      const tsc = here("../../node_modules/.bin/tsc")
      expect(yield* run([process.execPath, tsc, "-p", directory])).toEqual({ code: 0, stdout: "", stderr: "" })
    }))
})
