import { assert, describe, it } from "@effect/vitest"
import { Devices } from "@strata/core/device/Devices"
import { ChecksumState } from "@strata/core/device/Packet"
import { Statistics } from "@strata/core/Statistics"
import { Turn } from "@strata/core/time/Turn"
import { Wire } from "@strata/drivers"
import { Context, Effect, Exit, Layer, Scheduler, Scope } from "effect"
import * as BareStack from "../support/bareStack.ts"

const host = (end: Wire.End, options?: Wire.EndOptions) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(BareStack.layer)
    return yield* Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const attachment = yield* Wire.attach(end, options)
      const devices = yield* Devices
      const turn = yield* Turn
      return {
        arrivals,
        context,
        device: attachment.device,
        turn,
        send: (bytes: Uint8Array) => devices.transmit(attachment.device, BareStack.packetOf(bytes)),
        dropped: Context.get(context, Statistics).snapshot
      }
    }).pipe(Effect.provide(context))
  })

const frame = (mark: number, length = 60) => new Uint8Array(length).fill(mark)

/** A frame whose UDP checksum is still to be computed. */
const partial = (bytes: Uint8Array) => {
  const packet = BareStack.packetOf(bytes)
  packet.checksum = ChecksumState.partial
  packet.checksumStart = packet.start + 34
  packet.checksumOffset = 6
  return packet
}

describe("Wire", () => {
  it.effect("carries frames both ways, in order and unchanged", () =>
    Effect.gen(function*() {
      const wire = Wire.make()
      const left = yield* host(wire.left)
      const right = yield* host(wire.right)
      left.send(frame(1))
      left.send(frame(2, 1514))
      right.send(frame(3))
      yield* BareStack.eventually(() => left.arrivals.length === 1 && right.arrivals.length === 2)
      assert.deepStrictEqual(right.arrivals.map((arrival) => arrival.bytes), [frame(1), frame(2, 1514)])
      assert.deepStrictEqual(left.arrivals.map((arrival) => arrival.bytes), [frame(3)])
      assert.strictEqual(right.arrivals[0]!.device.name, "eth0")
      assert.strictEqual(left.device.hardwareAddress, 0x0200_0000_0001)
      assert.strictEqual(right.device.hardwareAddress, 0x0200_0000_0002)
    }))

  it.effect("delivers in a later turn, and what waits as one batch", () => {
    // A scheduler whose tasks run only when the test says so.
    const tasks: Array<() => void> = []
    const scheduler: Scheduler.Scheduler = {
      executionMode: "async",
      shouldYield: () => false,
      makeDispatcher: () => ({ scheduleTask: (task) => void tasks.push(task), flush: () => {} })
    }
    return Effect.gen(function*() {
      const wire = Wire.make()
      const left = yield* host(wire.left).pipe(Effect.provideService(Scheduler.Scheduler, scheduler))
      const right = yield* host(wire.right).pipe(Effect.provideService(Scheduler.Scheduler, scheduler))
      let turns = 0
      const devices = Context.get(right.context, Devices)
      yield* devices.handle("ethernet", (device, packet) => {
        right.turn.defer("wake", () => turns++)
        // Answering from within the delivery must not deliver recursively.
        devices.transmit(device, BareStack.packetOf(packet.toBytes()))
      })
      tasks.length = 0
      left.send(frame(1))
      left.send(frame(2))
      assert.strictEqual(tasks.length, 1)
      assert.strictEqual(turns, 0)
      tasks.shift()!()
      assert.strictEqual(turns, 2)
      assert.strictEqual(left.arrivals.length, 0)
      assert.strictEqual(tasks.length, 1)
      tasks.shift()!()
      assert.deepStrictEqual(left.arrivals.map((arrival) => arrival.bytes[0]), [1, 2])
    })
  })

  it.effect("holds as many frames as it has room for and refuses the rest by name", () =>
    Effect.gen(function*() {
      const wire = Wire.make({ capacity: 8 })
      const left = yield* host(wire.left)
      const right = yield* host(wire.right)
      const sent = Array.from({ length: 10 }, (_, index) => left.send(frame(index)))
      assert.deepStrictEqual(sent, [true, true, true, true, true, true, true, true, false, false])
      yield* BareStack.eventually(() => right.arrivals.length === 8)
      const counters = yield* left.dropped
      assert.strictEqual(counters["device.dropped.wireFull"], 2)
      assert.isTrue(left.send(frame(11)))
      yield* BareStack.eventually(() => right.arrivals.length === 9)
    }))

  it.effect("loses frames under a name while nobody holds the other end", () =>
    Effect.gen(function*() {
      const wire = Wire.make()
      const left = yield* host(wire.left)
      const scope = yield* Scope.make()
      const right = yield* host(wire.right).pipe(Scope.provide(scope))
      left.send(frame(1))
      yield* Scope.close(scope, Exit.void)
      left.send(frame(2))
      const counters = yield* left.dropped
      assert.strictEqual(counters["wire.dropped.unplugged"], 1)
      const again = yield* host(wire.right)
      left.send(frame(3))
      yield* BareStack.eventually(() => again.arrivals.length === 1)
      assert.strictEqual(again.arrivals[0]!.bytes[0], 3)
      assert.strictEqual(right.arrivals.length, 0)
      // The first frame was on its way when its end was pulled out.
      assert.deepInclude(wire.counters().right, { offered: 2, lost: 1, delivered: 1, inFlight: 0 })
      assert.deepStrictEqual(wire.unplugged(), { left: 1, right: 0 })
    }))

  it.effect("lets one stack at a time hold an end", () =>
    Effect.gen(function*() {
      const wire = Wire.make()
      yield* host(wire.left)
      const error = yield* Effect.flip(host(wire.left))
      assert.strictEqual(error._tag, "DeviceError")
      assert.strictEqual(error.reason._tag, "DeviceBusy")
    }))

  it.effect("shows each frame to its listeners, until they stop", () =>
    Effect.gen(function*() {
      const wire = Wire.make()
      const left = yield* host(wire.left)
      const right = yield* host(wire.right)
      const seen: Array<Wire.Frame> = []
      const stop = wire.onFrame((seenFrame) => seen.push(seenFrame))
      left.send(frame(1))
      right.send(frame(2))
      stop()
      left.send(frame(3))
      assert.deepStrictEqual(seen, [{ from: "left", bytes: frame(1) }, { from: "right", bytes: frame(2) }])
    }))

  it.effect("computes checksums unless it is told to vouch for them", () =>
    Effect.gen(function*() {
      for (const checksumOffload of [false, true]) {
        const wire = Wire.make({ checksumOffload })
        const left = yield* host(wire.left)
        const right = yield* host(wire.right)
        Context.get(left.context, Devices).transmit(left.device, partial(frame(1)))
        yield* BareStack.eventually(() => right.arrivals.length === 1)
        const { bytes, checksum } = right.arrivals[0]!
        assert.strictEqual(checksum, checksumOffload ? ChecksumState.partial : ChecksumState.unverified)
        assert.strictEqual(new DataView(bytes.buffer).getUint16(40) === 0x0101, checksumOffload)
      }
    }))

  it.effect("refuses options that make no sense in one line", () =>
    Effect.gen(function*() {
      const wire = Wire.make()
      const message = (options: Wire.EndOptions) =>
        Effect.map(Effect.flip(host(wire.left, options)), (error) => error.message)
      assert.strictEqual(
        yield* message({ mac: "01:00:5e:00:00:01" }),
        "eth0: the mac 01:00:5e:00:00:01 is not the hardware address of one station, such as 00:00:5e:00:53:01"
      )
      assert.match(yield* message({ mac: "nonsense" }), /^eth0: the mac nonsense is not /)
      assert.match(yield* message({ mtu: 67 }), /^eth0: the mtu 67 is not a whole number from 68 to 65535$/)
      assert.match(yield* message({ mtu: 1500.5 }), /mtu/)
    }))
})
