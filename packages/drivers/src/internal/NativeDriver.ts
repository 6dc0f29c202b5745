/**
 * Moves frames between a native device and the stack.
 *
 * Receiving: the event loop wakes the driver once, which then reads batch after
 * batch, each one turn of the stack, until nothing is left or its budget of
 * work is spent; then timers and other I/O have their time before it is woken
 * again. Sending: frames are laid into a ring of slots and written when the
 * turn ends. What the kernel does not take waits for it to become writable; when
 * the ring is full, `transmit` refuses. Nothing is allocated per frame.
 */
import type { Attachment } from "@strata/core/device/Devices"
import { ChecksumState, Packet } from "@strata/core/device/Packet"
import type { Drop } from "@strata/core/Trace"
import { Descriptor, type NativeDevice, Readiness } from "../Native.ts"

export interface Sizes {
  /** Octets of the largest frame that can be received, and one more. */
  readonly receiveSlot: number
  /** Octets of the largest frame that can be sent. */
  readonly transmitSlot: number
  /** Frames that are read at once. */
  readonly batch: number
  /** Batches that are read before other work of the process gets its turn. */
  readonly budget: number
  /** Frames that wait for the kernel. */
  readonly transmitSlots: number
}

const EAGAIN = 11
const ENOBUFS = 105

export class NativeDriver {
  private readonly native: NativeDevice
  private readonly sizes: Sizes
  private readonly drop: Drop
  /** Called once when the kernel has taken the device away, with the number of its last error. */
  private readonly onLost: (errno: number) => void

  private readonly received: Packet
  private readonly receivedDescriptors: Int32Array
  private readonly transmitted: Packet
  private readonly transmittedDescriptors: Int32Array
  private readonly status = new Int32Array(1)

  private attachment: Attachment | undefined
  /** Frames in the batch that is being delivered. */
  private count = 0
  /** The slot of the oldest frame that waits, and how many wait. */
  private first = 0
  private waiting = 0
  private blocked = false
  private closed = false

  constructor(native: NativeDevice, sizes: Sizes, drop: Drop, onLost: (errno: number) => void) {
    this.native = native
    this.sizes = sizes
    this.drop = drop
    this.onLost = onLost
    this.received = new Packet(new Uint8Array(sizes.batch * sizes.receiveSlot))
    this.receivedDescriptors = new Int32Array(sizes.batch * Descriptor.size)
    this.transmitted = new Packet(new Uint8Array(sizes.transmitSlots * sizes.transmitSlot))
    this.transmittedDescriptors = new Int32Array(sizes.transmitSlots * Descriptor.size)
  }

  /** From now on frames can be sent. */
  prepare(): void {
    this.native.start(
      this.received.bytes,
      this.receivedDescriptors,
      this.sizes.receiveSlot,
      this.transmitted.bytes,
      this.transmittedDescriptors,
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
  }

  readonly transmit = (packet: Packet): boolean => {
    const { length } = packet
    if (this.closed || length > this.sizes.transmitSlot) return false
    if (this.waiting === this.sizes.transmitSlots) {
      if (!this.blocked) this.flush()
      if (this.waiting === this.sizes.transmitSlots) return false
    }
    const slot = (this.first + this.waiting) % this.sizes.transmitSlots
    const offset = slot * this.sizes.transmitSlot
    packet.copyTo(this.transmitted.bytes, offset)
    const at = slot * Descriptor.size
    this.transmittedDescriptors[at + Descriptor.offset] = offset
    this.transmittedDescriptors[at + Descriptor.length] = length
    this.waiting++
    return true
  }

  readonly flush = (): void => {
    while (this.waiting > 0 && !this.closed) {
      const adjacent = Math.min(this.waiting, this.sizes.transmitSlots - this.first)
      const written = this.native.writeBatch(this.first, adjacent)
      this.release(written)
      if (written < adjacent) {
        const errno = this.status[0]
        if (errno === EAGAIN || errno === ENOBUFS) return this.block(true)
        this.refused()
      }
    }
    this.block(false)
  }

  /** The kernel will not have the oldest frame: its interface is down, or the frame is too big for it. */
  private refused(): void {
    const at = this.first * Descriptor.size
    const offset = this.transmittedDescriptors[at + Descriptor.offset]!
    this.transmitted.point(offset, offset + this.transmittedDescriptors[at + Descriptor.length]!)
    this.drop("refused", this.transmitted)
    this.release(1)
  }

  private release(frames: number): void {
    this.first = (this.first + frames) % this.sizes.transmitSlots
    this.waiting -= frames
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
  }

  private receive(): void {
    for (let left = this.sizes.budget; left > 0 && !this.closed; left--) {
      this.count = this.native.readBatch(this.sizes.batch)
      const errno = this.status[0]!
      const drained = this.count < this.sizes.batch
      if (this.count > 0) this.attachment!.batch(this.deliver)
      if (drained && errno !== 0) return this.lose(errno)
      if (drained) return
    }
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
    this.onLost(errno)
  }
}
