/**
 * The examples run as they are, and are short. Those that need a TAP are run
 * in test/linux.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { run } from "../cli/process.ts"

const directory = fileURLToPath(new URL("../../examples", import.meta.url))

const example = (name: string) => run([process.execPath, `${directory}/${name}.ts`])

describe("examples", () => {
  it("are at most 30 lines long", () => {
    const files = readdirSync(directory).filter((name) => name.endsWith(".ts"))
    expect(files.length).toBeGreaterThanOrEqual(3)
    for (const file of files) {
      expect(readFileSync(`${directory}/${file}`, "utf8").trimEnd().split("\n").length, file).toBeLessThanOrEqual(30)
    }
  })

  it("of networks in virtual time are less than 50 lines long", () => {
    const files = readdirSync(`${directory}/simulation`)
    expect(files.length).toBeGreaterThanOrEqual(3)
    for (const file of files) {
      const lines = readFileSync(`${directory}/simulation/${file}`, "utf8").trimEnd().split("\n")
      expect(lines.length, file).toBeLessThan(50)
    }
  })

  it("of Node's libraries are at most 30 lines long", () => {
    const files = readdirSync(`${directory}/node`)
    expect(files.length).toBeGreaterThanOrEqual(3)
    for (const file of files) {
      const lines = readFileSync(`${directory}/node/${file}`, "utf8").trimEnd().split("\n")
      expect(lines.length, file).toBeLessThanOrEqual(30)
    }
  })

  it.live("ws", () =>
    Effect.gen(function*() {
      expect(yield* example("node/ws")).toEqual({ code: 0, stdout: "hello!\n", stderr: "" })
    }))

  it.live("dgram", () =>
    Effect.gen(function*() {
      expect(yield* example("node/dgram")).toEqual({ code: 0, stdout: "hello\n", stderr: "" })
    }))

  it.live("multicast", () =>
    Effect.gen(function*() {
      expect(yield* example("multicast")).toEqual({
        code: 0,
        stdout: "239.1.2.3: hello 239.1.2.3\n232.1.2.3: hello 232.1.2.3\n",
        stderr: ""
      })
    }))

  it.live("metrics", () =>
    Effect.gen(function*() {
      expect(yield* example("metrics")).toEqual({
        code: 0,
        stdout: [
          "strata_tcp_activeOpens{host=\"client\"} 1",
          "strata_tcp_established{host=\"client\"} 1",
          "strata_tcp_queued_send{host=\"client\"} 0",
          "strata_tcp_queued_receive{host=\"client\"} 0\n"
        ].join("\n"),
        stderr: ""
      })
    }))

  it.live("two hosts", () =>
    Effect.gen(function*() {
      expect(yield* example("two-hosts")).toEqual({
        code: 0,
        stdout: "192.0.2.2 answered with 64 bytes\nHello, 192.0.2.1!\n",
        stderr: ""
      })
    }))

  it.live("a protocol of one's own", () =>
    Effect.gen(function*() {
      expect(yield* example("own-protocol")).toEqual({ code: 0, stdout: "Hello from 192.0.2.1\n", stderr: "" })
    }))
})
