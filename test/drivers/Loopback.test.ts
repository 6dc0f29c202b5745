import { assert, describe, it } from "@effect/vitest"
import { Devices } from "@strata/core/device/Devices"
import { ChecksumState } from "@strata/core/device/Packet"
import { Routing } from "@strata/core/ip/Routing"
import { Statistics } from "@strata/core/Statistics"
import { Loopback, Null } from "@strata/drivers"
import { Effect, Layer } from "effect"
import { IpInterface, NetAddress } from "effect/net"
import * as BareStack from "../support/bareStack.ts"

const datagram = (mark: number, length = 100) => {
  const packet = BareStack.packetOf(new Uint8Array(length).fill(mark))
  packet.etherType = 0x0800
  return packet
}

describe("Loopback", () => {
  it.effect("brings packets back in a later turn with all that is known about them", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const devices = yield* Devices
      const { device } = yield* Loopback.attach()
      const packet = datagram(7, 65_535)
      packet.checksum = ChecksumState.partial
      packet.checksumStart = packet.start + 20
      packet.checksumOffset = 6
      assert.isTrue(devices.transmit(device, packet))
      packet.bytes.fill(0)
      assert.strictEqual(arrivals.length, 0)
      yield* BareStack.eventually(() => arrivals.length === 1)
      assert.deepStrictEqual(arrivals[0], {
        device,
        bytes: new Uint8Array(65_535).fill(7),
        checksum: ChecksumState.partial,
        etherType: 0x0800
      })
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("reads a separate payload before it returns", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const devices = yield* Devices
      const { device } = yield* Loopback.attach()
      const packet = datagram(1, 4)
      const payload = Uint8Array.of(9, 2, 3, 9)
      packet.attach(payload, 1, 3)
      devices.transmit(device, packet)
      payload.fill(0)
      yield* BareStack.eventually(() => arrivals.length === 1)
      assert.deepStrictEqual(arrivals[0]!.bytes, Uint8Array.of(1, 1, 1, 1, 2, 3))
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("holds 1,024 packets and drops the rest by name", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const devices = yield* Devices
      const { device } = yield* Loopback.attach()
      for (let sent = 0; sent < 1030; sent++) devices.transmit(device, datagram(1))
      yield* BareStack.eventually(() => arrivals.length === 1024)
      const counters = yield* Effect.flatMap(Statistics, (statistics) => statistics.snapshot)
      assert.strictEqual(counters["device.dropped.wireFull"], 6)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("leaves the event loop its time while packets answer packets for ever", () =>
    Effect.gen(function*() {
      const devices = yield* Devices
      const { device } = yield* Loopback.attach()
      let rounds = 0
      yield* devices.handle("none", (_, packet) => {
        rounds++
        devices.transmit(device, packet)
      })
      devices.transmit(device, datagram(1))
      // A timer of Node's runs in between, however much a busy machine lets happen before it.
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
      yield* BareStack.eventually(() => rounds > 1)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("uses its memory again without mixing packets up", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const devices = yield* Devices
      const { device } = yield* Loopback.attach()
      const sizes = [100, 2048, 2049, 30_000, 65_535, 40_000, 1]
      const expected: Array<readonly [length: number, mark: number, checksum: number]> = []
      for (let round = 0; round < 20; round++) {
        for (const size of sizes) {
          const packet = datagram(round, size)
          if ((round + size) % 3 === 0) packet.checksum = ChecksumState.partial
          expected.push([size, round, packet.checksum])
          devices.transmit(device, packet)
        }
        yield* BareStack.eventually(() => arrivals.length === expected.length)
      }
      assert.deepStrictEqual(
        arrivals.map(({ bytes, checksum }) => [bytes.length, bytes[0], checksum] as const),
        expected
      )
      assert.isTrue(arrivals.every(({ bytes }) => bytes.every((octet) => octet === bytes[0])))
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("delivers nothing once its scope is closed", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const devices = yield* Devices
      yield* Effect.scoped(Effect.gen(function*() {
        const { device } = yield* Loopback.attach()
        devices.transmit(device, datagram(1))
      }))
      const { device } = yield* Loopback.attach()
      devices.transmit(device, datagram(2))
      yield* BareStack.eventually(() => arrivals.length > 0)
      assert.deepStrictEqual(arrivals.map((arrival) => arrival.bytes[0]), [2])
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("comes as lo with 127.0.0.1/8, or as it is told", () =>
    Effect.gen(function*() {
      const added: Array<string> = []
      const gateways: Array<string> = []
      const routing = Layer.succeed(Routing)(
        {
          addAddress: (device, address) =>
            Effect.sync(() => void added.push(`${device} ${IpInterface.format(address)}`)),
          setDefaultGateway: (gateway) => Effect.sync(() => void gateways.push(NetAddress.formatIp(gateway)))
        } as Partial<Routing["Service"]> as Routing["Service"]
      )
      yield* Layer.build(
        Layer.mergeAll(Loopback.layer, Loopback.layerWith({ name: "lo1", address: "10.0.0.1/32", gateway: "10.0.0.2" }))
          .pipe(Layer.provide(routing))
      )
      assert.deepStrictEqual(added.toSorted(), ["lo 127.0.0.1/8", "lo1 10.0.0.1/32"])
      assert.deepStrictEqual(gateways, ["10.0.0.2"])
      const error = yield* Effect.flip(
        Layer.build(Loopback.layerWith({ name: "lo2", address: "10.0.0.1" })).pipe(Effect.provide(routing))
      )
      assert.strictEqual(
        error.message,
        "lo2: the address 10.0.0.1 is not an IPv4 address with a prefix length, such as 192.0.2.2/24"
      )
    }).pipe(Effect.provide(BareStack.layer)))
})

describe("Null", () => {
  it.effect("swallows and counts", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const devices = yield* Devices
      const { device } = yield* Null.attach()
      assert.strictEqual(device.mtu, 65_535)
      assert.isTrue(devices.transmit(device, datagram(1, 65_535)))
      assert.isFalse(devices.transmit(device, datagram(1, 65_536)))
      assert.strictEqual(device.counters.transmittedPackets.value, 1)
      assert.strictEqual(device.counters.transmittedOctets.value, 65_535)
      assert.strictEqual(arrivals.length, 0)
    }).pipe(Effect.provide(BareStack.layer)))
})
