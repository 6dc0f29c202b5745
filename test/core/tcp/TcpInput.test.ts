import { describe, expect, it } from "@effect/vitest"
import { Ipv4, NetworkStack, Statistics, Tcp, Trace } from "@strata/core"
import * as Address from "@strata/core/wire/Address"
import * as Checksum from "@strata/core/wire/Checksum"
import { TcpHeader } from "@strata/core/wire/TcpHeader"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import {
  EtherType,
  frame,
  inet,
  ipv4Packet,
  PEER,
  Probe,
  Protocol,
  type SentSegment,
  STACK,
  tcp,
  TcpFlag
} from "../../support/Probe.ts"

const { ack, fin, psh, rst, syn } = TcpFlag
const stack = Probe.layer().pipe(Layer.provideMerge(NetworkStack.layer))
const on = <A, E>(program: Effect.Effect<A, E, Layer.Success<typeof stack> | Scope.Scope>) => () =>
  program.pipe(Effect.provide(stack, { local: true }))

const settle = TestClock.adjust(0)
const bytes = (text: string) => new TextEncoder().encode(text)

/** How often a segment was dropped for each reason since the stack began. */
const drops = Effect.gen(function*() {
  const counters = yield* (yield* Statistics).snapshot
  return Object.fromEntries(
    Object.entries(counters).filter(([name]) => name.startsWith("tcp.dropped.")).map((
      [name, value]
    ) => [name.slice(12), value])
  )
})

/** A frame changed behind the Ethernet and IPv4 headers, its checksum right all the same where `valid`. */
const changed = (
  whole: Uint8Array,
  valid: boolean,
  change: (view: DataView, bytes: Uint8Array) => void
): Uint8Array => {
  const copy = whole.slice()
  const body = copy.subarray(34)
  const view = new DataView(copy.buffer, 34)
  change(view, body)
  if (valid) {
    TcpHeader.set.checksum(view, 0, 0)
    const address = (at: number) => new DataView(copy.buffer).getUint32(at)
    const pseudo = Checksum.pseudoHeader(address(26), address(30), Protocol.tcp, body.length)
    TcpHeader.set.checksum(view, 0, Checksum.finish(Checksum.add(pseudo, body, 0, body.length)))
  }
  return copy
}

/** With an MSS option of 1,460 octets. */
const SYN = changed(tcp({ from: 5000, to: 7, seq: 1000, flags: syn, text: new Uint8Array(4) }), true, (view, body) => {
  view.setUint8(12, 0x60)
  body.set([2, 4, 5, 180], 20)
})

/** A connection the peer opened. */
const accepted = Effect.gen(function*() {
  const probe = yield* Probe
  const listener = yield* (yield* Tcp).listen({ port: 7 })
  probe.send(SYN)
  const [answer] = probe.takeTcp()
  const next = answer!.seq + 1
  probe.send(tcp({ from: 5000, to: 7, seq: 1001, ack: next }))
  const connection = yield* listener.accept
  const say = (segment: Partial<Parameters<typeof tcp>[0]>) =>
    probe.send(tcp({ from: 5000, to: 7, seq: 1001, ack: next, ...segment }))
  return { connection, next, probe, say }
})

describe("a window scale above 14 (RFC 7323 §2.3)", () => {
  it.effect(
    "is told to whoever looks",
    on(Effect.gen(function*() {
      const probe = yield* Probe
      const trace = yield* Trace
      const told: Array<string> = []
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          trace.listen(
            ({ detail }) => detail._tag === "Message" && told.push(`${detail.level}: ${detail.text}`),
            "events"
          )
        ),
        (stop) => Effect.sync(stop)
      )
      yield* (yield* Tcp).listen({ port: 7 })
      const offer = (from: number, shift: number) =>
        probe.send(tcp({ from, to: 7, seq: 1000, flags: TcpFlag.syn, options: new Uint8Array([1, 3, 3, shift]) }))
      offer(5000, 14)
      offer(5001, 15)
      expect(told).toEqual([`warning: window scale 15 taken as 14: ${PEER}:5001`])
    }))
  )
})

/** An ICMP message of ours that quotes what the stack sent: its IPv4 header and the first eight octets behind. */
const icmp = (
  type: number,
  code: number,
  segment: SentSegment,
  options: { readonly mtu?: number; readonly seq?: number } = {}
) => {
  const quoted = new Uint8Array(28)
  const view = new DataView(quoted.buffer)
  view.setUint8(0, 0x45)
  view.setUint16(2, 1500)
  view.setUint8(8, 64)
  view.setUint8(9, Protocol.tcp)
  quoted.set(STACK.split(".").map(Number), 12)
  quoted.set(PEER.split(".").map(Number), 16)
  view.setUint16(10, Checksum.finish(Checksum.add(0, quoted, 0, 20)))
  view.setUint16(20, segment.sourcePort)
  view.setUint16(22, segment.destinationPort)
  view.setUint32(24, options.seq ?? segment.seq)
  const body = new Uint8Array(8 + quoted.length)
  body[0] = type
  body[1] = code
  new DataView(body.buffer).setUint16(6, options.mtu ?? 0)
  body.set(quoted, 8)
  new DataView(body.buffer).setUint16(2, Checksum.finish(Checksum.add(0, body, 0, body.length)))
  return frame(EtherType.ipv4, ipv4Packet(Protocol.icmp, body))
}

describe("segments that are none", () => {
  const bad: ReadonlyArray<readonly [string, string, Uint8Array]> = [
    ["is shorter than a header", "truncated", frame(EtherType.ipv4, ipv4Packet(Protocol.tcp, new Uint8Array(19)))],
    ["has a data offset inside the header", "badDataOffset", changed(SYN, true, (view) => view.setUint8(12, 0x40))],
    ["has a data offset behind its end", "badDataOffset", changed(SYN, true, (view) => view.setUint8(12, 0x70))],
    ["has a wrong checksum", "badChecksum", changed(SYN, false, (view) => view.setUint16(16, view.getUint16(16) ^ 1))],
    ["comes from port 0", "zeroPort", changed(SYN, true, (view) => view.setUint16(0, 0))],
    ["goes to port 0", "zeroPort", changed(SYN, true, (view) => view.setUint16(2, 0))],
    [
      "has an option without end",
      "badOptions",
      changed(SYN, true, (_view, body) => body.set([2, 40, 5, 5], 20))
    ]
  ]
  for (const [what, reason, segment] of bad) {
    it.effect(
      `are dropped in silence: one that ${what}`,
      on(Effect.gen(function*() {
        const probe = yield* Probe
        yield* (yield* Tcp).listen({ port: 7 })
        probe.send(segment)
        expect(yield* drops).toEqual({ [reason]: 1 })
        expect(probe.takeTcp()).toEqual([])
        expect(probe.takeIcmp()).toEqual([])
      }))
    )
  }

  it.effect(
    "are never answered when they went to many",
    on(Effect.gen(function*() {
      const probe = yield* Probe
      for (const destination of [[192, 0, 2, 255], [255, 255, 255, 255]]) {
        const whole = changed(SYN, false, () => {})
        whole.set(destination, 30)
        const header = whole.subarray(14, 34)
        header.set([0, 0], 10)
        new DataView(whole.buffer).setUint16(24, Checksum.finish(Checksum.add(0, header, 0, 20)))
        whole.set([255, 255, 255, 255, 255, 255], 0)
        probe.send(changed(whole, true, () => {}))
      }
      expect(yield* drops).toEqual({ notUnicast: 2 })
      expect(probe.takeTcp()).toEqual([])
    }))
  )

  it.effect.prop("of whatever octets never do harm", [
    Schema.Array(Schema.Uint8Array.check(Schema.isMaxLength(80))),
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
  ], ([noise, flags]) =>
    Effect.gen(function*() {
      const { connection, next, probe, say } = yield* accepted
      for (const body of noise) {
        probe.send(frame(EtherType.ipv4, ipv4Packet(Protocol.tcp, body)))
        // The same as a segment of the connection, far from its window.
        const segment = tcp({ from: 5000, to: 7, seq: 1001 + 0x4000_0000, ack: next, flags, text: body })
        probe.send(segment)
        probe.send(changed(segment, true, (view, octets) => {
          view.setUint8(12, 0x50 + (body[0] ?? 0) % 4 * 16)
          octets.set(body, 20)
        }))
      }
      say({ flags: ack | psh, text: bytes("sane") })
      expect(Buffer.concat(yield* connection.read).toString()).toBe("sane")
      // Nobody would answer a FIN.
      yield* connection.abort
    }).pipe(Effect.scoped, Effect.provide(stack, { local: true })), { arbitrary: { runs: 50 } })
})

describe("segments for nobody (RFC 9293 §3.10.7.1)", () => {
  const answers: ReadonlyArray<readonly [string, number, ReadonlyArray<Partial<SentSegment>>]> = [
    ["a SYN", syn, [{ flags: rst | ack, seq: 0, ack: 1004 }]],
    ["an acknowledgement", ack, [{ flags: rst, seq: 77 }]],
    ["a FIN", fin | ack, [{ flags: rst, seq: 77 }]],
    ["text without acknowledgement", 0, [{ flags: rst | ack, seq: 0, ack: 1003 }]],
    ["a reset", rst, []],
    ["a reset that acknowledges", rst | ack, []]
  ]
  for (const [what, flags, expected] of answers) {
    it.effect(
      `${what} is answered ${expected.length === 0 ? "by nothing" : "by a reset"}`,
      on(Effect.gen(function*() {
        const probe = yield* Probe
        probe.send(tcp({ from: 5000, to: 7, seq: 1000, ack: 77, flags, text: bytes("abc") }))
        expect(probe.takeTcp()).toMatchObject(expected)
        expect(yield* drops).toEqual({ noConnection: 1 })
        expect((yield* (yield* Statistics).snapshot)["tcp.resetsSent"]).toBe(expected.length === 0 ? undefined : 1)
      }))
    )
  }

  it.effect(
    "a listener ignores resets and the like, and resets what acknowledges",
    on(Effect.gen(function*() {
      const probe = yield* Probe
      yield* (yield* Tcp).listen({ port: 7 })
      for (const flags of [rst, 0, fin, psh]) probe.send(tcp({ from: 5000, to: 7, seq: 1000, flags }))
      expect(probe.takeTcp()).toEqual([])
      for (const flags of [ack, syn | ack]) probe.send(tcp({ from: 5000, to: 7, seq: 1000, ack: 77, flags }))
      expect(probe.takeTcp()).toMatchObject([{ flags: rst, seq: 77 }, { flags: rst, seq: 77 }])
      expect((yield* (yield* Statistics).snapshot)["tcp.connections"]).toBeUndefined()
    }))
  )
})

describe("a passive OPEN whose peer resets", () => {
  it.effect(
    "forgets the octets that came with the SYN",
    on(Effect.gen(function*() {
      const probe = yield* Probe
      const connection = yield* (yield* Tcp).open({ mode: "passive", local: { port: 7 } })
      const say = (segment: Omit<Parameters<typeof tcp>[0], "from" | "to">) =>
        probe.send(tcp({ from: 5000, to: 7, ...segment }))
      say({ seq: 1000, flags: syn, text: bytes("old") })
      say({ seq: 1004, flags: rst })
      expect(connection.state()).toBe("LISTEN")
      probe.takeTcp()
      say({ seq: 2000, flags: syn })
      const [answer] = probe.takeTcp()
      say({ seq: 2001, ack: answer!.seq + 1, flags: ack | psh, text: bytes("new") })
      expect(Buffer.concat(yield* connection.read).toString()).toBe("new")
    }))
  )
})

describe("a flood of SYNs that are never followed up, without cookies (RFC 4987 §3.4)", () => {
  it.effect(
    "keeps others from the port only until it had time to answer",
    on(Effect.gen(function*() {
      const probe = yield* Probe
      const service = yield* Tcp
      const listener = yield* service.listen({ port: 7, backlog: 4, synCookies: "off" })
      for (let from = 1000; from < 1010; from++) probe.send(tcp({ from, to: 7, seq: 0, flags: syn }))
      const knock = () => {
        probe.takeTcp()
        probe.send(tcp({ from: 5000, to: 7, seq: 100, flags: syn }))
        return probe.takeTcp()
      }
      expect(knock()).toEqual([])
      expect(yield* drops).toEqual({ synQueueFull: 7 })

      // The initial retransmission timeout.
      yield* TestClock.adjust("1 second")
      const answers = knock()
      expect(answers).toMatchObject([{ flags: syn | ack, destinationPort: 5000 }])
      probe.send(tcp({ from: 5000, to: 7, seq: 101, ack: answers[0]!.seq + 1, flags: ack }))
      expect((yield* listener.accept).remote.port).toBe(5000)
      const halfOpen = (yield* service.status).filter(({ state }) => state === "SYN-RECEIVED")
      expect(halfOpen.map(({ remote }) => remote.port).toSorted()).toEqual([1001, 1002, 1003])
    }))
  )
})

describe("ICMP errors (RFC 9293 §3.9.2.2, RFC 5927)", () => {
  const opening = Effect.gen(function*() {
    const probe = yield* Probe
    const attempt = yield* Effect.forkScoped(Effect.flip((yield* Tcp).connect({
      remote: inet(PEER, 80),
      settings: { synRetransmissions: 1 }
    })))
    yield* settle
    const [first] = probe.takeTcp()
    return { attempt, probe, first: first! }
  })

  it.effect(
    "end an attempt to connect when they are final",
    on(Effect.gen(function*() {
      const { attempt, first, probe } = yield* opening
      probe.send(icmp(3, 2, first))
      const error = yield* Fiber.join(attempt)
      expect(["ConnectionRefused", "Unreachable"]).toContain(error.reason._tag)
    }))
  )

  it.effect(
    "are only the reason of a later timeout when they may pass",
    on(Effect.gen(function*() {
      const { attempt, first, probe } = yield* opening
      probe.send(icmp(3, 1, first))
      yield* TestClock.adjust("500 millis")
      expect(attempt.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(attempt)).reason._tag).toBe("Unreachable")
    }))
  )

  it.effect(
    "are not believed with a sequence number that is not on its way",
    on(Effect.gen(function*() {
      const { attempt, first, probe } = yield* opening
      probe.send(icmp(3, 2, first, { seq: first.seq + 1 }))
      probe.send(icmp(3, 2, first, { seq: first.seq - 1 }))
      probe.send(icmp(3, 2, { ...first, sourcePort: first.sourcePort ^ 1 }))
      expect(yield* drops).toEqual({ errorOutOfWindow: 2, errorWithoutConnection: 1 })
      expect(attempt.pollUnsafe()).toBeUndefined()
    }))
  )

  it.effect(
    "do not end an established connection",
    on(Effect.gen(function*() {
      const { connection, probe, say } = yield* accepted
      yield* connection.write(bytes("on its way"))
      const [segment] = probe.takeTcp()
      for (const code of [0, 1, 2, 3, 5, 13]) probe.send(icmp(3, code, segment!))
      probe.send(icmp(4, 0, segment!))
      expect(connection.state()).toBe("ESTABLISHED")
      say({ ack: segment!.seq + 10 })
      expect(connection.status().sendQueue).toBe(0)
    }))
  )

  it.effect(
    "about the path's MTU count for others only when they are about something on its way (RFC 5927 §7)",
    on(Effect.gen(function*() {
      const { connection, probe, say } = yield* accepted
      const { mtuFor } = yield* Ipv4
      const peer = Address.fromIpv4(inet(PEER, 1).address)
      say({ wnd: 60_000 })
      yield* connection.write(new Uint8Array(1000))
      const [segment] = probe.takeTcp()
      for (const seq of [segment!.seq - 1, segment!.seq + 1000]) probe.send(icmp(3, 4, segment!, { mtu: 600, seq }))
      probe.send(icmp(3, 4, { ...segment!, destinationPort: 4444 }, { mtu: 600 }))
      expect([mtuFor(peer), connection.controlBlock().snd.mss]).toEqual([1500, 1460])
      probe.send(icmp(3, 4, segment!, { mtu: 600 }))
      expect([mtuFor(peer), connection.controlBlock().snd.mss]).toEqual([600, 560])
      say({ ack: segment!.seq + 1000 })
      yield* connection.abort
    }))
  )

  it.effect(
    "make segments smaller when the path's MTU shrank",
    on(Effect.gen(function*() {
      const { connection, probe, say } = yield* accepted
      say({ wnd: 60_000 })
      const text = new Uint8Array(10_000).fill(7)
      yield* connection.write(text)
      const before = probe.takeTcp()
      expect(before[0]!.text.length).toBe(1460)
      probe.send(icmp(3, 4, before[0]!, { mtu: 1000 }))
      yield* TestClock.adjust("300 millis")
      const after = probe.takeTcp()
      expect(after.length).toBeGreaterThan(0)
      expect(after[0]!.seq).toBe(before[0]!.seq)
      for (const segment of after) expect(segment.text.length).toBeLessThanOrEqual(960)
    }))
  )
})
