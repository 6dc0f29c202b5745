/**
 * A client asks a server for some text, over a wire that loses packets. Both are simulated hosts, and all of it takes some
 * milliseconds.
 */
import { Packet } from "@strata/core/device/Packet"
import { Distribution, Loss, Pcapng } from "@strata/drivers"
import { decode } from "@strata/drivers/path/Decoded"
import { Network, Simulation } from "@strata/simulation"
import * as PacketWords from "@strata/simulation/PacketWords"
import { TcpServer, TcpSocket } from "@strata/sockets"
import { Effect, Result, Stream } from "effect"
import { AddressResolver } from "effect/net"

export interface Settings {
  readonly seed: number
  /** Milliseconds from one host to the other. */
  readonly latency: number
  /** The probability that a packet is lost, from 0 to 1. */
  readonly loss: number
  /** Octets that the client asks for. */
  readonly octets: number
}

/** One packet on the wire; times are milliseconds since the first one. */
export interface Flight {
  readonly from: "client" | "server"
  readonly sent: number
  /** There is none of a packet that was lost. */
  readonly arrived?: number
  readonly words: string
}

export interface Conversation {
  readonly flights: ReadonlyArray<Flight>
  /** Octets that the client got. */
  readonly received: number
  /** Milliseconds of virtual time. */
  readonly duration: number
}

const serve = Effect.flatMap(
  TcpServer.listen({ port: 80 }),
  (server) =>
    TcpServer.serve(server, (peer) =>
      Effect.gen(function*() {
        const question = yield* peer.incoming.pipe(Stream.decodeText(), Stream.mkString)
        yield* peer.write("strata ".repeat(Number(question) / 7 + 1).slice(0, Number(question)))
      }))
)

const ask = Effect.fnUntraced(function*(octets: number) {
  const [remote] = yield* (yield* AddressResolver.AddressResolver).resolve("server:80", { family: "IPv4" })
  const socket = yield* TcpSocket.connect({ remote })
  yield* Effect.andThen(socket.write(`${octets}`), socket.closeWrite)
  const answer = yield* socket.incoming.pipe(Stream.decodeText(), Stream.mkString)
  return answer.length
}, Effect.scoped)

const joined = (blocks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const file = new Uint8Array(blocks.reduce((sum, block) => sum + block.length, 0))
  let at = 0
  for (const block of blocks) {
    file.set(block, at)
    at += block.length
  }
  return file
}

/** A packet of full size takes a millisecond. */
const BITS_PER_SECOND = 12_000_000

const NANOSECONDS = 1_000_000
/** Milliseconds by which a packet may seem to arrive too early: times are rounded. */
const ROUNDING = 0.001

/** The packets of a capture that has the devices of both hosts: each is there when it leaves, and again if it arrives. */
const flightsOf = (blocks: ReadonlyArray<Uint8Array>, latency: number): ReadonlyArray<Flight> => {
  const packets = Result.getOrThrow(Pcapng.decode(joined(blocks))).filter((block) => block._tag === "Packet")
  const begin = packets[0]?.time ?? 0n
  const describe = PacketWords.make()
  const flights: Array<{ from: Flight["from"]; sent: number; arrived?: number; words: string }> = []
  const leaving = new Map<string, Array<(typeof flights)[number]>>()
  for (const packet of packets) {
    const time = Number(packet.time - begin) / NANOSECONDS
    const content = packet.bytes.join()
    if (packet.direction === "outbound") {
      const frame = decode(new Packet(packet.bytes, 0, packet.bytes.length), "ethernet")
      // Each host announces its address, and the first one does before the other is on the wire.
      if (frame.arp !== undefined && frame.arp.sender === frame.arp.target) continue
      const flight = { from: packet.interface === 0 ? "client" : "server", sent: time, words: describe(frame) } as const
      flights.push(flight)
      leaving.set(content, [...leaving.get(content) ?? [], flight])
    } else {
      const flight = leaving.get(content)?.findLast((one) => one.sent <= time - latency + ROUNDING)
      if (flight !== undefined) flight.arrived = time
    }
  }
  return flights
}

export const converse = Effect.fnUntraced(function*({ latency, loss, octets, seed }: Settings) {
  const blocks: Array<Uint8Array> = []
  const received = yield* Simulation.run(
    Effect.gen(function*() {
      const network = yield* Network
      const client = yield* network.host("client")
      const server = yield* network.host("server", { boot: serve })
      yield* network.wire(client, server, {
        latency: Distribution.constant(latency),
        bandwidth: BITS_PER_SECOND,
        loss: Loss.bernoulli(loss)
      })
      const answered = yield* client.run(ask(octets))
      // What is still on its way arrives.
      yield* Effect.sleep("1 second")
      return answered
    }),
    { seed, capture: (block) => blocks.push(block) }
  )
  const flights = flightsOf(blocks, latency)
  const duration = Math.max(...flights.map((flight) => flight.arrived ?? flight.sent))
  return { flights, received, duration } satisfies Conversation
})
