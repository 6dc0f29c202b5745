/**
 * Two hosts on a wire: one hears a group, but for those it has blocked, and a channel of one source; the other speaks to both.
 */
import { NetworkStack } from "@strata/core"
import { Wire } from "@strata/drivers"
import { UdpSocket } from "@strata/sockets"
import { Console, Effect, Layer, Stream } from "effect"

const wire = Wire.make()
const host = (end: Wire.End, address: string) =>
  Layer.fresh(Wire.layer(end, { address }).pipe(Layer.provideMerge(NetworkStack.layer)))

const listener = Effect.gen(function*() {
  const socket = yield* UdpSocket.bind({ port: 5000, shared: true })
  yield* socket.join("239.1.2.3")
  yield* socket.block("239.1.2.3", "192.0.2.66")
  yield* socket.join("232.1.2.3", { source: "192.0.2.1" })
  yield* socket.datagrams.pipe(
    Stream.take(2),
    Stream.runForEach(({ destination, payload }) => Console.log(`${destination}: ${new TextDecoder().decode(payload)}`))
  )
}).pipe(Effect.scoped, Effect.provide(host(wire.right, "192.0.2.2/24")))

const speaker = Effect.gen(function*() {
  const socket = yield* UdpSocket.bind({ multicast: { timeToLive: 1, loopback: false } })
  for (const group of ["239.1.2.3", "232.1.2.3"]) yield* socket.send(`hello ${group}`, `${group}:5000`)
}).pipe(Effect.scoped, Effect.provide(host(wire.left, "192.0.2.1/24")))

Effect.runPromise(Effect.all([listener, Effect.delay(speaker, 100)], { concurrency: "unbounded" }))
