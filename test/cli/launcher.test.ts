/**
 * `strata` started by a Node that does not run TypeScript, as the system's own may be: here this one, told not to.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { accessSync, constants, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { allEnd, descendantsOf, run, start, strata } from "./process.ts"

const [node, launcher] = strata as readonly [string, string]
const UNABLE = "--no-strip-types"
const old = [node, UNABLE, launcher]
const serve = [...old, "--device", "none", "serve"]

/** A server by way of the launcher, and the process that is the server. */
const serving = Effect.gen(function*() {
  const program = yield* start(serve)
  yield* program.prints(/strata serves/)
  const [server, ...others] = descendantsOf(program.pid)
  expect(others).toEqual([])
  return { program, server: server! }
})

describe("the launcher", () => {
  it("can be executed", () => accessSync(launcher, constants.X_OK))

  it.effect("says what is needed when there is no other Node", () =>
    Effect.gen(function*() {
      const directory = mkdtempSync(join(tmpdir(), "strata-launcher-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
      writeFileSync(join(directory, "package.json"), `{ "type": "module" }`)
      const alone = join(directory, "strata.js")
      copyFileSync(launcher, alone)
      const { code, stderr, stdout } = yield* run([node, UNABLE, alone, "--help"])
      expect(stderr).toMatch(/^strata: Node 22\.18 or later is needed, and this is \d[^\n]*\n$/)
      expect([code, stdout]).toEqual([1, ""])
    }), 30_000)
})

describe.runIf(process.platform === "linux" && process.arch === "x64")("the launcher of the project's own Node", () => {
  it.effect("passes on arguments, stdin, output and the exit code", () =>
    Effect.gen(function*() {
      const version = yield* run([...old, "--version"])
      expect(version).toEqual({ code: 0, stdout: expect.stringMatching(/^strata v[\d.]+\n$/), stderr: "" })
      const mistake = yield* run([...old, "serve", "--echo", "x y"])
      expect(mistake).toEqual({ code: 1, stdout: "", stderr: expect.stringMatching(/^strata: --echo x y: [^\n]+\n$/) })
      const lines = yield* run([...old, "--device", "none", "udpc", "127.0.0.1:7"], "one\n")
      expect(lines.stderr).toMatch(/^strata: nothing listens on udp 127\.0\.0\.1:7\n$/)
    }), 30_000)

  it.effect("does not try for ever", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* run(["env", `NODE_OPTIONS=${UNABLE}`, node, launcher, "--help"])
      expect(stderr).toMatch(/^strata: Node 22\.18 or later is needed[^\n]*\n$/)
      expect(code).toBe(1)
    }), 30_000)

  it.live.each(["SIGINT", "SIGTERM"] as const)("ends in order on %s to itself", (signal) =>
    Effect.gen(function*() {
      const { program, server } = yield* serving
      program.kill(signal)
      const { code, stderr } = yield* program.ended
      expect(stderr).toContain("[I] devices.close: dev=lo, state=down\n")
      expect(code).toBe(0)
      yield* allEnd([server])
    }), 30_000)

  it.live("ends in order when a terminal signals both", () =>
    Effect.gen(function*() {
      const { program, server } = yield* serving
      process.kill(server, "SIGINT")
      program.kill("SIGINT")
      expect((yield* program.ended).code).toBe(0)
    }), 30_000)

  it.live("leaves nothing when it is killed", () =>
    Effect.gen(function*() {
      const { program, server } = yield* serving
      program.kill("SIGKILL")
      yield* allEnd([server])
    }), 30_000)
})
