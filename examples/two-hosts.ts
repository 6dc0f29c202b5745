/**
 * Two hosts in one process, a wire between them, and no privileges: one pings the other and says hello.
 */
import { Icmp, NetworkStack } from "@strata/core"
import { Wire } from "@strata/drivers"
import { TcpServer, TcpSocket } from "@strata/sockets"
import { Console, Effect, Layer, Stream } from "effect"
import { NetAddress } from "effect/net"

const wire = Wire.make()
const host = (end: Wire.End, address: string) =>
  Layer.fresh(Wire.layer(end, { address }).pipe(Layer.provideMerge(NetworkStack.layer)))

const server = Effect.gen(function*() {
  const greeter = yield* TcpServer.listen({ port: 7 })
  yield* TcpServer.serve(greeter, (peer) => peer.write(`Hello, ${peer.remote.address}!`))
}).pipe(Effect.scoped, Effect.provide(host(wire.right, "192.0.2.2/24")))

const client = Effect.gen(function*() {
  const reply = yield* (yield* Icmp).ping(NetAddress.ipv4FromBytesUnsafe(Uint8Array.of(192, 0, 2, 2)))
  yield* Console.log(`${reply.address} answered with ${reply.length} bytes`)
  const socket = yield* TcpSocket.connect({ remote: "192.0.2.2:7" })
  yield* Console.log(yield* socket.incoming.pipe(Stream.decodeText(), Stream.mkString))
}).pipe(Effect.scoped, Effect.provide(host(wire.left, "192.0.2.1/24")))

Effect.runPromise(Effect.raceFirst(client, server))
