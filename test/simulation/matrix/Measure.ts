/**
 * Runs a cell in virtual time, and measures it.
 */
import { Icmp, Tcp, TcpMachine } from "@strata/core"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import type { Connection } from "@strata/core/tcp/Tcp"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import type { Conditions } from "@strata/drivers"
import * as Faults from "@strata/drivers/path/Faults"
import { Network, Simulation } from "@strata/simulation"
import type { WireOptions } from "@strata/simulation/Network"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { algorithms } from "./algorithms.ts"
import { type Cell, octetsOf, pathOf, SEGMENT } from "./Cell.ts"
import { Meter } from "./Meter.ts"

export interface Result {
  /** Bits per second of text, from the first segment until the last octet has arrived. */
  readonly goodput: number
  /** Milliseconds of that. */
  readonly time: number
  /** Segments with text: all, those lost by the path, those sent again, and those that arrived for the second time. */
  readonly segments: number
  readonly lost: number
  readonly retransmitted: number
  readonly spurious: number
  /** Expiries of the retransmission timer. */
  readonly timeouts: number
  /** Milliseconds from the first segment to the first one that was lost. */
  readonly firstLoss: number | undefined
}

const PORT = 7
/** Octets of each buffer: more than a transfer has, so that only the network limits it. */
export const BUFFERS = 32 * 1024 * 1024
/** Acknowledgements have all the room they need. */
const ROOMY: Partial<Conditions> = { queue: { packets: 1_000_000, octets: Infinity } }
const CHUNK = Uint8Array.from({ length: 1 << 18 }, (_, index) => index * 31 + (index >>> 8) * 7)

/** Counts the expiries of the retransmission timer. */
class Timeouts {
  count = 0

  readonly machine = Layer.effect(
    TcpMachine,
    Effect.map(TcpMachine, (inner): TcpMachine["Service"] => ({
      ...inner,
      elapse: (tcb, queued, now) => {
        const next = inner.elapse(tcb, queued, now)
        if (next.attempts > tcb.attempts && tcb.deadlines.retransmit <= now) this.count++
        return next
      }
    }))
  ).pipe(Layer.provide(TcpMachine.layer))
}

/** Writes so many octets. */
const writeAll = Effect.fnUntraced(function*(connection: Connection, octets: number) {
  for (let left = octets; left > 0; left -= CHUNK.length) {
    yield* connection.write(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK)
  }
})

/** Reads so many octets; dies when they are not what `writeAll` wrote. */
const readAll = Effect.fnUntraced(function*(connection: Connection, octets: number) {
  for (let at = 0; at < octets;) {
    for (const chunk of yield* connection.read) {
      for (let from = 0; from < chunk.length;) {
        const place = at % CHUNK.length
        const length = Math.min(chunk.length - from, CHUNK.length - place)
        if (Buffer.compare(chunk.subarray(from, from + length), CHUNK.subarray(place, place + length)) !== 0) {
          return yield* Effect.die(new Error(`wrong octets between ${at} and ${at + length}`))
        }
        at += length
        from += length
      }
    }
  }
})

/** What one host sends to the other, and what is done to it on its way. */
interface Transfer {
  readonly octets: number
  readonly algorithm: CongestionAlgorithm
  readonly calm: WireOptions
  /** What changes on the way of the data once the connection is established. */
  readonly rough: Partial<Conditions>
}

/** Makes a transfer, until all of it was read, and gives what the wire has told. */
const transfer = Effect.fnUntraced(function*({ algorithm, calm, octets, rough }: Transfer) {
  const network = yield* Network
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const meter = new Meter({ now, octets })
  const timeouts = new Timeouts()
  const sender = yield* network.host("sender", { middleware: meter.sender, machine: timeouts.machine })
  const receiver = yield* network.host("receiver", { middleware: meter.receiver })
  const wire = yield* network.wire(sender, receiver, calm)
  meter.losses = () => {
    const { forth } = Effect.runSync(wire.counters)
    return forth.lost + forth.overflowed
  }
  // So that no time goes into resolving addresses.
  yield* sender.run(Effect.flatMap(Icmp, (icmp) => icmp.ping(receiver.addresses()[0]!)))
  const listening = yield* Deferred.make<void>()
  const reading = yield* receiver.fork(Effect.gen(function*() {
    const listener = yield* (yield* Tcp).listen({ port: PORT, receiveBuffer: BUFFERS })
    yield* Deferred.succeed(listening, undefined)
    yield* readAll(yield* listener.accept, octets)
    return now()
  }))
  yield* Deferred.await(listening)
  yield* sender.fork(Effect.gen(function*() {
    const remote = toInet(fromIpv4(receiver.addresses()[0]!), PORT)
    const connection = yield* (yield* Tcp).connect({ remote, congestion: algorithm, sendBuffer: BUFFERS })
    yield* wire.set(rough, "forth")
    yield* writeAll(connection, octets)
    return yield* Effect.never
  }))
  const readAt = yield* Fiber.join(reading)
  return { meter, timeouts: timeouts.count, readAt }
}, Effect.orDie)

/** How a cell is run. */
export interface Run {
  readonly seed: number
  /** Whether the sender's device cuts large segments, as the configuration of simulations says by default. */
  readonly offload?: boolean | undefined
}

const simulate = <A>(program: Effect.Effect<A, never, Network>, run: Run) =>
  Effect.orDie(Simulation.run(program, { ...run, invariants: false }))

/** One run of a cell. The same cell, seed and offload give the same result. */
export const measure = (cell: Cell, run: Run): Effect.Effect<Result> => {
  const octets = octetsOf(cell)
  const { calm, rough } = pathOf(cell)
  const program = transfer({
    octets,
    algorithm: algorithms[cell.algorithm],
    calm: { ...calm, back: ROOMY },
    rough
  })
  return Effect.map(simulate(program, run), ({ meter, readAt, timeouts }) => {
    const { firstLossAt, lost, retransmitted, segments, spurious, startedAt = 0 } = meter
    const time = readAt - startedAt
    return {
      goodput: octets * 8000 / time,
      time,
      segments,
      lost,
      retransmitted,
      spurious,
      timeouts,
      firstLoss: firstLossAt === undefined ? undefined : firstLossAt - startedAt
    }
  })
}

/** Segments of the flight whose last one is lost. */
const FLIGHT = 10

/** Milliseconds from the loss of the last segment of a flight, and nothing behind it, until its octets have arrived. */
export const measureTail = (cell: Cell, run: Run): Effect.Effect<number> => {
  let texts = 0
  const program = transfer({
    octets: FLIGHT * SEGMENT,
    algorithm: algorithms[cell.algorithm],
    calm: pathOf(cell).calm,
    rough: {
      faults: (_, decoded) => (decoded().tcp?.length ?? 0) > 0 && ++texts === FLIGHT ? [Faults.lose] : []
    }
  })
  return Effect.map(simulate(program, run), ({ meter, readAt }) => readAt - meter.firstLossAt!)
}
