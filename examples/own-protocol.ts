/**
 * A protocol of one's own, on two hosts that have neither ICMP nor UDP nor TCP.
 */
import { Entropy, Ipv4, NetworkStack, Packet } from "@strata/core"
import { Wire } from "@strata/drivers"
import { Console, Deferred, Effect, Layer } from "effect"

const PROTOCOL = 253 // for experiments (RFC 3692)
const wire = Wire.make()
const host = (end: Wire.End, address: string) =>
  Wire.layer(end, { address }).pipe(Layer.provideMerge(NetworkStack.network), Layer.provide(Entropy.layer), Layer.fresh)

const listener = Effect.gen(function*() {
  const heard = yield* Deferred.make<Uint8Array>()
  yield* (yield* Ipv4).handle(PROTOCOL, (_device, packet) => {
    Deferred.doneUnsafe(heard, Effect.succeed(packet.toBytes()))
  })
  yield* Console.log(new TextDecoder().decode(yield* Deferred.await(heard)))
}).pipe(Effect.scoped, Effect.provide(host(wire.right, "192.0.2.2/24")))

const speaker = Effect.gen(function*() {
  const ipv4 = yield* Ipv4
  const packet = Packet.make(64)
  packet.append(new TextEncoder().encode("Hello from 192.0.2.1"))
  ipv4.output(Object.assign(packet, { destination: 0xc0000202, protocol: PROTOCOL }))
  yield* Effect.never
}).pipe(Effect.provide(host(wire.left, "192.0.2.1/24")))

Effect.runPromise(Effect.raceFirst(listener, speaker))
