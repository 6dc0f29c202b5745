/**
 * The examples that need a TAP.
 */
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import { Kernel, STACK } from "../support/linux.ts"
import { describeLinux } from "../support/namespace.ts"

const example = (name: string) => fileURLToPath(new URL(`../../examples/${name}.ts`, import.meta.url))

describeLinux("Linux, examples", ["nc"], () => {
  layer(Kernel.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("echo server", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* kernel.spawn(process.execPath, example("echo-server"))
        yield* server.prints(/^Listening on 192\.0\.2\.2, port 7\n$/)
        const echoed = yield* kernel.execWith({ input: "hello\n" }, "nc", "-N", STACK, "7")
        expect(echoed.stdout).toBe("hello\n")
      }))

    for (const [network, address] of [["kernel", "127.0.0.1"], ["tap", STACK]] as const) {
      it.effect(`one server, over ${network}`, () =>
        Effect.gen(function*() {
          const kernel = yield* Kernel
          const server = yield* kernel.spawn(process.execPath, example("shout-anywhere"), network)
          yield* server.prints(/^Listening on port 7000\n$/)
          const answer = yield* kernel.execWith({ input: "hello\n" }, "nc", "-N", address, "7000")
          expect(answer.stdout).toBe("HELLO\n")
        }))
    }
  })
})
