/**
 * PostgreSQL and Redis by `pg` and `ioredis`, which know nothing of strata, through a TAP. Each case runs on the kernel's
 * sockets first: what programs see must be the same.
 */
import { assert, layer } from "@effect/vitest"
import { NetworkStack, Tcp } from "@strata/core"
import { Tap } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import { postgres } from "../databases/postgres.ts"
import { redis } from "../databases/redis.ts"
import { backends, soak } from "../databases/soak.ts"
import * as Databases from "../support/databases.ts"
import { describeOffloads, KERNEL, type Offload, ON_AND_OFF, STACK } from "../support/linux.ts"
import * as LossyPath from "../support/lossyPath.ts"
import type * as Namespace from "../support/namespace.ts"

const program = fileURLToPath(new URL("../databases/onBoth.ts", import.meta.url))

/** The program that runs all cases, in a namespace with a cable to that of the servers. */
class Course extends Context.Service<Course, Namespace.Running>()("test/Course") {
  static readonly layer = (offload: Offload) =>
    Layer.effect(
      Course,
      Effect.gen(function*() {
        const { client, server } = yield* Databases.network
        yield* Effect.all([Databases.postgres(server), Databases.redis(server)], { concurrency: "unbounded" })
        return yield* client.spawn(process.execPath, program, server.name, JSON.stringify(offload))
      })
    )
}

interface Report {
  readonly name: string
  readonly kernel: { readonly value?: unknown; readonly failure?: string }
  readonly strata: { readonly value?: unknown; readonly failure?: string }
  readonly left: ReadonlyArray<string>
}

/** The report of a case, as soon as there is one: they come in the order of the cases. */
const reportOf = Effect.fnUntraced(function*(index: number) {
  const running = yield* Course
  yield* Effect.catchDefect(
    running.prints(new RegExp(`^({.*}\n){${index + 1}}`)),
    () => Effect.die(new Error(`the cases ended early: ${running.stderr()}`))
  )
  const report: Report = JSON.parse(running.stdout().split("\n")[index]!)
  return report
})

const names = [...postgres, ...redis].map(({ name }, index) => [name, index] as const)

describeOffloads("Linux, databases", [...Databases.PROGRAMS, "nft"], (offload) => {
  layer(Course.layer(offload), { excludeTestServices: true, timeout: 60_000 })((it) => {
    it.effect.each(names)("%s", ([name, index]) =>
      Effect.gen(function*() {
        const { kernel, left, name: reported, strata } = yield* reportOf(index)
        assert.strictEqual(reported, name)
        assert.strictEqual(kernel.failure, undefined, "with the kernel's sockets")
        assert.strictEqual(strata.failure, undefined, "with strata's sockets")
        assert.deepStrictEqual(strata.value, kernel.value)
        assert.deepStrictEqual(left, [], "connections that are left")
      }))
  })
}, ON_AND_OFF)

/** Milliseconds for which the databases are asked through losses; STRATA_SOAK in seconds makes it longer. */
const SOAK = Number(process.env.STRATA_SOAK ?? 4) * 1000

class Servers extends Context.Service<Servers, LossyPath.LossyPath>()("test/Servers") {
  static readonly layer = Layer.effect(
    Servers,
    Effect.gen(function*() {
      const path = yield* LossyPath.make
      yield* Effect.all([Databases.postgres(path.kernel), Databases.redis(path.kernel)], { concurrency: "unbounded" })
      return path
    })
  )
}

const host = (offload: Offload) =>
  Layer.unwrap(
    Effect.map(Servers, ({ middle }) =>
      StrataNode.layer.pipe(
        Layer.provideMerge(
          Tap.layer({ name: LossyPath.Port.stack, address: `${STACK}/24`, namespace: middle.path, offload })
        ),
        Layer.provideMerge(NetworkStack.layer)
      ))
  ).pipe(Layer.provideMerge(Servers.layer))

describeOffloads("Linux, databases and losses", [...Databases.PROGRAMS, ...LossyPath.PROGRAMS], (offload) => {
  layer(host(offload), { excludeTestServices: true, timeout: 60_000 })((it) => {
    it.effect("a pool and a client work on, nothing is lost, and nothing stays", () =>
      Effect.gen(function*() {
        const { lose, lost } = yield* Servers
        const { net } = yield* StrataNode.StrataNode
        yield* lose(0.01)
        yield* Effect.promise(() => soak({ name: "strata", net, host: KERNEL }, SOAK))
        const { fromKernel, fromStack } = yield* lost
        assert.isAbove(fromKernel, 0)
        assert.isAbove(fromStack, 0)
        yield* lose(0)
        const { status } = yield* Tcp
        const open = Effect.map(status, (all) => all.filter(({ state }) => state !== "TIME-WAIT"))
        yield* Effect.repeat(Effect.delay(open, "50 millis"), { until: (left) => left.length === 0 })
        const left = yield* Effect.promise(() => backends({ name: "strata", net, host: KERNEL }))
        assert.strictEqual(left, 1, "the server knows of the one who asks, and of nobody else")
      }), 60_000 + SOAK)
  })
}, ON_AND_OFF)
