import { assert, describe, it } from "@effect/vitest"
import { NetworkStack, Statistics, Tcp, TcpMachine } from "@strata/core"
import { ChecksumState, type Packet } from "@strata/core/device/Packet"
import { Ipv4 } from "@strata/core/ip/Ipv4"
import { type ControlBlock, isOpening } from "@strata/core/tcp/ControlBlock"
import type { Connection } from "@strata/core/tcp/Tcp"
import { type Outcome, rfc9293 } from "@strata/core/tcp/TcpMachine"
import * as Transmissions from "@strata/core/tcp/Transmissions"
import { toInet } from "@strata/core/wire/Address"
import { Protocol } from "@strata/core/wire/Ipv4Header"
import { TcpFlag, TcpHeader } from "@strata/core/wire/TcpHeader"
import { Distribution, Loss } from "@strata/drivers"
import { type HostOptions, type Invariant, InvariantViolated, Network, Simulation } from "@strata/simulation"
import { Cause, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { patterned, readAll } from "../support/transfer.ts"

type Machine = TcpMachine["Service"]

const machine = (wrong: Partial<Machine>): HostOptions => ({
  machine: Layer.succeed(TcpMachine, TcpMachine.of({ ...rfc9293, ...wrong }))
})

const OCTETS = 50_000
/** Less than the sender's first burst. */
const RECEIVE_BUFFER = 8000

const slowly = (connection: Connection) =>
  Effect.forever(Effect.andThen(Effect.sleep(3), connection.read)).pipe(Effect.catchTag("Done", () => Effect.void))

/** The client asks and closes, the server reads slowly through a small window and answers with something as long. */
const exchange = (client: HostOptions, server: HostOptions = {}) =>
  Effect.gen(function*() {
    const network = yield* Network
    const left = yield* network.host("client", client)
    const right = yield* network.host("server", server)
    yield* network.wire(left, right, { latency: Distribution.constant(5), loss: Loss.numbers(9, 20, 33) })
    const serving = yield* right.fork(Effect.gen(function*() {
      const listener = yield* (yield* Tcp).listen({ port: 7, receiveBuffer: RECEIVE_BUFFER })
      const connection = yield* listener.accept
      yield* slowly(connection)
      yield* connection.write(patterned(OCTETS, 2))
      yield* connection.closeWrite
      yield* connection.closed
    }))
    const answer = yield* left.run(Effect.gen(function*() {
      const connection = yield* (yield* Tcp).connect({ remote: toInet(0x0a00_0002, 7) })
      yield* Effect.sleep(50)
      yield* connection.write(patterned(OCTETS, 1))
      yield* connection.closeWrite
      const all = yield* readAll(connection)
      yield* connection.closed
      return all
    }))
    yield* Fiber.join(serving)
    yield* Effect.sleep("2 minutes")
    return answer
  })

const violation = (program: Effect.Effect<unknown, unknown, Network>) =>
  Effect.map(Effect.flip(Simulation.run(program)), (error) => {
    assert.instanceOf(error, InvariantViolated)
    return error
  })

const withSnd = (tcb: ControlBlock, snd: Partial<ControlBlock["snd"]>): ControlBlock => ({
  ...tcb,
  snd: { ...tcb.snd, ...snd }
})
const withRcv = (tcb: ControlBlock, rcv: Partial<ControlBlock["rcv"]>): ControlBlock => ({
  ...tcb,
  rcv: { ...tcb.rcv, ...rcv }
})
const withBoard = (
  tcb: ControlBlock,
  change: (all: Transmissions.Transmissions) => Transmissions.Transmissions
): ControlBlock => isOpening(tcb) ? tcb : { ...tcb, transmissions: change(tcb.transmissions) }
/** An algorithm keeps in its record what it knows of, and nothing that a machine has made up. */
const withCongestion = (tcb: ControlBlock, congestion: Partial<ControlBlock["congestion"]>): ControlBlock => ({
  ...tcb,
  algorithm: { ...tcb.algorithm, keep: undefined },
  congestion: { ...tcb.congestion, ...congestion }
})
const then = (outcome: Outcome, change: (tcb: ControlBlock) => ControlBlock): Outcome => ({
  ...outcome,
  tcb: change(outcome.tcb)
})

const arrives = (change: (outcome: Outcome, before: ControlBlock) => Outcome): Partial<Machine> => ({
  arrives: (tcb, segment, now) => change(rfc9293.arrives(tcb, segment, now), tcb)
})
const output = (
  change: (next: NonNullable<ReturnType<Machine["output"]>>, before: ControlBlock) => ReturnType<Machine["output"]>
): Partial<Machine> => ({
  output: (tcb, queued, now, limit) => {
    const next = rfc9293.output(tcb, queued, now, limit)
    return next === undefined ? undefined : change(next, tcb)
  }
})

/** TCP segments that arrive, changed on their way up from IPv4, with a checksum that holds. */
const tampered = (change: (packet: Packet, text: number) => void): HostOptions => ({
  network: Layer.effect(
    Ipv4,
    Effect.map(Ipv4, (ipv4) =>
      Ipv4.of({
        ...ipv4,
        handle: (protocol, input, error) =>
          ipv4.handle(protocol, (device, packet, destination) => {
            if (protocol === Protocol.tcp) {
              change(packet, packet.start + 4 * TcpHeader.get.headerWords(packet.view, packet.start))
              packet.checksum = ChecksumState.valid
            }
            input(device, packet, destination)
          }, error)
      }))
  ).pipe(Layer.provideMerge(NetworkStack.network))
})

/** Acknowledges to itself what it never sent. */
const BELIEVER = machine(
  arrives((outcome) =>
    outcome.acknowledged === 0 ? outcome : then(outcome, (tcb) => withSnd(tcb, { una: (tcb.snd.max + 7) >>> 0 }))
  )
)

const raiseAcknowledgement = (packet: Packet, text: number) => {
  const raised = TcpHeader.get.acknowledgement(packet.view, packet.start) + 9
  if (text < packet.end) TcpHeader.set.acknowledgement(packet.view, packet.start, raised >>> 0)
}
const flipOctet = (packet: Packet, text: number) => {
  if (packet.end - text > 100) packet.bytes[text + 40]! ^= 1
}
const endAtOnce = (packet: Packet, text: number) => {
  const flags = TcpHeader.get.flags(packet.view, packet.start)
  if (packet.end - text > 100) TcpHeader.set.flags(packet.view, packet.start, flags | TcpFlag.fin)
}

/** Machines that are wrong, the rule that each breaks, and what is said about it. */
const WRONG: ReadonlyArray<readonly [Invariant, RegExp, client: HostOptions, server?: HostOptions]> = [
  [
    "sendOrder",
    /SND\.NXT is beyond SND\.MAX/,
    machine(output((next, before) => ({ ...next, tcb: withSnd(next.tcb, { max: before.snd.max }) })))
  ],
  [
    "sendOrder",
    /SND\.UNA moved by \d+, of which 0 for SYN and FIN, but 0 octets of the send buffer were let go/,
    machine(arrives((outcome) => ({ ...outcome, acknowledged: 0 })))
  ],
  [
    "sendWindow",
    /octets beyond the peer's window were sent/,
    machine({
      output: (tcb, queued, now) => {
        const { wnd } = tcb.snd
        const next = rfc9293.output(withSnd(tcb, { wnd: wnd + 20_000 }), queued, now)
        return next === undefined ? undefined : { ...next, tcb: withSnd(next.tcb, { wnd }) }
      }
    })
  ],
  [
    "repair",
    /octets are lost and \d+ selectively acknowledged, but \d+ and \d+ are counted/,
    machine(arrives((outcome) => then(outcome, (tcb) => withBoard(tcb, (all) => ({ ...all, lost: all.lost + 1 })))))
  ],
  [
    "repair",
    /the scoreboard is about SND\.UNA \+ 5/,
    machine(arrives((outcome) => then(outcome, (tcb) => withBoard(tcb, (all) => ({ ...all, una: all.una + 5 })))))
  ],
  [
    "repair",
    /the queue of the scoreboard does not reach from its board to SND\.NXT/,
    machine(output((next) => ({
      ...next,
      tcb: withBoard(
        next.tcb,
        (all) => all.last === undefined ? all : { ...all, last: { ...all.last, right: all.edge } }
      )
    })))
  ],
  [
    "repair",
    /octets were sent again that nobody thinks lost/,
    machine({
      output: (tcb, queued, now) => {
        const all = tcb.transmissions
        const isLost = Transmissions.outstanding(all) > 1448 && Transmissions.isClean(all)
        const lost = isLost ? Transmissions.lose(all, all.una, all.una + 1448) : all
        return rfc9293.output({ ...tcb, transmissions: lost }, queued, now)
      }
    })
  ],
  [
    "repair",
    /octets were sent again that are selectively acknowledged/,
    machine({
      output: (tcb, queued, now) => {
        const all = tcb.transmissions
        if (all.sacked === 0) return rfc9293.output(tcb, queued, now)
        const forgotten = { ...tcb, transmissions: Transmissions.renege(Transmissions.unlose(all)) }
        return rfc9293.output(withSnd(forgotten, { forced: true }), queued, now)
      }
    })
  ],
  [
    "congestion",
    /octets are in flight in a window of \d+/,
    machine({
      output: (tcb, queued, now) => {
        const next = rfc9293.output(withCongestion(tcb, { window: Infinity }), queued, now)
        return next === undefined ? undefined : { ...next, tcb: withCongestion(next.tcb, { window: 2000 }) }
      }
    })
  ],
  [
    "congestion",
    /a segment left \d+\.\d+ ms before its time/,
    machine({
      output: (tcb, queued, now) => rfc9293.output(withCongestion(tcb, { pacingRate: undefined }), queued, now),
      arrives: (tcb, segment, now) =>
        then(
          rfc9293.arrives(tcb, segment, now),
          (next) => withCongestion(withSnd(next, { paceAt: now + 200 }), { pacingRate: 1 })
        )
    })
  ],
  ["unsentAcknowledged", /an acknowledgement of 7 octets that were never sent was believed/, BELIEVER],
  [
    "unsentAcknowledged",
    /the text of a segment that acknowledges what was never sent was taken/,
    {},
    {
      ...tampered(raiseAcknowledgement),
      ...machine({
        arrives: (tcb, segment, now) =>
          rfc9293.arrives(tcb, tcb.state === "ESTABLISHED" ? { ...segment, ack: tcb.snd.una } : segment, now)
      })
    }
  ],
  [
    "receiveOrder",
    /octets that belong at RCV\.NXT \+ \d+ were put at RCV\.NXT \+ 0/,
    {},
    machine({
      arrives: (tcb, segment, now) =>
        rfc9293.arrives(tcb, segment.length > 0 ? { ...segment, seq: tcb.rcv.nxt } : segment, now)
    })
  ],
  [
    "receiveOrder",
    /RCV\.NXT moved by 1449 for 1448 octets/,
    {},
    machine(arrives((outcome, before) =>
      outcome.tcb.rcv.nxt - before.rcv.nxt === 1448
        ? then(outcome, (tcb) => withRcv(tcb, { nxt: tcb.rcv.nxt + 1, wnd: tcb.rcv.wnd - 1 }))
        : outcome
    ))
  ],
  [
    "receiveOrder",
    /the ranges received after gaps are not ascending and apart/,
    {},
    machine(
      arrives((outcome) =>
        then(outcome, (tcb) => withRcv(tcb, { ranges: tcb.rcv.ranges.map(({ left }) => ({ left, right: left })) }))
      )
    )
  ],
  [
    "windowEdge",
    /the right edge of the announced window moved left by 100 octets/,
    {},
    machine(output((next) => ({
      segment: { ...next.segment, wnd: next.segment.wnd - 100 },
      tcb: withRcv(next.tcb, { wnd: next.tcb.rcv.wnd - 100 })
    })))
  ],
  [
    "afterFin",
    /the peer's FIN moved/,
    {},
    machine({
      close: (tcb, now) => withRcv(rfc9293.close(tcb, now), { fin: (tcb.rcv.fin ?? 0) - 1 })
    })
  ],
  [
    "afterFin",
    /the end of the stream was reached without a FIN there/,
    {},
    machine({
      arrives: (tcb, segment, now) =>
        rfc9293.arrives(
          tcb,
          segment.length > 0 ? { ...segment, flags: segment.flags | TcpFlag.fin } : segment,
          now
        )
    })
  ],
  [
    "buffers",
    /\d+ octets were read, and 0 let go/,
    {},
    machine({ consumed: (tcb) => tcb })
  ],
  [
    "buffers",
    /\d+ octets are unread and \d+ more are let in, but the buffer holds 8000/,
    {},
    machine(
      arrives((outcome, before) =>
        outcome.textLength > 0 && before.rcv.wnd > 0
          ? then(outcome, (tcb) => withRcv(tcb, { wnd: before.rcv.wnd }))
          : outcome
      )
    )
  ],
  [
    "timers",
    /octets are on their way, and no timer will send them again/,
    machine(output((next) => ({
      ...next,
      tcb: { ...next.tcb, deadlines: { ...next.tcb.deadlines, retransmit: Infinity } }
    })))
  ],
  [
    "timers",
    /a timer is due at \d+[.\d]* ms, but the machine sleeps until Infinity ms/,
    machine({ deadline: () => Infinity })
  ],
  [
    "timers",
    /a timer runs in CLOSED/,
    {},
    machine(arrives((outcome) =>
      outcome.tcb.state === "CLOSED"
        ? then(outcome, (tcb) => ({ ...tcb, deadlines: { ...tcb.deadlines, retransmit: 1e9 } }))
        : outcome
    ))
  ],
  [
    "timers",
    /TIME-WAIT ended \d+[.\d]* ms early/,
    machine({
      deadline: (tcb) => Math.min(rfc9293.deadline(tcb), tcb.deadlines.timeWait - 50_000),
      elapse: (tcb, queued, now) => rfc9293.elapse(tcb, queued, tcb.state === "TIME-WAIT" ? now + 50_000 : now)
    })
  ],
  [
    "timers",
    /an acknowledgement is owed, and nobody will send it/,
    {},
    machine(output((next) => next.segment.length === 0 && next.segment.flags === TcpFlag.ack ? undefined : next))
  ],
  [
    "state",
    /close went from ESTABLISHED to LAST-ACK/,
    machine({ close: (tcb, now) => ({ ...rfc9293.close(tcb, now), state: "LAST-ACK" }) })
  ],
  [
    "state",
    /FIN-WAIT-2 before the peer has acknowledged our FIN/,
    machine(
      arrives((outcome) => then(outcome, (tcb) => tcb.state === "FIN-WAIT-1" ? { ...tcb, state: "FIN-WAIT-2" } : tcb))
    )
  ],
  [
    "state",
    /CLOSE-WAIT without the peer's FIN/,
    {},
    machine(
      arrives((outcome) =>
        then(
          outcome,
          (tcb) => tcb.state === "ESTABLISHED" && tcb.rcv.unread > 0 ? { ...tcb, state: "CLOSE-WAIT" } : tcb
        )
      )
    )
  ],
  [
    "emission",
    /octet RCV\.NXT \+ 1 was acknowledged/,
    {},
    machine(output((next) => ({ ...next, segment: { ...next.segment, ack: (next.segment.ack + 1) >>> 0 } })))
  ],
  [
    "emission",
    /octets \d+ of the send buffer were sent as octets \d+/,
    machine(output((next) => ({ ...next, segment: { ...next.segment, textOffset: next.segment.textOffset + 1 } })))
  ],
  [
    "emission",
    /a FIN was sent \d+ octets before the end/,
    machine({
      output: (tcb, queued, now) => rfc9293.output(tcb, tcb.snd.closing ? queued - 10 : queued, now)
    })
  ],
  [
    "progress",
    /20000 segments were sent in one instant, to no avail/,
    machine({
      output: (tcb, queued, now) => rfc9293.output(withRcv(tcb, { acknowledge: "now" }), queued, now)
    })
  ],
  ["delivery", /octet 40 is \d+, but \d+ was written/, {}, tampered(flipOctet)],
  [
    "endOfStream",
    /the stream ended after \d+ octets, but 50000 had been written before its end/,
    {},
    tampered(endAtOnce)
  ]
]

const handshake = (client: HostOptions) =>
  Effect.gen(function*() {
    const network = yield* Network
    const left = yield* network.host("client", client)
    const right = yield* network.host("server")
    yield* network.wire(left, right)
    yield* right.fork(Effect.flatMap(Tcp, (tcp) => Effect.flatMap(tcp.listen({ port: 7 }), ({ accept }) => accept)))
    yield* left.run(Effect.flatMap(Tcp, (tcp) => tcp.connect({ remote: toInet(0x0a00_0002, 7) })))
  })

/** A right exchange, after which somebody has changed a counter of a host. */
const meddled = (name: string, counter: string, by: number) =>
  Effect.gen(function*() {
    yield* exchange({})
    const host = (yield* Network).hosts().find((candidate) => candidate.name === name)!
    yield* host.run(Effect.map(Statistics, (statistics) => {
      statistics.counter(counter).value += by
    }))
  })

describe("Invariants", () => {
  it.effect("hold of a machine that is right", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Simulation.run(exchange({})), patterned(OCTETS, 2))
    }))

  it.effect("are not looked at when they are switched off", () =>
    Effect.gen(function*() {
      const wrong = machine({ deadline: () => Infinity })
      assert.strictEqual((yield* violation(handshake(wrong))).invariant, "timers")
      yield* Simulation.run(handshake(wrong), { invariants: false })
    }))

  it.effect("end what runs in real time, too", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Simulation.runLive(handshake(machine({ deadline: () => Infinity }))))
      assert.instanceOf(error, InvariantViolated)
      assert.strictEqual(error.invariant, "timers")
    }))

  it.effect("name the rule, the host, the connection, the time and the packet", () =>
    Effect.gen(function*() {
      const error = yield* violation(exchange(BELIEVER))
      assert.strictEqual(error.where, "client")
      assert.match(error.connection ?? "", /^10\.0\.0\.1:\d+ to 10\.0\.0\.2:7$/)
      assert.isAbove(error.time, 60)
      assert.isAbove(error.packet, 5)
      assert.include(
        error.message,
        "seed 1: an acknowledgement of 7 octets that were never sent was believed; " +
          "the control block was FIN-WAIT-1 [SND UNA 1, "
      )
    }))

  it.effect("count packets as a capture does", () =>
    Effect.gen(function*() {
      let packets = 0
      const count = (block: Uint8Array) => {
        if (block[0] === 6) packets++
      }
      const error = yield* Effect.flip(Simulation.run(exchange(BELIEVER), { capture: count }))
      assert.instanceOf(error, InvariantViolated)
      // The packet that the client is at is the last one it will ever see; the server may be answering the one before.
      assert.isAtLeast(packets, error.packet)
      assert.isAtMost(packets, error.packet + 2)
    }))

  it.effect("end all that runs on hosts under any clock", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        Effect.gen(function*() {
          const network = yield* Network
          const fiber = yield* Effect.forkChild(exchange(BELIEVER))
          const failure = yield* Effect.forkChild(Effect.flip(network.violation))
          for (let i = 0; i < 200; i++) yield* TestClock.adjust(1)
          assert.strictEqual((yield* Fiber.join(failure)).invariant, "unsentAcknowledged")
          return yield* Fiber.await(fiber)
        }).pipe(Effect.provide(Network.layer({ seed: 1 })))
      )
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isSuccess(exit)) return
      assert.instanceOf(Cause.squash(exit.cause), InvariantViolated)
    }))
})

describe("Invariants catch", () => {
  for (const [invariant, what, client, server] of WRONG) {
    it.effect(`${invariant}: ${what.source.replaceAll("\\", "")}`, () =>
      Effect.gen(function*() {
        const error = yield* violation(exchange(client, server))
        assert.strictEqual(error.invariant, invariant, error.message)
        assert.match(error.message, what)
      }))
  }

  it.effect("accounting: packets that a host has lost", () =>
    Effect.gen(function*() {
      const error = yield* violation(meddled("server", "ipv4.delivered", -1))
      assert.deepStrictEqual([error.invariant, error.where], ["accounting", "server"])
      assert.match(error.what, /packets received by ipv4, and not delivered, kept as fragments or dropped by name: 1/)
    }))

  it.effect("accounting: packets that a wire has lost", () =>
    Effect.gen(function*() {
      const error = yield* violation(meddled("server", "device.eth0.receivedPackets", 1))
      assert.deepStrictEqual(error.where, "server", "the host notices first")
      const other = yield* violation(meddled("client", "device.eth0.transmittedPackets", 1))
      assert.match(other.what, /packets sent, and not transmitted, dropped by name or waiting: -1/)
    }))
})
