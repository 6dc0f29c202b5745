/**
 * The examples that need a TAP.
 */
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import * as Databases from "../support/databases.ts"
import { KERNEL, Kernel, STACK } from "../support/linux.ts"
import { describeLinux } from "../support/namespace.ts"

const example = (name: string) => fileURLToPath(new URL(`../../examples/${name}.ts`, import.meta.url))

describeLinux("Linux, examples", ["nc", "curl"], () => {
  layer(Kernel.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("echo server", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* kernel.spawn(process.execPath, example("echo-server"))
        yield* server.prints(/^Listening on 192\.0\.2\.2, port 7\n$/)
        const echoed = yield* kernel.execWith({ input: "hello\n" }, "nc", "-N", STACK, "7")
        expect(echoed.stdout).toBe("hello\n")
      }))

    it.effect("express", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* kernel.spawn(process.execPath, example("node/express"))
        yield* server.prints(/^Listening on http:\/\/192\.0\.2\.2\/\n$/)
        const hello = yield* kernel.succeed("curl", "-sS", `http://${STACK}/hello/you`)
        expect(hello.stdout).toBe("Hello, you!\n")
        const json = yield* kernel.succeed("curl", "-sS", "--json", "{\"a\":1}", `http://${STACK}/json`)
        expect(json.stdout).toBe("{\"a\":1}")
      }))

    it.effect("fetch", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const serve =
          "require('node:http').createServer((q, a) => a.end(q.url)).listen(8000, '0.0.0.0', () => console.log('ready'))"
        const server = yield* kernel.spawn(process.execPath, "-e", serve)
        yield* server.prints(/ready/)
        const urls = ["/a", "/b"].map((path) => `http://${KERNEL}:8000${path}`)
        const fetched = yield* kernel.succeed(process.execPath, example("node/fetch"), ...urls)
        expect(fetched.stdout).toBe("200 /a\n200 /b\n")
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

describeLinux("Linux, examples with databases", Databases.PROGRAMS, () => {
  layer(Kernel.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("pg", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* Databases.postgres(kernel)
        const { password, user } = Databases.USER
        const settings = [`PGUSER=${user}`, `PGPASSWORD=${password}`]
        const asked = yield* kernel.succeed("env", ...settings, process.execPath, example("node/pg"))
        expect(asked.stdout).toBe(`{ me: '${STACK}/32', sum: 5050 }\n`)
      }))

    it.effect("redis", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* Databases.redis(kernel)
        const asked = yield* kernel.succeed(process.execPath, example("node/redis"))
        expect(asked.stdout).toBe("OK, strata\n")
      }))
  })
})
