/**
 * Timers in the order in which they are due, then in the order in which they
 * were set.
 *
 * They stand in pages of eight milliseconds, as in the slots of a timing wheel, and
 * each page is a small heap: so setting a timer costs the same whether there
 * are ten or a hundred thousand, and the order is exact all the same. Pages that hold nothing
 * do not exist.
 *
 * A timer that is set later, or cleared, stays where it stands until its old
 * place comes up. Cleared ones are swept out when they are the greater part,
 * so that the pages never hold much more than what is set.
 */
import { DeadlineHeap, type Placed } from "./DeadlineHeap.ts"

/**
 * Its place is never later than `deadline`.
 *
 * A class, and not a literal: V8 allocates what a literal makes in the old generation once enough of its objects have lived long, as those
 * of a server's lasting connections do. There an entry would keep its connection, when that is over, until the next full collection.
 */
export class Entry implements Placed {
  /** When it is due, in milliseconds; `Infinity` when it is cleared. */
  deadline = Infinity
  /** When it was set, among all timers. */
  asked = 0
  place = 0
  order = 0
  index = -1
  readonly run: (asOf: number) => void

  constructor(run: (asOf: number) => void) {
    this.run = run
  }
}

/** Milliseconds of a page. */
const PAGE = 8
/** Below this many, cleared timers are not worth a sweep. */
const TOLERATED = 64

const pageOf = (time: number): number => Math.floor(time / PAGE)

/** The timers whose places are in one page. */
class Page implements Placed {
  place = 0
  order = 0
  index = -1
  readonly entries = new DeadlineHeap<Entry>()
}

export class TimerHeap {
  private readonly pages = new Map<number, Page>()
  private readonly byTime = new DeadlineHeap<Page>()
  private count = 0
  private cleared = 0

  get size(): number {
    return this.count
  }

  peek(): Entry | undefined {
    return this.byTime.peek()?.entries.peek()
  }

  /** Adds an entry at its deadline. */
  push(entry: Entry): void {
    const number = pageOf(entry.deadline)
    this.count++
    const page = this.pages.get(number) ?? this.open(number)
    page.entries.push(entry, entry.deadline, entry.asked)
  }

  remove(entry: Entry): void {
    const number = pageOf(entry.place)
    const page = this.pages.get(number)!
    page.entries.remove(entry)
    this.count--
    if (entry.deadline === Infinity) this.cleared--
    if (page.entries.size === 0) this.close(number, page)
  }

  /** Clears an entry that is in the heap. */
  clear(entry: Entry): void {
    entry.deadline = Infinity
    this.cleared++
    if (this.cleared > TOLERATED && this.cleared * 2 > this.size) this.sweep()
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
    for (const [number, page] of this.pages) {
      page.entries.retain(({ deadline }) => deadline !== Infinity)
      if (page.entries.size === 0) this.close(number, page)
    }
    this.count -= this.cleared
    this.cleared = 0
  }

  private open(number: number): Page {
    const page = new Page()
    this.pages.set(number, page)
    this.byTime.push(page, number)
    return page
  }

  private close(number: number, page: Page): void {
    this.pages.delete(number)
    this.byTime.remove(page)
  }
}
