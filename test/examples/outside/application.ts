/**
 * An application that knows strata by its packages only, and does what the
 * command line does: every service, both clients, ping, and the log.
 *
 * The test copies it out of the repository, checks its types and runs it there.
 */
import { Icmp, Log, NetworkStack, Statistics, Tcp, Trace } from "@strata/core"
import { Loopback, PacketSocket, Tap, Wire } from "@strata/drivers"
import { SimpleServices, TcpSocket, UdpSocket } from "@strata/sockets"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { NetAddress } from "effect/net"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** The devices of real networks, as the command line composes them. */
export const onTap = Tap.layer({
  name: "tap0",
  address: "192.0.2.2/24",
  gateway: "192.0.2.1",
  mac: "00:00:5e:00:53:01"
})
export const onInterface = PacketSocket.layer({ name: "eth0", address: "192.0.2.2/24" })

const logged: Array<string> = []
const log = Log.layer({ level: "debug", hexdump: true, write: (text) => logged.push(text) }).pipe(
  Layer.provide(Trace.layer)
)
const wire = Wire.make()
const host = (end: Wire.End, address: string) =>
  Loopback.layer.pipe(
    Layer.provideMerge(Wire.layer(end, { address })),
    Layer.provideMerge(NetworkStack.layer),
    Layer.provideMerge(log),
    Layer.fresh
  )

const SERVER = "192.0.2.2"

const server = Effect.gen(function*() {
  yield* SimpleServices.echo({ port: 7 })
  yield* SimpleServices.echoUdp({ port: 7 })
  yield* SimpleServices.discard({ port: 9 })
  yield* SimpleServices.daytime({ port: 13 })
  yield* SimpleServices.chargen({ port: 19 })
  return yield* Effect.never
}).pipe(Effect.scoped, Effect.provide(host(wire.right, `${SERVER}/24`)))

const converse = Effect.fnUntraced(function*(port: number, say: string) {
  const socket = yield* TcpSocket.connect({ remote: `${SERVER}:${port}`, localPort: 40_000 + port })
  yield* socket.write(say)
  yield* socket.closeWrite
  return yield* socket.incoming.pipe(Stream.decodeText(), Stream.mkString)
}, Effect.scoped)

const characters = Effect.gen(function*() {
  const socket = yield* TcpSocket.connect({ host: SERVER, port: 19 })
  const line = yield* socket.incoming.pipe(Stream.decodeText(), Stream.splitLines, Stream.runHead)
  return Option.getOrThrow(line)
}).pipe(Effect.scoped)

const datagram = Effect.gen(function*() {
  const socket = yield* UdpSocket.connect({ remote: `${SERVER}:7` })
  yield* socket.send("datagram")
  return new TextDecoder().decode(Option.getOrThrow(yield* Stream.runHead(socket.datagrams)).payload)
}).pipe(Effect.scoped)

const client = Effect.gen(function*() {
  const icmp = yield* Icmp
  const tcp = yield* Tcp
  const statistics = yield* Statistics
  const address = NetAddress.ipFromStringUnsafe(SERVER) as NetAddress.Ipv4Address
  const reply = yield* icmp.ping(address, { payload: new Uint8Array(4000) })
  const results = {
    ping: reply.length,
    echo: yield* converse(7, "there and back"),
    discard: yield* converse(9, "gone"),
    daytime: yield* converse(13, ""),
    chargen: yield* characters,
    udp: yield* datagram,
    refused: yield* Effect.flip(converse(4, "")).pipe(Effect.map((error) => error.reason._tag)),
    connections: (yield* tcp.status).length,
    received: (yield* statistics.snapshot)["device.eth0.receivedPackets"] ?? 0,
    logged: logged.filter((text) => /\] tcp\.input: /.test(text)).length
  }
  yield* Console.log(JSON.stringify(results))
}).pipe(Effect.provide(host(wire.left, "192.0.2.1/24")))

await Effect.runPromise(Effect.raceFirst(client, server))
