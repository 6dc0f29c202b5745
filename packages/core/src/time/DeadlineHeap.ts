/**
 * A binary heap of deadlines: the earliest first, and among equals the one
 * pushed first, so that the order never depends on the heap's shape.
 *
 * Entries carry their own place, so that removing one costs no search.
 */

/** The part of an entry that belongs to the heap. */
export interface Placed {
  /** The deadline by which it stands in the heap, in milliseconds. */
  place: number
  order: number
  /** Its index in the heap, or -1. */
  index: number
}

export const unplaced: Readonly<Placed> = { place: 0, order: 0, index: -1 }

export class DeadlineHeap<A extends Placed> {
  private readonly entries: Array<A> = []
  private pushed = 0

  get size(): number {
    return this.entries.length
  }

  peek(): A | undefined {
    return this.entries[0]
  }

  push(entry: A, deadline: number): void {
    entry.place = deadline
    entry.order = this.pushed++
    this.put(entry, this.entries.length)
    this.up(entry)
  }

  pop(): A | undefined {
    const first = this.entries[0]
    if (first !== undefined) this.remove(first)
    return first
  }

  remove(entry: A): void {
    const last = this.entries.pop()!
    if (last !== entry) {
      this.put(last, entry.index)
      this.up(last)
      this.down(last)
    }
    entry.index = -1
  }

  private put(entry: A, index: number): void {
    entry.index = index
    this.entries[index] = entry
  }

  private up(entry: A): void {
    while (entry.index > 0) {
      const index = entry.index
      const parent = this.entries[(index - 1) >> 1]!
      if (!before(entry, parent)) return
      this.put(entry, parent.index)
      this.put(parent, index)
    }
  }

  private down(entry: A): void {
    for (;;) {
      const index = entry.index
      const left = this.entries[2 * index + 1]
      const right = this.entries[2 * index + 2]
      const child = right !== undefined && before(right, left!) ? right : left
      if (child === undefined || !before(child, entry)) return
      this.put(entry, child.index)
      this.put(child, index)
    }
  }
}

const before = (a: Placed, b: Placed): boolean => a.place < b.place || (a.place === b.place && a.order < b.order)
