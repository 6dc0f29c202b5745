/**
 * Programs for hosts that send octets to each other, and a digest of captures.
 */
import { Tcp } from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import { Distribution, Loss } from "@strata/drivers"
import { type Host, Network } from "@strata/simulation"
import { Effect } from "effect"
import { crc32 } from "node:zlib"
import { patterned } from "../transfer.ts"

/** The CRC-32 of a capture: cheap, and there is nobody to make up two captures of the same. */
export class Digest {
  value = 0

  readonly add = (block: Uint8Array): void => {
    this.value = crc32(block, this.value)
  }
}

export const listen = (port: number) => Effect.flatMap(Tcp, (tcp) => tcp.listen({ port }))

export const connect = (to: Host, port: number) =>
  Effect.flatMap(Tcp, (tcp) => tcp.connect({ remote: toInet(fromIpv4(to.addresses()[0]!), port) }))

/** Writes everything and waits until the peer has it. */
export const send = Effect.fnUntraced(function*(connection: Connection, bytes: Uint8Array) {
  yield* connection.write(bytes)
  yield* connection.closeWrite
  yield* connection.closed
})

/** Reads to the end; dies when it is not what was to be sent. */
export const expectAll = Effect.fnUntraced(function*(connection: Connection, expected: Uint8Array) {
  let at = 0
  const take = Effect.flatMap(connection.read, (chunks) => {
    for (const chunk of chunks) {
      if (Buffer.compare(chunk, expected.subarray(at, at + chunk.length)) !== 0) {
        return Effect.die(`wrong octets after ${at}`)
      }
      at += chunk.length
    }
    return Effect.void
  })
  yield* Effect.forever(take).pipe(Effect.catchTag("Done", () => Effect.void))
  if (at !== expected.length) yield* Effect.die(`${at} octets of ${expected.length}`)
})

const MEBIBYTE = patterned(1 << 20, 1)

/** A mebibyte over a wire that loses, duplicates and reorders. Gives the packets that were put on the wire. */
export const lossyTransfer: Effect.Effect<number, never, Network> = Effect.gen(function*() {
  const network = yield* Network
  const client = yield* network.host("client")
  const server = yield* network.host("server")
  const wire = yield* network.wire(client, server, {
    latency: Distribution.normal(10, 1),
    loss: Loss.bernoulli(0.01),
    duplication: 0.005,
    reordering: { probability: 0.005, delay: 5 }
  })
  yield* client.fork(Effect.flatMap(connect(server, 7), (connection) => send(connection, MEBIBYTE)))
  yield* server.run(Effect.gen(function*() {
    const listener = yield* listen(7)
    yield* expectAll(yield* listener.accept, MEBIBYTE)
  }))
  const { back, forth } = yield* wire.counters
  if (back.lost + forth.lost === 0) yield* Effect.die("nothing was lost")
  return back.offered + forth.offered
}).pipe(Effect.orDie)

/** Connections that say something, do nothing for an hour, and say something again. Gives the packets of the way there. */
export const idleConnections = Effect.fnUntraced(function*(count: number) {
  const network = yield* Network
  const client = yield* network.host("client")
  const server = yield* network.host("server")
  const wire = yield* network.wire(client, server, { latency: Distribution.constant(10) })
  yield* server.fork(Effect.gen(function*() {
    const listener = yield* listen(7)
    const serve = Effect.flatMap(
      listener.accept,
      (connection) => Effect.forever(Effect.flatMap(connection.read, (chunks) => connection.write(chunks[0])))
    )
    yield* Effect.all(Array.from({ length: count }, () => serve), { concurrency: "unbounded" })
  }))
  const say = Effect.fnUntraced(function*(connection: Connection, octet: number) {
    yield* connection.write(Uint8Array.of(octet))
    const [answer] = yield* connection.read
    if (answer[0] !== octet) yield* Effect.die("a wrong answer")
  })
  yield* client.run(Effect.gen(function*() {
    const connections = yield* Effect.all(Array.from({ length: count }, () => connect(server, 7)))
    for (const [index, connection] of connections.entries()) yield* say(connection, index)
    yield* Effect.sleep("1 hour")
    for (const [index, connection] of connections.entries()) yield* say(connection, 255 - index)
  }))
  return (yield* wire.counters).forth.offered
}, Effect.orDie)

/** Hosts on a switch, each of which sends 100 KiB, or `octets`, to the one before it, at a loss of 1 %. Gives the frames on the switch. */
export const neighbours = Effect.fnUntraced(function*(count: number, octets = 100 * 1024) {
  const network = yield* Network
  const hosts = yield* Effect.forEach(Array.from({ length: count }), (_, index) => network.host(`host-${index}`))
  const lan = yield* network.lan(hosts, {
    conditions: { latency: Distribution.constant(1), loss: Loss.bernoulli(0.01) }
  })
  const payloads = hosts.map((_, index) => patterned(octets, index))
  yield* Effect.forEach(hosts, (host, index) =>
    host.fork(Effect.gen(function*() {
      const listener = yield* listen(7)
      yield* send(yield* listener.accept, payloads[index]!)
    })))
  yield* Effect.forEach(hosts, (host, index) => {
    const next = (index + 1) % hosts.length
    return host.run(Effect.flatMap(connect(hosts[next]!, 7), (connection) => expectAll(connection, payloads[next]!)))
  }, { concurrency: "unbounded", discard: true })
  return (yield* lan.counters).received
}, Effect.orDie)
