/**
 * What leaves: header, source, fragments, path MTU, and the errors that come back.
 */
import { assert, describe, it } from "@effect/vitest"
import { NO_OFFLOAD } from "@strata/core/device/Device"
import { Devices } from "@strata/core/device/Devices"
import * as Packet from "@strata/core/device/Packet"
import { Entropy } from "@strata/core/Entropy"
import { type DeliveryError, Ipv4 } from "@strata/core/ip/Ipv4"
import { Routing } from "@strata/core/ip/Routing"
import { ArpCache } from "@strata/core/link/ArpCache"
import * as NetworkStack from "@strata/core/NetworkStack"
import { formatIpv4, toMac } from "@strata/core/wire/Address"
import * as Checksum from "@strata/core/wire/Checksum"
import { Loopback } from "@strata/drivers"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import {
  BROADCAST,
  cidr,
  counted,
  host,
  ipv4,
  Neighbour,
  NEIGHBOUR_MAC,
  packet,
  type PacketOptions,
  pattern,
  raw,
  type Seen,
  STACK
} from "../../support/internet.ts"

const stackOf = (options?: Parameters<typeof Neighbour.layer>[0]) =>
  Layer.fresh(
    Neighbour.layer(options).pipe(
      Layer.provideMerge(NetworkStack.network),
      Layer.provideMerge(Entropy.layerSeeded(1))
    )
  )
const stack = stackOf()

interface Sending {
  readonly to: string
  readonly body: Uint8Array
  /** Octets of the body that stay where they are. */
  readonly separate?: number
  readonly from?: string
  readonly timeToLive?: number
  readonly typeOfService?: number
  readonly dontFragment?: boolean
  readonly options?: ReadonlyArray<number>
}

const make = ({ body, dontFragment, from, options, separate = 0, timeToLive, to, typeOfService }: Sending) => {
  const sent = Packet.make(body.length)
  sent.append(body.subarray(0, body.length - separate))
  if (separate > 0) sent.attach(body, body.length - separate, body.length)
  sent.source = from === undefined ? 0 : raw(from)
  sent.destination = raw(to)
  sent.protocol = 17
  sent.timeToLive = timeToLive ?? 0
  sent.typeOfService = typeOfService ?? 0
  sent.dontFragment = dontFragment ?? false
  sent.networkOptions = options === undefined ? undefined : Uint8Array.from(options)
  return sent
}

const send = (sending: Sending) => Effect.map(Ipv4, (ip) => ip.output(make(sending)))

/** The payload that fragments make, in the order in which they were sent. */
const join = (fragments: ReadonlyArray<Seen>): Uint8Array => {
  const joined: Array<number> = []
  for (const { body, offset } of fragments) {
    assert.strictEqual(offset, joined.length)
    joined.push(...body)
  }
  return Uint8Array.from(joined)
}

const errors = Effect.gen(function*() {
  const delivered: Array<DeliveryError & { readonly quoted: Uint8Array }> = []
  yield* (yield* Ipv4).handle(17, () => {}, (error, quoted) => {
    delivered.push({ ...error, quoted: quoted.toBytes() })
    return true
  })
  return delivered
})

/** A quoted packet, as ICMP passes it. */
const quote = (options: PacketOptions): Packet.Packet =>
  new Packet.Packet(packet({ source: STACK, destination: "203.0.113.9", body: pattern(8), ...options }))

describe("Ipv4 output", () => {
  it.effect("writes the header octet by octet", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const body = Uint8Array.of(1, 2, 3)
      const sending = { to: "192.0.2.1", body, typeOfService: 0xb8, timeToLive: 9, dontFragment: true }
      assert.strictEqual(yield* send(sending), "sent")
      const [seen] = neighbour.hear()
      assert.deepStrictEqual(
        [...seen!.bytes],
        [0x45, 0xb8, 0, 23, 0, 0, 0x40, 0, 9, 17, 0xed, 0x1a, 192, 0, 2, 2, 192, 0, 2, 1, 1, 2, 3]
      )
      assert.strictEqual(seen!.linkDestination, NEIGHBOUR_MAC)
    }).pipe(Effect.provide(stack)))

  it.effect("chooses source and time to live, and writes the source back", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const sent = make({ to: "203.0.113.9", body: pattern(8) })
      assert.strictEqual((yield* Ipv4).output(sent), "sent")
      assert.strictEqual(formatIpv4(sent.source), "192.0.2.2")
      const [seen] = neighbour.hear()
      assert.deepInclude(seen, { source: "192.0.2.2", timeToLive: 64, linkDestination: NEIGHBOUR_MAC })
    }).pipe(Effect.provide(stack)))

  it.effect("keeps options and a separate payload", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      yield* send({ to: "192.0.2.1", body: pattern(100), separate: 60, options: [148, 4, 0, 0] })
      const [seen] = neighbour.hear()
      assert.deepStrictEqual(seen!.options, Uint8Array.of(148, 4, 0, 0))
      assert.deepStrictEqual(seen!.body, pattern(100))
    }).pipe(Effect.provide(stack)))

  it.effect("numbers what may be fragmented, and nothing else (RFC 6864)", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      for (let count = 0; count < 3; count++) yield* send({ to: "192.0.2.1", body: pattern(8) })
      yield* send({ to: "192.0.2.1", body: pattern(8), dontFragment: true })
      const [one, two, three, atomic] = neighbour.hear().map(({ identification }) => identification)
      assert.strictEqual(two, (one! + 1) & 0xffff)
      assert.strictEqual(three, (one! + 2) & 0xffff)
      assert.strictEqual(atomic, 0)
    }).pipe(Effect.provide(stack)))

  it.effect("sends broadcasts to all stations, and multicast to its group", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      for (const to of ["255.255.255.255", "192.0.2.255", "239.129.2.3"]) yield* send({ to, body: pattern(8) })
      const seen = neighbour.hear()
      assert.deepStrictEqual(seen.map(({ linkDestination }) => linkDestination), [
        BROADCAST,
        BROADCAST,
        0x0100_5e01_0203
      ])
      assert.deepStrictEqual(seen.map(({ timeToLive }) => timeToLive), [64, 64, 1])
      assert.isTrue(seen.every(({ source }) => source === "192.0.2.2"))
    }).pipe(Effect.provide(stack)))

  it.effect("lets a host without an address broadcast, and nothing else", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const routing = yield* Routing
      yield* routing.removeAddress("eth0", ipv4(STACK))
      yield* routing.addRoute(cidr("203.0.113.0/24"), { device: "eth0" })
      assert.strictEqual(yield* send({ to: "255.255.255.255", body: pattern(8) }), "sent")
      assert.strictEqual(yield* send({ to: "203.0.113.9", body: pattern(8) }), "unreachable")
      assert.deepStrictEqual(neighbour.hear().map(({ source }) => source), ["0.0.0.0"])
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { noSource: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("goes nowhere without a route", () =>
    Effect.gen(function*() {
      yield* (yield* Routing).removeRoute(cidr("0.0.0.0/0"))
      assert.strictEqual(yield* send({ to: "203.0.113.9", body: pattern(8) }), "unreachable")
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { noRoute: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("never lets 127.0.0.0/8 out", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      assert.strictEqual(yield* send({ to: "192.0.2.1", from: "127.0.0.1", body: pattern(8) }), "unreachable")
      assert.strictEqual(yield* send({ to: "127.0.0.1", body: pattern(8) }), "unreachable")
      assert.deepStrictEqual(neighbour.hear(), [])
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { martianSource: 1, noRoute: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("says that a device which is down took nothing", () =>
    Effect.gen(function*() {
      const sent = make({ to: "192.0.2.1", body: pattern(8) })
      yield* (yield* Devices).close("eth0")
      assert.strictEqual((yield* Ipv4).output(sent), "unreachable")
    }).pipe(Effect.provide(stack)))

  it.effect("says when the device drops a packet", () =>
    Effect.gen(function*() {
      const { device } = yield* (yield* Devices).attach({
        name: "full0",
        type: "ethernet",
        framing: "none",
        flags: { loopback: false, broadcast: false, multicast: false, pointToPoint: true, needsArp: false },
        mtu: 100,
        hardwareAddress: 0,
        offload: NO_OFFLOAD,
        transmit: () => false,
        flush: () => {}
      })
      yield* (yield* Routing).addAddress(device.name, host("10.0.0.1/30"))
      assert.strictEqual(yield* send({ to: "10.0.0.2", body: pattern(8) }), "dropped")
      assert.strictEqual(yield* send({ to: "10.0.0.2", body: pattern(500) }), "dropped")
    }).pipe(Effect.provide(stack)))

  it.effect("has its addresses announced on the link", () =>
    Effect.gen(function*() {
      const { transmittedPackets } = (yield* (yield* Devices).get("eth0")).counters
      const before = transmittedPackets.value
      yield* (yield* Routing).addAddress("eth0", host("198.51.100.2/24"))
      assert.strictEqual(transmittedPackets.value, before + 1)
    }).pipe(Effect.provide(stack)))
})

describe("Ipv4 fragmentation", () => {
  const cuts: ReadonlyArray<readonly [number, number, number]> = [
    [1500, 1481, 0],
    [1500, 4000, 3990],
    [1500, 65_515, 65_507],
    [576, 3000, 1000],
    [68, 500, 492]
  ]
  it.effect.each(cuts)(
    "cuts for an MTU of %i a payload of %i octets",
    ([mtu, length, separate]) =>
      Effect.gen(function*() {
        const neighbour = yield* Neighbour
        const sending = { to: "192.0.2.1", body: pattern(length), separate, typeOfService: 0x28 }
        assert.strictEqual(yield* send(sending), "sent")
        const seen = neighbour.hear()
        assert.deepStrictEqual(join(seen), pattern(length))
        assert.isTrue(seen.every(({ bytes }) => bytes.length <= mtu))
        assert.isTrue(seen.every(({ moreFragments }, index) => moreFragments === index < seen.length - 1))
        assert.strictEqual(new Set(seen.map(({ identification }) => identification)).size, 1)
        assert.strictEqual(seen.length, Math.ceil(length / ((mtu - 20) & ~7)))
        assert.isTrue(seen.every(({ timeToLive, typeOfService }) => timeToLive === 64 && typeOfService === 0x28))
      }).pipe(Effect.provide(stackOf({ mtu })))
  )

  it.effect.prop(
    "loses nothing, whatever the MTU",
    {
      mtu: Schema.Int.check(Schema.isBetween({ minimum: 68, maximum: 1500 })),
      length: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5000 })),
      share: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))
    },
    ({ length, mtu, share }) =>
      Effect.gen(function*() {
        const neighbour = yield* Neighbour
        const separate = Math.floor(length * share / 100)
        assert.strictEqual(yield* send({ to: "192.0.2.1", body: pattern(length), separate }), "sent")
        const seen = neighbour.hear()
        assert.deepStrictEqual(join(seen), pattern(length))
        assert.isTrue(seen.every(({ bytes }) => bytes.length <= mtu))
      }).pipe(Effect.provide(stackOf({ mtu })))
  )

  it.effect("completes the transport's checksum before it cuts", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const body = pattern(3000)
      body.set([0x12, 0x34], 6)
      const sent = make({ to: "192.0.2.1", body })
      sent.checksum = Packet.ChecksumState.partial
      sent.checksumStart = sent.start
      sent.checksumOffset = 6
      assert.strictEqual((yield* Ipv4).output(sent), "sent")
      const joined = join(neighbour.hear())
      // The field held the pseudo-header's sum, which the receiver adds itself.
      assert.isTrue(Checksum.verify(Checksum.add(0x1234, joined, 0, joined.length)))
    }).pipe(Effect.provide(stack)))

  it.effect("puts all options into the first fragment, and those that ask for it into all", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const recordRoute = [7, 7, 4, 0, 0, 0, 0]
      const routerAlert = [148, 4, 0, 0]
      yield* send({ to: "192.0.2.1", body: pattern(4000), options: [...recordRoute, ...routerAlert, 0] })
      const seen = neighbour.hear()
      assert.deepStrictEqual(join(seen), pattern(4000))
      assert.deepStrictEqual(seen.map(({ options }) => [...options]), [
        [...recordRoute, ...routerAlert, 0],
        routerAlert,
        routerAlert
      ])
    }).pipe(Effect.provide(stack)))

  it.effect("does not cut what must not be cut, or cannot be a datagram", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      assert.strictEqual(yield* send({ to: "192.0.2.1", body: pattern(1481), dontFragment: true }), "tooBig")
      assert.strictEqual(yield* send({ to: "192.0.2.1", body: pattern(65_516) }), "tooBig")
      assert.strictEqual(
        yield* send({ to: "192.0.2.1", body: pattern(65_512), options: [1, 1, 1, 0] }),
        "tooBig"
      )
      assert.deepStrictEqual(neighbour.hear(), [])
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { tooBig: 3 })
      assert.strictEqual(yield* send({ to: "192.0.2.1", body: pattern(1480), dontFragment: true }), "sent")
      assert.isTrue(neighbour.hear()[0]!.dontFragment)
    }).pipe(Effect.provide(stack)))

  it.effect("leaves to the device what the device can cut", () =>
    Effect.gen(function*() {
      const lengths: Array<number> = []
      const { device } = yield* (yield* Devices).attach({
        name: "tso0",
        type: "ethernet",
        framing: "none",
        flags: { loopback: false, broadcast: false, multicast: false, pointToPoint: true, needsArp: false },
        mtu: 1500,
        hardwareAddress: 0,
        offload: { checksum: true, segmentation: 65_535 },
        transmit: (sent) => lengths.push(sent.length) > 0,
        flush: () => {}
      })
      yield* (yield* Routing).addAddress(device.name, host("10.0.0.1/30"))
      assert.strictEqual(yield* outputCut("10.0.0.2", 1460), "sent")
      // Each of its segments would be longer than the MTU.
      assert.strictEqual(yield* outputCut("10.0.0.2", 1461), "tooBig")
      assert.strictEqual(yield* outputCut("192.0.2.1", 1460), "tooBig")
      assert.deepStrictEqual(lengths, [20_020])
    }).pipe(Effect.provide(stack)))
})

/** A packet of 20,000 octets that the device is to cut. */
const outputCut = (to: string, segmentSize: number) =>
  Effect.map(Ipv4, (ip) => {
    const large = make({ to, body: pattern(20), dontFragment: true })
    large.attach(pattern(20_000), 0, 19_980)
    large.segmentSize = segmentSize
    return ip.output(large)
  })

describe("Ipv4 path MTU and errors", () => {
  it.effect("tells MTU and source towards a destination", () =>
    Effect.gen(function*() {
      const ip = yield* Ipv4
      assert.strictEqual(ip.mtuFor(raw("203.0.113.9")), 1400)
      assert.strictEqual(ip.mtuFor(raw("192.0.2.2")), 65_535)
      assert.strictEqual(formatIpv4(ip.sourceFor(raw("203.0.113.9"))), "192.0.2.2")
      assert.strictEqual(formatIpv4(ip.sourceFor(raw("127.0.0.1"))), "127.0.0.1")
      yield* (yield* Routing).removeRoute(cidr("0.0.0.0/0"))
      assert.strictEqual(ip.mtuFor(raw("203.0.113.9")), 576)
      assert.strictEqual(ip.sourceFor(raw("203.0.113.9")), 0)
    }).pipe(Effect.provide(Loopback.layer.pipe(Layer.provideMerge(stackOf({ mtu: 1400 }))))))

  it.effect("passes an error to the protocol it concerns", () =>
    Effect.gen(function*() {
      const delivered = yield* errors
      const ip = yield* Ipv4
      ip.deliverError("portUnreachable", 0, raw("203.0.113.9"), quote({ options: [1, 1, 1, 0] }))
      assert.deepStrictEqual(delivered, [{
        kind: "portUnreachable",
        mtu: 0,
        reporter: raw("203.0.113.9"),
        source: raw(STACK),
        destination: raw("203.0.113.9"),
        quoted: pattern(8)
      }])
    }).pipe(Effect.provide(stack)))

  it.effect.each(
    [
      ["badQuote", { version: 6 }],
      ["badQuote", { headerWords: 4 }],
      ["badQuote", { headerWords: 8 }],
      ["badQuote", { body: pattern(7) }],
      ["badQuote", { body: pattern(0) }],
      ["quoteNotOurs", { source: "192.0.2.3" }],
      ["quotedFragment", { offset: 8 }]
    ] as ReadonlyArray<readonly [string, PacketOptions]>
  )("drops as %s an error about no packet of ours: %o", ([reason, options]) =>
    Effect.gen(function*() {
      const delivered = yield* errors
      ;(yield* Ipv4).deliverError("portUnreachable", 0, raw("203.0.113.9"), quote(options))
      assert.deepStrictEqual(delivered, [])
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { [reason]: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("learns the path's MTU, fragments for it, and forgets it after ten minutes", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const delivered = yield* errors
      const ip = yield* Ipv4
      const learn = (mtu: number) =>
        ip.deliverError("fragmentationNeeded", mtu, raw("192.0.2.1"), quote({ totalLength: 1500, dontFragment: true }))
      learn(1000)
      assert.deepStrictEqual(delivered.map(({ mtu }) => mtu), [1000])
      assert.strictEqual(ip.mtuFor(raw("203.0.113.9")), 1000)
      assert.strictEqual(ip.mtuFor(raw("203.0.113.10")), 1500)
      yield* send({ to: "203.0.113.9", body: pattern(1480) })
      assert.deepStrictEqual(neighbour.hear().map(({ bytes }) => bytes.length), [996, 524])
      assert.strictEqual(yield* send({ to: "203.0.113.9", body: pattern(1480), dontFragment: true }), "tooBig")
      learn(1500)
      assert.deepStrictEqual(yield* counted("ipv4.dropped."), { tooBig: 1, unbelievableMtu: 1 })
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(ip.mtuFor(raw("203.0.113.9")), 1500)
    }).pipe(Effect.provide(stack)))

  it.effect("learns nothing that the transport does not vouch for (RFC 5927)", () =>
    Effect.gen(function*() {
      const ip = yield* Ipv4
      const asked: Array<number> = []
      yield* ip.handle(17, () => {}, ({ mtu }) => {
        asked.push(mtu)
        return false
      })
      for (const protocol of [17, 200]) {
        const forged = quote({ totalLength: 1500, dontFragment: true, protocol })
        ip.deliverError("fragmentationNeeded", 600, raw("192.0.2.1"), forged)
      }
      assert.deepStrictEqual(asked, [600])
      assert.strictEqual(ip.mtuFor(raw("203.0.113.9")), 1500)
    }).pipe(Effect.provide(stack)))

  it.effect("lets routers fragment where the path is narrower than it believes", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      yield* errors
      const ip = yield* Ipv4
      ip.deliverError("fragmentationNeeded", 296, raw("192.0.2.1"), quote({ totalLength: 1500, dontFragment: true }))
      assert.strictEqual(ip.mtuFor(raw("203.0.113.9")), 552)
      assert.strictEqual(yield* send({ to: "203.0.113.9", body: pattern(500), dontFragment: true }), "sent")
      const [seen] = neighbour.hear()
      assert.isFalse(seen!.dontFragment)
      assert.strictEqual(seen!.bytes.length, 520)
    }).pipe(Effect.provide(stack)))

  it.effect("tells the transport when the neighbour does not answer", () =>
    Effect.gen(function*() {
      const delivered = yield* errors
      assert.strictEqual(yield* send({ to: "192.0.2.1", body: pattern(8) }), "sent")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(delivered, [{
        kind: "hostUnreachable",
        mtu: 0,
        reporter: raw(STACK),
        source: raw(STACK),
        destination: raw("192.0.2.1"),
        quoted: pattern(8)
      }])
    }).pipe(Effect.provide(stackOf({ resolved: false }))))

  it.effect("sends what waited when the neighbour is known", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      yield* send({ to: "192.0.2.1", body: pattern(4000) })
      assert.deepStrictEqual(neighbour.hear(), [])
      yield* (yield* ArpCache).addStatic("eth0", ipv4("192.0.2.1"), toMac(NEIGHBOUR_MAC))
      assert.deepStrictEqual(join(neighbour.hear()), pattern(4000))
    }).pipe(Effect.provide(stackOf({ resolved: false }))))
})
