/**
 * An express application on a TAP device: bring `tap0` up with 192.0.2.1/24, and try `curl http://192.0.2.2/hello/you`.
 */
import { NodeRuntime } from "@effect/platform-node"
import { NetworkStack } from "@strata/core"
import { Loopback, Tap } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import { Console, Effect, Layer } from "effect"
import express from "express"

const Host = Layer.mergeAll(
  Loopback.layer,
  Tap.layer({ name: "tap0", address: "192.0.2.2/24", gateway: "192.0.2.1" })
).pipe(Layer.provideMerge(NetworkStack.layer))

const app = express()
app.get("/hello/:name", (request, response) => void response.send(`Hello, ${request.params.name}!\n`))
app.post("/json", express.json(), (request, response) => void response.json(request.body))

const program = Effect.gen(function*() {
  const { http } = yield* StrataNode.StrataNode
  http.createServer(app).listen(80)
  yield* Console.log("Listening on http://192.0.2.2/")
  return yield* Effect.never
})

NodeRuntime.runMain(program.pipe(Effect.provide(StrataNode.layer.pipe(Layer.provide(Host)))))
