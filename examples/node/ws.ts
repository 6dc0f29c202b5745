/**
 * Two hosts on a wire, in one process and without privileges: one serves WebSockets by `ws`, the other one comes and speaks.
 */
import { NetworkStack } from "@strata/core"
import { Wire } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import { Console, Context, Effect, Layer } from "effect"
import { once } from "node:events"
import { WebSocket, WebSocketServer } from "ws"

const wire = Wire.make()
const host = Effect.fnUntraced(function*(end: Wire.End, address: string) {
  const stack = Wire.layer(end, { address }).pipe(Layer.provideMerge(NetworkStack.layer))
  return Context.get(yield* Layer.build(Layer.fresh(Layer.provide(StrataNode.layer, stack))), StrataNode.StrataNode)
})

const program = Effect.gen(function*() {
  const [left, right] = [yield* host(wire.left, "192.0.2.1/24"), yield* host(wire.right, "192.0.2.2/24")]
  const server = right.http.createServer().listen(80)
  new WebSocketServer({ server }).on("connection", (peer) => peer.on("message", (text) => peer.send(`${text}!`)))
  const socket = new WebSocket("ws://192.0.2.2/", { agent: left.http.agent })
  socket.on("open", () => socket.send("hello"))
  const [answer] = yield* Effect.promise(() => once(socket, "message"))
  yield* Console.log(String(answer))
})

Effect.runPromise(Effect.scoped(program))
