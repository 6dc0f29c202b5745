/**
 * What programs write: the send buffer of a connection, and the writes that wait for room in it.
 *
 * There are two bounds. The buffer holds twice the congestion window, so that the next round trip is there while this one is not
 * acknowledged. And of what it holds, only so much may wait to be sent for the first time (`notSentLowWater`): a program is woken as
 * segments leave, and what it writes then is not behind megabytes that it wrote before.
 */
import type { ControlBlock } from "./ControlBlock.ts"
import { SendBuffer } from "./SendBuffer.ts"
import * as SendWindow from "./SendWindow.ts"
import type { BufferBounds } from "./Tcp.ts"

/** A write that waits for room; `settle` is called once it is all in the buffer, or never will be. */
export interface PendingWrite {
  readonly bytes: Uint8Array
  at: number
  readonly settle: () => void
}

/** What all have where nothing waits: an array of one's own would be something more to look at, for each segment. */
const NOTHING: Array<PendingWrite> = Object.freeze([]) as ReadonlyArray<PendingWrite> as Array<PendingWrite>

export class WriteQueue {
  readonly sending: SendBuffer
  /** Octets up to which the buffer grows. */
  private readonly maximum: number
  private waiting = NOTHING
  private settled = NOTHING

  constructor({ initial, maximum }: BufferBounds, copies: boolean) {
    this.sending = new SendBuffer(initial, copies)
    this.maximum = maximum
  }

  /** Whether nothing waits for room. */
  get isEmpty(): boolean {
    return this.waiting.length === 0
  }

  /** Copies `bytes` where all of it fits and nothing waits; otherwise nothing of it, and false. */
  offer(bytes: Uint8Array, tcb: ControlBlock): boolean {
    if (!this.isEmpty || bytes.length > this.room(tcb)) return false
    this.sending.write(bytes)
    return true
  }

  /** Copies what fits, unless others wait. True when all of it did; otherwise the rest waits. */
  add(write: PendingWrite, tcb: ControlBlock): boolean {
    if (this.isEmpty) {
      write.at += this.sending.write(write.bytes, write.at, this.room(tcb))
      if (write.at === write.bytes.length) return true
    }
    if (this.waiting === NOTHING) this.waiting = [write]
    else this.waiting.push(write)
    return false
  }

  /** Gives up the rest of a write that waits; what was copied stays. False when it does not wait. */
  remove(write: PendingWrite): boolean {
    const index = this.waiting.indexOf(write)
    if (index >= 0) this.waiting.splice(index, 1)
    return index >= 0
  }

  /** Copies as much as there is room for of what waits; true when it was anything. */
  pump(tcb: ControlBlock): boolean {
    const { sending } = this
    // Not crumb by crumb: a quarter at a time of what there may be.
    const portion = Math.max(1, Math.floor(Math.min(sending.capacity, SendWindow.unsentBound(tcb)) / 4))
    let moved = false
    for (let write = this.waiting[0]; write !== undefined; write = this.waiting[0]) {
      const room = this.room(tcb)
      if (room < Math.min(write.bytes.length - write.at, portion)) break
      write.at += sending.write(write.bytes, write.at, room)
      moved = true
      if (write.at < write.bytes.length) break
      this.waiting.shift()
      if (this.settled === NOTHING) this.settled = [write]
      else this.settled.push(write)
    }
    return moved
  }

  /** Lets go of all writes that wait. */
  abandon(): void {
    this.settled = [...this.settled, ...this.waiting]
    this.waiting = NOTHING
  }

  /** Calls those whose writes are over. */
  settle(): void {
    const { settled } = this
    if (settled.length === 0) return
    this.settled = NOTHING
    for (const write of settled) write.settle()
  }

  /** The congestion window has moved. */
  grow({ congestion }: ControlBlock): void {
    const wanted = Math.min(this.maximum, Math.ceil(2 * congestion.window))
    if (wanted > this.sending.capacity) this.sending.capacity = wanted
  }

  /** Octets that may be written now. */
  private room(tcb: ControlBlock): number {
    const unsent = Math.max(0, this.sending.queued - SendWindow.flight(tcb.snd))
    return Math.min(this.sending.free, SendWindow.unsentBound(tcb) - unsent)
  }
}
