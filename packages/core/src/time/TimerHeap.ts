/**
 * Timers in the order in which they are due: a binary heap by deadline, then
 * by the order in which they were set.
 *
 * A timer that is set later, or cleared, stays where it stands until its old
 * place comes up. Cleared ones are swept out when they are the greater part,
 * so that the heap never holds much more than what is set.
 */

export interface Entry {
  /** When it is due, in milliseconds; `Infinity` when it is cleared. */
  deadline: number
  /** When it was set, among all timers. */
  asked: number
  /** `deadline` and `asked` by which the entry stands in the heap; never later than what is due. */
  place: number
  order: number
  /** Its index in the heap, or -1. */
  index: number
  readonly run: () => void
}

/** Below this many, cleared timers are not worth a sweep. */
const TOLERATED = 64

export class TimerHeap {
  private entries: Array<Entry> = []
  private cleared = 0

  get size(): number {
    return this.entries.length
  }

  peek(): Entry | undefined {
    return this.entries[0]
  }

  /** Adds an entry at its deadline. */
  push(entry: Entry): void {
    entry.place = entry.deadline
    entry.order = entry.asked
    this.put(entry, this.entries.length)
    this.up(entry)
  }

  remove(entry: Entry): void {
    const last = this.entries.pop()!
    if (last !== entry) {
      this.put(last, entry.index)
      this.up(last)
      this.down(last)
    }
    entry.index = -1
    if (entry.deadline === Infinity) this.cleared--
  }

  /** Clears an entry that is in the heap. */
  clear(entry: Entry): void {
    entry.deadline = Infinity
    this.cleared++
    if (this.cleared > TOLERATED && this.cleared * 2 > this.entries.length) this.sweep()
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

  private sweep(): void {
    const all = this.entries
    this.entries = all.filter((entry) => entry.deadline !== Infinity).toSorted(compare)
    this.cleared = 0
    for (const entry of all) entry.index = -1
    for (let index = 0; index < this.entries.length; index++) this.entries[index]!.index = index
  }

  private put(entry: Entry, index: number): void {
    entry.index = index
    this.entries[index] = entry
  }

  private up(entry: Entry): void {
    while (entry.index > 0) {
      const index = entry.index
      const parent = this.entries[(index - 1) >> 1]!
      if (compare(entry, parent) >= 0) return
      this.put(entry, parent.index)
      this.put(parent, index)
    }
  }

  private down(entry: Entry): void {
    for (;;) {
      const index = entry.index
      const left = this.entries[2 * index + 1]
      const right = this.entries[2 * index + 2]
      const child = right !== undefined && compare(right, left!) < 0 ? right : left
      if (child === undefined || compare(child, entry) >= 0) return
      this.put(entry, child.index)
      this.put(child, index)
    }
  }
}

const compare = (a: Entry, b: Entry): number => a.place - b.place || a.order - b.order
