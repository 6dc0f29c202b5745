/**
 * Asks Redis by `ioredis`: bring `tap0` up with 192.0.2.1/24, and let a server listen there.
 */
import { NodeRuntime } from "@effect/platform-node"
import { NetworkStack } from "@strata/core"
import { Tap } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import { Console, Effect, Layer } from "effect"
import { AbstractConnector, Redis } from "ioredis"

const Host = Tap.layer({ name: "tap0", address: "192.0.2.2/24" }).pipe(Layer.provideMerge(NetworkStack.layer))

const program = Effect.gen(function*() {
  const { net } = yield* StrataNode.StrataNode
  class Connector extends AbstractConnector {
    constructor() {
      super(2000)
    }
    override async connect() {
      this.connecting = true
      return this.stream = net.connect(6379, "192.0.2.1").once("error", (error) => this.firstError = error)
    }
  }
  const redis = new Redis({ Connector })
  const [set, got] = yield* Effect.promise(() => Promise.all([redis.set("name", "strata"), redis.get("name")]))
  yield* Console.log(`${set}, ${got}`)
  yield* Effect.promise(() => redis.quit())
})

NodeRuntime.runMain(program.pipe(Effect.provide(StrataNode.layer.pipe(Layer.provide(Host)))))
