/**
 * Two hosts on a wire, in one process and without privileges: a program for `node:dgram` answers another one.
 */
import { NetworkStack } from "@strata/core"
import { Wire } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import { Console, Context, Effect, Layer } from "effect"
import { once } from "node:events"

const wire = Wire.make()
const host = Effect.fnUntraced(function*(end: Wire.End, address: string) {
  const stack = Wire.layer(end, { address }).pipe(Layer.provideMerge(NetworkStack.layer))
  return Context.get(yield* Layer.build(Layer.fresh(Layer.provide(StrataNode.layer, stack))), StrataNode.StrataNode)
})

const program = Effect.gen(function*() {
  const [left, right] = [yield* host(wire.left, "192.0.2.1/24"), yield* host(wire.right, "192.0.2.2/24")]
  const server = right.dgram.createSocket("udp4", (question, from) => {
    server.send(question, from.port, from.address)
  })
  server.bind(7)
  const client = left.dgram.createSocket("udp4")
  client.send("hello", 7, "192.0.2.2")
  const [answer] = yield* Effect.promise(() => once(client, "message"))
  yield* Console.log(String(answer))
})

Effect.runPromise(Effect.scoped(program))
