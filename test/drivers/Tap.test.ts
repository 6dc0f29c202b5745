import { assert, it } from "@effect/vitest"
import { type AttachedDevice, Devices } from "@strata/core/device/Devices"
import { ChecksumState } from "@strata/core/device/Packet"
import { Statistics } from "@strata/core/Statistics"
import { Turn } from "@strata/core/time/Turn"
import * as Checksum from "@strata/core/wire/Checksum"
import { BROADCAST, EtherType } from "@strata/core/wire/EthernetHeader"
import { Tap } from "@strata/drivers"
import { Effect, Exit, Scope } from "effect"
import * as BareStack from "../support/bareStack.ts"
import { EXPERIMENTAL, frame, typeOf } from "../support/frames.ts"
import * as Namespace from "../support/namespace.ts"

/** The kernel's own counters of an interface. */
const kernelCounters = (namespace: Namespace.Namespace, name: string) =>
  Effect.map(namespace.succeed("ip", "-s", "-j", "link", "show", name), ({ stdout }) => {
    const { address, mtu, stats64 } = JSON.parse(stdout)[0]
    return { address, mtu, received: stats64.rx, transmitted: stats64.tx }
  })

const up = (namespace: Namespace.Namespace, name = "tap0") => namespace.succeed("ip", "link", "set", name, "up")

Namespace.describeLinux("Tap", ["ping", "python3"], () => {
  it.effect("creates its interface, moves frames both ways, and takes the interface away", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      yield* Effect.scoped(Effect.gen(function*() {
        const arrivals = yield* BareStack.collect
        const devices = yield* Devices
        const { device } = yield* Tap.attach({ namespace: ns.path })
        assert.deepInclude(device, { name: "tap0", mtu: 1500, type: "ethernet" })
        yield* ns.succeed("ip", "addr", "add", "192.0.2.1/24", "dev", "tap0")
        yield* up(ns)

        // Linux asks who has the address it pings.
        yield* ns.exec("ping", "-c", "1", "-W", "0.2", "192.0.2.2")
        const request = arrivals.find(({ bytes }) => typeOf(bytes) === EtherType.arp)
        assert.deepStrictEqual([...request!.bytes.subarray(38, 42)], [192, 0, 2, 2])

        const before = yield* kernelCounters(ns, "tap0")
        devices.transmit(device, BareStack.packetOf(frame(BROADCAST, device.hardwareAddress, 1514, 1)))
        devices.transmit(device, BareStack.packetOf(frame(BROADCAST, device.hardwareAddress, 60, 2)))
        const after = yield* kernelCounters(ns, "tap0")
        assert.strictEqual(after.received.packets - before.received.packets, 2)
      }))
      const gone = yield* ns.exec("ip", "link", "show", "tap0")
      assert.notStrictEqual(gone.exitCode, 0)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("derives its hardware address from the other end's, and reads the MTU", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      yield* ns.succeed("ip", "tuntap", "add", "mode", "tap", "name", "tap7")
      yield* ns.succeed("ip", "link", "set", "tap7", "address", "00:11:22:33:44:55", "mtu", "9000")
      yield* Effect.scoped(Effect.gen(function*() {
        const { device } = yield* Tap.attach({ name: "tap7", namespace: ns.name })
        assert.strictEqual(device.hardwareAddress, 0x0211_2233_4454)
        assert.strictEqual(device.mtu, 9000)
      }))
      const { device } = yield* Tap.attach({
        name: "tap7",
        namespace: ns.name,
        mac: "00:00:5e:00:53:01",
        mtu: 1400
      })
      assert.strictEqual(device.hardwareAddress, 0x0000_5e00_5301)
      assert.strictEqual(device.mtu, 1400)
      // Linux keeps its own.
      assert.deepInclude(yield* kernelCounters(ns, "tap7"), { address: "00:11:22:33:44:55", mtu: 9000 })
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect.each(
    [
      [[], true, "on"],
      [[], { vnet: false }, "off"],
      [[], false, "off"],
      [["vnet_hdr"], true, "on"],
      [["vnet_hdr"], false, "off"],
      [["multi_queue"], true, "on"],
      [["multi_queue", "vnet_hdr"], false, "off"]
    ] as const
  )(
    "attaches to an interface made with %j, with offload %j",
    ([flags, offload, segmentation]) =>
      Effect.gen(function*() {
        const ns = yield* Namespace.make
        yield* ns.succeed("ip", "tuntap", "add", "mode", "tap", "name", "tap0", ...flags)
        yield* up(ns)
        const features = Effect.map(ns.succeed("ethtool", "-k", "tap0"), ({ stdout }) => stdout)
        // Another one with everything on before: what it has asked for must not stay.
        yield* Effect.scoped(Tap.attach({ namespace: ns.path, offload: true }))
        const arrivals = yield* BareStack.collect
        const devices = yield* Devices
        const { device } = yield* Tap.attach({ namespace: ns.path, offload })
        const seen = yield* features
        assert.include(seen, `tcp-segmentation-offload: ${segmentation}`)
        assert.include(seen, `tx-checksumming: ${segmentation}`)
        assert.strictEqual(device.offload.segmentation, offload === false ? 0 : 65_535)
        assert.strictEqual(device.offload.checksum, offload !== false)
        const before = yield* kernelCounters(ns, "tap0")
        devices.transmit(device, BareStack.packetOf(frame(BROADCAST, device.hardwareAddress, 60, 2)))
        const after = yield* kernelCounters(ns, "tap0")
        assert.strictEqual(after.received.bytes - before.received.bytes, 60)
        yield* ns.succeed("ip", "addr", "add", "192.0.2.1/24", "dev", "tap0")
        yield* ns.exec("ping", "-c", "1", "-W", "0.2", "192.0.2.2")
        assert.isTrue(arrivals.some(({ bytes }) => typeOf(bytes) === EtherType.arp && bytes.length === 42))
      }).pipe(Effect.provide(BareStack.layer))
  )

  it.effect("counts what it asks of the kernel, and what it copies", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      const statistics = yield* Statistics
      const devices = yield* Devices
      const turn = yield* Turn
      const { device } = yield* Tap.attach({ namespace: ns.path })
      yield* up(ns)
      const packet = BareStack.packetOf(frame(BROADCAST, device.hardwareAddress, 60, 2))
      packet.attach(new Uint8Array(1000), 0, 400)
      packet.attach(new Uint8Array(1000), 0, 1000)
      turn.run(() => {
        devices.transmit(device, packet)
        devices.transmit(device, packet)
      })
      assert.deepInclude(yield* statistics.snapshot, {
        "device.tap0.writes": 2,
        "device.tap0.framesWritten": 2,
        "device.tap0.octetsWritten": 2920,
        "device.tap0.octetsCopied": 920
      })
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("gives datagrams of one flow to the kernel at once, whose programs get each of them", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      const statistics = yield* Statistics
      const devices = yield* Devices
      const turn = yield* Turn
      const { device } = yield* Tap.attach({ namespace: ns.path })
      yield* up(ns)
      yield* ns.succeed("ip", "addr", "add", "192.0.2.1/24", "dev", "tap0")
      const { address } = yield* kernelCounters(ns, "tap0")
      const listener = yield* ns.spawn("python3", "-u", "-c", COUNT_DATAGRAMS)
      yield* listener.prints(/ready/)
      const before = statistics.counter("device.tap0.framesWritten").value
      turn.run(() => {
        for (let index = 0; index < 20; index++) {
          devices.transmit(device, datagramTo(address, index, index < 19 ? 100 : 50))
        }
      })
      yield* listener.prints(/\[(100, ){19}50\]/)
      const frames = statistics.counter("device.tap0.framesWritten").value - before
      // Before 6.2 the kernel cuts no datagrams.
      assert.include([1, 20], frames)
      assert.strictEqual(
        frames,
        (yield* ns.succeed("ethtool", "-k", "tap0")).stdout.includes("tx-udp-segmentation: on") ? 1 : 20
      )
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("keeps two apart", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      const other = yield* Namespace.make
      const arrivals = yield* BareStack.collect
      const devices = yield* Devices
      const a = yield* Tap.attach({ name: "tapa", namespace: ns.path })
      const b = yield* Tap.attach({ name: "tapb", namespace: ns.path })
      const c = yield* Tap.attach({ name: "tapc", namespace: other.path })
      yield* up(ns, "tapa")
      yield* up(ns, "tapb")
      yield* up(other, "tapc")
      for (const [space, name, network] of [[ns, "tapa", 1], [ns, "tapb", 2], [other, "tapc", 1]] as const) {
        yield* space.succeed("ip", "addr", "add", `10.0.${network}.1/24`, "dev", name)
      }
      yield* ns.exec("ping", "-c", "1", "-W", "0.2", "10.0.1.9")
      yield* ns.exec("ping", "-c", "1", "-W", "0.2", "10.0.2.9")
      const asked = arrivals.filter(({ bytes }) => typeOf(bytes) === EtherType.arp)
      assert.deepStrictEqual([...new Set(asked.map(({ device }) => device.name))].toSorted(), ["tapa", "tapb"])

      const send = (device: AttachedDevice, times: number) => {
        for (let sent = 0; sent < times; sent++) {
          devices.transmit(device, BareStack.packetOf(frame(BROADCAST, 0x0200_0000_0009, 60, 0)))
        }
      }
      send(a.device, 1)
      send(b.device, 2)
      send(c.device, 3)
      assert.strictEqual((yield* kernelCounters(ns, "tapa")).received.packets, 1)
      assert.strictEqual((yield* kernelCounters(ns, "tapb")).received.packets, 2)
      assert.strictEqual((yield* kernelCounters(other, "tapc")).received.packets, 3)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("hands up and takes down whole batches", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      const devices = yield* Devices
      const turn = yield* Turn
      const a = yield* Tap.attach({ name: "tapa", namespace: ns.path })
      const b = yield* Tap.attach({ name: "tapb", namespace: ns.path })
      // A bridge of Linux between the two.
      yield* ns.succeed("ip", "link", "add", "bridge", "type", "bridge")
      for (const name of ["tapa", "tapb"]) yield* ns.succeed("ip", "link", "set", name, "master", "bridge", "up")
      yield* ns.succeed("ip", "link", "set", "bridge", "up")
      const marks: Array<number> = []
      let turns = 0
      yield* devices.handle("ethernet", (device, packet) => {
        if (device !== b.device || packet.view.getUint16(packet.start + 12) !== EXPERIMENTAL) return
        assert.strictEqual(packet.length, 1514)
        if (marks.push(packet.view.getUint32(packet.start + 14)) % 1000 === 1) turn.defer("wake", () => turns++)
      })
      // The bridge forwards once it has seen its ports come up.
      const bytes = frame(BROADCAST, a.device.hardwareAddress, 1514, 0)
      const packet = BareStack.packetOf(bytes)
      const send = (mark: number) => {
        packet.view.setUint32(packet.start + 14, mark)
        return devices.transmit(a.device, packet)
      }
      yield* BareStack.eventually(() => {
        send(0)
        return marks.length > 0
      })
      const start = marks.length
      // Less than the queue of an interface, so none may be lost.
      for (let round = 0; round < 20; round++) {
        turn.run(() => {
          for (let index = 0; index < 400; index++) send(1 + round * 400 + index)
        })
        yield* BareStack.eventually(() => marks.at(-1) === (round + 1) * 400)
      }
      assert.isAtLeast(turns, 1)
      assert.deepStrictEqual(
        marks.slice(start).filter((mark) => mark > 0),
        Array.from({ length: 8000 }, (_, i) => i + 1)
      )
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("drops what Linux refuses, by name", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      const devices = yield* Devices
      const statistics = yield* Statistics
      const { device } = yield* Tap.attach({ namespace: ns.path })
      devices.transmit(device, BareStack.packetOf(frame(BROADCAST, device.hardwareAddress, 60, 1)))
      assert.strictEqual((yield* statistics.snapshot)["tap.dropped.refused"], 1)
      yield* up(ns)
      devices.transmit(device, BareStack.packetOf(frame(BROADCAST, device.hardwareAddress, 60, 1)))
      assert.strictEqual((yield* statistics.snapshot)["tap.dropped.refused"], 1)
      assert.strictEqual((yield* kernelCounters(ns, "tap0")).received.packets, 1)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("drops frames longer than its slots, by name", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      const arrivals = yield* BareStack.collect
      const statistics = yield* Statistics
      yield* Tap.attach({ namespace: ns.path, offload: false })
      yield* ns.succeed("ip", "link", "set", "tap0", "mtu", "9000", "up")
      yield* ns.succeed("ip", "addr", "add", "192.0.2.1/24", "dev", "tap0")
      yield* ns.succeed("ip", "neigh", "add", "192.0.2.2", "lladdr", "02:00:00:00:00:09", "dev", "tap0")
      yield* ns.exec("ping", "-c", "1", "-W", "0.2", "-s", "2020", "192.0.2.2")
      yield* ns.exec("ping", "-c", "1", "-W", "0.2", "-s", "2000", "192.0.2.2")
      const echoes = arrivals.filter(({ bytes }) => typeOf(bytes) === EtherType.ipv4).map(({ bytes }) => bytes.length)
      assert.deepStrictEqual(echoes.filter((length) => length > 1500), [2042])
      assert.strictEqual((yield* statistics.snapshot)["tap.dropped.oversized"], 1)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("goes down, and says so, when somebody deletes its interface", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      const devices = yield* Devices
      const { device } = yield* Tap.attach({ namespace: ns.path })
      yield* ns.succeed("ip", "link", "del", "tap0")
      yield* BareStack.eventually(() => !device.up)
      assert.isFalse(devices.transmit(device, BareStack.packetOf(frame(BROADCAST, 1, 60, 1))))
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("leaves timers their time under a flood, and can be closed in the midst of it", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      const devices = yield* Devices
      let seen = 0
      yield* devices.handle("ethernet", () => {
        seen++
      })
      yield* ns.succeed("ip", "tuntap", "add", "mode", "tap", "name", "tap0")
      yield* ns.succeed("ip", "link", "set", "tap0", "up")
      const scope = yield* Scope.make()
      const { device } = yield* Scope.provide(Tap.attach({ namespace: ns.path }), scope)
      const flood = yield* ns.spawn("python3", "-c", FLOOD)
      yield* BareStack.eventually(() => seen > 1000)
      for (let tick = 0; tick < 50; tick++) {
        const before = seen
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1)))
        yield* BareStack.eventually(() => seen > before)
      }
      yield* Scope.close(scope, Exit.void)
      const after = seen
      assert.isFalse(device.up)
      // Linux goes on sending to an interface that nobody holds any more.
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
      assert.strictEqual(seen, after)
      yield* flood.kill("SIGKILL")
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("can be closed by its own receiver, in the middle of a batch", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      const devices = yield* Devices
      const scope = yield* Scope.make()
      const { device } = yield* Scope.provide(Tap.attach({ namespace: ns.path }), scope)
      let seen = 0
      yield* devices.handle("ethernet", () => {
        seen++
        Effect.runSync(Scope.close(scope, Exit.void))
      })
      yield* up(ns)
      // Linux announces itself as soon as the interface is up; and it is gone as soon as the device is closed.
      yield* ns.exec("ping", "-c", "2", "-i", "0.01", "-W", "0.2", "-I", "tap0", "192.0.2.2")
      yield* BareStack.eventually(() => seen > 0)
      assert.isFalse(device.up)
      assert.strictEqual(seen, 1)
      assert.notStrictEqual((yield* ns.exec("ip", "link", "show", "tap0")).exitCode, 0)
    }).pipe(Effect.provide(BareStack.layer)))
})

const FLOOD = `
import socket
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("tap0", 0))
frame = b"\\xff" * 12 + b"\\x88\\xb5" + bytes(1500)
while True:
    try:
        out.send(frame)
    except OSError:
        pass
`

const COUNT_DATAGRAMS = `
import socket
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("192.0.2.1", 7000))
print("ready")
print([len(listener.recv(2000)) for _ in range(20)])
`

/** A datagram to port 7000 of 192.0.2.1, whose checksum is partial. */
const datagramTo = (address: string, identification: number, length: number) => {
  const bytes = new Uint8Array(42 + length).fill(identification)
  const view = new DataView(bytes.buffer)
  bytes.set(address.split(":").map((octet) => Number.parseInt(octet, 16)))
  bytes.set([2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0], 6)
  view.setUint16(16, 28 + length)
  view.setUint16(18, identification)
  view.setUint32(20, 0)
  view.setUint16(22, 0x4011)
  view.setUint16(24, 0)
  view.setUint32(26, 0xc000_0202)
  view.setUint32(30, 0xc000_0201)
  view.setUint16(24, Checksum.finish(Checksum.add(0, bytes, 14, 34)))
  view.setUint16(34, 1000)
  view.setUint16(36, 7000)
  view.setUint16(38, 8 + length)
  view.setUint16(40, Checksum.pseudoHeader(0xc000_0202, 0xc000_0201, 17, 8 + length))
  const packet = BareStack.packetOf(bytes)
  packet.checksum = ChecksumState.partial
  packet.checksumStart = packet.start + 34
  packet.checksumOffset = 6
  return packet
}
