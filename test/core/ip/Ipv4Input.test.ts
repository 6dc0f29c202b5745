/**
 * What arrives: every reason to drop a packet, and what is delivered otherwise.
 */
import { assert, describe, it } from "@effect/vitest"
import { Packet } from "@strata/core/device/Packet"
import { Entropy } from "@strata/core/Entropy"
import { Ipv4 } from "@strata/core/ip/Ipv4"
import { Multicast } from "@strata/core/ip/Multicast"
import { Routing } from "@strata/core/ip/Routing"
import { EVERYTHING } from "@strata/core/ip/SourceFilter"
import * as NetworkStack from "@strata/core/NetworkStack"
import { Trace, type TraceDetail } from "@strata/core/Trace"
import { Loopback } from "@strata/drivers"
import { Effect, Exit, Layer, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import {
  BROADCAST,
  counted,
  host,
  Neighbour,
  packet,
  type PacketOptions,
  pattern,
  STACK_MAC
} from "../../support/internet.ts"

const stack = Layer.fresh(
  Neighbour.layer().pipe(
    Layer.provideMerge(NetworkStack.network),
    Layer.provideMerge(Entropy.layerSeeded(1))
  )
)

interface Delivered {
  readonly device: string
  readonly destination: string
  readonly body: Uint8Array
}

/** Takes what is for one protocol. */
const receive = (protocol = 17) =>
  Effect.gen(function*() {
    const delivered: Array<Delivered> = []
    yield* (yield* Ipv4).handle(protocol, (device, arrived, destination) => {
      delivered.push({ device: device.name, destination, body: arrived.toBytes() })
    })
    return delivered
  })

interface Reported {
  readonly type: number
  readonly code: number
  /** From the header that is to be quoted on. */
  readonly quoted: Uint8Array
}

const reports = Effect.gen(function*() {
  const reported: Array<Reported> = []
  yield* (yield* Ipv4).reporter((offending, type, code) => {
    const { end, networkStart } = offending
    reported.push({ type, code, quoted: offending.bytes.slice(networkStart, end) })
  })
  return reported
})

const body = pattern(24)
const recordRoute = [7, 7, 4, 0, 0, 0, 0, 0]

/** One packet alone, and the name under which it is dropped. */
const drops: ReadonlyArray<readonly [string, string, PacketOptions]> = [
  ["truncatedHeader", "shorter than a header", {}],
  ["badVersion", "of another version", { version: 6 }],
  ["badVersion", "of version 0", { version: 0 }],
  ["badHeaderLength", "with a header of four words", { headerWords: 4 }],
  ["badHeaderLength", "with a header of no words", { headerWords: 0 }],
  ["badHeaderLength", "with a header beyond its end", { headerWords: 15 }],
  ["badTotalLength", "shorter than its header", { totalLength: 19 }],
  ["badTotalLength", "longer than its frame", { totalLength: 20 + 24 + 3 }],
  ["badChecksum", "with a bad checksum", { checksum: 0x1234 }],
  ["badOptions", "with an option that ends nowhere", { options: [7, 0, 0, 0] }],
  ["badOptions", "with an option beyond the header", { options: [148, 8, 0, 0] }],
  ["sourceRouted", "with a loose source route", { options: [131, 7, 4, 10, 0, 0, 1, 0] }],
  ["sourceRouted", "with a strict source route", { options: [137, 7, 4, 10, 0, 0, 1, 0] }],
  ["martianSource", "from 127.0.0.1", { source: "127.0.0.1" }],
  ["martianSource", "from a multicast group", { source: "224.0.0.5" }],
  ["martianSource", "from a reserved address", { source: "240.0.0.1" }],
  ["martianSource", "from the limited broadcast", { source: "255.255.255.255" }],
  ["martianSource", "from our directed broadcast", { source: "192.0.2.255" }],
  ["martianSource", "from ourselves", { source: "192.0.2.2" }],
  ["martianSource", "from our other address", { source: "198.51.100.2" }],
  ["martianSource", "from 0.1.2.3", { source: "0.1.2.3" }],
  ["martianSource", "from 0.0.0.0 to one host", { source: "0.0.0.0" }],
  ["martianDestination", "to 127.0.0.1", { destination: "127.0.0.1" }],
  ["martianDestination", "to 0.0.0.0", { destination: "0.0.0.0" }],
  ["martianDestination", "to a reserved address", { destination: "250.0.0.1" }],
  ["notForUs", "to another host", { destination: "192.0.2.3" }],
  ["notForUs", "to a broadcast of another network", { destination: "198.51.100.255" }],
  ["unknownProtocol", "for a protocol nobody handles", { protocol: 99 }],
  ["fragmentMisaligned", "that is no whole fragment", { moreFragments: true, body: pattern(23) }]
]

describe("Ipv4 input", () => {
  it.effect("delivers an honest packet without what the link padded", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const delivered = yield* receive()
      neighbour.say(Uint8Array.from([...packet({ body: pattern(8) }), ...new Uint8Array(18)]))
      assert.deepStrictEqual(delivered, [{ device: "eth0", destination: "local", body: pattern(8) }])
      assert.deepStrictEqual(yield* counted("ipv4."), { received: 1, delivered: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("says what it knows about a packet", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const known: Array<unknown> = []
      yield* (yield* Ipv4).handle(17, (_, arrived) => {
        const { destination, networkStart, protocol, source, start, timeToLive, typeOfService } = arrived
        known.push({ destination, protocol, source, timeToLive, typeOfService, header: start - networkStart })
      })
      neighbour.say(packet({ body, options: recordRoute, timeToLive: 7, typeOfService: 0x2a }))
      assert.deepStrictEqual(known, [{
        destination: 0xc000_0202,
        protocol: 17,
        source: 0xc000_0201,
        timeToLive: 7,
        typeOfService: 0x2a,
        header: 28
      }])
    }).pipe(Effect.provide(stack)))

  it.effect.each(drops)("drops as %s a packet %s", ([reason, what, options]) =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      yield* (yield* Routing).addAddress("eth0", host("198.51.100.2/32"))
      const delivered = yield* receive()
      const bytes = packet({ body, ...options })
      neighbour.say(what === "shorter than a header" ? bytes.subarray(0, 19) : bytes)
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { [reason]: 1 })
      assert.deepStrictEqual(delivered, [])
    }).pipe(Effect.provide(stack)))

  it.effect("accepts any time to live, also zero (RFC 1122 §3.2.1.7)", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const delivered = yield* receive()
      for (const timeToLive of [0, 1, 255]) neighbour.say(packet({ body, timeToLive }))
      assert.strictEqual(delivered.length, 3)
    }).pipe(Effect.provide(stack)))

  it.effect("accepts options it has no use for", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const delivered = yield* receive()
      const useless = [recordRoute, [68, 8, 5, 0, 0, 0, 0, 0], [148, 4, 0, 0], [1, 1, 1, 0], [200, 4, 9, 9], [
        0,
        9,
        9,
        9
      ]]
      for (const options of useless) neighbour.say(packet({ body, options }))
      assert.strictEqual(delivered.length, useless.length)
    }).pipe(Effect.provide(stack)))

  it.effect("knows broadcasts, and who asks for an address", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const delivered = yield* receive()
      neighbour.say(packet({ destination: "255.255.255.255", body }), BROADCAST)
      neighbour.say(packet({ destination: "192.0.2.255", body }), BROADCAST)
      neighbour.say(packet({ destination: "192.0.2.255", body }), STACK_MAC)
      neighbour.say(packet({ source: "0.0.0.0", destination: "255.255.255.255", body }), BROADCAST)
      assert.deepStrictEqual(delivered.map(({ destination }) => destination), [
        "broadcast",
        "broadcast",
        "broadcast",
        "broadcast"
      ])
    }).pipe(Effect.provide(stack)))

  it.effect("takes multicast to groups that somebody listens to there", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const delivered = yield* receive()
      const { device } = (yield* Routing).interfaces()[0]!
      neighbour.say(packet({ destination: "224.1.2.3", body }), 0x0100_5e01_0203)
      const member = (yield* Multicast).member()
      member.listen(device, 0xe001_0203, EVERYTHING)
      neighbour.say(packet({ destination: "224.1.2.3", body }), 0x0100_5e01_0203)
      assert.deepStrictEqual(delivered.map(({ destination }) => destination), ["multicast"])
      // Another group with the same hardware address.
      neighbour.say(packet({ destination: "224.129.2.3", body }), 0x0100_5e01_0203)
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { groupNotJoined: 1 })
      member.close()
      neighbour.say(packet({ destination: "224.1.2.3", body }), 0x0100_5e01_0203)
      assert.strictEqual(delivered.length, 1)
      assert.deepStrictEqual(yield* counted("ethernet.dropped."), { notForUs: 2 })
    }).pipe(Effect.provide(stack)))

  it.effect("drops packets for one host in frames for all (RFC 1122 §3.3.6)", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const delivered = yield* receive()
      neighbour.say(packet({ body }), BROADCAST)
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { linkBroadcast: 1 })
      assert.deepStrictEqual(delivered, [])
    }).pipe(Effect.provide(stack)))

  it.effect("accepts any of its addresses from any device, but not its own as a source", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const delivered = yield* receive()
      yield* (yield* Routing).addAddress("eth0", host("198.51.100.2/24"))
      neighbour.say(packet({ destination: "198.51.100.2", body }))
      assert.strictEqual(delivered.length, 1)
    }).pipe(Effect.provide(stack)))

  it.effect("reports a protocol that nobody handles, until somebody does", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const reported = yield* reports
      const bytes = packet({ protocol: 99, body })
      neighbour.say(bytes)
      assert.deepStrictEqual(reported.splice(0), [{ type: 3, code: 2, quoted: bytes }])
      const scope = yield* Scope.make()
      const delivered = yield* receive(99).pipe(Effect.provideService(Scope.Scope, scope))
      assert.isTrue((yield* Ipv4).handles(99))
      neighbour.say(bytes)
      assert.strictEqual(delivered.length, 1)
      yield* Scope.close(scope, Exit.void)
      assert.isFalse((yield* Ipv4).handles(99))
      neighbour.say(bytes)
      assert.strictEqual(delivered.length, 1)
      assert.strictEqual(reported.length, 1)
    }).pipe(Effect.provide(stack)))

  it.effect("reports to nobody when the reporter is gone", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const reported = yield* reports.pipe(Effect.provideService(Scope.Scope, scope))
      yield* Scope.close(scope, Exit.void)
      ;(yield* Neighbour).say(packet({ protocol: 99, body }))
      assert.deepStrictEqual(reported, [])
    }).pipe(Effect.provide(stack)))

  it.effect("drops without a word when ICMP is left out of the stack", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      neighbour.say(packet({ protocol: 99, body }))
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { unknownProtocol: 1 })
      assert.deepStrictEqual(neighbour.hear(), [])
    }).pipe(Effect.provide(stack)))

  it.effect("puts fragments together", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const delivered = yield* receive()
      const whole = pattern(3000)
      neighbour.say(packet({ identification: 5, offset: 1480, body: whole.subarray(1480) }))
      neighbour.say(packet({ identification: 5, offset: 0, moreFragments: true, body: whole.subarray(0, 1480) }))
      assert.deepStrictEqual(delivered, [{ device: "eth0", destination: "local", body: whole }])
      assert.deepStrictEqual(yield* counted("ipv4."), {
        received: 2,
        fragmentsReceived: 2,
        reassembled: 1,
        delivered: 1
      })
    }).pipe(Effect.provide(stack)))

  it.effect("reports a whole datagram as if it had arrived in one piece", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const reported = yield* reports
      const options = { protocol: 99, identification: 5, timeToLive: 9 }
      neighbour.say(packet({ ...options, body: body.subarray(0, 16), moreFragments: true }))
      neighbour.say(packet({ ...options, body: body.subarray(16), offset: 16 }))
      assert.deepStrictEqual(reported, [{ type: 3, code: 2, quoted: packet({ ...options, body }) }])
    }).pipe(Effect.provide(stack)))

  it.effect("gives fragments up after thirty seconds, and says so when the first one came", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const reported = yield* reports
      const first = packet({ identification: 5, body, moreFragments: true })
      neighbour.say(first)
      neighbour.say(packet({ identification: 6, offset: 8, body }))
      yield* TestClock.adjust(29_999)
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), {})
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { reassemblyTimeout: 2 })
      assert.deepStrictEqual(reported, [{ type: 11, code: 1, quoted: first }])
    }).pipe(Effect.provide(stack)))

  it.effect.each([
    ["fragmentOverlap", { offset: 8, body, moreFragments: true }],
    ["fragmentInconsistent", { offset: 8, body: body.subarray(0, 8), identification: 7 }],
    ["fragmentTooLong", { offset: 65_512, body }],
    ["fragmentEcnMismatch", { offset: 24, body, typeOfService: 3 }]
  ] as ReadonlyArray<readonly [string, PacketOptions]>)(
    "drops as %s what does not fit together",
    ([reason, second]) =>
      Effect.gen(function*() {
        const neighbour = yield* Neighbour
        const delivered = yield* receive()
        const identification = second.identification ?? 0
        const offset = reason === "fragmentInconsistent" ? 16 : 0
        neighbour.say(packet({ identification, offset, body, moreFragments: true }))
        neighbour.say(packet(second))
        assert.deepStrictEqual(yield* counted("ipv4.dropped."), { [reason]: 1 })
        assert.deepStrictEqual(delivered, [])
      }).pipe(Effect.provide(stack))
  )

  it.effect("forgets the oldest fragments when memory is short", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      for (let identification = 0; identification < 1025; identification++) {
        neighbour.say(packet({ identification, body, moreFragments: true }))
      }
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { reassemblyFull: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("lets a packet to itself through loopback, 127.0.0.0/8 included", () =>
    Effect.gen(function*() {
      const delivered = yield* receive()
      const output = (yield* Ipv4).output
      for (const destination of [0x7f00_0001, 0x7f01_0203, 0xc000_0202]) {
        const sent = new Packet(new Uint8Array(256), 160, 160)
        sent.append(body)
        sent.destination = destination
        sent.protocol = 17
        assert.strictEqual(output(sent), "sent")
        yield* Effect.yieldNow
      }
      assert.deepStrictEqual(delivered, Array.from({ length: 3 }, () => ({ device: "lo", destination: "local", body })))
    }).pipe(Effect.provide(Loopback.layer.pipe(Layer.provideMerge(stack)))))

  it.effect("traces what it receives and what it drops", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const details: Array<TraceDetail> = []
      const stop = (yield* Trace).listen(({ detail }) => details.push(detail))
      const bytes = packet({ protocol: 99, body })
      neighbour.say(bytes)
      stop()
      const seen = details.flatMap((detail) =>
        "layer" in detail && detail.layer === "ipv4" && "bytes" in detail ? [[detail._tag, detail.bytes]] : []
      )
      assert.deepStrictEqual(seen, [["Packet", bytes], ["Dropped", body]])
    }).pipe(Effect.provide(stack)))

  it.effect.prop(
    "survives anything",
    {
      bytes: Schema.Uint8Array,
      options: Schema.Struct({ words: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 15 })) })
    },
    ({ bytes, options }) =>
      Effect.gen(function*() {
        const neighbour = yield* Neighbour
        yield* receive()
        neighbour.say(bytes)
        // Behind a good checksum, where more of it is looked at.
        const padded = Uint8Array.from([...bytes, ...new Uint8Array(40)])
        neighbour.say(packet({
          headerWords: options.words,
          options: [...padded.subarray(0, 40)],
          offset: (padded[3]! % 32) * 8,
          moreFragments: padded[2]! > 127,
          protocol: padded[4]!,
          body: bytes
        }))
        const { received } = yield* counted("ipv4.")
        assert.strictEqual(received, 2)
      }).pipe(Effect.provide(Layer.fresh(stack)))
  )
})
