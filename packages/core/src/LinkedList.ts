/**
 * Things in the order in which they came, each of which may leave at any time.
 *
 * For what comes and goes with every connection. A `Set` would do, but when it is made over, its old table still points to the new one: once
 * a table has outlived a few collections of the young generation, all that ever follows does, too, until the
 * next full one. Here nothing that has left points to anything.
 */

/** What can stand in a list, in one at a time; the list owns these fields. */
export interface Linked<Self extends Linked<Self>> {
  list: LinkedList<Self> | undefined
  before: Self | undefined
  behind: Self | undefined
}

export class LinkedList<A extends Linked<A>> implements Iterable<A> {
  first: A | undefined = undefined
  private last: A | undefined = undefined
  private count = 0

  get size(): number {
    return this.count
  }

  /** Adds an item, which stands in no list, at the end. */
  add(item: A): void {
    item.list = this
    item.before = this.last
    if (this.last === undefined) this.first = item
    else this.last.behind = item
    this.last = item
    this.count++
  }

  /** Takes an item out; false when it is not here. */
  delete(item: A): boolean {
    if (item.list !== this) return false
    const { before, behind } = item
    if (before === undefined) this.first = behind
    else before.behind = behind
    if (behind === undefined) this.last = before
    else behind.before = before
    item.list = undefined
    item.before = undefined
    item.behind = undefined
    this.count--
    return true
  }

  /** All of them; the list may change meanwhile. */
  [Symbol.iterator](): Iterator<A> {
    const all: Array<A> = []
    for (let item = this.first; item !== undefined; item = item.behind) all.push(item)
    return all[Symbol.iterator]()
  }
}
