/**
 * Several transfers that share one bottleneck: senders on a switch, whose port
 * to the one receiver is slow and has a queue that drops its newest packet.
 */
import { Icmp, Tcp } from "@strata/core"
import type { Middleware } from "@strata/core/device/Middleware"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import { Distribution, Loss } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { FRAME } from "./Cell.ts"

export interface Bottleneck {
  /** Bits per second. */
  readonly rate: number
  /** Milliseconds. */
  readonly roundTrip: number
  /** Packets; what fits the path by default. */
  readonly queue?: number | undefined
  /** How long to let the flows find their shares, and how long to measure these; seconds. */
  readonly settle: number
  readonly measure: number
  /** Seconds from the start of one flow to that of the next. */
  readonly apart: number
  /** What is lost on the way to the receiver; nothing by default. */
  readonly loss?: Loss.Loss | undefined
  /** Octets of each send and receive buffer. */
  readonly buffers?: number | undefined
  /** Goes around the devices of the senders. */
  readonly middleware?: Middleware | undefined
}

/** The congestion control of a flow; that of the stack by default. */
export type Flow = CongestionAlgorithm | undefined

export interface Shares {
  /** Bits per second of text that each flow delivered. */
  readonly goodputs: ReadonlyArray<number>
  readonly total: number
  /** Jain, Chiu, Hawe, "A Quantitative Measure of Fairness" (1984): 1 where all have the same, 1/n where one has everything. */
  readonly jain: number
}

const PORT = 7
const CHUNK = new Uint8Array(1 << 18)

export const jain = (shares: ReadonlyArray<number>): number =>
  shares.reduce((sum, share) => sum + share, 0) ** 2 /
  (shares.length * shares.reduce((sum, share) => sum + share ** 2, 0))

const program = Effect.fnUntraced(function*(flows: ReadonlyArray<Flow>, path: Bottleneck) {
  const network = yield* Network
  const receiver = yield* network.host("receiver")
  const senders = yield* Effect.forEach(
    flows,
    (_, index) => network.host(`sender-${index}`, { middleware: path.middleware })
  )
  const half = path.roundTrip / 2
  // As much chance as a packet takes on the bottleneck, or the packets of one flow always find the room that those of the
  // other have made (Floyd, Jacobson, "On Traffic Phase Effects in Packet-Switched Gateways", 1992).
  const latency = Distribution.uniform(half, half + FRAME * 8000 / path.rate)
  const lan = yield* network.lan([receiver, ...senders], { conditions: { latency } })
  const fits = Math.ceil(path.rate * path.roundTrip / 8000 / FRAME)
  yield* lan.set(
    {
      bandwidth: path.rate,
      queue: { packets: path.queue ?? Math.max(20, fits), octets: Infinity },
      loss: path.loss ?? Loss.bernoulli(0)
    },
    receiver
  )

  const received = flows.map(() => 0)
  yield* Effect.forEach(senders, (sender, index) =>
    Effect.gen(function*() {
      yield* sender.run(Effect.flatMap(Icmp, (icmp) => icmp.ping(receiver.addresses()[0]!)))
      const listening = yield* Deferred.make<void>()
      yield* receiver.fork(Effect.gen(function*() {
        const listener = yield* (yield* Tcp).listen({ port: PORT + index, receiveBuffer: path.buffers })
        yield* Deferred.succeed(listening, undefined)
        const connection = yield* listener.accept
        yield* Effect.forever(Effect.map(connection.read, (chunks) => {
          for (const chunk of chunks) received[index]! += chunk.length
        }))
      }))
      yield* Deferred.await(listening)
      yield* sender.fork(Effect.gen(function*() {
        const remote = toInet(fromIpv4(receiver.addresses()[0]!), PORT + index)
        const connection = yield* (yield* Tcp).connect({ remote, congestion: flows[index], sendBuffer: path.buffers })
        yield* Effect.forever(connection.write(CHUNK))
      }))
      if (index < flows.length - 1) yield* Effect.sleep(path.apart * 1000)
    }))
  yield* Effect.sleep(path.settle * 1000)
  const before = [...received]
  yield* Effect.sleep(path.measure * 1000)
  return received.map((octets, index) => (octets - before[index]!) * 8 / path.measure)
}, Effect.orDie)

/** What each flow got. The same flows, path and seed give the same shares. */
export const share = (
  flows: ReadonlyArray<Flow>,
  path: Bottleneck,
  seed = 1
): Effect.Effect<Shares> =>
  Simulation.run(program(flows, path), { seed, invariants: false }).pipe(
    Effect.orDie,
    Effect.map((goodputs) => ({
      goodputs,
      total: goodputs.reduce((sum, goodput) => sum + goodput, 0),
      jain: jain(goodputs)
    }))
  )
