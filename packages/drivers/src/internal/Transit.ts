/**
 * Frames on their way to a device of the same process.
 *
 * Whatever is offered within one turn is delivered in a later one, as one
 * batch, through Effect's scheduler. Frames that delivery gives rise to wait
 * for the next batch, so two hosts that answer each other for ever still leave
 * the event loop its time.
 */
import type { Attachment } from "@strata/core/device/Devices"
import type { Packet } from "@strata/core/device/Packet"
import type * as Scheduler from "effect/Scheduler"
import { PacketPool } from "./PacketPool.ts"

/** How many frames one direction holds; what is offered beyond is refused. */
export const CAPACITY = 1024

export class Transit {
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private readonly attachment: Attachment
  private readonly capacity: number
  private waiting: Array<Packet> = []
  private delivering: Array<Packet> = []
  private scheduled = false
  private closed = false
  private readonly pool: PacketPool
  /** What became of the frames that were offered; the rest is `held`. */
  private delivered = 0
  private refused = 0
  private lost = 0
  private held = 0

  /** Frames that were delivered go to `pool`, which may be that of several transits. */
  constructor(
    scheduler: Scheduler.Scheduler,
    attachment: Attachment,
    capacity: number,
    pool: PacketPool = new PacketPool()
  ) {
    this.dispatcher = scheduler.makeDispatcher()
    this.attachment = attachment
    this.capacity = capacity
    this.pool = pool
  }

  /** A copy to be offered. */
  copy(packet: Packet): Packet {
    return this.pool.copy(packet)
  }

  isFull(): boolean {
    return this.waiting.length >= this.capacity
  }

  /** Frames that arrived, were refused for want of room, were forgotten, and are still here. */
  counters(): { readonly delivered: number; readonly refused: number; readonly lost: number; readonly held: number } {
    const { delivered, held, lost, refused } = this
    return { delivered, refused, lost, held }
  }

  /** Takes a packet that nobody else uses, or one that says it is shared; false when the queue is full. */
  offer(packet: Packet): boolean {
    if (this.isFull()) {
      this.refused++
      return false
    }
    this.held++
    this.waiting.push(packet)
    if (!this.scheduled) {
      this.scheduled = true
      this.dispatcher.scheduleTask(this.deliver, 0)
    }
    return true
  }

  /** Forgets the frames that have not arrived. */
  clear(): void {
    this.lost += this.waiting.length
    this.held -= this.waiting.length
    this.waiting = []
  }

  /** Forgets them, and delivers nothing any more. */
  close(): void {
    this.closed = true
    this.clear()
    this.lost += this.held
    this.held = 0
  }

  private readonly deliver = (): void => {
    this.scheduled = false
    if (this.closed) return
    const frames = this.waiting
    this.waiting = this.delivering
    this.delivering = frames
    try {
      this.attachment.batch(this.inputAll)
    } finally {
      frames.length = 0
    }
  }

  private readonly inputAll = (): void => {
    for (const frame of this.delivering) {
      if (this.closed) return
      this.held--
      this.delivered++
      const own = frame.shared ? this.pool.copy(frame) : frame
      this.attachment.input(own)
      this.pool.release(own)
    }
  }
}
