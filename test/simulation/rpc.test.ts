/**
 * Effect's rpc over Effect's sockets over strata: what its client and server promise, they keep through 5 % loss and a
 * partition of ten seconds, and do so the same for the same seed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Distribution, Loss } from "@strata/drivers"
import { type Host, Network, Simulation, type WireLink } from "@strata/simulation"
import { StrataSocket, StrataSocketServer } from "@strata/sockets"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { Rpc, RpcClient, type RpcClientError, RpcGroup, RpcMessage, RpcSerialization, RpcServer } from "effect/rpc"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"

class Arithmetic extends RpcGroup.make(
  Rpc.make("double", { payload: { value: Schema.Number }, success: Schema.Number }),
  Rpc.make("countTo", { payload: { value: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("think", { success: Schema.Void })
) {}

/** What the server has been asked. */
interface Seen {
  doubled: number
  thinking: number
  interrupted: number
}

const handlers = (seen: Seen) =>
  Arithmetic.toLayer({
    double: ({ value }) =>
      Effect.sync(() => {
        seen.doubled++
        return value * 2
      }),
    countTo: ({ value }) => Stream.range(1, value),
    think: () =>
      Effect.suspend(() => {
        seen.thinking++
        return Effect.never
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => seen.interrupted++)))
  })

const serve = (seen: Seen) =>
  RpcServer.layer(Arithmetic).pipe(
    Layer.provide(handlers(seen)),
    Layer.provide(RpcServer.layerProtocolSocketServer),
    Layer.provide(StrataSocketServer.layer({ port: 7000 })),
    Layer.provide(RpcSerialization.layerNdjson),
    Layer.launch
  )

const connect = RpcClient.layerProtocolSocket({ retryTransientErrors: true }).pipe(
  Layer.provide(StrataSocket.layerNet({ host: "server", port: 7000, openTimeout: "2 seconds" })),
  Layer.provide(RpcSerialization.layerNdjson)
)

type Client = RpcClient.FromGroup<typeof Arithmetic, RpcClientError.RpcClientError>

interface World {
  readonly client: Client
  readonly seen: Seen
  readonly wire: WireLink
  readonly host: Host
}

/** Effect counts the requests of all clients of a process together; as the ids of its spans, that would differ from run to run. */
const counting = () => {
  let last = 0
  return () => RpcMessage.RequestId(++last)
}

/** A program with a client of a server beyond a wire that loses every twentieth packet. */
const through = <A>(
  program: (world: World) => Effect.Effect<A, unknown, Scope.Scope>,
  options: Simulation.Options = {}
) =>
  Simulation.run(
    Effect.gen(function*() {
      const network = yield* Network
      const seen: Seen = { doubled: 0, thinking: 0, interrupted: 0 }
      const host = yield* network.host("client")
      const server = yield* network.host("server", { boot: serve(seen) })
      const wire = yield* network.wire(host, server, {
        latency: Distribution.around(20, 5),
        loss: Loss.bernoulli(0.05)
      })
      return yield* host.run(
        Effect.flatMap(RpcClient.make(Arithmetic, { generateRequestId: counting(), disableTracing: true }), (client) =>
          program({ client, seen, wire, host })).pipe(
            Effect.provide(connect)
          )
      )
    }),
    options
  )

const until = Effect.fnUntraced(function*(holds: () => boolean) {
  while (!holds()) yield* Effect.sleep(10)
})

/** Calls until it is answered. */
const insist = (client: Client, value: number) =>
  client.double({ value }).pipe(Effect.timeout("2 seconds"), Effect.retry(Schedule.spaced("500 millis")))

const numbers = Array.from({ length: 200 }, (_, index) => index)

describe("rpc through loss", () => {
  it.effect("answers every call", () =>
    through(({ client, seen }) =>
      Effect.gen(function*() {
        const doubled = yield* Effect.forEach(numbers, (value) => client.double({ value }), { concurrency: 20 })
        assert.deepStrictEqual(doubled, numbers.map((value) => value * 2))
        assert.strictEqual(seen.doubled, numbers.length)
      })
    ))

  it.effect("streams without a gap", () =>
    through(({ client }) =>
      Effect.gen(function*() {
        const all = yield* Stream.runCollect(client.countTo({ value: 2000 }))
        assert.deepStrictEqual([...all], Array.from({ length: 2000 }, (_, index) => index + 1))
      })
    ))

  it.effect("tells the server of a timeout and of an interruption", () =>
    through(({ client, seen }) =>
      Effect.gen(function*() {
        const timedOut = yield* Effect.exit(Effect.timeout(client.think(), "3 seconds"))
        assert.isTrue(Exit.isFailure(timedOut))
        yield* until(() => seen.interrupted === 1)
        const thinking = yield* Effect.forkChild(client.think())
        yield* until(() => seen.thinking === 2)
        yield* Fiber.interrupt(thinking)
        yield* until(() => seen.interrupted === 2)
        assert.strictEqual(yield* client.double({ value: 21 }), 42)
      })
    ))
})

const outage = ({ client, seen, wire }: World) =>
  Effect.gen(function*() {
    assert.strictEqual(yield* insist(client, 1), 2)
    const began = yield* Clock.currentTimeMillis
    const thinking = yield* Effect.forkChild(Effect.exit(client.think()))
    yield* until(() => seen.thinking === 1)
    yield* wire.partition
    const insisting = yield* Effect.forkChild(
      Effect.forEach(numbers.slice(0, 20), (value) => insist(client, value), { concurrency: "unbounded" })
    )
    yield* Effect.sleep("10 seconds")
    yield* wire.heal
    const answers = yield* Fiber.join(insisting)
    assert.deepStrictEqual(answers, numbers.slice(0, 20).map((value) => value * 2))
    // What was under way is lost, and its caller knows.
    const lost = yield* Fiber.join(thinking)
    assert.isTrue(Exit.isFailure(lost))
    const took = (yield* Clock.currentTimeMillis) - began
    assert.isBelow(took, 60_000)
    return { took, doubled: seen.doubled }
  })

describe("rpc through a partition of ten seconds", () => {
  it.effect("answers who asks again", () => through(outage))

  it.effect("does the same for the same seed", () =>
    Effect.gen(function*() {
      const once = Effect.fnUntraced(function*(seed: number) {
        const hash = createHash("sha256")
        const outcome = yield* through(outage, { seed, capture: (block) => void hash.update(block) })
        return { ...outcome, capture: hash.digest("hex") }
      })
      const first = yield* once(7)
      assert.deepStrictEqual(yield* once(7), first)
      assert.notStrictEqual((yield* once(8)).capture, first.capture)
    }))
})
