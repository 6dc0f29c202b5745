/**
 * Moves frames between a native device and the stack.
 *
 * Receiving: the event loop wakes the driver once, which then reads batch after
 * batch, each one turn of the stack, until nothing is left or its budget of
 * work is spent; then timers and other I/O have their time before it is woken
 * again. A batch ends when it has enough frames or enough octets: few enough for
 * those who sent them to work on the answers while the next batch is read. While
 * a thread of the kernel's receives, batches are larger, since to wake it costs as
 * much as several frames do. Where several frames came at once more have come
 * since, and it looks once more before it waits. Where a program waits for a tick
 * of the event loop to work on a batch, the next one is left to a later event.
 *
 * Sending: headers and small pieces of payload are laid into a ring of octets,
 * large pieces stay where they are, and the kernel gathers them when the turn
 * ends. What it does not take waits for it to become writable; when a ring is
 * full, `transmit` refuses. Nothing is allocated per frame.
 */
import type { Attachment } from "@strata/core/device/Devices"
import { ChecksumState, Packet } from "@strata/core/device/Packet"
import type { Counter } from "@strata/core/Statistics"
import type { Drop } from "@strata/core/Trace"
import { Capability, Descriptor, type NativeDevice, Piece, Readiness, Status } from "../Native.ts"
import { OCTETS } from "../YoungGeneration.ts"
import { Pressure } from "./Pressure.ts"
import { Ring } from "./Ring.ts"
import { Vigil } from "./Vigil.ts"

export interface Sizes {
  /** Octets of the largest frame that can be received, and one more. */
  readonly receiveSlot: number
  /** Octets of frames that are read at once. */
  readonly receiveOctets: number
  /** Frames that are read at once, and how many while the kernel receives in a thread of its own. */
  readonly batch: number
  readonly threadedBatch: number
  /** Frames, and octets, that are read before other work of the process gets its turn. */
  readonly budget: number
  readonly budgetOctets: number
  /** Octets of frames that wait for the kernel, as far as they are copied. */
  readonly transmitOctets: number
  /** Frames that wait for the kernel. */
  readonly transmitSlots: number
  /** Pieces of frames that wait for the kernel. */
  readonly pieces: number
}

/** What the driver has done; `reads` and `writes` are system calls that moved frames, or found that none can be moved. */
export interface Counters {
  readonly reads: Counter
  /** Reads that found nothing, while the driver looked for what would come next. */
  readonly polls: Counter
  /** As the kernel gave them: a frame may stand for several segments. */
  readonly framesRead: Counter
  readonly octetsRead: Counter
  readonly writes: Counter
  /** As the kernel took them. */
  readonly framesWritten: Counter
  readonly octetsWritten: Counter
  /** From one place of this process to another: headers, small payload, and what joining segments has moved. */
  readonly octetsCopied: Counter
  /** How often the kernel was asked to receive in a thread of its own, or to stop that. */
  readonly threadSwitches: Counter
}

const EAGAIN = 11
const ENOBUFS = 105

/** Frames in a batch that make it likely that more have come meanwhile, however few packets the driver has made of them. */
const SEVERAL = 2
/** Pieces up to this many octets are copied: to refer to one costs as much as to copy it. */
const COPIED = 512
/** Where IPv4 behind an Ethernet header says what it carries. What is not IPv4 may look like TCP there, and is rare. */
const IP_PROTOCOL = 23
const TCP = 6
/** Octets up to which a loop is faster than the copy of an array. */
const LOOPED = 32
/** The addon takes no more pieces in one frame. */
const MOST_PIECES = 1000

export class NativeDriver {
  private readonly native: NativeDevice
  private readonly sizes: Sizes
  private readonly counters: Counters
  private readonly drop: Drop
  /** Called once when the kernel has taken the device away, with the number of its last error. */
  private readonly onLost: (errno: number) => void
  /** Frees what readers have let go of. */
  private readonly collect: (() => void) | undefined
  private readonly vigil: Vigil

  private readonly received: Packet
  private readonly receivedDescriptors: Int32Array
  private readonly transmitted: Packet
  private readonly transmittedDescriptors: Int32Array
  private readonly octets: Ring
  private readonly pieces: Ring
  private readonly pieceTable: Int32Array
  /** What the pieces in the table refer to. */
  private readonly buffers: Array<Uint8Array | undefined>
  /** What the last piece refers to, as long as its frame waits. */
  private lastBuffer: Uint8Array | undefined
  private readonly status = new Int32Array(Status.size)

  /** Whether the kernel was asked to receive in a thread of its own, and what tells when to, as long as it can be asked. */
  private threaded = false
  private pressure: Pressure | undefined
  /** Whether what is being written belongs to the turn of a batch. */
  private delivering = false

  private attachment: Attachment | undefined
  /** Frames in the batch that is being delivered. */
  private count = 0
  /** Octets received since the young generation was collected. */
  private uncollected = 0
  /** The slot of the oldest frame that waits, and how many wait. */
  private first = 0
  private waiting = 0
  private blocked = false
  private closed = false

  constructor(
    native: NativeDevice,
    sizes: Sizes,
    counters: Counters,
    drop: Drop,
    onLost: (errno: number) => void,
    collect: (() => void) | undefined,
    busyPolling: number
  ) {
    this.native = native
    this.sizes = sizes
    this.counters = counters
    this.drop = drop
    this.onLost = onLost
    this.collect = collect
    this.vigil = new Vigil(busyPolling, () => performance.now())
    this.pressure = (native.capabilities() & Capability.thread) === 0 ? undefined : new Pressure()
    this.received = new Packet(new Uint8Array(sizes.receiveOctets))
    this.receivedDescriptors = new Int32Array(Math.max(sizes.batch, sizes.threadedBatch) * Descriptor.size)
    this.transmitted = new Packet(new Uint8Array(sizes.transmitOctets))
    this.transmittedDescriptors = new Int32Array(sizes.transmitSlots * Descriptor.size)
    this.octets = new Ring(sizes.transmitOctets)
    this.pieces = new Ring(sizes.pieces)
    this.pieceTable = new Int32Array(sizes.pieces * Piece.size)
    this.buffers = Array.from({ length: sizes.pieces }, () => undefined)
  }

  /** From now on frames can be sent. */
  prepare(): void {
    this.native.start(
      this.received.bytes,
      this.receivedDescriptors,
      this.sizes.receiveSlot,
      this.transmitted.bytes,
      this.transmittedDescriptors,
      this.pieceTable,
      this.buffers,
      this.status,
      this.onEvents
    )
  }

  /** From now on frames are received. */
  start(attachment: Attachment): void {
    this.attachment = attachment
    this.native.watch(Readiness.readable | (this.blocked ? Readiness.writable : 0))
  }

  /** Frames that still wait are tried once more, and lost if the kernel does not take them. */
  close(): void {
    if (this.closed) return
    if (!this.blocked) this.flush()
    this.closed = true
    this.native.close()
    this.release(this.waiting)
  }

  readonly transmit = (packet: Packet): boolean => {
    if (this.closed) return false
    if (this.lay(packet)) return true
    if (this.blocked) return false
    this.flush()
    return this.lay(packet)
  }

  /** Puts a frame behind those that wait; false when there is no room. */
  private lay(packet: Packet): boolean {
    if (this.waiting === this.sizes.transmitSlots) return false
    const { end, pieceCount, start } = packet
    const linear = end - start
    let octets = linear
    for (let index = 0; index < pieceCount; index++) {
      const piece = packet.pieces[index]!
      const length = piece.end - piece.start
      if (length <= COPIED || pieceCount > MOST_PIECES) octets += length
    }
    const offset = this.octets.find(octets)
    const firstPiece = this.pieces.find(pieceCount)
    if (offset < 0 || firstPiece < 0) return false

    const slot = (this.first + this.waiting) % this.sizes.transmitSlots
    const at = slot * Descriptor.size
    const words = this.transmittedDescriptors
    copy(this.transmitted.bytes, offset, packet.bytes, start, end)
    words[at + Descriptor.offset] = offset
    words[at + Descriptor.length] = linear
    words[at + Descriptor.checksum] = packet.checksum
    words[at + Descriptor.checksumStart] = packet.checksumStart - start
    words[at + Descriptor.checksumOffset] = packet.checksumOffset
    words[at + Descriptor.segmentSize] = packet.segmentSize
    words[at + Descriptor.firstPiece] = firstPiece
    words[at + Descriptor.pieces] = pieceCount === 0 ? 0 : this.layPieces(packet, at, offset + linear, firstPiece)
    this.octets.take(offset, octets)
    this.pieces.take(firstPiece, words[at + Descriptor.pieces]!)
    this.waiting++
    if (this.pressure !== undefined && packet.bytes[start + IP_PROTOCOL] !== TCP) this.pressure.other()
    this.counters.octetsCopied.value += octets
    return true
  }

  /** Lays out what follows the linear bytes, which end at `to`; returns how many pieces that makes. */
  private layPieces(packet: Packet, descriptor: number, to: number, firstPiece: number): number {
    const { pieceCount } = packet
    const table = this.pieceTable
    /** Where the number of octets is that can be added to in place. */
    let growing = this.transmittedDescriptors
    let growingAt = descriptor + Descriptor.length
    let isGrowing = true
    let next = firstPiece
    for (let index = 0; index < pieceCount; index++) {
      const { bytes, end, start } = packet.pieces[index]!
      const length = end - start
      const at = next * Piece.size
      if (length <= COPIED || pieceCount > MOST_PIECES) {
        copy(this.transmitted.bytes, to, bytes, start, end)
        if (isGrowing) {
          growing[growingAt]! += length
        } else {
          table[at + Piece.buffer] = -1
          table[at + Piece.offset] = to
          table[at + Piece.length] = length
          growing = table
          growingAt = at + Piece.length
          isGrowing = true
          next++
        }
        to += length
      } else {
        table[at + Piece.buffer] = next
        table[at + Piece.offset] = start
        table[at + Piece.length] = length
        table[at + Piece.sameBuffer] = bytes === this.lastBuffer ? 1 : 0
        this.buffers[next] = bytes
        this.lastBuffer = bytes
        isGrowing = false
        next++
      }
    }
    return next - firstPiece
  }

  readonly flush = (): void => {
    this.send()
    if (!this.delivering) this.endTurn(0, 0)
  }

  private send(): void {
    while (this.waiting > 0 && !this.closed) {
      const adjacent = Math.min(this.waiting, this.sizes.transmitSlots - this.first)
      const written = this.native.writeBatch(this.first, adjacent)
      const { counters, status } = this
      counters.writes.value += status[Status.calls]!
      counters.framesWritten.value += status[Status.frames]!
      counters.octetsWritten.value += status[Status.octets]!
      counters.octetsCopied.value += status[Status.copied]!
      this.pressure?.wrote(status[Status.frames]!, status[Status.octets]!)
      this.release(written)
      if (written < adjacent) {
        const errno = status[Status.errno]
        if (errno === EAGAIN || errno === ENOBUFS) return this.block(true)
        this.refused()
      }
    }
    this.block(false)
  }

  /** Has the kernel receive where that is better, after a turn that has moved this much. */
  private endTurn(framesRead: number, octetsRead: number): void {
    if (this.pressure === undefined || this.closed) return
    const wanted = this.pressure.turn(framesRead, octetsRead)
    if (wanted === this.threaded) return
    const isTurned = this.native.setThread(wanted)
    this.threaded = isTurned && wanted
    if (isTurned) this.counters.threadSwitches.value++
    else this.pressure = undefined
  }

  /** The kernel will not have the oldest frame: its interface is down, or the frame is too big for it. */
  private refused(): void {
    const at = this.first * Descriptor.size
    const offset = this.transmittedDescriptors[at + Descriptor.offset]!
    this.transmitted.point(offset, offset + this.transmittedDescriptors[at + Descriptor.length]!)
    this.drop("refused", this.transmitted)
    this.release(1)
  }

  /** Forgets the oldest frames, and what they referred to. */
  private release(frames: number): void {
    const words = this.transmittedDescriptors
    for (let count = 0; count < frames; count++) {
      const at = ((this.first + count) % this.sizes.transmitSlots) * Descriptor.size
      const firstPiece = words[at + Descriptor.firstPiece]!
      const end = firstPiece + words[at + Descriptor.pieces]!
      for (let piece = firstPiece; piece < end; piece++) this.buffers[piece] = undefined
    }
    this.waiting -= frames
    if (this.waiting === 0) {
      this.first = 0
      this.octets.releaseAll()
      this.pieces.releaseAll()
      this.lastBuffer = undefined
      return
    }
    this.first = (this.first + frames) % this.sizes.transmitSlots
    const at = this.first * Descriptor.size
    this.octets.releaseTo(words[at + Descriptor.offset]!)
    this.pieces.releaseTo(words[at + Descriptor.firstPiece]!)
  }

  private block(blocked: boolean): void {
    if (this.blocked === blocked || this.closed) return
    this.blocked = blocked
    this.native.watch(blocked ? Readiness.readable | Readiness.writable : Readiness.readable)
  }

  private readonly onEvents = (events: number): void => {
    if (this.closed) return
    if (events < 0) {
      // The kernel reports trouble; reading tells what it is, and for some of it that is enough.
      this.receive()
      if (!this.closed) this.native.watch(Readiness.readable | (this.blocked ? Readiness.writable : 0))
      return
    }
    if ((events & Readiness.writable) !== 0) this.flush()
    if ((events & Readiness.readable) !== 0) this.receive()
    if (this.uncollected >= OCTETS) this.free()
  }

  /** Nothing is on the stack now, and what was read is let go of, unless programs keep it. */
  private free(): void {
    this.uncollected = 0
    this.collect?.()
  }

  private receive(): void {
    const { counters, status, vigil } = this
    const { batch, budget, budgetOctets, threadedBatch } = this.sizes
    let isLooking = false
    vigil.start()
    for (let frames = 0, octets = 0; frames < budget && octets < budgetOctets && !this.closed;) {
      this.count = this.native.readBatch(this.threaded ? threadedBatch : batch)
      const errno = status[Status.errno]!
      const drained = status[Status.drained] !== 0
      const framesRead = status[Status.frames]!
      const octetsRead = status[Status.octets]!
      const isPolled = isLooking && framesRead === 0
      if (isPolled) counters.polls.value += status[Status.calls]!
      else counters.reads.value += status[Status.calls]!
      counters.framesRead.value += framesRead
      counters.octetsRead.value += octetsRead
      this.uncollected += octetsRead
      counters.octetsCopied.value += status[Status.copied]!
      // A call that brought nothing is work, too, unless it is known how long that goes on.
      frames += isPolled ? 0 : Math.max(framesRead, 1)
      octets += octetsRead
      const isTickAwaited = this.count > 0 && this.turn(framesRead, octetsRead)
      if (errno !== 0) return this.lose(errno)
      if (isTickAwaited) return
      if (!drained) continue
      isLooking = !this.blocked && (framesRead > 0 ? vigil.begins() : vigil.goesOn())
      if (!isLooking && framesRead < SEVERAL) return
    }
  }

  /** Everything that the frames of a batch lead to; whether a program waits for a tick. */
  private turn(framesRead: number, octetsRead: number): boolean {
    let isTickAwaited = false
    this.delivering = true
    try {
      isTickAwaited = this.attachment!.batch(this.deliver)
    } finally {
      this.delivering = false
    }
    this.endTurn(framesRead, octetsRead)
    return isTickAwaited
  }

  private readonly deliver = (): void => {
    const packet = this.received
    const words = this.receivedDescriptors
    for (let frame = 0; frame < this.count && !this.closed; frame++) {
      const at = frame * Descriptor.size
      const offset = words[at + Descriptor.offset]!
      const length = words[at + Descriptor.length]!
      packet.point(offset, offset + Math.abs(length))
      if (length < 0) {
        this.drop("oversized", packet)
        continue
      }
      packet.checksum = words[at + Descriptor.checksum]!
      packet.segmentSize = words[at + Descriptor.segmentSize]!
      if (packet.checksum === ChecksumState.partial) {
        packet.checksumStart = offset + words[at + Descriptor.checksumStart]!
        packet.checksumOffset = words[at + Descriptor.checksumOffset]!
      }
      this.attachment!.input(packet)
    }
  }

  private lose(errno: number): void {
    if (this.closed) return
    this.closed = true
    this.native.close()
    this.release(this.waiting)
    this.onLost(errno)
  }
}

const copy = (target: Uint8Array, at: number, source: Uint8Array, start: number, end: number): void => {
  if (end - start > LOOPED) target.set(start === 0 && end === source.length ? source : source.subarray(start, end), at)
  else for (let from = start, to = at; from < end; from++, to++) target[to] = source[from]!
}
