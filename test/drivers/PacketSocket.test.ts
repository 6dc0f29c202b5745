import { assert, it } from "@effect/vitest"
import { Devices } from "@strata/core/device/Devices"
import { ChecksumState } from "@strata/core/device/Packet"
import { Statistics } from "@strata/core/Statistics"
import { Turn } from "@strata/core/time/Turn"
import { BROADCAST } from "@strata/core/wire/EthernetHeader"
import { PacketSocket } from "@strata/drivers"
import { Effect } from "effect"
import * as BareStack from "../support/bareStack.ts"
import { EXPERIMENTAL, frame, typeOf } from "../support/frames.ts"
import * as Namespace from "../support/namespace.ts"

const IPV4 = 0x0800

/** Two namespaces joined by veth0 and veth1, with fixed addresses and nothing that speaks by itself. */
const pair = Effect.gen(function*() {
  const left = yield* Namespace.make
  const right = yield* Namespace.make
  yield* Namespace.veth({ namespace: left, name: "veth0" }, { namespace: right, name: "veth1" })
  for (const [ns, name, last] of [[left, "veth0", 1], [right, "veth1", 2]] as const) {
    yield* ns.succeed("sysctl", "-qw", `net.ipv6.conf.${name}.disable_ipv6=1`)
    yield* ns.succeed("ip", "link", "set", name, "address", `02:00:00:00:01:0${last}`)
  }
  return { left, right }
})

Namespace.describeLinux("PacketSocket", ["python3"], () => {
  it.effect("takes address and MTU from its interface, and moves frames both ways", () =>
    Effect.gen(function*() {
      const { left, right } = yield* pair
      const arrivals = yield* BareStack.collect
      const devices = yield* Devices
      yield* left.succeed("ip", "link", "set", "veth0", "mtu", "1400")
      const a = yield* PacketSocket.attach({ name: "veth0", namespace: left.path })
      const b = yield* PacketSocket.attach({ name: "veth1", namespace: right.path })
      assert.deepInclude(a.device, { mtu: 1400, hardwareAddress: 0x0200_0000_0101, type: "ethernet" })
      assert.deepInclude(b.device, { mtu: 1500, hardwareAddress: 0x0200_0000_0102 })
      // To somebody else: seen all the same, since the interface is promiscuous.
      const there = frame(0x0200_0000_0999, a.device.hardwareAddress, 1414, 7)
      const back = frame(a.device.hardwareAddress, b.device.hardwareAddress, 60, 8)
      devices.transmit(a.device, BareStack.packetOf(there))
      devices.transmit(b.device, BareStack.packetOf(back))
      yield* BareStack.eventually(() => arrivals.length >= 2)
      // Each end sees what the other sent, and never its own frames.
      assert.deepStrictEqual(
        arrivals.map(({ bytes, device }) => [device.name, bytes] as const).toSorted(),
        [["veth0", back], ["veth1", there]]
      )
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect.each(
    [
      [true, ChecksumState.partial],
      [{ tcp: false, udp: false }, ChecksumState.partial],
      [false, ChecksumState.valid]
    ] as const
  )(
    "knows which checksums Linux has left to the network card, with offload %j",
    ([offload, state]) =>
      Effect.gen(function*() {
        const { left, right } = yield* pair
        const arrivals = yield* BareStack.collect
        const devices = yield* Devices
        const a = yield* PacketSocket.attach({ name: "veth0", namespace: left.path })
        yield* PacketSocket.attach({ name: "veth1", namespace: right.path, offload })
        yield* left.succeed("ip", "addr", "add", "10.1.0.1/24", "dev", "veth0")
        yield* left.succeed("ip", "neigh", "add", "10.1.0.2", "lladdr", "02:00:00:00:01:02", "dev", "veth0")
        yield* left.succeed("bash", "-c", "echo hello > /dev/udp/10.1.0.2/9")
        yield* BareStack.eventually(() => arrivals.length === 1)
        devices.transmit(a.device, BareStack.packetOf(frame(BROADCAST, 1, 60, 1)))
        yield* BareStack.eventually(() => arrivals.length === 2)
        assert.deepStrictEqual(arrivals.map(({ bytes, checksum }) => [typeOf(bytes), checksum]), [
          [IPV4, state],
          [EXPERIMENTAL, ChecksumState.unverified]
        ])
      }).pipe(Effect.provide(BareStack.layer))
  )

  it.effect.each([true, false])(
    "takes frames of 64 KiB that nobody has cut into segments, with offload %s",
    (offload) =>
      Effect.gen(function*() {
        const { left, right } = yield* pair
        const devices = yield* Devices
        const statistics = yield* Statistics
        // A namespace behind veth1 that answers the connection: the frames pass the packet socket on their way in.
        yield* PacketSocket.attach({ name: "veth1", namespace: right.path, offload })
        yield* left.succeed("ip", "addr", "add", "10.1.0.1/24", "dev", "veth0")
        yield* right.succeed("ip", "addr", "add", "10.1.0.2/24", "dev", "veth1")
        let longest = 0
        yield* devices.handle("ethernet", (_, packet) => {
          const total = packet.view.getUint16(packet.start + 16)
          if (packet.view.getUint16(packet.start + 12) !== IPV4) return
          assert.strictEqual(packet.length, total + 14)
          if (packet.length > 1514) {
            assert.strictEqual(packet.checksum, offload ? ChecksumState.partial : ChecksumState.valid)
            assert.strictEqual(packet.segmentSize, offload ? 1448 : 0)
          }
          longest = Math.max(longest, packet.length)
        })
        yield* right.spawn("python3", "-c", LISTEN)
        yield* left.succeed("python3", "-c", SEND)
        yield* BareStack.eventually(() => longest > 60_000)
        assert.isUndefined((yield* statistics.snapshot)["packetSocket.dropped.oversized"])
      }).pipe(Effect.provide(BareStack.layer))
  )

  it.effect("puts back the VLAN tag that Linux takes out of a frame", () =>
    Effect.gen(function*() {
      const { left, right } = yield* pair
      const arrivals = yield* BareStack.collect
      const devices = yield* Devices
      const a = yield* PacketSocket.attach({ name: "veth0", namespace: left.path })
      yield* PacketSocket.attach({ name: "veth1", namespace: right.path })
      const plain = frame(BROADCAST, a.device.hardwareAddress, 60, 3)
      const tagged = Uint8Array.of(...plain.subarray(0, 12), 0x81, 0x00, 0x20, 0x05, ...plain.subarray(12))
      devices.transmit(a.device, BareStack.packetOf(tagged))
      devices.transmit(a.device, BareStack.packetOf(plain))
      yield* BareStack.eventually(() => arrivals.length === 2)
      assert.deepStrictEqual(arrivals.map(({ bytes }) => bytes), [tagged, plain])
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("hands up and takes down whole batches without a loss", () =>
    Effect.gen(function*() {
      const { left, right } = yield* pair
      const devices = yield* Devices
      const turn = yield* Turn
      const a = yield* PacketSocket.attach({ name: "veth0", namespace: left.path })
      yield* PacketSocket.attach({ name: "veth1", namespace: right.path })
      const marks: Array<number> = []
      let turns = 0
      let counted = false
      const countTurn = () => {
        turns++
        counted = false
      }
      yield* devices.handle("ethernet", (_, packet) => {
        if (packet.view.getUint16(packet.start + 12) !== EXPERIMENTAL) return
        marks.push(packet.view.getUint32(packet.start + 14))
        if (counted) return
        counted = true
        turn.defer("wake", countTurn)
      })
      const packet = BareStack.packetOf(frame(BROADCAST, a.device.hardwareAddress, 1514, 0))
      for (let round = 0; round < 20; round++) {
        turn.run(() => {
          for (let index = 0; index < 400; index++) {
            packet.view.setUint32(packet.start + 14, round * 400 + index)
            assert.isTrue(devices.transmit(a.device, packet))
          }
        })
        yield* BareStack.eventually(() => marks.length === (round + 1) * 400)
      }
      assert.deepStrictEqual(marks, Array.from({ length: 8000 }, (_, mark) => mark))
      assert.isAtMost(turns, 2000)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("keeps what the kernel does not take, and refuses when its ring is full", () =>
    Effect.gen(function*() {
      const { left, right } = yield* pair
      const arrivals = yield* BareStack.collect
      const devices = yield* Devices
      const turn = yield* Turn
      const a = yield* PacketSocket.attach({ name: "veth0", namespace: left.path })
      yield* PacketSocket.attach({ name: "veth1", namespace: right.path })
      // A slow link: the send buffer of the socket fills up behind it.
      const slow = "tc qdisc add dev veth0 root tbf rate 20mbit burst 16kb limit 8mb"
      yield* left.succeed(...slow.split(" "))
      let accepted = 0
      turn.run(() => {
        for (let index = 0; index < 4000; index++) {
          if (devices.transmit(a.device, BareStack.packetOf(frame(BROADCAST, 1, 514, index)))) accepted++
        }
      })
      assert.isAbove(accepted, 512)
      assert.isBelow(accepted, 4000)
      yield* BareStack.eventually(() => arrivals.length === accepted)
      assert.isTrue(devices.transmit(a.device, BareStack.packetOf(frame(BROADCAST, 1, 514, 1))))
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("outlives an interface that goes down and comes back, and tells when it is gone", () =>
    Effect.gen(function*() {
      const { left, right } = yield* pair
      const arrivals = yield* BareStack.collect
      const devices = yield* Devices
      const statistics = yield* Statistics
      const a = yield* PacketSocket.attach({ name: "veth0", namespace: left.path })
      const b = yield* PacketSocket.attach({ name: "veth1", namespace: right.path })
      const send = Effect.sync(() => devices.transmit(a.device, BareStack.packetOf(frame(BROADCAST, 1, 60, 1))))
      yield* left.succeed("ip", "link", "set", "veth0", "down")
      yield* send
      assert.strictEqual((yield* statistics.snapshot)["packetSocket.dropped.refused"], 1)
      yield* left.succeed("ip", "link", "set", "veth0", "up")
      yield* BareStack.eventually(() => {
        Effect.runSync(send)
        return arrivals.length > 0
      })
      assert.isTrue(a.device.up)
      yield* left.succeed("ip", "link", "del", "veth0")
      yield* BareStack.eventually(() => !a.device.up && !b.device.up)
    }).pipe(Effect.provide(BareStack.layer)))
})

const LISTEN = `
import socket
listener = socket.create_server(("10.1.0.2", 7000))
connection, _ = listener.accept()
while connection.recv(1 << 20): pass
`

const SEND = `
import socket, time
for attempt in range(100):
    try:
        connection = socket.create_connection(("10.1.0.2", 7000))
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
connection.sendall(bytes(8 << 20))
connection.close()
`
