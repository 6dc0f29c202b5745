/**
 * The contract of Effect's sockets with strata on a TAP: as client of the kernel's sockets, as server for them, and on its
 * own, where the kernel is left out.
 */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import { datagrams } from "../contract/datagrams.ts"
import { streams } from "../contract/streams.ts"
import { OFFLOADS, quiet } from "../support/linux.ts"
import * as Namespace from "../support/namespace.ts"

const program = fileURLToPath(new URL("../contract/onTap.ts", import.meta.url))

const names = [...streams, ...datagrams].map(({ name }) => name)

Namespace.describeLinux("Linux, the contract of Effect's sockets", [], () => {
  it.live.each(
    [
      ["kernel", "strata", "all by the kernel"],
      ["kernel", "strata", "none"],
      ["strata", "kernel", "all by the kernel"],
      ["strata", "kernel", "none"],
      // Nothing of which crosses the TAP.
      ["strata", "strata", "none"]
    ] as const
  )(
    "%s is the client of %s; offload: %s",
    ([client, server, offload]) =>
      Effect.gen(function*() {
        const namespace = yield* Namespace.make
        yield* quiet(namespace)
        yield* namespace.succeed("ip", "tuntap", "add", "mode", "tap", "name", "tap0")
        yield* namespace.succeed("ip", "addr", "add", "192.0.2.1/24", "brd", "+", "dev", "tap0")
        yield* namespace.succeed("ip", "link", "set", "tap0", "up")
        const { stderr, stdout } = yield* namespace.execWith(
          { timeout: 50_000 },
          process.execPath,
          program,
          client,
          server,
          JSON.stringify(OFFLOADS[offload])
        )
        const results = stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line))
        expect(results.filter(({ failure }) => failure !== undefined), stderr).toEqual([])
        expect(results.map(({ name }) => name), stderr).toEqual(names)
      })
  )
})
