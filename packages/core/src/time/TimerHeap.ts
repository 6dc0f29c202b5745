/**
 * Timers in the order in which they are due, then in the order in which they
 * were set.
 *
 * A timer that is set later, or cleared, stays where it stands until its old
 * place comes up. Cleared ones are swept out when they are the greater part,
 * so that the heap never holds much more than what is set.
 */
import { DeadlineHeap, type Placed } from "./DeadlineHeap.ts"

/** Its place is never later than `deadline`. */
export interface Entry extends Placed {
  /** When it is due, in milliseconds; `Infinity` when it is cleared. */
  deadline: number
  /** When it was set, among all timers. */
  asked: number
  readonly run: (asOf: number) => void
}

/** Below this many, cleared timers are not worth a sweep. */
const TOLERATED = 64

export class TimerHeap {
  private readonly heap = new DeadlineHeap<Entry>()
  private cleared = 0

  get size(): number {
    return this.heap.size
  }

  peek(): Entry | undefined {
    return this.heap.peek()
  }

  /** Adds an entry at its deadline. */
  push(entry: Entry): void {
    this.heap.push(entry, entry.deadline, entry.asked)
  }

  remove(entry: Entry): void {
    this.heap.remove(entry)
    if (entry.deadline === Infinity) this.cleared--
  }

  /** Clears an entry that is in the heap. */
  clear(entry: Entry): void {
    entry.deadline = Infinity
    this.cleared++
    if (this.cleared <= TOLERATED || this.cleared * 2 <= this.size) return
    this.heap.retain(({ deadline }) => deadline !== Infinity)
    this.cleared = 0
  }

  /** Sets an entry that is in the heap. */
  set(entry: Entry, deadline: number): void {
    if (entry.deadline === Infinity) this.cleared--
    entry.deadline = deadline
    if (deadline < entry.place) {
      this.remove(entry)
      this.push(entry)
    }
  }
}
