/**
 * The addon defends itself against its caller: whatever it is told, it touches
 * no memory but what it was given.
 */
import { assert, it } from "@effect/vitest"
import { ChecksumState } from "@strata/core/device/Packet"
import { Native } from "@strata/drivers"
import { Effect } from "effect"
import * as Namespace from "../support/namespace.ts"

const { Descriptor, Piece, Status } = Native
const SLOT = 2048
const SLOTS = 8
const EFAULT = 14

const openDevice = Effect.gen(function*() {
  const ns = yield* Namespace.make
  const { load } = yield* Native.Native
  const device = yield* Effect.acquireRelease(
    Effect.sync(() => load().openTap("tap0", ns.path, 0)),
    (opened) => Effect.sync(() => opened.close())
  )
  yield* ns.succeed("ip", "link", "set", "tap0", "up")
  return device
})

const memory = () => ({
  received: new Uint8Array(SLOTS * SLOT),
  receivedDescriptors: new Int32Array(SLOTS * Descriptor.size),
  transmitted: new Uint8Array(SLOTS * SLOT),
  transmittedDescriptors: new Int32Array(SLOTS * Descriptor.size),
  pieces: new Int32Array(SLOTS * Piece.size),
  buffers: Array.from({ length: SLOTS }, (): Uint8Array | undefined => undefined),
  status: new Int32Array(Status.size)
})

const start = (device: Native.NativeDevice, given: ReturnType<typeof memory>) =>
  device.start(
    given.received,
    given.receivedDescriptors,
    SLOT,
    given.transmitted,
    given.transmittedDescriptors,
    given.pieces,
    given.buffers,
    given.status,
    () => {}
  )

Namespace.describeLinux("the addon", () => {
  it.effect("does nothing before it is started, and nothing after it is closed", () =>
    Effect.gen(function*() {
      const device = yield* openDevice
      assert.throws(() => device.readBatch(1), RangeError)
      assert.throws(() => device.writeBatch(0, 1), RangeError)
      assert.doesNotThrow(() => device.watch(3))
      start(device, memory())
      assert.throws(() => start(device, memory()), /is started/)
      device.close()
      device.close()
      for (const call of [() => device.readBatch(1), () => device.writeBatch(0, 1), () => device.mtu()]) {
        assert.throws(call, /is closed/)
      }
      assert.doesNotThrow(() => device.watch(3))
    }))

  it.effect("refuses batches and frames outside of its memory", () =>
    Effect.gen(function*() {
      const device = yield* openDevice
      const given = memory()
      start(device, given)
      for (const max of [SLOTS + 1, -1, 2 ** 40]) assert.throws(() => device.readBatch(max), RangeError)
      for (const [first, count] of [[0, SLOTS + 1], [SLOTS, 1], [-1, 1], [1, -1], [2 ** 40, 1]] as const) {
        assert.throws(() => device.writeBatch(first, count), RangeError)
      }
      for (const [offset, length] of [[-1, 60], [0, -1], [SLOTS * SLOT - 59, 60], [2 ** 31 - 1, 2 ** 31 - 1]]) {
        given.transmittedDescriptors[Descriptor.offset] = offset!
        given.transmittedDescriptors[Descriptor.length] = length!
        assert.throws(() => device.writeBatch(0, 1), RangeError)
      }
      given.transmittedDescriptors[Descriptor.offset] = SLOTS * SLOT - 60
      given.transmittedDescriptors[Descriptor.length] = 60
      assert.strictEqual(device.writeBatch(0, 1), 1)
    }))

  it.effect("refuses pieces outside of its memory, and frames whose pieces are gone", () =>
    Effect.gen(function*() {
      const device = yield* openDevice
      const given = memory()
      start(device, given)
      const words = given.transmittedDescriptors
      words[Descriptor.length] = 60
      for (const [first, count] of [[-1, 1], [0, -1], [SLOTS, 1], [0, SLOTS + 1], [2 ** 31 - 1, 2 ** 31 - 1]]) {
        words[Descriptor.firstPiece] = first!
        words[Descriptor.pieces] = count!
        assert.throws(() => device.writeBatch(0, 1), RangeError)
      }
      words[Descriptor.firstPiece] = 3
      words[Descriptor.pieces] = 1
      const piece = (buffer: number, offset: number, length: number) =>
        given.pieces.set([buffer, offset, length, 0], 3 * Piece.size)
      const refuses = () => {
        assert.strictEqual(device.writeBatch(0, 1), 0)
        assert.strictEqual(given.status[Status.errno], EFAULT)
      }
      const buffer = new Uint8Array(1000)
      given.buffers[3] = buffer
      for (const [offset, length] of [[-1, 10], [0, -1], [991, 10], [2 ** 31 - 1, 1]]) {
        piece(3, offset!, length!)
        refuses()
      }
      piece(2, 0, 10)
      refuses()
      piece(SLOTS + 5, 0, 10)
      refuses()
      given.buffers[2] = new Int8Array(1000) as unknown as Uint8Array
      piece(2, 0, 10)
      refuses()
      piece(3, 990, 10)
      assert.strictEqual(device.writeBatch(0, 1), 1)
      assert.strictEqual(given.status[Status.octets], 70)
      structuredClone(null, { transfer: [buffer.buffer] })
      refuses()
    }))

  it.effect("refuses a checksum that is not in the octets of its frame", () =>
    Effect.gen(function*() {
      const device = yield* openDevice
      const given = memory()
      start(device, given)
      given.transmittedDescriptors.set([0, 60, ChecksumState.partial])
      for (const [checksumStart, checksumOffset] of [[-1, 16], [34, -1], [34, 25], [2 ** 31 - 1, 2 ** 31 - 1]]) {
        given.transmittedDescriptors[Descriptor.checksumStart] = checksumStart!
        given.transmittedDescriptors[Descriptor.checksumOffset] = checksumOffset!
        assert.throws(() => device.writeBatch(0, 1), RangeError)
      }
    }))

  it.effect("notices when its memory is taken away", () =>
    Effect.gen(function*() {
      const device = yield* openDevice
      const given = memory()
      start(device, given)
      given.transmittedDescriptors[Descriptor.length] = 60
      structuredClone(null, { transfer: [given.received.buffer, given.transmitted.buffer, given.status.buffer] })
      assert.throws(() => device.readBatch(1), RangeError)
      assert.throws(() => device.writeBatch(0, 1), RangeError)
      given.transmittedDescriptors[Descriptor.length] = 0
      assert.doesNotThrow(() => device.writeBatch(0, 0))
    }))

  it.effect("throws at arguments that make no sense", () =>
    Effect.gen(function*() {
      const device = yield* openDevice
      const { load } = yield* Native.Native
      const careless = load() as unknown as { readonly openTap: (...args: ReadonlyArray<unknown>) => unknown }
      for (const args of [[], [1, 2], ["tap1"], [{}, ""]]) assert.throws(() => careless.openTap(...args))
      const anything = device as unknown as Record<string, (...args: ReadonlyArray<unknown>) => unknown>
      assert.throws(() => anything.start!())
      assert.throws(() => anything.start!("memory", 1, 2, 3, 4, 5, 6, 7, 8))
      assert.throws(() => anything.readBatch!("many"))
      assert.throws(() => anything.readBatch!.call({}, 1))
    }))
})
