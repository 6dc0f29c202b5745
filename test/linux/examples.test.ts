/**
 * The example that needs a TAP.
 */
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import { Kernel, STACK } from "../support/linux.ts"
import { describeLinux } from "../support/namespace.ts"

const example = fileURLToPath(new URL("../../examples/echo-server.ts", import.meta.url))

describeLinux("Linux, examples", ["nc"], () => {
  layer(Kernel.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("echo server", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* kernel.spawn(process.execPath, example)
        yield* server.prints(/^Listening on 192\.0\.2\.2, port 7\n$/)
        const echoed = yield* kernel.execWith({ input: "hello\n" }, "nc", "-N", STACK, "7")
        expect(echoed.stdout).toBe("hello\n")
      }))
  })
})
