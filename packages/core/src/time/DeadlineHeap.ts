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
  private entries: Array<A> = []
  private pushed = 0

  get size(): number {
    return this.entries.length
  }

  peek(): A | undefined {
    return this.entries[0]
  }

  /** `order` decides among equal deadlines: the order of pushing by default, which is not to be mixed with another. */
  push(entry: A, deadline: number, order: number = this.pushed++): void {
    entry.place = deadline
    entry.order = order
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

  /** Removes all entries for which `keep` is false. */
  retain(keep: (entry: A) => boolean): void {
    const all = this.entries
    // What is sorted is a heap.
    this.entries = all.filter(keep).toSorted((a, b) => before(a, b) ? -1 : 1)
    for (const entry of all) entry.index = -1
    for (const [index, entry] of this.entries.entries()) entry.index = index
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
