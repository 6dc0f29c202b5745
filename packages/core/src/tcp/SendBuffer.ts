/**
 * The octets of one connection from SND.UNA on, sent or not.
 *
 * They stay where they are until they are acknowledged, and go to the wire from
 * there. A large chunk is not copied at all: it belongs to the buffer until then.
 * Small ones are put together in pages, which grow with use up to 64 KiB; a
 * write into an empty buffer that is shorter has a piece of exactly its own
 * size. An empty buffer holds no memory.
 */
import type { Packet } from "../device/Packet.ts"
import { copyOf } from "../wire/Octets.ts"

const SMALLEST_PAGE = 2 * 1024
const LARGEST_PAGE = 64 * 1024
/** A chunk of so many octets is referred to: to copy it would cost more than a piece of its own does. */
export const REFERRED = 4 * 1024

/** Pages that are kept to be used again. */
export const SPARES = 64

/** A list, since most buffers hold one piece or none: an array of one would be another object or two for each write. */
class Piece {
  next: Piece | undefined = undefined
  readonly bytes: Uint8Array
  /** Octets before this one are acknowledged. */
  start: number
  end: number
  /** Memory of the buffer's own, to which more may be added. */
  readonly isOwn: boolean

  constructor(bytes: Uint8Array, start: number, end: number, isOwn: boolean) {
    this.bytes = bytes
    this.start = start
    this.end = end
    this.isOwn = isOwn
  }

  get length(): number {
    return this.end - this.start
  }
}

export class SendBuffer {
  /** The most octets it holds; larger now and then, never smaller. */
  capacity: number
  private first: Piece | undefined = undefined
  private last: Piece | undefined = undefined
  private length = 0
  private pageSize = SMALLEST_PAGE
  /**
   * Pages whose octets are all acknowledged, to be used again: fresh memory costs five times the copy into it. A segment that was
   * sent again and has not left the device yet may still refer to one: the peer has those octets and looks at no others under their
   * numbers.
   */
  private spares: Array<Uint8Array> | undefined = undefined
  /** The piece that the last `lay` began in, and the offset from SND.UNA's octet at which that piece begins. */
  private cursor: Piece | undefined = undefined
  private cursorBase = 0

  /** Whether all octets are copied. */
  private readonly copies: boolean

  constructor(capacity: number, copies = false) {
    this.capacity = capacity
    this.copies = copies
  }

  /** Octets held. */
  get queued(): number {
    return this.length
  }

  /** Octets that still fit. */
  get free(): number {
    return this.capacity - this.length
  }

  /**
   * Octets of memory held, chunks that are referred to included: at most `SPARES` and two pages more than they and the octets
   * themselves need.
   */
  get memory(): number {
    let sum = (this.spares?.length ?? 0) * LARGEST_PAGE
    for (let piece = this.first; piece !== undefined; piece = piece.next) sum += piece.bytes.length
    return sum
  }

  /** Takes as much of `bytes` from `from` on as fits, at most `limit` octets, and returns how many that were. */
  write(bytes: Uint8Array, from = 0, limit = Infinity): number {
    const count = Math.min(bytes.length - from, this.free, limit)
    if (count <= 0) return 0
    const end = from + count
    if (!this.copies && bytes.length >= REFERRED) this.refer(bytes, from, end)
    else if (this.length === 0 && count < LARGEST_PAGE) {
      // A typed array made from another one is not filled with zeros first. A part of a small one costs more than the copy.
      const text = count === bytes.length ? new Uint8Array(bytes) : copyOf(bytes, from, end)
      this.add(new Piece(text, 0, count, true))
    } else {
      for (let at = from; at < end;) at += this.append(bytes, at, end)
    }
    this.length += count
    return count
  }

  /** Forgets the first `count` octets: they were acknowledged. */
  release(count: number): void {
    const released = Math.min(count, this.length)
    this.length -= released
    if (this.length === 0) return this.clear()
    let rest = released
    let piece = this.first!
    while (rest >= piece.length) {
      rest -= piece.length
      this.keep(piece)
      if (piece === this.cursor) this.cursor = undefined
      const { next } = piece
      // One that is in V8's old generation would keep all that follow.
      piece.next = undefined
      piece = next!
    }
    piece.start += rest
    this.first = piece
    if (this.cursor === undefined || this.cursor === piece) this.rewind()
    else this.cursorBase -= released
  }

  clear(): void {
    this.first = undefined
    this.last = undefined
    this.spares = undefined
    this.length = 0
    this.pageSize = SMALLEST_PAGE
    this.rewind()
  }

  /** Attaches `[offset, offset + count)` to an empty packet, in as many pieces as it stands in. The octets must be there. */
  lay(packet: Packet, offset: number, count: number): void {
    if (count === 0) return
    if (this.cursor === undefined || offset < this.cursorBase) this.rewind()
    let piece = this.cursor!
    while (offset >= this.cursorBase + piece.length) {
      this.cursorBase += piece.length
      piece = piece.next!
    }
    this.cursor = piece
    let at = piece.start + offset - this.cursorBase
    for (let rest = count;;) {
      const part = Math.min(rest, piece.end - at)
      packet.attach(piece.bytes, at, at + part)
      rest -= part
      if (rest === 0) return
      piece = piece.next!
      at = piece.start
    }
  }

  /** What is laid next is looked for from the beginning. */
  private rewind(): void {
    this.cursor = this.first
    this.cursorBase = 0
  }

  private add(piece: Piece): void {
    if (this.last === undefined) this.first = piece
    else this.last.next = piece
    this.last = piece
  }

  /** Adds `bytes[from, end)` as it stands; the rest of a chunk of which a part is here goes on where that ends. */
  private refer(bytes: Uint8Array, from: number, end: number): void {
    const { last } = this
    if (last?.bytes === bytes && last.end === from) last.end = end
    else this.add(new Piece(bytes, from, end, false))
  }

  /** Copies what fits of `bytes[at, end)` into the last page, a new one when that is full, and returns how much it was. */
  private append(bytes: Uint8Array, at: number, end: number): number {
    let page = this.last
    if (page === undefined || !page.isOwn || page.end === page.bytes.length) {
      page = new Piece(this.takePage(end - at), 0, 0, true)
      this.add(page)
    }
    const count = Math.min(end - at, page.bytes.length - page.end)
    page.bytes.set(bytes.subarray(at, at + count), page.end)
    page.end += count
    return count
  }

  private keep({ bytes, isOwn }: Piece): void {
    if (!isOwn || bytes.length !== LARGEST_PAGE) return
    this.spares ??= []
    if (this.spares.length < SPARES) this.spares.push(bytes)
  }

  private takePage(wanted: number): Uint8Array {
    while (this.pageSize < wanted && this.pageSize < LARGEST_PAGE) this.pageSize *= 2
    const { pageSize } = this
    if (this.pageSize < LARGEST_PAGE) this.pageSize *= 2
    return (pageSize === LARGEST_PAGE ? this.spares?.pop() : undefined) ?? new Uint8Array(pageSize)
  }
}
