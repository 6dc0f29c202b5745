/**
 * A TCP echo server on a TAP device: bring `tap0` up with 192.0.2.1/24, and try `nc 192.0.2.2 7`.
 */
import { NodeRuntime } from "@effect/platform-node"
import { NetworkStack } from "@strata/core"
import { Loopback, Tap } from "@strata/drivers"
import { TcpServer } from "@strata/sockets"
import { Console, Effect, Layer, Stream } from "effect"

const Host = Layer.mergeAll(
  Loopback.layer,
  Tap.layer({ name: "tap0", address: "192.0.2.2/24", gateway: "192.0.2.1" })
).pipe(Layer.provideMerge(NetworkStack.layer))

const program = Effect.gen(function*() {
  const server = yield* TcpServer.listen({ port: 7 })
  yield* Console.log("Listening on 192.0.2.2, port 7")
  yield* TcpServer.serve(server, (peer) => Stream.run(peer.incoming, peer.outgoing))
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(Host)))
