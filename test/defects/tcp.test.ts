/**
 * What microps does wrong in TCP, and this stack must not. The numbers are those of the list of its known defects.
 */
import { describe, expect, it } from "@effect/vitest"
import { CongestionControl, Entropy, NetworkStack, Tcp, TcpMachine } from "@strata/core"
import type { Connection, ConnectionOptions } from "@strata/core/tcp/Tcp"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { inet, ipv4, PEER, Probe, type SentSegment, tcp, TcpFlag } from "../support/Probe.ts"

const { ack, fin, psh, rst, syn } = TcpFlag
const PORT = 7
const PEER_PORT = 40_000

const stack = Probe.layer().pipe(Layer.provideMerge(NetworkStack.layer))

/** The same stack, whose connections start with a sequence number just below 2^32. */
const machineNearWrap = Layer.effect(
  TcpMachine,
  Effect.map(TcpMachine, (machine) => ({
    ...machine,
    listen: (parameters) => machine.listen({ ...parameters, iss: 0xffff_fff0 })
  }))
).pipe(Layer.provide(TcpMachine.layer))
const stackNearWrap = Probe.layer().pipe(
  Layer.provideMerge(Tcp.layer),
  Layer.provide(Layer.mergeAll(machineNearWrap, CongestionControl.layer)),
  Layer.provideMerge(NetworkStack.network),
  Layer.provideMerge(Entropy.layer)
)

const octets = (length: number, from = 0): Uint8Array => Uint8Array.from({ length }, (_, index) => from + index)
const join = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(chunks.flatMap((chunk) => [...chunk]))
const textOf = (segments: ReadonlyArray<SentSegment>): Uint8Array => join(segments.map((segment) => segment.text))

/** Lets every fiber do what it can without time passing. */
const settle = TestClock.adjust(0)

/** A connection the peer opened to us: its own next octet is `seq`, and the stack's next one `next`. */
const accepted = Effect.fnUntraced(
  function*(options: ConnectionOptions & { readonly irs?: number; readonly wnd?: number }) {
    const probe = yield* Probe
    const listener = yield* (yield* Tcp).listen({ ...options, port: PORT })
    const irs = options.irs ?? 1000
    const say = (segment: Partial<Parameters<typeof tcp>[0]> & { readonly seq: number }) =>
      probe.send(tcp({ from: PEER_PORT, to: PORT, wnd: options.wnd ?? 65_535, ...segment }))
    say({ seq: irs, flags: syn })
    const [answer] = probe.takeTcp()
    expect(answer).toMatchObject({ flags: syn | ack, ack: (irs + 1) >>> 0 })
    const next = (answer!.seq + 1) >>> 0
    say({ seq: irs + 1, ack: next })
    const connection = yield* listener.accept
    return { connection, say, seq: irs + 1, next, takeTcp: probe.takeTcp }
  }
)

/** Everything that can be read now, which must be something. */
const readNow = Effect.fnUntraced(function*(connection: Connection) {
  return join(yield* connection.read)
})

describe("defects of microps: TCP", () => {
  it.effect("1: the ephemeral port of a connection is the one on the wire", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const ports = new Set<number>()
      for (let attempt = 0; attempt < 20; attempt++) {
        const connection = yield* (yield* Tcp).open({ mode: "active", foreign: inet(PEER, 80) })
        yield* settle
        const [opening] = probe.takeTcp()
        expect(opening).toMatchObject({ flags: syn, destinationPort: 80, sourcePort: connection.local.port })
        expect(opening!.sourcePort).toBeGreaterThanOrEqual(49_152)
        ports.add(opening!.sourcePort)
      }
      expect(ports.size).toBe(20)
    }).pipe(Effect.provide(stack)))

  it.effect("2: an acknowledgement wakes a writer that waited for the window", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({ sendBuffer: 1000, wnd: 500 })
      const writer = yield* Effect.forkChild(connection.write(octets(3000)))
      let received: Uint8Array = new Uint8Array()
      while (received.length < 3000) {
        yield* settle
        // The send buffer holds 1000 octets from the first unacknowledged one on; the rest waits in the writer.
        if (received.length + 1000 < 3000) expect(writer.pollUnsafe()).toBeUndefined()
        const text = textOf(takeTcp())
        expect(text.length).toBeGreaterThan(0)
        expect(text.length).toBeLessThanOrEqual(500)
        received = join([received, text])
        say({ seq, ack: next + received.length, wnd: 500 })
      }
      yield* Fiber.join(writer)
      expect(received).toEqual(octets(3000))
    }).pipe(Effect.provide(stack)))

  it.effect("3: a zero window that opens without a new acknowledgement lets the data through", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({})
      say({ seq, ack: next, wnd: 0 })
      yield* connection.write(octets(100))
      yield* settle
      expect(textOf(takeTcp()).length).toBe(0)
      say({ seq, ack: next, wnd: 1000 })
      yield* settle
      expect(textOf(takeTcp())).toEqual(octets(100))
    }).pipe(Effect.provide(stack)))

  it.effect("3: a window that stays closed is probed, and the probing never gives up", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({})
      say({ seq, ack: next, wnd: 0 })
      yield* connection.write(octets(100))
      takeTcp()
      for (let minute = 0; minute < 30; minute++) {
        yield* TestClock.adjust("1 minute")
        expect(takeTcp().length).toBeGreaterThan(0)
        say({ seq, ack: next, wnd: 0 })
      }
      expect(connection.state()).toBe("ESTABLISHED")
      say({ seq, ack: next, wnd: 1000 })
      yield* settle
      expect(textOf(takeTcp())).toEqual(octets(100))
    }).pipe(Effect.provide(stack)))

  it.effect("3: reading from a full buffer tells the peer that the window is open again", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({ receiveBuffer: 4000 })
      for (let sent = 0; sent < 4000; sent += 1000) say({ seq: seq + sent, ack: next, text: octets(1000, sent) })
      yield* TestClock.adjust("1 second")
      expect(takeTcp().at(-1)).toMatchObject({ ack: seq + 4000, wnd: 0 })
      yield* connection.read
      yield* settle
      expect(takeTcp().at(-1)).toMatchObject({ ack: seq + 4000, wnd: 4000 })
    }).pipe(Effect.provide(stack)))

  it.effect("4: a window that shrinks below what is in flight stops the sender", () =>
    Effect.gen(function*() {
      // The peer names no MSS, so text goes out in segments of 536 octets.
      const { connection, next, say, seq, takeTcp } = yield* accepted({ wnd: 4 * 536 })
      yield* connection.write(octets(4000))
      yield* settle
      expect(textOf(takeTcp()).length).toBe(4 * 536)
      // Half of it is still on its way, and the window now ends in the midst of that.
      say({ seq, ack: next + 2 * 536, wnd: 536 })
      yield* settle
      expect(textOf(takeTcp()).length).toBe(0)
      say({ seq, ack: next + 4 * 536, wnd: 536 })
      yield* settle
      expect(textOf(takeTcp())).toEqual(octets(4000).subarray(4 * 536, 5 * 536))
    }).pipe(Effect.provide(stack)))

  it.effect("5: the peer's sequence numbers pass 2^32", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({ irs: 0xffff_ff00 })
      say({ seq, ack: next, text: octets(200) })
      say({ seq: seq + 200, ack: next, text: octets(200, 200) })
      say({ seq: seq + 400, ack: next, text: octets(200, 400) })
      yield* TestClock.adjust("1 second")
      expect(yield* readNow(connection)).toEqual(octets(600))
      expect(takeTcp().at(-1)!.ack).toBe((seq + 600) >>> 0)
      expect((seq + 600) >>> 0).toBeLessThan(seq)
    }).pipe(Effect.provide(stack)))

  it.effect("5: a gap, and a window that opens, around 2^32", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({ irs: 0xffff_ff00 })
      say({ seq, ack: next, wnd: 0 })
      yield* connection.write(octets(100))
      yield* settle
      expect(textOf(takeTcp()).length).toBe(0)
      say({ seq: seq + 400, ack: next, wnd: 0, text: octets(100, 400) })
      say({ seq: seq + 200, ack: next, wnd: 0, text: octets(100, 200) })
      say({ seq: seq + 300, ack: next, wnd: 0, text: octets(100, 300) })
      say({ seq, ack: next, wnd: 0, text: octets(200) })
      yield* settle
      expect(yield* readNow(connection)).toEqual(octets(500))
      expect(textOf(takeTcp()).length).toBe(0)
      say({ seq: seq + 500, ack: next, wnd: 1000 })
      yield* settle
      expect(textOf(takeTcp())).toEqual(octets(100))
    }).pipe(Effect.provide(stack)))

  it.effect("5: our own sequence numbers pass 2^32", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({})
      expect(next).toBe(0xffff_fff1)
      const writer = yield* Effect.forkChild(connection.write(octets(5000)))
      let received: Uint8Array = new Uint8Array()
      for (let round = 0; round < 20 && received.length < 5000; round++) {
        yield* settle
        received = join([received, textOf(takeTcp())])
        say({ seq, ack: next + received.length })
      }
      yield* Fiber.join(writer)
      expect(received).toEqual(octets(5000))
      expect(connection.status().sendQueue).toBe(0)
    }).pipe(Effect.provide(stackNearWrap)))

  it.effect("5: our FIN has the last number before 2^32", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({})
      yield* connection.write(octets(14))
      yield* connection.closeWrite
      yield* settle
      const sent = takeTcp()
      expect(textOf(sent)).toEqual(octets(14))
      expect(sent.at(-1)!.flags & fin).toBe(fin)
      say({ seq, ack: next + 14 })
      expect(connection.state()).toBe("FIN-WAIT-1")
      say({ seq, ack: next + 15 })
      expect((next + 15) >>> 0).toBe(0)
      expect(connection.state()).toBe("FIN-WAIT-2")
      say({ seq, ack: next + 15, flags: ack | fin })
      expect(connection.state()).toBe("TIME-WAIT")
    }).pipe(Effect.provide(stackNearWrap)))

  it.effect("6: a gap is filled before what comes after it is read", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({})
      say({ seq: seq + 100, ack: next, text: octets(100, 100) })
      yield* settle
      expect(takeTcp().at(-1)).toMatchObject({ flags: ack, ack: seq })
      say({ seq: seq + 300, ack: next, text: octets(100, 44) })
      say({ seq: seq + 50, ack: next, text: octets(100, 50) })
      say({ seq, ack: next, text: octets(60) })
      yield* settle
      expect(yield* readNow(connection)).toEqual(octets(200))
      expect(takeTcp().at(-1)!.ack).toBe(seq + 200)
      say({ seq: seq + 200, ack: next, text: octets(100, 200) })
      yield* settle
      expect(yield* readNow(connection)).toEqual(join([octets(100, 200), octets(100, 44)]))
    }).pipe(Effect.provide(stack)))

  it.effect("7: no more is kept than the window offered", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({ receiveBuffer: 2500 })
      for (let sent = 0; sent < 5000; sent += 1000) {
        say({ seq: seq + sent, ack: next, text: octets(1000, sent / 1000) })
      }
      yield* TestClock.adjust("1 second")
      expect(takeTcp().at(-1)).toMatchObject({ ack: seq + 2500, wnd: 0 })
      expect(connection.status().receiveQueue).toBe(2500)
      const first = yield* readNow(connection)
      say({ seq: seq + 2000, ack: next, text: octets(1000, 2) })
      yield* settle
      const second = yield* readNow(connection)
      expect(join([first, second])).toEqual(join([octets(1000), octets(1000, 1), octets(1000, 2)]))
    }).pipe(Effect.provide(stack)))

  it.effect("8: a segment with text and FIN counts for both", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({})
      say({ seq, ack: next, flags: ack | psh | fin, text: octets(100) })
      yield* TestClock.adjust("1 second")
      expect(takeTcp().at(-1)).toMatchObject({ ack: seq + 101 })
      expect(connection.state()).toBe("CLOSE-WAIT")
      expect(yield* readNow(connection)).toEqual(octets(100))
      const end = yield* Effect.flip(connection.read)
      expect(end).toMatchObject({ _tag: "Done" })
    }).pipe(Effect.provide(stack)))

  it.effect("14: a connection that could not be opened leaves nothing behind", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const service = yield* Tcp
      for (let attempt = 0; attempt < 50; attempt++) {
        const fiber = yield* Effect.forkChild(Effect.flip(Effect.scoped(
          service.connect({ remote: inet(PEER, 80), localPort: 50_000 })
        )))
        yield* settle
        const [opening] = probe.takeTcp()
        expect(opening).toMatchObject({ flags: syn, sourcePort: 50_000 })
        probe.send(tcp({ from: 80, to: 50_000, seq: 0, ack: opening!.seq + 1, flags: rst | ack, wnd: 0 }))
        expect((yield* Fiber.join(fiber)).reason._tag).toBe("ConnectionRefused")
        expect(yield* service.status).toEqual([])
      }
      const silent = yield* Effect.forkChild(Effect.flip(Effect.scoped(
        service.connect({ remote: inet(PEER, 80), localPort: 50_000 })
      )))
      yield* TestClock.adjust("10 minutes")
      expect((yield* Fiber.join(silent)).reason._tag).toBe("ConnectionTimedOut")
      expect(yield* service.status).toEqual([])

      const interrupted = yield* Effect.forkChild(Effect.scoped(
        service.connect({ remote: inet(PEER, 80), localPort: 50_000 })
      ))
      yield* settle
      expect(yield* service.status).toHaveLength(1)
      yield* Fiber.interrupt(interrupted)
      yield* settle
      expect(yield* service.status).toEqual([])

      const foreign = yield* Effect.flip(Effect.scoped(service.listen({ address: ipv4("198.51.100.1"), port: 80 })))
      expect(foreign.reason._tag).toBe("AddressNotAvailable")
      expect(yield* service.status).toEqual([])
    }).pipe(Effect.provide(stack)))

  it.effect("also: the backlog is a bound; a SYN beyond it is ignored, and let in when there is room", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const listener = yield* (yield* Tcp).listen({ port: PORT, backlog: 2 })
      const knock = (from: number) => {
        probe.send(tcp({ from, to: PORT, seq: 1000, flags: syn }))
        const [answer] = probe.takeTcp()
        if (answer !== undefined) probe.send(tcp({ from, to: PORT, seq: 1001, ack: answer.seq + 1 }))
        return answer !== undefined
      }
      expect([1, 2, 3, 4].map((port) => knock(40_000 + port))).toEqual([true, true, false, false])
      yield* listener.accept
      expect(knock(40_003)).toBe(true)
      expect(knock(40_004)).toBe(false)
    }).pipe(Effect.provide(stack)))

  it.effect("also: the MSS is announced, and the peer's is kept to", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const listener = yield* (yield* Tcp).listen({ port: PORT })
      // Kind 2, length 4, 700 octets (RFC 9293 §3.7.1).
      const options = Uint8Array.of(2, 4, 700 >>> 8, 700 & 0xff)
      probe.send(tcp({ from: PEER_PORT, to: PORT, seq: 1000, flags: syn, options }))
      const [answer] = probe.takeTcp()
      expect([...answer!.options.subarray(0, 4)]).toEqual([2, 4, 1460 >>> 8, 1460 & 0xff])
      probe.send(tcp({ from: PEER_PORT, to: PORT, seq: 1001, ack: answer!.seq + 1 }))
      const connection = yield* listener.accept
      yield* connection.write(octets(2000))
      yield* settle
      const lengths = probe.takeTcp().map((segment) => segment.text.length)
      expect(Math.max(...lengths)).toBe(700)
    }).pipe(Effect.provide(stack)))

  it.effect("also: the retransmission timeout follows the round-trip time, and doubles", () =>
    Effect.gen(function*() {
      const { connection, next, say, seq, takeTcp } = yield* accepted({})
      // Ten round trips of two seconds each.
      let una = next
      for (let round = 0; round < 10; round++) {
        yield* connection.write(octets(100))
        yield* settle
        takeTcp()
        yield* TestClock.adjust("2 seconds")
        una += 100
        say({ seq, ack: una })
        yield* settle
        takeTcp()
      }
      yield* connection.write(octets(100))
      yield* settle
      expect(takeTcp()).toHaveLength(1)
      yield* TestClock.adjust("1900 millis")
      expect(takeTcp()).toEqual([])
      const sentAgain: Array<number> = []
      for (let second = 2; second < 40; second++) {
        if (takeTcp().length > 0) sentAgain.push(second)
        yield* TestClock.adjust("1 second")
      }
      const pauses = sentAgain.slice(1).map((at, index) => at - sentAgain[index]!)
      expect(pauses.length).toBeGreaterThan(1)
      for (let index = 1; index < pauses.length; index++) {
        expect(Math.abs(pauses[index]! - 2 * pauses[index - 1]!)).toBeLessThanOrEqual(2)
      }
    }).pipe(Effect.provide(stack)))

  it.effect("also: initial sequence numbers are those of RFC 6528, and not to be guessed", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      yield* (yield* Tcp).listen({ port: PORT })
      const first = (from: number) => {
        probe.send(tcp({ from, to: PORT, seq: 1000, flags: syn }))
        const [answer] = probe.takeTcp()
        probe.send(tcp({ from, to: PORT, seq: 1001, flags: rst }))
        return answer!.seq
      }
      const numbers = Array.from({ length: 50 }, (_, index) => first(40_000 + index))
      const steps = numbers.slice(1).map((number, index) => (number - numbers[index]!) >>> 0)
      expect(new Set(steps).size).toBe(49)
      // The same endpoints get a number that grows by one every four microseconds.
      const early = first(50_000)
      yield* TestClock.adjust("1 second")
      expect((first(50_000) - early) >>> 0).toBe(250_000)
    }).pipe(Effect.provide(stack)))
})
