import { assert, describe, it } from "@effect/vitest"
import type { AttachedDevice } from "@strata/core/device/Devices"
import * as Packet from "@strata/core/device/Packet"
import { Ethernet, isGroupAddress, multicastAddress } from "@strata/core/link/Ethernet"
import { Turn } from "@strata/core/time/Turn"
import { BROADCAST } from "@strata/core/wire/EthernetHeader"
import { Effect, Schema, Scope } from "effect"
import { attach, counted, ethernetLayer, frame, listen, viewOf } from "../../support/link.ts"

const OWN = 0x0000_5e00_5301
const PEER = 0x0200_0000_0001
const ETHER_TYPE = 0x88b5

const bytesOf = (length: number, first = 1) => Uint8Array.from({ length }, (_, index) => first + index & 0xff)

interface Arrival {
  readonly device: string
  readonly bytes: Uint8Array
  readonly linkDestination: number
  readonly etherType: number
}

const host = Effect.gen(function*() {
  const ethernet = yield* Ethernet
  const turn = yield* Turn
  const link = yield* attach({ name: "eth0", hardware: OWN })
  const arrivals: Array<Arrival> = []
  const input = (device: AttachedDevice, packet: Packet.Packet) => {
    const { etherType, linkDestination } = packet
    arrivals.push({ device: device.name, bytes: packet.toBytes(), etherType, linkDestination })
  }
  yield* ethernet.handle(ETHER_TYPE, input)
  return {
    ethernet,
    link,
    arrivals,
    input,
    output: (packet: Packet.Packet, destination = PEER, device = link.device) => {
      let sent = false
      turn.run(() => {
        sent = ethernet.output(device, packet, ETHER_TYPE, destination)
      })
      return sent
    }
  }
})

const packetOf = (bytes: Uint8Array, capacity = 1500): Packet.Packet => {
  const packet = Packet.make(capacity)
  packet.append(bytes)
  return packet
}

const refused = (reason: string, bytes: Uint8Array) =>
  it.effect(`is dropped as ${reason}`, () =>
    Effect.gen(function*() {
      const { arrivals, link } = yield* host
      const told = yield* listen
      link.receive(bytes)
      assert.deepStrictEqual(arrivals, [])
      assert.deepStrictEqual(told.map((detail) => detail._tag === "Dropped" ? detail.reason : detail._tag), [reason])
      assert.strictEqual(yield* counted(`ethernet.dropped.${reason}`), 1)
    }).pipe(Effect.provide(ethernetLayer)))

const padded = (bytes: Uint8Array) => {
  const payload = new Uint8Array(46)
  payload.set(bytes)
  return frame(PEER, OWN, ETHER_TYPE, payload)
}

describe("a frame that arrives", () => {
  it.effect("goes to who handles its EtherType, without its header", () =>
    Effect.gen(function*() {
      const { arrivals, link } = yield* host
      link.receive(frame(OWN, PEER, ETHER_TYPE, bytesOf(50)))
      link.receive(frame(BROADCAST, PEER, ETHER_TYPE, bytesOf(46)))
      assert.deepStrictEqual(arrivals, [
        { device: "eth0", bytes: bytesOf(50), etherType: ETHER_TYPE, linkDestination: Packet.LinkDestination.own },
        { device: "eth0", bytes: bytesOf(46), etherType: ETHER_TYPE, linkDestination: Packet.LinkDestination.broadcast }
      ])
    }).pipe(Effect.provide(ethernetLayer)))

  refused("truncated", frame(OWN, PEER, ETHER_TYPE, bytesOf(0)).subarray(0, 13))
  refused("truncated", new Uint8Array(0))
  refused("notForUs", frame(0x0200_0000_0099, PEER, ETHER_TYPE, bytesOf(46)))
  refused("notForUs", frame(multicastAddress(0xe000_0001), PEER, ETHER_TYPE, bytesOf(46)))
  refused("ownSource", frame(OWN, OWN, ETHER_TYPE, bytesOf(46)))
  refused("ownSource", frame(BROADCAST, OWN, ETHER_TYPE, bytesOf(46)))
  refused("groupSource", frame(OWN, 0x0100_0000_0001, ETHER_TYPE, bytesOf(46)))
  refused("groupSource", frame(OWN, BROADCAST, ETHER_TYPE, bytesOf(46)))
  refused("notEthernet2", frame(OWN, PEER, 0x05ff, bytesOf(46)))
  refused("notEthernet2", frame(OWN, PEER, 46, bytesOf(46)))

  it.effect("with an EtherType nobody handles is dropped by that name", () =>
    Effect.gen(function*() {
      const { arrivals, link } = yield* host
      link.receive(frame(OWN, PEER, 0x86dd, bytesOf(46)))
      link.receive(frame(OWN, PEER, 0x0600, bytesOf(46)))
      assert.deepStrictEqual(arrivals, [])
      assert.strictEqual(yield* counted("ethernet.dropped.unknownEtherType"), 2)
    }).pipe(Effect.provide(ethernetLayer)))

  it.effect("of fourteen octets has an empty payload", () =>
    Effect.gen(function*() {
      const { arrivals, link } = yield* host
      link.receive(frame(OWN, PEER, ETHER_TYPE, bytesOf(0)))
      assert.deepStrictEqual(arrivals.map(({ bytes }) => bytes.length), [0])
    }).pipe(Effect.provide(ethernetLayer)))

  it.effect.prop(
    "of arbitrary octets is passed or dropped, and never throws",
    [Schema.Uint8Array],
    ([octets]) =>
      Effect.gen(function*() {
        const { arrivals, link } = yield* host
        link.receive(octets)
        link.receive(Uint8Array.of(0x00, 0x00, 0x5e, 0x00, 0x53, 0x01, ...octets))
        assert.isAtMost(arrivals.length, 2)
      }).pipe(Effect.provide(ethernetLayer))
  )

  it.effect("is traced with its header, when it is accepted", () =>
    Effect.gen(function*() {
      const { link } = yield* host
      const told = yield* listen
      const bytes = frame(OWN, PEER, ETHER_TYPE, bytesOf(46))
      link.receive(bytes)
      assert.deepStrictEqual(told, [{ _tag: "Packet", layer: "ethernet", direction: "in", device: "eth0", bytes }])
    }).pipe(Effect.provide(ethernetLayer)))

  it.effect("on a link without headers goes by the EtherType that travels beside it", () =>
    Effect.gen(function*() {
      const { arrivals, ethernet, link } = yield* host
      const bare = yield* attach({ name: "lo", hardware: 0, framing: "none" })
      const packet = new Packet.Packet(bytesOf(20))
      packet.etherType = ETHER_TYPE
      ethernet.input(bare.device, packet)
      ethernet.input(link.device, new Packet.Packet(frame(OWN, PEER, ETHER_TYPE, bytesOf(5))))
      bare.receive(bytesOf(3))
      assert.deepStrictEqual(arrivals.map(({ bytes, device }) => [device, bytes]), [
        ["lo", bytesOf(20)],
        ["eth0", bytesOf(5)]
      ])
      assert.strictEqual(yield* counted("ethernet.dropped.unknownEtherType"), 1)
    }).pipe(Effect.provide(ethernetLayer)))
})

describe("the registry of EtherTypes", () => {
  it.effect("passes nothing more when the scope of the handler is closed", () =>
    Effect.gen(function*() {
      const { ethernet, link } = yield* host
      let arrived = 0
      const scope = yield* Scope.make()
      yield* ethernet.handle(0x9000, () => arrived++).pipe(Scope.provide(scope))
      link.receive(frame(OWN, PEER, 0x9000, bytesOf(46)))
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      link.receive(frame(OWN, PEER, 0x9000, bytesOf(46)))
      assert.strictEqual(arrived, 1)
      assert.strictEqual(yield* counted("ethernet.dropped.unknownEtherType"), 1)
    }).pipe(Effect.provide(ethernetLayer)))

  it.effect("keeps a handler that took the place of one that is leaving", () =>
    Effect.gen(function*() {
      const { ethernet, link } = yield* host
      const arrived: Array<string> = []
      const first = yield* Scope.make()
      yield* ethernet.handle(0x9000, () => arrived.push("first")).pipe(Scope.provide(first))
      yield* ethernet.handle(0x9000, () => arrived.push("second"))
      yield* Scope.close(first, yield* Effect.exit(Effect.void))
      link.receive(frame(OWN, PEER, 0x9000, bytesOf(46)))
      assert.deepStrictEqual(arrived, ["second"])
    }).pipe(Effect.provide(ethernetLayer)))

  it.effect("tells about each registration, even when nobody wants to see packets", () =>
    Effect.gen(function*() {
      const { ethernet } = yield* host
      const told = yield* listen
      yield* ethernet.handle(0x9000, () => {})
      assert.deepStrictEqual(told, [{ _tag: "ProtocolRegistered", layer: "ethernet", number: 0x9000 }])
    }).pipe(Effect.provide(ethernetLayer)))
})

describe("multicast groups", () => {
  const GROUP = 0x0100_5e00_0001

  it("are mapped from IPv4 by their low 23 bits (RFC 1112 §6.4)", () => {
    assert.strictEqual(multicastAddress(0xe000_0001), GROUP)
    assert.strictEqual(multicastAddress(0xe080_0001), GROUP)
    assert.strictEqual(multicastAddress(0xefff_ffff), 0x0100_5e7f_ffff)
  })

  it("are told from stations by one bit", () => {
    assert.isTrue(isGroupAddress(BROADCAST))
    assert.isTrue(isGroupAddress(GROUP))
    assert.isTrue(isGroupAddress(0x3333_0000_0001))
    assert.isFalse(isGroupAddress(PEER))
    assert.isFalse(isGroupAddress(0xfe00_0000_0001))
  })

  it.effect("are heard from the first join to the last leave, on the device that joined", () =>
    Effect.gen(function*() {
      const { arrivals, ethernet, link } = yield* host
      const other = yield* attach({ name: "eth1", hardware: OWN + 1 })
      const send = () => {
        for (const { receive } of [link, other]) receive(frame(GROUP, PEER, ETHER_TYPE, bytesOf(46)))
        return arrivals.splice(0).map(({ device, linkDestination }) => `${device} ${linkDestination}`)
      }
      const first = yield* Scope.make()
      const second = yield* Scope.make()
      assert.deepStrictEqual(send(), [])
      yield* ethernet.join(link.device, GROUP).pipe(Scope.provide(first))
      yield* ethernet.join(link.device, GROUP).pipe(Scope.provide(second))
      assert.deepStrictEqual(send(), [`eth0 ${Packet.LinkDestination.multicast}`])
      yield* Scope.close(first, yield* Effect.exit(Effect.void))
      assert.deepStrictEqual(send(), [`eth0 ${Packet.LinkDestination.multicast}`])
      yield* Scope.close(second, yield* Effect.exit(Effect.void))
      assert.deepStrictEqual(send(), [])
    }).pipe(Effect.provide(ethernetLayer)))
})

describe("a packet that leaves", () => {
  it.effect("gets a header in front", () =>
    Effect.gen(function*() {
      const { link, output } = yield* host
      assert.isTrue(output(packetOf(bytesOf(100))))
      assert.deepStrictEqual(link.take(), [frame(PEER, OWN, ETHER_TYPE, bytesOf(100))])
    }).pipe(Effect.provide(ethernetLayer)))

  it.effect("is padded to 60 octets with zeros, whatever was in the slab", () =>
    Effect.gen(function*() {
      const { link, output } = yield* host
      const packet = Packet.make(100)
      packet.bytes.fill(0xaa)
      for (const length of [0, 1, 28, 45, 46, 47]) {
        packet.reset()
        packet.append(bytesOf(length))
        output(packet)
        const expected = length > 46 ? frame(PEER, OWN, ETHER_TYPE, bytesOf(length)) : padded(bytesOf(length))
        assert.deepStrictEqual(link.take(), [expected])
      }
    }).pipe(Effect.provide(ethernetLayer)))

  it.effect("is padded in a copy when its slab has no room behind it, or its payload lies elsewhere", () =>
    Effect.gen(function*() {
      const { link, output } = yield* host
      output(packetOf(bytesOf(40), 40))
      const split = packetOf(bytesOf(20), 100)
      split.bytes.fill(0xaa, split.end)
      split.attach(bytesOf(200), 100, 111)
      const long = packetOf(bytesOf(20), 20)
      long.attach(bytesOf(200), 0, 30)
      output(split)
      output(long)
      assert.deepStrictEqual(link.take(), [
        padded(bytesOf(40)),
        padded(Uint8Array.from([...bytesOf(20), ...bytesOf(11, 101)])),
        frame(PEER, OWN, ETHER_TYPE, Uint8Array.from([...bytesOf(20), ...bytesOf(30)]))
      ])
    }).pipe(Effect.provide(ethernetLayer)))

  it.effect("has its checksum completed over its own octets, padded or not", () =>
    Effect.gen(function*() {
      const { link, output } = yield* host
      const lastTwo = (first: number, payload: number) => {
        const packet = packetOf(Uint8Array.of(first, 0, 0, 0, 7), 100)
        packet.checksum = Packet.ChecksumState.partial
        packet.checksumStart = packet.start
        packet.checksumOffset = 2
        packet.attach(bytesOf(payload), 0, payload)
        output(packet)
        const [sent] = link.take()
        return viewOf(sent!).getUint16(16)
      }
      // Words 0x0300, 0x0000, then 7 and 1, 2 and 3 in pairs across the border of the two pieces.
      assert.strictEqual(lastTwo(3, 3), ~(0x0300 + 0x0701 + 0x0203) & 0xffff)
      assert.strictEqual(lastTwo(3, 0), ~(0x0300 + 0x0700) & 0xffff)
    }).pipe(Effect.provide(ethernetLayer)))

  it.effect("on a link without headers stays as it is", () =>
    Effect.gen(function*() {
      const { output } = yield* host
      const bare = yield* attach({ name: "lo", hardware: 0, framing: "none" })
      const packet = packetOf(bytesOf(20))
      assert.isTrue(output(packet, 0, bare.device))
      assert.deepStrictEqual(bare.take(), [bytesOf(20)])
      assert.strictEqual(packet.etherType, ETHER_TYPE)
    }).pipe(Effect.provide(ethernetLayer)))

  it.effect("over the MTU is refused, and one at the MTU is not", () =>
    Effect.gen(function*() {
      const { link, output } = yield* host
      assert.isTrue(output(packetOf(bytesOf(1500))))
      assert.isFalse(output(packetOf(bytesOf(1501), 1501)))
      assert.deepStrictEqual(link.take().map((bytes) => bytes.length), [1514])
      assert.strictEqual(yield* counted("device.dropped.tooBig"), 1)
    }).pipe(Effect.provide(ethernetLayer)))

  it.effect("is traced as it leaves, padding included", () =>
    Effect.gen(function*() {
      const { output } = yield* host
      const told = yield* listen
      output(packetOf(bytesOf(28)))
      assert.deepStrictEqual(told, [
        { _tag: "Packet", layer: "ethernet", direction: "out", device: "eth0", bytes: padded(bytesOf(28)) }
      ])
    }).pipe(Effect.provide(ethernetLayer)))
})
