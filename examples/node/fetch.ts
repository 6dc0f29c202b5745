/**
 * Every `fetch` of the process goes by strata, on a TAP device: bring `tap0` up with 192.0.2.1/24, serve something there
 * (`python3 -m http.server 8000`), and give its address: `node fetch.ts http://192.0.2.1:8000/`.
 */
import { NodeRuntime } from "@effect/platform-node"
import { NetworkStack } from "@strata/core"
import { Tap } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import { Console, Effect, Layer } from "effect"
import { Agent, setGlobalDispatcher } from "undici"

const Host = Tap.layer({ name: "tap0", address: "192.0.2.2/24", gateway: "192.0.2.1" }).pipe(
  Layer.provideMerge(NetworkStack.layer)
)

const program = Effect.gen(function*() {
  const { undici } = yield* StrataNode.StrataNode
  setGlobalDispatcher(new Agent({ connect: undici.connect }))
  for (const url of process.argv.slice(2)) {
    const response = yield* Effect.promise(() => fetch(url))
    yield* Console.log(response.status, yield* Effect.promise(() => response.text()))
  }
})

NodeRuntime.runMain(program.pipe(Effect.provide(StrataNode.layer.pipe(Layer.provide(Host)))))
