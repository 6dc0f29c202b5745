import { assert, describe, it } from "@effect/vitest"
import { type Device, NO_OFFLOAD, type Offload } from "@strata/core/device/Device"
import { type AttachedDevice, Devices } from "@strata/core/device/Devices"
import * as Packet from "@strata/core/device/Packet"
import { Statistics } from "@strata/core/Statistics"
import { Turn } from "@strata/core/time/Turn"
import { Trace } from "@strata/core/Trace"
import { Effect, Exit, Layer, Scope } from "effect"
import { counted, listen } from "../../support/link.ts"

const layer = Layer.fresh(
  Devices.layer.pipe(Layer.provideMerge(Layer.mergeAll(Turn.layer, Trace.layer, Statistics.layer)))
)

/** A driver that writes down what it is told; `full` wires take nothing. */
const driver = (name: string, options: Partial<Device> & { readonly full?: boolean } = {}) => {
  const told: Array<string> = []
  const device: Device = {
    name,
    type: "ethernet",
    framing: "ethernet",
    flags: { loopback: false, broadcast: true, multicast: true, pointToPoint: false, needsArp: true },
    mtu: 100,
    hardwareAddress: 1,
    offload: NO_OFFLOAD,
    transmit: (packet) => {
      told.push(`frame ${packet.length}`)
      return options.full !== true
    },
    flush: () => told.push("flush"),
    setUp: (up) => told.push(up ? "up" : "down"),
    ...options
  }
  return { device, take: () => told.splice(0) }
}

const frameOf = (length: number): Packet.Packet => {
  const packet = Packet.make(length)
  packet.append(new Uint8Array(length))
  return packet
}

const host = Effect.gen(function*() {
  const devices = yield* Devices
  const turn = yield* Turn
  return {
    devices,
    turn,
    transmit: (device: AttachedDevice, ...packets: ReadonlyArray<Packet.Packet>) => {
      const results: Array<boolean> = []
      turn.run(() => packets.forEach((packet) => results.push(devices.transmit(device, packet))))
      return results
    }
  }
})

describe("a device", () => {
  it.effect("is there, and up, from its attachment to the end of its scope", () =>
    Effect.gen(function*() {
      const { devices } = yield* host
      const told = yield* listen
      const changes: Array<string> = []
      yield* devices.watch(({ _tag, device }) => changes.push(`${_tag} ${device.name} ${device.up}`))
      const scope = yield* Scope.make()
      const { device: eth0, take } = driver("eth0")
      const { device } = yield* devices.attach(eth0).pipe(Scope.provide(scope))
      assert.isTrue(device.up)
      assert.strictEqual(devices.byName("eth0"), device)
      assert.strictEqual(yield* devices.get("eth0"), device)
      assert.deepStrictEqual(yield* devices.list, [device])
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(device.up)
      assert.isUndefined(devices.byName("eth0"))
      assert.deepStrictEqual(devices.all(), [])
      assert.deepStrictEqual(take(), ["up", "down"])
      assert.deepStrictEqual(changes, [
        "Attached eth0 false",
        "Opened eth0 true",
        "Closed eth0 false",
        "Detached eth0 false"
      ])
      assert.deepStrictEqual(told.map(({ _tag }) => _tag), [
        "DeviceAttached",
        "DeviceOpened",
        "DeviceClosed",
        "DeviceDetached"
      ])
    }).pipe(Effect.provide(layer)))

  it.effect("has a number that is never used again, and a name that may be", () =>
    Effect.gen(function*() {
      const { devices } = yield* host
      const first = yield* devices.attach(driver("eth0").device).pipe(Effect.scoped)
      const second = yield* devices.attach(driver("eth0").device)
      const third = yield* devices.attach(driver("eth1").device)
      assert.deepStrictEqual([first, second, third].map(({ device }) => device.index), [1, 2, 3])
      assert.deepStrictEqual(devices.all().map(({ name }) => name), ["eth0", "eth1"])
    }).pipe(Effect.provide(layer)))

  it.effect("is refused when its name is taken, and what has the name stays", () =>
    Effect.gen(function*() {
      const { devices } = yield* host
      const { device } = yield* devices.attach(driver("eth0").device)
      const error = yield* devices.attach(driver("eth0").device).pipe(Effect.scoped, Effect.flip)
      assert.strictEqual(error.message, "the stack already has a device eth0; choose another name")
      assert.strictEqual(devices.byName("eth0"), device)
      assert.isTrue(device.up)
    }).pipe(Effect.provide(layer)))

  it.effect("that is not there is said not to be", () =>
    Effect.gen(function*() {
      const { devices } = yield* host
      for (
        const effect of [devices.get("eth9"), devices.open("eth9"), devices.close("eth9"), devices.setMtu("eth9", 99)]
      ) {
        assert.strictEqual((yield* Effect.flip(effect)).message, "there is no device eth9 in this stack")
      }
    }).pipe(Effect.provide(layer)))

  it.effect("is told once when it is opened and closed", () =>
    Effect.gen(function*() {
      const { devices } = yield* host
      const { device, take } = driver("eth0")
      yield* devices.attach(device)
      yield* devices.open("eth0")
      yield* devices.close("eth0")
      yield* devices.close("eth0")
      yield* devices.open("eth0")
      assert.deepStrictEqual(take(), ["up", "down", "up"])
    }).pipe(Effect.provide(layer)))

  it.effect("may be an instance of a class", () =>
    Effect.gen(function*() {
      const { devices, transmit } = yield* host
      const { device: plain, take } = driver("eth0")
      class Driver {
        readonly prefix = "class "
        transmit(packet: Packet.Packet) {
          return this.prefix === "class " && plain.transmit(packet)
        }
        flush() {
          if (this.prefix === "class ") plain.flush()
        }
      }
      const { flush: _, setUp: __, transmit: ___, ...rest } = plain
      const { device } = yield* devices.attach(Object.assign(new Driver(), rest))
      assert.deepStrictEqual(transmit(device, frameOf(20)), [true])
      assert.deepStrictEqual(take(), ["frame 20", "flush"])
    }).pipe(Effect.provide(layer)))
})

const checksumOnWire = (offload: Offload) =>
  Effect.gen(function*() {
    const { devices, transmit } = yield* host
    const seen: Array<readonly [state: number, field: number]> = []
    const { device } = driver("eth0", {
      offload,
      transmit: (packet) => {
        seen.push([packet.checksum, packet.view.getUint16(packet.start + 2)])
        return true
      }
    })
    const attachment = yield* devices.attach(device)
    const packet = Packet.make(4)
    packet.append(Uint8Array.of(0x12, 0x34, 0x00, 0x01))
    packet.checksum = Packet.ChecksumState.partial
    packet.checksumStart = packet.start
    packet.checksumOffset = 2
    transmit(attachment.device, packet)
    return seen
  }).pipe(Effect.provide(layer))

describe("a frame that leaves", () => {
  it.effect("is flushed with the others of its turn", () =>
    Effect.gen(function*() {
      const { devices, transmit } = yield* host
      const [a, b] = [driver("a"), driver("b")]
      const first = (yield* devices.attach(a.device)).device
      const second = (yield* devices.attach(b.device)).device
      a.take()
      b.take()
      transmit(first, frameOf(20), frameOf(30))
      transmit(second, frameOf(40))
      transmit(first, frameOf(50))
      assert.deepStrictEqual(a.take(), ["frame 20", "frame 30", "flush", "frame 50", "flush"])
      assert.deepStrictEqual(b.take(), ["frame 40", "flush"])
    }).pipe(Effect.provide(layer)))

  it.effect("is flushed even when nobody has begun a turn", () =>
    Effect.gen(function*() {
      const { devices } = yield* host
      const { device, take } = driver("eth0")
      const attachment = yield* devices.attach(device)
      take()
      assert.isTrue(devices.transmit(attachment.device, frameOf(20)))
      assert.deepStrictEqual(take(), ["frame 20", "flush"])
    }).pipe(Effect.provide(layer)))

  it.effect("is counted by frames and octets, when it has left", () =>
    Effect.gen(function*() {
      const { devices, transmit } = yield* host
      const { device } = yield* devices.attach(driver("eth0").device)
      transmit(device, frameOf(20), frameOf(30))
      assert.strictEqual(yield* counted("device.eth0.transmittedPackets"), 2)
      assert.strictEqual(yield* counted("device.eth0.transmittedOctets"), 50)
      assert.strictEqual(device.counters.transmittedOctets.value, 50)
    }).pipe(Effect.provide(layer)))

  it.effect("is dropped when the wire is full, and the rest is flushed", () =>
    Effect.gen(function*() {
      const { devices, transmit } = yield* host
      const { device, take } = driver("eth0", { full: true })
      const attachment = yield* devices.attach(device)
      take()
      assert.deepStrictEqual(transmit(attachment.device, frameOf(20)), [false])
      assert.deepStrictEqual(take(), ["frame 20", "flush"])
      assert.strictEqual(yield* counted("device.dropped.wireFull"), 1)
      assert.strictEqual(yield* counted("device.eth0.transmittedPackets"), 0)
    }).pipe(Effect.provide(layer)))

  it.effect("is dropped when the device is down or detached", () =>
    Effect.gen(function*() {
      const { devices, transmit } = yield* host
      const { device, take } = driver("eth0")
      const attachment = yield* devices.attach(device).pipe(Effect.scoped)
      take()
      assert.deepStrictEqual(transmit(attachment.device, frameOf(20)), [false])
      const again = yield* devices.attach(driver("eth0").device)
      yield* devices.close("eth0")
      assert.deepStrictEqual(transmit(again.device, frameOf(20)), [false])
      assert.deepStrictEqual(take(), [])
      assert.strictEqual(yield* counted("device.dropped.deviceDown"), 2)
    }).pipe(Effect.provide(layer)))

  it.effect("may have the MTU and its link header, and no octet more", () =>
    Effect.gen(function*() {
      const { devices, transmit } = yield* host
      const framed = (yield* devices.attach(driver("framed").device)).device
      const bare = (yield* devices.attach(driver("bare", { framing: "none" }).device)).device
      assert.deepStrictEqual(transmit(framed, frameOf(114), frameOf(115)), [true, false])
      assert.deepStrictEqual(transmit(bare, frameOf(100), frameOf(101)), [true, false])
      yield* devices.setMtu("bare", 99)
      assert.deepStrictEqual(transmit(bare, frameOf(99), frameOf(100)), [true, false])
      const split = frameOf(90)
      split.attach(new Uint8Array(20), 0, 10)
      assert.deepStrictEqual(transmit(bare, split), [false])
      assert.strictEqual(yield* counted("device.dropped.tooBig"), 4)
    }).pipe(Effect.provide(layer)))

  it.effect("may be longer where the device cuts it into segments, as far as it does", () =>
    Effect.gen(function*() {
      const { devices, transmit } = yield* host
      const cut = (length: number) => Object.assign(frameOf(length), { segmentSize: 40 })
      const offload: Offload = { checksum: true, segmentation: 1_000 }
      const able = (yield* devices.attach(driver("able", { offload }).device)).device
      const unable = (yield* devices.attach(driver("unable").device)).device
      assert.deepStrictEqual(transmit(able, cut(1_014), cut(1_015), frameOf(115)), [true, false, false])
      assert.deepStrictEqual(transmit(unable, cut(1_014), cut(115)), [false, false])
    }).pipe(Effect.provide(layer)))

  it.effect("has its checksum completed, unless the device does that", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* checksumOnWire(NO_OFFLOAD), [[Packet.ChecksumState.valid, 0xedca]])
      assert.deepStrictEqual(yield* checksumOnWire({ ...NO_OFFLOAD, checksum: true }), [
        [Packet.ChecksumState.partial, 0x0001]
      ])
    }))
})

describe("a frame that arrives", () => {
  it.effect("goes to the link layer of its framing, in one turn with its batch", () =>
    Effect.gen(function*() {
      const { devices, turn } = yield* host
      const done: Array<string> = []
      yield* devices.handle("ethernet", (device, packet) => {
        done.push(`${device.name} ${packet.length}`)
        turn.defer("flush", () => done.push("end of turn"))
      })
      const { batch, input } = yield* devices.attach(driver("eth0").device)
      batch(() => {
        input(frameOf(1))
        input(frameOf(2))
      })
      assert.deepStrictEqual(done, ["eth0 1", "eth0 2", "end of turn", "end of turn"])
      assert.strictEqual(yield* counted("device.eth0.receivedPackets"), 2)
      assert.strictEqual(yield* counted("device.eth0.receivedOctets"), 3)
    }).pipe(Effect.provide(layer)))

  it.effect("is dropped when nobody understands its framing, or no longer", () =>
    Effect.gen(function*() {
      const { devices } = yield* host
      let arrived = 0
      const { input } = yield* devices.attach(driver("eth0", { framing: "none" }).device)
      yield* devices.handle("ethernet", () => arrived++)
      input(frameOf(1))
      yield* devices.handle("none", () => arrived++).pipe(
        Effect.andThen(Effect.sync(() => input(frameOf(1)))),
        Effect.scoped
      )
      input(frameOf(1))
      assert.strictEqual(arrived, 1)
      assert.strictEqual(yield* counted("device.dropped.noLinkLayer"), 2)
    }).pipe(Effect.provide(layer)))

  it.effect("is dropped when the device is down", () =>
    Effect.gen(function*() {
      const { devices } = yield* host
      let arrived = 0
      yield* devices.handle("ethernet", () => arrived++)
      const { input } = yield* devices.attach(driver("eth0").device)
      yield* devices.close("eth0")
      input(frameOf(1))
      yield* devices.open("eth0")
      input(frameOf(1))
      assert.strictEqual(arrived, 1)
      assert.strictEqual(yield* counted("device.dropped.deviceDown"), 1)
    }).pipe(Effect.provide(layer)))
})

describe("the MTU", () => {
  it.effect("is a number of octets that IPv4 can use (RFC 791 §3.2)", () =>
    Effect.gen(function*() {
      const { devices } = yield* host
      const { device } = yield* devices.attach(driver("eth0").device)
      const changes: Array<number> = []
      yield* devices.watch(({ _tag, device: changed }) => _tag === "MtuChanged" && changes.push(changed.mtu))
      for (const mtu of [67, 0, -1, 65_536, 1500.5, Number.NaN, Infinity]) {
        const error = yield* Effect.flip(devices.setMtu("eth0", mtu))
        assert.strictEqual(error.message, `an MTU is a whole number of octets from 68 to 65535, not ${mtu}`)
      }
      assert.strictEqual(device.mtu, 100)
      yield* devices.setMtu("eth0", 68)
      yield* devices.setMtu("eth0", 65_535)
      assert.strictEqual(device.mtu, 65_535)
      assert.deepStrictEqual(changes, [68, 65_535])
    }).pipe(Effect.provide(layer)))
})

describe("two stacks", () => {
  it.effect("do not see each other's devices", () =>
    Effect.gen(function*() {
      const names = Effect.gen(function*() {
        const devices = yield* Devices
        yield* devices.attach(driver("eth0").device)
        return (yield* devices.list).length
      })
      assert.strictEqual(
        yield* Effect.provide(
          Effect.gen(function*() {
            yield* (yield* Devices).attach(driver("eth0").device)
            return yield* names.pipe(Effect.provide(layer))
          }),
          layer
        ),
        1
      )
    }))
})
