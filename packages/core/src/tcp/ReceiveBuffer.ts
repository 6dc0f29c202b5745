/**
 * The octets of one connection that arrived and were not read, in order or not.
 *
 * Text is copied once, from the driver's slab into pages, and the pages become
 * the reader's. Positions are offsets from the first octet that was not read:
 * `[0, readable)` is in order, what stands behind may have gaps. Pages follow
 * each other without gaps from offset 0 on, but one that nothing was written
 * to has no memory; all together never span more than the capacity.
 *
 * Large text, such as that of several segments that came together, has a page of
 * exactly its own size: a typed array made from another one is not filled with
 * zeros first, which takes longer than the copy.
 *
 * What most connections get is one text in order that is read before the next
 * one comes. That is kept as it is, and becomes the first page when more comes.
 */
import { copyOf } from "../wire/Octets.ts"

const SMALLEST_PAGE = 2 * 1024
const LARGEST_PAGE = 64 * 1024
/** Text of so many octets has a page of its own. */
const LARGE_TEXT = 8 * 1024

interface Page {
  /** Its first octet's offset. */
  base: number
  size: number
  bytes: Uint8Array | undefined
  /** One past the last octet written, from `base`. */
  written: number
}

/** What all empty buffers have. */
const NO_PAGES: Array<Page> = Object.freeze([]) as ReadonlyArray<Page> as Array<Page>

export class ReceiveBuffer {
  /** The most octets it holds. */
  readonly capacity: number
  /** All there is, from offset 0 on, and there are no pages then. */
  private lone: Uint8Array | undefined = undefined
  private pages: Array<Page> = NO_PAGES
  private inOrder = 0
  /** The size of the next page; 0 makes the first one as long as its text. */
  private pageSize = 0
  /** The page that the last text was written to. */
  private current = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Octets that can be taken. */
  get readable(): number {
    return this.inOrder
  }

  /** Octets of memory held. */
  get memory(): number {
    return this.pages.reduce((sum, page) => sum + (page.bytes?.length ?? 0), this.lone?.length ?? 0)
  }

  /**
   * Keeps `source[start, end)`, whose first octet comes `offset` octets after the last one in order. What lies beyond
   * the capacity is not kept. Returns how many octets were.
   */
  write(offset: number, source: Uint8Array, start: number, end: number): number {
    const from = this.inOrder + offset
    const count = Math.min(end - start, this.capacity - from)
    if (count <= 0) return 0
    if (from === 0 && this.isEmpty && (count >= this.pageSize || count >= LARGE_TEXT)) {
      this.lone = copyOf(source, start, start + count)
      return count
    }
    this.spread()
    const span = this.span()
    if (from + count > span) this.extend(span, from, count)
    this.copy(from, source, start, count)
    return count
  }

  /** The next `count` octets are in order now; they must have been written. */
  advance(count: number): void {
    this.inOrder += count
  }

  /** Everything in order, in one or more chunks that nobody else holds; undefined when there is nothing. */
  take(): [Uint8Array, ...Array<Uint8Array>] | undefined {
    const { inOrder: taken, lone } = this
    if (taken === 0) return undefined
    if (lone?.length === taken) {
      this.lone = undefined
      this.inOrder = 0
      this.shrink(taken)
      return [lone]
    }
    this.spread()
    const chunks: Array<Uint8Array> = []
    let gone = 0
    for (let page = this.pages[0]; page !== undefined && page.base < taken; page = this.pages[gone]) {
      const bytes = this.memoryOf(page)
      const count = taken - page.base
      if (count < page.size) {
        chunks.push(bytes.subarray(0, count))
        if (this.keepRest(page, count, gone)) break
      } else {
        chunks.push(bytes)
      }
      gone++
    }
    if (gone === this.pages.length) this.pages = NO_PAGES
    else this.pages.splice(0, gone)
    for (const page of this.pages) page.base -= taken
    this.inOrder = 0
    this.current = 0
    this.shrink(taken)
    return chunks as [Uint8Array, ...Array<Uint8Array>]
  }

  clear(): void {
    this.lone = undefined
    this.pages = NO_PAGES
    this.inOrder = 0
    this.current = 0
    this.pageSize = 0
  }

  private get isEmpty(): boolean {
    return this.lone === undefined && this.pages === NO_PAGES
  }

  /** Makes a page of the lone text, since there is more than that. */
  private spread(): void {
    const { lone } = this
    if (lone === undefined) return
    this.lone = undefined
    this.pages = [{ base: 0, size: lone.length, bytes: lone, written: lone.length }]
    if (lone.length < LARGE_TEXT) this.grow()
  }

  private grow(): void {
    this.pageSize = Math.min(LARGEST_PAGE, Math.max(SMALLEST_PAGE, this.pageSize * 2))
  }

  /** What is read tells what the next page will hold: one for the largest burst ever would be memory for nothing. */
  private shrink(taken: number): void {
    while (this.pageSize >= 2 * taken) this.pageSize = this.pageSize > SMALLEST_PAGE ? this.pageSize / 2 : 0
  }

  private span(): number {
    const last = this.pages[this.pages.length - 1]
    return last === undefined ? 0 : last.base + last.size
  }

  /** Adds pages until `[from, from + count)` has a place. */
  private extend(span: number, from: number, count: number): void {
    let base = span
    // A hole in front of text out of order gets pages of its own, which have no memory until something is written.
    for (; base < from; base = this.span()) this.addPage(base, Math.min(LARGEST_PAGE, from - base))
    for (; base < from + count; base = this.span()) {
      const rest = Math.min(LARGEST_PAGE, from + count - base)
      const isLarge = rest >= LARGE_TEXT
      this.addPage(base, isLarge ? rest : Math.min(Math.max(this.pageSize, rest), this.capacity - base))
      if (!isLarge) this.grow()
    }
  }

  private addPage(base: number, size: number): void {
    const page: Page = { base, size, bytes: undefined, written: 0 }
    if (this.pages === NO_PAGES) this.pages = [page]
    else this.pages.push(page)
  }

  private copy(from: number, source: Uint8Array, start: number, count: number): void {
    let index = this.current
    while (this.pages[index]!.base > from) index--
    let done = 0
    while (done < count) {
      const page = this.pages[index]!
      const at = from + done - page.base
      const part = Math.min(count - done, page.size - at)
      if (part > 0) {
        this.fill(page, at, source.subarray(start + done, start + done + part))
        this.current = index
        done += part
      }
      index++
    }
  }

  private fill(page: Page, at: number, text: Uint8Array): void {
    if (page.bytes === undefined && text.length === page.size) page.bytes = new Uint8Array(text)
    else this.memoryOf(page).set(text, at)
    page.written = Math.max(page.written, at + text.length)
  }

  private memoryOf(page: Page): Uint8Array {
    return page.bytes ??= new Uint8Array(page.size)
  }

  /**
   * The first `count` octets of a page go to the reader. Text out of order behind them moves to memory of its own; false
   * when there is none and nothing follows, so that the page is not needed any more.
   */
  private keepRest(page: Page, count: number, index: number): boolean {
    const written = page.written - count
    if (written <= 0 && index === this.pages.length - 1) return false
    const rest = page.bytes!.subarray(count, page.size)
    page.base += count
    page.size -= count
    page.bytes = written > 0 ? new Uint8Array(rest) : undefined
    page.written = Math.max(0, written)
    return true
  }
}
