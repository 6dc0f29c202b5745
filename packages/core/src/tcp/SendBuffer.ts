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

const SMALLEST_PAGE = 2 * 1024
const LARGEST_PAGE = 64 * 1024
/** A chunk of so many octets is referred to: to copy it would cost more than a piece of its own does. */
export const REFERRED = 4 * 1024

/** Pages that are kept to be used again. */
export const SPARES = 64

interface Piece {
  readonly bytes: Uint8Array
  /** Octets before this one are acknowledged. */
  start: number
  end: number
  /** Memory of the buffer's own, to which more may be added. */
  readonly isOwn: boolean
}

/** What all empty buffers have: an array of one's own, once it has grown, would be more than the rest of an idle connection's buffers. */
const NO_PIECES: Array<Piece> = Object.freeze([]) as ReadonlyArray<Piece> as Array<Piece>

export class SendBuffer {
  /** The most octets it holds; larger now and then, never smaller. */
  capacity: number
  private pieces: Array<Piece> = NO_PIECES
  private length = 0
  private pageSize = SMALLEST_PAGE
  /**
   * Pages whose octets are all acknowledged, to be used again: fresh memory costs five times the copy into it. A segment that was
   * sent again and has not left the device yet may still refer to one: the peer has those octets and looks at no others under their
   * numbers.
   */
  private spares: Array<Uint8Array> | undefined = undefined
  /** The piece that the last `lay` began in, and the offset from SND.UNA's octet at which that piece begins. */
  private cursorPiece = 0
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
    return this.pieces.reduce((sum, piece) => sum + piece.bytes.length, (this.spares?.length ?? 0) * LARGEST_PAGE)
  }

  /** Takes as much of `bytes` from `from` on as fits, at most `limit` octets, and returns how many that were. */
  write(bytes: Uint8Array, from = 0, limit = Infinity): number {
    const count = Math.min(bytes.length - from, this.free, limit)
    if (count <= 0) return 0
    const end = from + count
    if (!this.copies && bytes.length >= REFERRED) this.refer(bytes, from, end)
    else if (this.length === 0 && count < LARGEST_PAGE) {
      // A typed array made from another one is not filled with zeros first. A part of a small one costs more than the copy.
      const text = count === bytes.length ? bytes : bytes.subarray(from, end)
      this.add({ bytes: new Uint8Array(text), start: 0, end: count, isOwn: true })
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
    let gone = 0
    for (let piece = this.pieces[0]!; rest > 0; piece = this.pieces[gone]!) {
      const held = piece.end - piece.start
      if (rest < held) {
        piece.start += rest
        break
      }
      rest -= held
      gone++
    }
    if (gone > 0) {
      for (let index = 0; index < gone; index++) this.keep(this.pieces[index]!)
      this.pieces.splice(0, gone)
    }
    this.cursorPiece = Math.max(0, this.cursorPiece - gone)
    this.cursorBase = this.cursorPiece === 0 ? 0 : this.cursorBase - released
  }

  clear(): void {
    this.pieces = NO_PIECES
    this.spares = undefined
    this.length = 0
    this.pageSize = SMALLEST_PAGE
    this.cursorPiece = 0
    this.cursorBase = 0
  }

  /** Attaches `[offset, offset + count)` to an empty packet, in as many pieces as it stands in. The octets must be there. */
  lay(packet: Packet, offset: number, count: number): void {
    if (count === 0) return
    if (offset < this.cursorBase) {
      this.cursorPiece = 0
      this.cursorBase = 0
    }
    let piece = this.pieces[this.cursorPiece]!
    while (offset >= this.cursorBase + piece.end - piece.start) {
      this.cursorBase += piece.end - piece.start
      piece = this.pieces[++this.cursorPiece]!
    }
    let at = piece.start + offset - this.cursorBase
    let rest = count
    for (let index = this.cursorPiece; rest > 0; index++) {
      const { bytes, end, start } = this.pieces[index]!
      if (index > this.cursorPiece) at = start
      const part = Math.min(rest, end - at)
      packet.attach(bytes, at, at + part)
      rest -= part
    }
  }

  private add(piece: Piece): void {
    if (this.pieces === NO_PIECES) this.pieces = [piece]
    else this.pieces.push(piece)
  }

  /** Adds `bytes[from, end)` as it stands; the rest of a chunk of which a part is here goes on where that ends. */
  private refer(bytes: Uint8Array, from: number, end: number): void {
    const last = this.pieces[this.pieces.length - 1]
    if (last?.bytes === bytes && last.end === from) last.end = end
    else this.add({ bytes, start: from, end, isOwn: false })
  }

  /** Copies what fits of `bytes[at, end)` into the last page, a new one when that is full, and returns how much it was. */
  private append(bytes: Uint8Array, at: number, end: number): number {
    let page = this.pieces[this.pieces.length - 1]
    if (page === undefined || !page.isOwn || page.end === page.bytes.length) {
      page = { bytes: this.takePage(end - at), start: 0, end: 0, isOwn: true }
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
