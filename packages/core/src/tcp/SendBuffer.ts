/**
 * The octets of one connection from SND.UNA on, sent or not.
 *
 * Octets are copied in once, stay where they are until they are acknowledged,
 * and go to the wire from there. They stand in pieces: a large write, or one
 * into an empty buffer, has a piece of exactly its own size; small ones share
 * pages that grow with use. An empty buffer holds no memory.
 */
import type { Packet } from "../device/Packet.ts"

const SMALLEST_PAGE = 2 * 1024
const LARGEST_PAGE = 64 * 1024

interface Piece {
  readonly bytes: Uint8Array
  /** Octets before this one are acknowledged. */
  start: number
  end: number
}

export class SendBuffer {
  /** The most octets it holds. */
  readonly capacity: number
  private pieces: Array<Piece> = []
  private length = 0
  private pageSize = SMALLEST_PAGE
  /** The piece that the last `lay` began in, and the offset from SND.UNA's octet at which that piece begins. */
  private cursorPiece = 0
  private cursorBase = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Octets held. */
  get queued(): number {
    return this.length
  }

  /** Octets that still fit. */
  get free(): number {
    return this.capacity - this.length
  }

  /** Copies as much of `bytes` from `from` on as fits and returns how many octets that were. */
  write(bytes: Uint8Array, from = 0): number {
    const count = Math.min(bytes.length - from, this.free)
    if (count <= 0) return 0
    const last = this.pieces[this.pieces.length - 1]
    const shared = last === undefined ? 0 : Math.min(count, last.bytes.length - last.end)
    if (shared > 0) {
      last!.bytes.set(bytes.subarray(from, from + shared), last!.end)
      last!.end += shared
    }
    if (count > shared) this.addPiece(bytes, from + shared, count - shared, last === undefined)
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
    if (gone > 0) this.pieces.splice(0, gone)
    this.cursorPiece = Math.max(0, this.cursorPiece - gone)
    this.cursorBase = this.cursorPiece === 0 ? 0 : this.cursorBase - released
  }

  clear(): void {
    this.pieces = []
    this.length = 0
    this.pageSize = SMALLEST_PAGE
    this.cursorPiece = 0
    this.cursorBase = 0
  }

  /**
   * Makes `[offset, offset + count)` the text of an empty packet: attached where it stands in one piece, copied behind
   * the linear bytes where it does not. The octets must be there.
   */
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
    if (at + count <= piece.end) return packet.attach(piece.bytes, at, at + count)
    let rest = count
    for (let index = this.cursorPiece; rest > 0; index++) {
      const { bytes, end, start } = this.pieces[index]!
      if (index > this.cursorPiece) at = start
      const part = Math.min(rest, end - at)
      packet.append(bytes.subarray(at, at + part))
      rest -= part
    }
  }

  private addPiece(bytes: Uint8Array, from: number, count: number, alone: boolean): void {
    if (alone || count >= this.pageSize) {
      // A typed array made from another one is not filled with zeros first.
      this.pieces.push({ bytes: new Uint8Array(bytes.subarray(from, from + count)), start: 0, end: count })
      return
    }
    const page = new Uint8Array(this.pageSize)
    page.set(bytes.subarray(from, from + count))
    this.pieces.push({ bytes: page, start: 0, end: count })
    if (this.pageSize < LARGEST_PAGE) this.pageSize *= 2
  }
}
