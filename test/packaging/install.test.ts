/**
 * The tarballs in a project outside of the repository: with the addon, without it, and where it cannot be compiled.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, inject } from "vitest"
import { PACKAGES } from "../../packaging/pack.ts"
import { Kernel, STACK } from "../support/linux.ts"
import { describeLinux } from "../support/namespace.ts"
import { fromRepository, install, node, printed, run, succeed, write } from "./project.ts"

const bare = inject("withoutAddon")

/** Opens a TAP, and says in one line why it cannot. */
const OPEN_TAP = `
import { NetworkStack } from "@strata/core"
import { Tap } from "@strata/drivers"
import { Effect, Layer } from "effect"

const error = await Effect.runPromise(Effect.flip(
  Effect.scoped(Layer.build(Tap.layer({ name: "strata-none" }).pipe(Layer.provideMerge(NetworkStack.layer))))
))
console.log(error.message)
`

describe("without the addon", () => {
  it("runs the README's second example as printed", async () => {
    write(bare, "two-hosts.ts", printed()[1]!)
    expect(await node(bare, "two-hosts.ts")).toEqual({
      code: 0,
      stdout: "192.0.2.2 answered with 64 bytes\nHello, 192.0.2.1!\n",
      stderr: ""
    })
  })

  it("runs a simulation", async () => {
    write(bare, "simulation.ts", fromRepository("test/packaging/outside/simulation.ts"))
    const { code, stderr, stdout } = await node(bare, "simulation.ts")
    expect([code, stderr]).toEqual([0, ""])
    const result = JSON.parse(stdout)
    expect(result.received).toBe(100_000)
    expect(result.virtual).toBeGreaterThan(1000)
  })

  it("says in one line what a TAP would need", async () => {
    write(bare, "tap.ts", OPEN_TAP)
    const { code, stdout } = await node(bare, "tap.ts")
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^strata-none: the native drivers are not built \(there is no \S+strata\.node: its install script has not run, [^\n]* approve @strata\/drivers` first\); install .* run `npm rebuild`\n$/
    )
  })

  it("has the command, which shows two hosts in memory where it may not do more", async () => {
    const strata = join(bare, "node_modules/.bin/strata")
    expect((await node(bare, strata, "--version")).stdout).toBe("strata v0.1.0\n")
    const { code, stdout } = await node(bare, strata, "demo")
    expect(code).toBe(0)
    expect(stdout).toContain("in memory")
  })

  it("has one copy of effect and of each package", () => {
    const copies = readdirSync(join(bare, "node_modules"), { recursive: true, encoding: "utf8" })
      .filter((path) => /(^|\/)node_modules\/(effect|@strata\/\w+)$/.test(`node_modules/${path}`))
    expect(copies.toSorted()).toEqual([...PACKAGES.map((name) => `@strata/${name}`), "effect"].toSorted())
  })

  it("keeps what is internal to itself", async () => {
    const { stdout } = await node(
      bare,
      "--input-type=module",
      "-e",
      `
      for (const path of ["drivers/internal/Ring", "sockets/internal/Transport", "core/wire/Header"]) {
        await import("@strata/" + path).then(() => console.log("open"), (error) => console.log(error.code))
      }
    `
    )
    expect(stdout).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED\nERR_PACKAGE_PATH_NOT_EXPORTED\nopen\n")
  })
})

describeLinux("with the addon", ["nc"], () => {
  const folder = mkdtempSync(join(tmpdir(), "strata-install-"))
  const project = join(folder, "project")
  const addon = join(project, "node_modules/@strata/drivers/build/Release/strata.node")
  beforeAll(() => install(project, inject("tarballs")))
  afterAll(() => rmSync(folder, { recursive: true }))

  it("has compiled it", () => expect(existsSync(addon)).toBe(true))

  it.live("runs the README's first example as printed", () =>
    Effect.gen(function*() {
      const kernel = yield* Kernel
      const program = write(project, "echo-server.ts", printed()[0]!)
      const server = yield* kernel.spawn(process.execPath, program)
      yield* server.prints(/^Listening on 192\.0\.2\.2, port 7\n$/)
      const echoed = yield* kernel.execWith({ input: "hello\n" }, "nc", "-N", STACK, "7")
      expect(echoed.stdout).toBe("hello\n")
    }).pipe(Effect.scoped, Effect.provide(Kernel.layer)))

  it("has the command, which answers the kernel", async () => {
    const { code, stdout } = await node(project, join(project, "node_modules/.bin/strata"), "demo")
    expect(code).toBe(0)
    expect(stdout).not.toContain("in memory")
  })

  it("says what is missing where nothing can compile it, and is installed all the same", async () => {
    const programs = join(folder, "programs")
    mkdirSync(programs)
    symlinkSync(process.execPath, join(programs, "node"))
    symlinkSync("/bin/sh", join(programs, "sh"))
    const npm = (await succeed(run(project, "sh", ["-c", "command -v npm"]))).stdout.trim()
    const rebuilt = await run(project, process.execPath, [npm, "rebuild", "--foreground-scripts"], { PATH: programs })
    expect(rebuilt.code).toBe(0)
    expect(rebuilt.stdout).toContain(
      "strata: the native drivers are not built, only in-memory devices will work: install g++, make, python3 " +
        "(apt-get install g++ make python3), then run `npm rebuild`\n"
    )
    expect(existsSync(addon)).toBe(false)
    write(project, "tap.ts", OPEN_TAP)
    const { code, stdout } = await node(project, "tap.ts")
    expect(code).toBe(0)
    const log = /^strata-none: the native drivers are not built \(see (\S+native\.log)\); install [^\n]*\n$/.exec(
      stdout
    )
    expect(readFileSync(log?.[1] ?? "", "utf8")).toContain("gyp ERR!")
  })
})
