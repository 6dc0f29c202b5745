/**
 * A transfer between two simulated hosts, and what can be seen of it from
 * outside: when each segment left, how long it took, what was sent twice.
 *
 * It is what a mutation of TCP's finer points is judged by: one that loses no
 * octet, but time.
 */
import { Icmp, Tcp, TcpMachine } from "@strata/core"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { type Counts, NO_COUNTS } from "@strata/core/tcp/Counts"
import { type Emission, rfc9293 } from "@strata/core/tcp/TcpMachine"
import type { TcpSettings } from "@strata/core/tcp/TcpSettings"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import { type Conditions, Distribution } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type { Machine } from "./Mutation.ts"

export interface Trial {
  /** Octets of each write, and milliseconds before it. */
  readonly writes: ReadonlyArray<readonly [octets: number, pause: number]>
  /** Milliseconds there and back, and bits per second. */
  readonly roundTrip: number
  readonly rate: number
  /** What happens to the packets with text, by their number, once the connection is established. */
  readonly data?: Partial<Conditions>
  /** What happens to acknowledgements. */
  readonly acknowledgements?: Partial<Conditions>
  /** From the start. */
  readonly wire?: Partial<Conditions>
  readonly settings?: Partial<TcpSettings>
  readonly congestion?: CongestionAlgorithm
  readonly receiveBuffer?: number
  /** Milliseconds after which the trial is over, whatever has arrived. */
  readonly limit?: number
}

/** A segment of the sender's with text or FIN. */
export interface Sent {
  /** Milliseconds since the first one. */
  readonly at: number
  readonly from: number
  readonly to: number
  readonly again: boolean
  readonly emission: Emission
}

export interface Seen {
  /** Milliseconds until everything was read, or `Infinity`. */
  readonly time: number
  readonly sent: ReadonlyArray<Sent>
  readonly again: number
  /** What the receiver sent. */
  readonly answers: ReadonlyArray<Emission & { readonly at: number }>
  /** Of the sender, at its end. */
  readonly counts: Counts
  readonly last: ControlBlock | undefined
  /** The largest congestion window, in octets. */
  readonly window: number
  /** Packets that the wire has lost or had no room for. */
  readonly lost: number
}

export interface Machines {
  readonly sender?: Partial<Machine>
  readonly receiver?: Partial<Machine>
}

const PORT = 7

/** A machine that tells of each segment it wants to be sent, and of each control block. */
const watched = (
  wrong: Partial<Machine>,
  tell: (emission: Emission, tcb: ControlBlock) => void
): Layer.Layer<TcpMachine> => {
  const machine: Machine = { ...rfc9293, ...wrong }
  return Layer.succeed(TcpMachine, {
    ...machine,
    arrives: (tcb, segment, now) => {
      const outcome = machine.arrives(tcb, segment, now)
      if (outcome.reply !== undefined) tell(outcome.reply, outcome.tcb)
      return outcome
    },
    output: (tcb, queued, now, limit) => {
      const next = machine.output(tcb, queued, now, limit)
      if (next !== undefined) tell(next.segment, next.tcb)
      return next
    }
  })
}

const program = Effect.fnUntraced(function*(trial: Trial, machines: Machines) {
  const network = yield* Network
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const sent: Array<Sent> = []
  const answers: Array<Emission & { readonly at: number }> = []
  let last: ControlBlock | undefined
  let window = 0
  let began = 0
  let highest = 0
  const sender = yield* network.host("sender", {
    machine: watched(machines.sender ?? {}, (emission, tcb) => {
      last = tcb
      window = Math.max(window, tcb.congestion.window)
      if (emission.length === 0) return
      if (sent.length === 0) began = now()
      const from = (emission.seq - tcb.snd.iss - 1) | 0
      sent.push({ at: now() - began, from, to: from + emission.length, again: from < highest, emission })
      highest = Math.max(highest, from + emission.length)
    })
  })
  const receiver = yield* network.host("receiver", {
    machine: watched(machines.receiver ?? {}, (emission) => void answers.push({ ...emission, at: now() - began }))
  })
  const wire = yield* network.wire(sender, receiver, {
    latency: Distribution.constant(trial.roundTrip / 2),
    bandwidth: trial.rate,
    ...trial.wire
  })
  yield* sender.run(Effect.flatMap(Icmp, (icmp) => icmp.ping(receiver.addresses()[0]!)))
  const octets = trial.writes.reduce((sum, [count]) => sum + count, 0)
  const { receiveBuffer, settings } = trial
  const listening = yield* Deferred.make<void>()
  const reading = yield* receiver.fork(Effect.gen(function*() {
    const listener = yield* (yield* Tcp).listen({ port: PORT, settings, receiveBuffer })
    yield* Deferred.succeed(listening, undefined)
    const connection = yield* listener.accept
    for (let read = 0; read < octets;) {
      for (const chunk of yield* connection.read) read += chunk.length
    }
    return now()
  }))
  yield* Deferred.await(listening)
  const writing = yield* sender.fork(Effect.gen(function*() {
    const remote = toInet(fromIpv4(receiver.addresses()[0]!), PORT)
    const connection = yield* (yield* Tcp).connect({ remote, settings, congestion: trial.congestion })
    if (trial.data !== undefined) yield* wire.set(trial.data, "forth")
    if (trial.acknowledgements !== undefined) yield* wire.set(trial.acknowledgements, "back")
    for (const [count, pause] of trial.writes) {
      if (pause > 0) yield* Effect.sleep(pause)
      yield* connection.write(new Uint8Array(count))
    }
    yield* connection.closed
  }))
  const readAt = yield* Effect.timeoutOption(Fiber.join(reading), trial.limit ?? 60_000)
  yield* Fiber.interrupt(writing)
  const { forth } = yield* wire.counters
  const seen: Seen = {
    time: readAt._tag === "Some" ? readAt.value - began : Infinity,
    sent,
    again: sent.filter(({ again }) => again).length,
    answers,
    counts: last?.counts ?? NO_COUNTS,
    last,
    window,
    lost: forth.lost + forth.overflowed
  }
  return seen
}, Effect.orDie)

/** Makes a trial. The same trial and machines give the same result. */
export const run = (trial: Trial, machines: Machines = {}): Effect.Effect<Seen> =>
  Effect.orDie(Simulation.run(program(trial, machines), { seed: 1, invariants: false }))

/** For people, when a trial went another way than it should. */
export const format = ({ again, counts, lost, sent, time, window }: Seen): string => {
  const counted = Object.entries(counts).filter(([, count]) => count > 0).map(([name, count]) => `${name} ${count}`)
  return `${time} ms, ${sent.length} segments, ${again} again, ${lost} lost, largest window ${window}; ${
    counted.join(", ")
  }`
}
