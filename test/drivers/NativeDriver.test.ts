/**
 * The driver over an addon that does what the test says: what a kernel does
 * seldom, or never when asked.
 */
import { assert, describe, it, vi } from "@effect/vitest"
import { Devices } from "@strata/core/device/Devices"
import { ChecksumState } from "@strata/core/device/Packet"
import { Statistics } from "@strata/core/Statistics"
import { Turn } from "@strata/core/time/Turn"
import { BusyPolling, Native, Pretenuring, Tap, YoungGeneration } from "@strata/drivers"
import { OCTETS } from "@strata/drivers/YoungGeneration"
import { Effect, Exit, Scope } from "effect"
import * as BareStack from "../support/bareStack.ts"

const { Descriptor, Piece, Readiness } = Native
const EAGAIN = 11
const ENOBUFS = 105
const EBADFD = 77
const EMSGSIZE = 90

interface Offered {
  readonly bytes: Uint8Array
  readonly truncated?: boolean
  readonly checksum?: number
  readonly checksumStart?: number
  readonly checksumOffset?: number
  readonly segmentSize?: number
}

/** A frame as the addon was given it. */
interface Written {
  readonly words: ReadonlyArray<number>
  /** Octets that are where they were before, and not in the slab. */
  readonly referred: number
}

/** A device whose kernel is this object. */
class FakeKernel {
  /** Frames that have arrived. */
  readonly incoming: Array<Offered> = []
  readonly written: Array<Uint8Array> = []
  readonly details: Array<Written> = []
  /** The first octets of frames that are refused, each time with this number. */
  readonly refused = new Map<number, number>()
  /** How many frames are taken before the kernel is full. */
  room = Infinity
  full = EAGAIN
  readError = 0
  watched: Array<number> = []
  reads = 0
  writes = 0
  closed = 0
  capabilities = 0
  /** What the switch of the kernel's thread was turned to, and whether it can be turned. */
  readonly threads: Array<boolean> = []
  canThread = true
  private memory: Parameters<Native.NativeDevice["start"]> | undefined

  readonly device: Native.NativeDevice = {
    name: () => "tap0",
    mtu: () => 1500,
    hardwareAddress: () => 0x0200_0000_0001,
    capabilities: () => this.capabilities,
    start: (...memory) => {
      this.memory = memory
    },
    watch: (events) => void this.watched.push(events),
    readBatch: (max) => this.read(max),
    writeBatch: (first, count) => this.write(first, count),
    setThread: (on) => {
      this.threads.push(on)
      return this.canThread
    },
    close: () => void this.closed++
  }
  readonly loader: Native.Loader = {
    platform: "linux",
    load: () => ({ openTap: () => this.device, openPacketSocket: () => this.device })
  }

  private late: { readonly number: number; readonly frame: Offered } | undefined
  private last: { readonly number: number; readonly error: Error } | undefined

  /** A frame comes when the device is read for the n-th time. */
  arrivesAt(number: number, frame: Offered): void {
    this.late = { number, frame }
  }

  /** The n-th time throws, which nothing else would do that ends a long look. */
  lastReads(number: number, error: Error): void {
    this.last = { number, error }
  }

  /** Whether the frames of a batch become one packet. */
  joins = false

  event(events: number): void {
    this.memory![8](events)
  }

  /** How many buffers of pieces are being held. */
  held(): number {
    return this.memory![6].filter((buffer) => buffer !== undefined).length
  }

  private read(max: number): number {
    const [slab, words, slotSize, , , , , status] = this.memory!
    this.reads++
    if (this.reads === this.last?.number) throw this.last.error
    if (this.reads === this.late?.number) this.incoming.push(this.late.frame)
    let offset = 0
    let index = 0
    for (; index < max && this.incoming.length > 0 && offset + slotSize <= slab.length; index++) {
      const frame = this.incoming.shift()!
      slab.set(frame.bytes, offset)
      const at = index * Descriptor.size
      words[at + Descriptor.offset] = offset
      words[at + Descriptor.length] = frame.truncated ? -frame.bytes.length : frame.bytes.length
      words[at + Descriptor.checksum] = frame.checksum ?? 0
      words[at + Descriptor.checksumStart] = frame.checksumStart ?? 0
      words[at + Descriptor.checksumOffset] = frame.checksumOffset ?? 0
      words[at + Descriptor.segmentSize] = frame.segmentSize ?? 0
      offset += frame.bytes.length
    }
    const drained = this.incoming.length === 0 && index < max
    status.set([drained ? this.readError : 0, drained ? 1 : 0, drained ? index + 1 : index, index, offset, 0])
    return this.joins ? Math.min(index, 1) : index
  }

  private write(first: number, count: number): number {
    const [, , , slab, words, pieces, buffers, status] = this.memory!
    this.writes++
    let octets = 0
    for (let index = 0; index < count; index++) {
      const at = (first + index) * Descriptor.size
      const offset = words[at + Descriptor.offset]!
      const parts = [slab.slice(offset, offset + words[at + Descriptor.length]!)]
      let referred = 0
      for (let piece = 0; piece < words[at + Descriptor.pieces]!; piece++) {
        const word = (words[at + Descriptor.firstPiece]! + piece) * Piece.size
        const buffer = pieces[word + Piece.buffer]!
        const start = pieces[word + Piece.offset]!
        const length = pieces[word + Piece.length]!
        if (buffer >= 0) referred += length
        parts.push((buffer < 0 ? slab : buffers[buffer]!).slice(start, start + length))
      }
      const bytes = Buffer.concat(parts)
      const errno = this.refused.get(bytes[0]!) ?? (this.room === 0 ? this.full : 0)
      status.set([errno, 0, index + 1, index, octets, 0])
      if (errno !== 0) return index
      this.room--
      octets += bytes.length
      this.written.push(new Uint8Array(bytes))
      this.details.push({ words: [...words.subarray(at, at + Descriptor.size)], referred })
    }
    status.set([0, 0, count, count, octets, 0])
    return count
  }
}

const setupWith = Effect.fnUntraced(function*(capabilities: number, busyPolling = 0) {
  const kernel = new FakeKernel()
  kernel.capabilities = capabilities
  const scope = yield* Scope.fork(yield* Effect.scope)
  const losses: Array<string> = []
  /** How often the young generation was collected. */
  let collections = 0
  /** How often V8 was told how to allocate. */
  let told = 0
  const turn = yield* Turn
  const { device } = yield* Tap.attach().pipe(
    Effect.provideService(Native.Native, kernel.loader),
    Effect.provideService(Native.OnLost, (error) => Effect.sync(() => void losses.push(error.message))),
    Effect.provideService(YoungGeneration, () => void collections++),
    Effect.provideService(Pretenuring, () => void told++),
    Effect.provideService(BusyPolling, busyPolling),
    Scope.provide(scope)
  )
  const devices = yield* Devices
  const statistics = yield* Statistics
  return {
    kernel,
    device,
    losses,
    collections: () => collections,
    told: () => told,
    turn,
    close: Scope.close(scope, Exit.void),
    send: (mark: number) => devices.transmit(device, BareStack.packetOf(new Uint8Array(60).fill(mark))),
    counter: (name: string) => statistics.counter(name).value
  }
})

const setup = setupWith(0)

/** A mark that makes a frame look like one with a segment of TCP, and one like one with a datagram. */
const SEGMENT = 6
const DATAGRAM = 17

/** As many turns as it takes, each with so many frames. */
const sendTurns = ({ send, turn }: Effect.Success<typeof setup>, frames: number, mark = SEGMENT): void => {
  for (let left = 500; left > 0; left--) turn.run(() => range(frames).forEach(() => send(mark)))
}

const marks = (frames: ReadonlyArray<Uint8Array>) => frames.map((bytes) => bytes[0])
const range = (length: number) => Array.from({ length }, (_, index) => index)

describe("the driver of native devices", () => {
  it.effect("has V8 told once how to allocate", () =>
    Effect.gen(function*() {
      const { told } = yield* setup
      assert.strictEqual(told(), 1)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("writes what a turn has sent at once, when it ends", () =>
    Effect.gen(function*() {
      const { kernel, send, turn } = yield* setup
      turn.run(() => {
        for (const mark of range(50)) assert.isTrue(send(mark))
        assert.strictEqual(kernel.writes, 0)
      })
      assert.strictEqual(kernel.writes, 1)
      assert.deepStrictEqual(marks(kernel.written), range(50))
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("keeps what the kernel does not take until it is writable again, in order", () =>
    Effect.gen(function*() {
      for (const full of [EAGAIN, ENOBUFS]) {
        const { kernel, send, turn, close } = yield* setup
        kernel.full = full
        kernel.room = 10
        turn.run(() => range(30).forEach(send))
        assert.deepStrictEqual(marks(kernel.written), range(10))
        assert.deepStrictEqual(kernel.watched, [Readiness.readable, Readiness.readable | Readiness.writable])
        kernel.room = 5
        kernel.event(Readiness.writable)
        kernel.room = Infinity
        kernel.event(Readiness.writable)
        assert.deepStrictEqual(marks(kernel.written), range(30))
        assert.strictEqual(kernel.watched.at(-1), Readiness.readable)
        yield* close
      }
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("refuses more than 512 frames that wait, and goes on when there is room", () =>
    Effect.gen(function*() {
      const { counter, kernel, send, turn } = yield* setup
      kernel.room = 0
      turn.run(() => {
        const taken = range(600).filter((mark) => send(mark % 256))
        assert.strictEqual(taken.length, 512)
      })
      assert.strictEqual(counter("device.dropped.wireFull"), 88)
      kernel.room = 100
      kernel.event(Readiness.writable)
      turn.run(() => {
        assert.strictEqual(range(200).filter((mark) => send(mark % 256)).length, 100)
      })
      kernel.room = Infinity
      kernel.event(Readiness.writable)
      const expected = [...range(512), ...range(100)].map((mark) => mark % 256)
      assert.deepStrictEqual(marks(kernel.written), expected)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("sends more frames in one turn than its ring holds", () =>
    Effect.gen(function*() {
      const { kernel, send, turn } = yield* setup
      turn.run(() => {
        for (const mark of range(2000)) assert.isTrue(send(mark % 256))
      })
      assert.deepStrictEqual(marks(kernel.written), range(2000).map((mark) => mark % 256))
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("leaves large pieces where they are until they are sent, copies small ones, and lets go of all", () =>
    Effect.gen(function*() {
      const { device, kernel, turn } = yield* setup
      const devices = yield* Devices
      const large = new Uint8Array(3000).fill(7)
      const small = new Uint8Array(300).fill(8)
      const sent = (mark: number, ...pieces: ReadonlyArray<Uint8Array>) => {
        const packet = BareStack.packetOf(new Uint8Array(60).fill(mark))
        for (const piece of pieces) packet.attach(piece, 100, piece.length)
        const expected = packet.toBytes()
        packet.segmentSize = 1000
        devices.transmit(device, packet)
        // The linear octets are the sender's again.
        packet.bytes.fill(0)
        return expected
      }
      kernel.room = 2
      const expected: Array<Uint8Array> = []
      turn.run(() => {
        expected.push(
          sent(1, small, large, large),
          sent(2, large, small, small, large, small),
          sent(3, small, small),
          sent(4, large)
        )
      })
      assert.deepStrictEqual(kernel.written, expected.slice(0, 2))
      assert.deepStrictEqual(kernel.details.map(({ referred }) => referred), [5800, 5800])
      assert.strictEqual(kernel.held(), 1)
      kernel.room = Infinity
      kernel.event(Readiness.writable)
      assert.deepStrictEqual(kernel.written, expected)
      assert.deepStrictEqual(kernel.details.slice(2).map(({ referred }) => referred), [0, 2900])
      assert.strictEqual(kernel.held(), 0)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("tells the kernel what to complete and where to cut", () =>
    Effect.gen(function*() {
      const { device, kernel, turn } = yield* setup
      const devices = yield* Devices
      const packet = BareStack.packetOf(new Uint8Array(54))
      packet.attach(new Uint8Array(60_000), 0, 60_000)
      packet.checksum = ChecksumState.partial
      packet.checksumStart = packet.start + 34
      packet.checksumOffset = 16
      packet.segmentSize = 1460
      turn.run(() => assert.isTrue(devices.transmit(device, packet)))
      const [written] = kernel.details
      assert.strictEqual(written!.words[Descriptor.length], 54)
      assert.strictEqual(written!.words[Descriptor.checksum], ChecksumState.partial)
      assert.strictEqual(written!.words[Descriptor.checksumStart], 34)
      assert.strictEqual(written!.words[Descriptor.checksumOffset], 16)
      assert.strictEqual(written!.words[Descriptor.segmentSize], 1460)
      assert.strictEqual(written!.referred, 60_000)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("sends frames of any length and number of pieces in one turn, in order", () =>
    Effect.gen(function*() {
      const { device, kernel, turn } = yield* setup
      const devices = yield* Devices
      const payload = new Uint8Array(1400).fill(1)
      let blocked = false
      turn.run(() => {
        for (const mark of range(900)) {
          const packet = BareStack.packetOf(new Uint8Array(60).fill(mark % 256))
          for (let piece = 0; piece < mark % 12; piece++) {
            packet.attach(payload, 0, piece % 3 === 0 ? 700 : 10 + mark % 90)
          }
          packet.segmentSize = 1400
          assert.isTrue(devices.transmit(device, packet), String(mark))
          packet.bytes.fill(0)
        }
        blocked = kernel.held() > 0
      })
      assert.isTrue(blocked)
      assert.deepStrictEqual(marks(kernel.written), range(900).map((mark) => mark % 256))
      const lengths = range(900).map((mark) =>
        range(mark % 12).reduce((sum, piece) => sum + (piece % 3 === 0 ? 700 : 10 + mark % 90), 60)
      )
      assert.deepStrictEqual(kernel.written.map(({ length }) => length), lengths)
      assert.strictEqual(kernel.held(), 0)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("drops a frame that the kernel will not have, and sends the others", () =>
    Effect.gen(function*() {
      const { counter, kernel, send, turn } = yield* setup
      kernel.refused.set(3, EMSGSIZE)
      turn.run(() => range(6).forEach(send))
      assert.deepStrictEqual(marks(kernel.written), [0, 1, 2, 4, 5])
      assert.strictEqual(counter("tap.dropped.refused"), 1)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("reads no more than its budget before others have their turn", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const { kernel } = yield* setup
      for (const mark of range(1000)) kernel.incoming.push({ bytes: new Uint8Array(60).fill(mark) })
      kernel.event(Readiness.readable)
      assert.strictEqual(arrivals.length, 256)
      for (let round = 0; round < 3; round++) kernel.event(Readiness.readable)
      assert.strictEqual(arrivals.length, 1000)
      assert.deepStrictEqual(arrivals.map(({ bytes }) => bytes[0]), range(1000).map((mark) => mark % 256))
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("looks once more where several frames came at once, for what has come meanwhile", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const { kernel } = yield* setup
      const devices = yield* Devices
      const readsFor = (frames: number) => {
        const before = kernel.reads
        for (const mark of range(frames)) kernel.incoming.push({ bytes: new Uint8Array(60).fill(mark) })
        kernel.event(Readiness.readable)
        return kernel.reads - before
      }
      assert.deepStrictEqual([readsFor(1), readsFor(2), readsFor(20)], [1, 2, 3])
      assert.strictEqual(arrivals.length, 23)
      let answers = 3
      yield* devices.handle("ethernet", () => {
        if (answers-- > 0) kernel.incoming.push({ bytes: new Uint8Array(60) })
      })
      // Two frames, two that came meanwhile, and one more for the first of these.
      assert.strictEqual(readsFor(2), 3)
      assert.strictEqual(kernel.incoming.length, 0)
      kernel.joins = true
      assert.deepStrictEqual([readsFor(1), readsFor(2), readsFor(10)], [1, 2, 2])
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("looks on for what comes next, which counts as polls and not as reads", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const { counter, kernel } = yield* setupWith(0, 50)
      // Time stands still meanwhile.
      const clock = vi.spyOn(performance, "now").mockReturnValue(1000)
      kernel.incoming.push({ bytes: new Uint8Array(60) })
      kernel.arrivesAt(kernel.reads + 10, { bytes: new Uint8Array(60) })
      kernel.lastReads(kernel.reads + 20, new Error("enough"))
      assert.throws(() => kernel.event(Readiness.readable), "enough")
      clock.mockRestore()
      assert.strictEqual(arrivals.length, 2)
      assert.deepStrictEqual([counter("device.tap0.framesRead"), counter("device.tap0.reads")], [2, 4])
      assert.strictEqual(counter("device.tap0.polls"), 17)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("passes on what the device knows about checksums", () =>
    Effect.gen(function*() {
      const { kernel } = yield* setup
      const devices = yield* Devices
      const seen: Array<ReadonlyArray<number>> = []
      yield* devices.handle("ethernet", (_, packet) => {
        const { checksum, checksumOffset, checksumStart, start } = packet
        seen.push(checksum === ChecksumState.partial ? [checksum, checksumStart - start, checksumOffset] : [checksum])
      })
      const bytes = new Uint8Array(60)
      kernel.incoming.push(
        { bytes },
        { bytes, checksum: ChecksumState.partial, checksumStart: 34, checksumOffset: 16 },
        { bytes, checksum: ChecksumState.valid }
      )
      kernel.event(Readiness.readable)
      assert.deepStrictEqual(seen, [[ChecksumState.unverified], [ChecksumState.partial, 34, 16], [ChecksumState.valid]])
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("drops what did not fit into its slot", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const { counter, kernel } = yield* setup
      kernel.incoming.push({ bytes: new Uint8Array(2048), truncated: true }, { bytes: new Uint8Array(60) })
      kernel.event(Readiness.readable)
      assert.deepStrictEqual(arrivals.map(({ bytes }) => bytes.length), [60])
      assert.strictEqual(counter("tap.dropped.oversized"), 1)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("watches again after trouble that has passed", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const { device, kernel } = yield* setup
      kernel.incoming.push({ bytes: new Uint8Array(60) })
      kernel.event(-9)
      assert.strictEqual(arrivals.length, 1)
      assert.deepStrictEqual(kernel.watched, [Readiness.readable, Readiness.readable])
      assert.isTrue(device.up)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("closes once, and goes down, when the kernel has taken the device away", () =>
    Effect.gen(function*() {
      const { close, device, kernel, losses, send } = yield* setup
      kernel.readError = EBADFD
      kernel.event(-9)
      assert.isFalse(device.up)
      assert.lengthOf(losses, 1)
      assert.match(losses[0]!, /^tap0: the interface was removed; /)
      assert.strictEqual(kernel.closed, 1)
      const { reads } = kernel
      kernel.event(Readiness.readable)
      assert.strictEqual(kernel.reads, reads)
      assert.isFalse(send(1))
      assert.strictEqual(kernel.writes, 0)
      yield* close
      assert.lengthOf(losses, 1)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect.each([[19, /^tap0: the interface was removed; /], [5, /^tap0: read failed: i\/o error$/]] as const)(
    "tells why it lost its device: %d",
    ([errno, message]) =>
      Effect.gen(function*() {
        const { kernel, losses } = yield* setup
        kernel.readError = errno
        kernel.event(Readiness.readable)
        assert.lengthOf(losses, 1)
        assert.match(losses[0]!, message)
      }).pipe(Effect.provide(BareStack.layer))
  )

  it.effect("has the young generation collected for so many octets, once it has delivered them", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const { collections, kernel } = yield* setup
      const bytes = new Uint8Array(32 * 1024)
      const frames = OCTETS / bytes.length
      const receive = (count: number) => {
        for (let left = count; left > 0; left--) kernel.incoming.push({ bytes })
        while (kernel.incoming.length > 0) kernel.event(Readiness.readable)
      }
      for (const times of [1, 2]) {
        receive(frames - 1)
        assert.strictEqual(collections(), times - 1)
        receive(1)
        assert.strictEqual(collections(), times)
      }
      assert.lengthOf(arrivals, 2 * frames)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("has the kernel receive in a thread while many segments leave together, and not when few do", () =>
    Effect.gen(function*() {
      const host = yield* setupWith(Native.Capability.thread)
      const { counter, kernel } = host
      sendTurns(host, 1)
      sendTurns(host, 20, DATAGRAM)
      assert.deepStrictEqual(kernel.threads, [])
      sendTurns(host, 20)
      assert.deepStrictEqual(kernel.threads, [true])
      sendTurns(host, 1)
      assert.deepStrictEqual(kernel.threads, [true, false])
      assert.strictEqual(counter("device.tap0.threadSwitches"), 2)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("counts what is sent in answer to a batch as a part of its turn", () =>
    Effect.gen(function*() {
      const { kernel, send } = yield* setupWith(Native.Capability.thread)
      const devices = yield* Devices
      // By itself each turn is enough for a thread, and half of each would not be.
      yield* devices.handle("ethernet", () => range(9).forEach(() => send(SEGMENT)))
      for (let left = 500; left > 0; left--) {
        kernel.incoming.push({ bytes: new Uint8Array(60) })
        kernel.event(Readiness.readable)
      }
      assert.lengthOf(kernel.written, 9 * 500)
      assert.deepStrictEqual(kernel.threads, [true])
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("takes larger batches while the kernel has a thread to wake, and only then", () =>
    Effect.gen(function*() {
      const host = yield* setupWith(Native.Capability.thread)
      const { kernel } = host
      const readsFor = (frames: number) => {
        const before = kernel.reads
        for (const mark of range(frames)) kernel.incoming.push({ bytes: new Uint8Array(60).fill(mark) })
        kernel.event(Readiness.readable)
        return kernel.reads - before
      }
      // The last one finds nothing.
      assert.strictEqual(readsFor(100), Math.ceil(100 / 16) + 1)
      sendTurns(host, 20)
      assert.deepStrictEqual(kernel.threads, [true])
      assert.strictEqual(readsFor(100), 2)
      kernel.canThread = false
      sendTurns(host, 1)
      assert.deepStrictEqual(kernel.threads, [true, false])
      assert.strictEqual(readsFor(100), Math.ceil(100 / 16) + 1)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("leaves the next batch to a later event where a program waits for a tick", () =>
    Effect.gen(function*() {
      const { kernel } = yield* setup
      const turn = yield* Turn
      const devices = yield* Devices
      let isWanted = true
      let frames = 0
      yield* devices.handle("ethernet", () => {
        frames++
        if (isWanted) turn.requestTick()
      })
      for (const mark of range(100)) kernel.incoming.push({ bytes: new Uint8Array(60).fill(mark) })
      const afterEvent = () => {
        kernel.event(Readiness.readable)
        return frames
      }
      assert.deepStrictEqual([afterEvent(), afterEvent()], [16, 32])
      isWanted = false
      assert.strictEqual(afterEvent(), 100)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("uses no larger batches where a thread was refused", () =>
    Effect.gen(function*() {
      const host = yield* setupWith(Native.Capability.thread)
      const { kernel } = host
      kernel.canThread = false
      sendTurns(host, 20)
      assert.deepStrictEqual(kernel.threads, [true])
      for (const mark of range(32)) kernel.incoming.push({ bytes: new Uint8Array(60).fill(mark) })
      kernel.event(Readiness.readable)
      assert.strictEqual(kernel.reads, 3)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("asks for no thread where there is none, and not again where somebody else has a hand in it", () =>
    Effect.gen(function*() {
      const without = yield* setupWith(Native.Capability.vnet | Native.Capability.checksum)
      sendTurns(without, 20)
      assert.deepStrictEqual(without.kernel.threads, [])
      yield* without.close
      const refused = yield* setupWith(Native.Capability.thread)
      refused.kernel.canThread = false
      sendTurns(refused, 20)
      sendTurns(refused, 1)
      assert.deepStrictEqual(refused.kernel.threads, [true])
      assert.strictEqual(refused.counter("device.tap0.threadSwitches"), 0)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("tries to send what waits when it is closed, and delivers nothing any more", () =>
    Effect.gen(function*() {
      const arrivals = yield* BareStack.collect
      const { close, kernel, send, turn } = yield* setup
      turn.run(() => {
        send(1)
        Effect.runSync(close)
      })
      assert.deepStrictEqual(marks(kernel.written), [1])
      kernel.incoming.push({ bytes: new Uint8Array(60) })
      kernel.event(Readiness.readable)
      assert.strictEqual(arrivals.length, 0)
    }).pipe(Effect.provide(BareStack.layer)))
})
