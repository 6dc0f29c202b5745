/**
 * Echo, errors out, errors in: octet by octet.
 */
import { assert, describe, it } from "@effect/vitest"
import { Packet } from "@strata/core/device/Packet"
import { Entropy } from "@strata/core/Entropy"
import { AnswerBroadcastEcho, Icmp } from "@strata/core/ip/Icmp"
import { type DeliveryError, Ipv4 } from "@strata/core/ip/Ipv4"
import { Routing } from "@strata/core/ip/Routing"
import { Ethernet } from "@strata/core/link/Ethernet"
import * as NetworkStack from "@strata/core/NetworkStack"
import { Trace, type TraceDetail } from "@strata/core/Trace"
import * as Checksum from "@strata/core/wire/Checksum"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import {
  BROADCAST,
  counted,
  host,
  icmp,
  Neighbour,
  packet,
  type PacketOptions,
  pattern,
  raw,
  type Seen,
  STACK
} from "../../support/internet.ts"

const stackOf = (options?: Parameters<typeof Neighbour.layer>[0]) =>
  Layer.fresh(
    Layer.mergeAll(Icmp.layer, Neighbour.layer(options)).pipe(
      Layer.provideMerge(NetworkStack.network),
      Layer.provideMerge(Entropy.layerSeeded(1))
    )
  )
const stack = stackOf()
const ICMP = 1

/** Says an ICMP message and takes what the stack sends then. */
const say = (message: Uint8Array, options: PacketOptions = {}, linkDestination?: number) =>
  Effect.map(Neighbour, (neighbour) => {
    neighbour.say(packet({ protocol: ICMP, body: message, ...options }), linkDestination)
    return neighbour.hear()
  })

/** Says a packet in fragments for an MTU of 1500. */
const sayCut = (message: Uint8Array, options: PacketOptions = {}) =>
  Effect.map(Neighbour, (neighbour) => {
    for (let offset = 0; offset < message.length; offset += 1480) {
      neighbour.say(packet({
        protocol: ICMP,
        identification: 77,
        ...options,
        offset,
        moreFragments: offset + 1480 < message.length,
        body: message.subarray(offset, offset + 1480)
      }))
    }
    return neighbour.hear()
  })

const joinBodies = (fragments: ReadonlyArray<Seen>): Uint8Array =>
  Uint8Array.from(fragments.flatMap(({ body }) => [...body]))

const typeAndCode = ({ body }: Seen): string => `${body[0]}/${body[1]}`

/** Sees to it that nobody handles UDP, so that each datagram is answered with protocol unreachable. */
const datagram = (options: PacketOptions = {}): Uint8Array => packet({ protocol: 17, body: pattern(32), ...options })

describe("Icmp echo", () => {
  it.effect("answers octet by octet", () =>
    Effect.gen(function*() {
      const [seen, ...more] = yield* say(icmp(8, 0, 0x1234_0007, pattern(9)), { typeOfService: 0xb9, timeToLive: 3 })
      assert.deepStrictEqual(more, [])
      assert.deepStrictEqual(seen!.body, icmp(0, 0, 0x1234_0007, pattern(9)))
      assert.deepInclude(seen, {
        source: STACK,
        destination: "192.0.2.1",
        protocol: ICMP,
        timeToLive: 64,
        typeOfService: 0xb8,
        dontFragment: false
      })
    }).pipe(Effect.provide(stack)))

  it.effect("answers from the address that was asked", () =>
    Effect.gen(function*() {
      yield* (yield* Routing).addAddress("eth0", host("198.51.100.2/24"))
      const [seen] = yield* say(icmp(8, 0, 1), { destination: "198.51.100.2" })
      assert.strictEqual(seen!.source, "198.51.100.2")
    }).pipe(Effect.provide(stack)))

  it.effect.each([0, 1, 1472, 1473, 10_000, 65_507])(
    "answers %i octets, in fragments where it must",
    (length) =>
      Effect.gen(function*() {
        const seen = yield* sayCut(icmp(8, 0, 5, pattern(length)))
        assert.deepStrictEqual(joinBodies(seen), icmp(0, 0, 5, pattern(length)))
        assert.isTrue(seen.every(({ bytes }) => bytes.length <= 1500))
      }).pipe(Effect.provide(stack))
  )

  it.effect("ignores broadcasts unless it is told to answer them", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* say(icmp(8, 0, 1), { destination: "192.0.2.255" }, BROADCAST), [])
      assert.deepStrictEqual(yield* say(icmp(8, 0, 1), { destination: "255.255.255.255" }, BROADCAST), [])
      assert.deepStrictEqual(yield* counted("icmp.dropped."), { broadcastEcho: 2 })
    }).pipe(Effect.provide(stack)))

  it.effect("answers broadcasts and multicast from its own address when it is told to", () =>
    Effect.gen(function*() {
      const { device } = (yield* Routing).interfaces()[0]!
      yield* (yield* Ethernet).join(device, 0x0100_5e00_0001)
      for (
        const [destination, link] of [
          ["192.0.2.255", BROADCAST],
          ["255.255.255.255", BROADCAST],
          ["224.0.0.1", 0x0100_5e00_0001]
        ] as const
      ) {
        const [seen] = yield* say(icmp(8, 0, 1), { destination }, link)
        assert.deepInclude(seen, { source: STACK, destination: "192.0.2.1" })
      }
    }).pipe(Effect.provide(stack), Effect.provideService(AnswerBroadcastEcho, true)))

  it.effect("answers with the time of day (RFC 1122 §3.2.2.8)", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(86_400_000 * 3 + 12_345)
      const times = new Uint8Array(12)
      new DataView(times.buffer).setUint32(0, 99)
      const [seen] = yield* say(icmp(13, 0, 0x0001_0002, times))
      const view = new DataView(seen!.body.buffer)
      assert.strictEqual(typeAndCode(seen!), "14/0")
      assert.deepStrictEqual([4, 8, 12, 16].map((at) => view.getUint32(at)), [0x0001_0002, 99, 12_345, 12_345])
      assert.isTrue(Checksum.verify(Checksum.add(0, seen!.body, 0, 20)))
      assert.deepStrictEqual(yield* say(icmp(13, 0, 1, times), { destination: "192.0.2.255" }, BROADCAST), [])
      assert.deepStrictEqual(yield* say(icmp(13, 0, 1, new Uint8Array(11))), [])
      assert.deepStrictEqual(yield* counted("icmp.dropped."), { broadcastTimestamp: 1, truncated: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("traces messages in and out", () =>
    Effect.gen(function*() {
      const details: Array<TraceDetail> = []
      const stop = (yield* Trace).listen(({ detail }) => details.push(detail))
      yield* say(icmp(8, 0, 1))
      stop()
      const seen = details.flatMap((detail) =>
        detail._tag === "Packet" && detail.layer === "icmp" ? [[detail.direction, detail.network, detail.bytes]] : []
      )
      const [neighbour, own] = [raw("192.0.2.1"), raw(STACK)]
      assert.deepStrictEqual(seen, [
        ["in", { source: neighbour, destination: own }, icmp(8, 0, 1)],
        ["out", { source: own, destination: neighbour }, icmp(0, 0, 1)]
      ])
    }).pipe(Effect.provide(stack)))
})

describe("Icmp drops", () => {
  const corrupt = icmp(8, 0, 1)
  corrupt[7]! ^= 1
  const messages: ReadonlyArray<readonly [string, string, Uint8Array]> = [
    ["truncated", "nothing", new Uint8Array()],
    ["truncated", "seven octets", icmp(8, 0, 1).subarray(0, 7)],
    ["badChecksum", "a corrupt request", corrupt],
    ["unexpectedReply", "a reply to no request", icmp(0, 0, 1)],
    ["sourceQuench", "source quench (RFC 6633)", icmp(4, 0, 0, datagram())],
    ["redirect", "a redirect", icmp(5, 1, 0xc000_0209, datagram())],
    ["unknownType", "a timestamp reply", icmp(14, 0, 0, new Uint8Array(12))],
    ["unknownType", "an address mask request", icmp(17, 0, 0, new Uint8Array(4))],
    ["unknownType", "a type nobody knows", icmp(200, 0, 0)],
    ["unknownCode", "an unreachable of a code nobody knows", icmp(3, 16, 0, datagram())],
    ["unknownCode", "a time exceeded of a code nobody knows", icmp(11, 2, 0, datagram())],
    ["unknownCode", "a parameter problem of a code nobody knows", icmp(12, 3, 0, datagram())]
  ]
  it.effect.each(messages)("as %s %s", ([reason, , message]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* say(message), [])
      assert.deepStrictEqual(yield* counted("icmp.dropped."), { [reason]: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect.prop("survives anything", {
    type: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })),
    data: Schema.Uint8Array
  }, ({
    data,
    type
  }) =>
    Effect.gen(function*() {
      yield* say(data)
      yield* say(icmp(type, data[0] ?? 0, 7, data))
      yield* say(icmp(3, data[0] ?? 0, 7, packet({ source: STACK, body: data, headerWords: (data[1] ?? 5) & 15 })))
      assert.strictEqual((yield* counted("icmp."))["received"], 3)
    }).pipe(Effect.provide(Layer.fresh(stack))))
})

describe("Icmp errors it sends", () => {
  it.effect("quote as much as fits 576 octets (RFC 1812 §4.3.2.3)", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      for (const length of [8, 528, 529, 1400]) {
        const offending = datagram({ body: pattern(length), typeOfService: 0x28, options: [] })
        neighbour.say(offending)
        const [seen] = neighbour.hear()
        assert.strictEqual(typeAndCode(seen!), "3/2")
        assert.deepStrictEqual(seen!.body.subarray(8), offending.subarray(0, 548))
        assert.isTrue(Checksum.verify(Checksum.add(0, seen!.body, 0, seen!.body.length)))
        assert.isAtMost(seen!.bytes.length, 576)
        assert.deepInclude(seen, { source: STACK, destination: "192.0.2.1", typeOfService: 0xc8, timeToLive: 64 })
      }
    }).pipe(Effect.provide(stack)))

  it.effect("carry type, code and parameter, with the options of the offending packet", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const offending = datagram({ options: [1, 1, 1, 0] })
      const ip = yield* Ipv4
      yield* ip.handle(17, (_, arrived) => {
        ip.report(arrived, 3, 3, 0)
        ip.report(arrived, 3, 4, 1400)
        ip.report(arrived, 3, 0, 0)
        ip.report(arrived, 3, 1, 0)
        ip.report(arrived, 11, 0, 0)
      })
      neighbour.say(offending)
      assert.deepStrictEqual(neighbour.hear().map(({ body }) => body), [
        icmp(3, 3, 0, offending),
        icmp(3, 4, 1400, offending),
        icmp(3, 0, 0, offending),
        icmp(3, 1, 0, offending),
        icmp(11, 0, 0, offending)
      ])
    }).pipe(Effect.provide(stack)))

  const silent: ReadonlyArray<readonly [string, string, Uint8Array, number | undefined]> = [
    ["aboutBroadcast", "a broadcast", datagram({ destination: "192.0.2.255" }), undefined],
    ["aboutBroadcast", "the limited broadcast", datagram({ destination: "255.255.255.255" }), undefined],
    ["aboutLinkBroadcast", "a broadcast in a broadcast frame", datagram({ destination: "192.0.2.255" }), BROADCAST],
    ["aboutBroadcast", "multicast", datagram({ destination: "224.0.0.1" }), undefined]
  ]
  it.effect.each(silent)(
    "are not sent: %s, about %s",
    ([reason, , offending, linkDestination]) =>
      Effect.gen(function*() {
        const neighbour = yield* Neighbour
        neighbour.say(offending, linkDestination)
        assert.deepStrictEqual(neighbour.hear(), [])
        assert.deepStrictEqual(yield* counted("icmp.silent."), { [reason]: 1 })
      }).pipe(Effect.provide(stack))
  )

  const reported: ReadonlyArray<readonly [string, string, PacketOptions]> = [
    ["aboutError", "an ICMP error", { protocol: ICMP, body: icmp(3, 1, 0) }],
    ["aboutError", "a type nobody knows", { protocol: ICMP, body: icmp(99, 1, 0) }],
    ["aboutError", "ICMP that is cut off", { protocol: ICMP, body: new Uint8Array() }],
    ["aboutFragment", "a fragment other than the first", { offset: 8 }],
    ["toNobody", "a packet from 0.0.0.0", { source: "0.0.0.0" }],
    ["toNobody", "a packet from a multicast group", { source: "224.0.0.1" }],
    ["toNobody", "a packet from a broadcast address", { source: "192.0.2.255" }]
  ]
  it.effect.each(reported)("are not sent: %s, about %s", ([reason, , options]) =>
    Effect.gen(function*() {
      const offending = new Packet(datagram(options))
      offending.source = raw("192.0.2.1")
      offending.destination = raw(STACK)
      ;(yield* Ipv4).report(offending, 3, 1, 0)
      assert.deepStrictEqual((yield* Neighbour).hear(), [])
      assert.deepStrictEqual(yield* counted("icmp.silent."), { [reason]: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("are not sent about fragments that came in broadcast frames", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const destination = "192.0.2.255"
      neighbour.say(datagram({ destination, body: pattern(8), moreFragments: true }), BROADCAST)
      neighbour.say(datagram({ destination, body: pattern(8), offset: 8 }), BROADCAST)
      assert.deepStrictEqual(neighbour.hear(), [])
      assert.deepStrictEqual(yield* counted("icmp.silent."), { aboutLinkBroadcast: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("are sent about echo requests", () =>
    Effect.gen(function*() {
      const offending = new Packet(datagram({ protocol: ICMP, body: icmp(8, 0, 0) }))
      offending.source = raw("192.0.2.1")
      offending.destination = raw(STACK)
      ;(yield* Ipv4).report(offending, 11, 1, 0)
      assert.deepStrictEqual((yield* Neighbour).hear().map(typeAndCode), ["11/1"])
    }).pipe(Effect.provide(stack)))

  it.effect("are sent when fragments are missing after thirty seconds, and the first is there", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const first = datagram({ moreFragments: true, identification: 1 })
      neighbour.say(first)
      neighbour.say(datagram({ offset: 32, identification: 2 }))
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(neighbour.hear().map(({ body }) => body), [icmp(11, 1, 0, first)])
    }).pipe(Effect.provide(stack)))

  it.effect("are not limited towards the host itself", () =>
    Effect.gen(function*() {
      const { report } = yield* Ipv4
      for (let time = 0; time < 100; time++) {
        const offending = new Packet(datagram({ source: STACK }))
        offending.source = raw(STACK)
        offending.destination = raw(STACK)
        report(offending, 3, 3, 0)
      }
      assert.deepStrictEqual(yield* counted("icmp."), { sent: 100 })
    }).pipe(Effect.provide(stack)))

  it.effect("are limited, for one destination and for all", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const provoke = (source: string, times: number) => {
        for (let time = 0; time < times; time++) neighbour.say(datagram({ source }))
        return neighbour.hear().length
      }
      assert.strictEqual(provoke("192.0.2.1", 10), 6)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(provoke("192.0.2.1", 10), 1)
      assert.strictEqual(provoke("203.0.113.1", 1), 1)
      yield* TestClock.adjust("1 second")
      const from = Array.from({ length: 100 }, (_, index) => provoke(`203.0.113.${index + 2}`, 1))
      assert.strictEqual(from.filter((sent) => sent === 1).length, 50)
      assert.deepStrictEqual(yield* counted("icmp.silent."), { rateLimited: 4 + 9 + 50 })
    }).pipe(Effect.provide(stack)))

  it.effect("defect 11 of microps: a protocol nobody handles is reported", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const offending = packet({ protocol: 132, body: pattern(12) })
      neighbour.say(offending)
      assert.deepStrictEqual(neighbour.hear().map(({ body }) => body), [icmp(3, 2, 0, offending)])
    }).pipe(Effect.provide(stack)))

  it.effect("defect 12 of microps: a header of less than five words is dropped before anything in it is read", () =>
    Effect.gen(function*() {
      for (const headerWords of [0, 1, 4]) {
        assert.deepStrictEqual(yield* say(icmp(8, 0, 1), { headerWords }), [])
      }
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { badHeaderLength: 3 })
      assert.deepStrictEqual(yield* counted("icmp."), {})
    }).pipe(Effect.provide(stack)))
})

describe("Icmp errors it receives", () => {
  const offending = datagram({ source: STACK, destination: "203.0.113.9" })
  const delivered = Effect.gen(function*() {
    const errors: Array<DeliveryError> = []
    yield* (yield* Ipv4).handle(17, () => {}, (error) => {
      errors.push(error)
      return true
    })
    return errors
  })
  const kinds: ReadonlyArray<readonly [number, number, DeliveryError["kind"]]> = [
    [3, 0, "netUnreachable"],
    [3, 1, "hostUnreachable"],
    [3, 2, "protocolUnreachable"],
    [3, 3, "portUnreachable"],
    [3, 5, "sourceRouteFailed"],
    [3, 6, "netUnreachable"],
    [3, 7, "hostUnreachable"],
    [3, 8, "hostUnreachable"],
    [3, 9, "prohibited"],
    [3, 10, "prohibited"],
    [3, 11, "netUnreachable"],
    [3, 12, "hostUnreachable"],
    [3, 13, "prohibited"],
    [3, 14, "prohibited"],
    [3, 15, "prohibited"],
    [11, 0, "timeExceeded"],
    [11, 1, "timeExceeded"],
    [12, 0, "parameterProblem"]
  ]
  it.effect.each(kinds)(
    "of type %i and code %i reach the transport as %s",
    ([type, code, kind]) =>
      Effect.gen(function*() {
        const errors = yield* delivered
        yield* say(icmp(type, code, 0, offending.subarray(0, 28)), { source: "198.51.100.1" })
        assert.deepStrictEqual(errors, [{
          kind,
          mtu: 0,
          reporter: raw("198.51.100.1"),
          source: raw(STACK),
          destination: raw("203.0.113.9")
        }])
      }).pipe(Effect.provide(stack))
  )

  it.effect("carry the next hop's MTU", () =>
    Effect.gen(function*() {
      const errors = yield* delivered
      const big = packet({ protocol: 17, source: STACK, destination: "203.0.113.9", body: pattern(1480) })
      yield* say(icmp(3, 4, 1400, big.subarray(0, 28)))
      assert.deepStrictEqual(errors.map(({ kind, mtu }) => [kind, mtu]), [["fragmentationNeeded", 1400]])
      assert.strictEqual((yield* Ipv4).mtuFor(raw("203.0.113.9")), 1400)
    }).pipe(Effect.provide(stack)))

  it.effect("are dropped when they went to everybody", () =>
    Effect.gen(function*() {
      const errors = yield* delivered
      yield* say(icmp(3, 3, 0, offending), { destination: "192.0.2.255" }, BROADCAST)
      assert.deepStrictEqual(errors, [])
      assert.deepStrictEqual(yield* counted("icmp.dropped."), { broadcastError: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("are dropped when they quote too little, or nothing of ours", () =>
    Effect.gen(function*() {
      const errors = yield* delivered
      yield* say(icmp(3, 3, 0, offending.subarray(0, 27)))
      yield* say(icmp(3, 3, 0, datagram()))
      assert.deepStrictEqual(errors, [])
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { badQuote: 1, quoteNotOurs: 1 })
    }).pipe(Effect.provide(stack)))
})
