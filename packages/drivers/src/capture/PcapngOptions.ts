/**
 * The options of pcapng blocks (draft-ietf-opsawg-pcapng §3.5): code, length,
 * value, padded to four octets, ended by code 0.
 */

export type ByteOrder = "little" | "big"

const END = 0
/** What a 16-bit length can say. */
const MAXIMUM = 0xffff

/** Writes options, little-endian. */
export class OptionWriter {
  private readonly pieces: Array<Uint8Array> = []
  private length = 0

  octets(code: number, value: Uint8Array): void {
    const piece = new Uint8Array((4 + value.length + 3) & ~3)
    const view = new DataView(piece.buffer)
    view.setUint16(0, code, true)
    view.setUint16(2, value.length, true)
    piece.set(value, 4)
    this.pieces.push(piece)
    this.length += piece.length
  }

  /** Text beyond 65,535 octets of UTF-8 is cut at a character. */
  text(code: number, value: string): void {
    const room = new Uint8Array(Math.min(value.length * 3, MAXIMUM))
    const { written } = new TextEncoder().encodeInto(value, room)
    this.octets(code, room.subarray(0, written))
  }

  /** All of them, with their end; nothing where there is none. */
  end(): Uint8Array {
    if (this.length === 0) return new Uint8Array(0)
    const bytes = new Uint8Array(this.length + 4)
    let at = 0
    for (const piece of this.pieces) {
      bytes.set(piece, at)
      at += piece.length
    }
    return bytes
  }
}

// A byte order mark is part of the text.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** Reads options in either byte order. */
export class OptionReader {
  private readonly values: ReadonlyArray<readonly [code: number, value: Uint8Array]>
  private readonly order: ByteOrder

  private constructor(values: ReadonlyArray<readonly [number, Uint8Array]>, order: ByteOrder) {
    this.values = values
    this.order = order
  }

  /** Undefined when they do not fit into `[start, end)`. */
  static make(bytes: Uint8Array, start: number, end: number, order: ByteOrder): OptionReader | undefined {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const values: Array<readonly [number, Uint8Array]> = []
    let at = start
    while (at + 4 <= end) {
      const code = view.getUint16(at, order === "little")
      const length = view.getUint16(at + 2, order === "little")
      if (code === END) break
      if (at + 4 + length > end) return undefined
      values.push([code, bytes.subarray(at + 4, at + 4 + length)])
      at += (4 + length + 3) & ~3
    }
    return new OptionReader(values, order)
  }

  octets(code: number): Uint8Array | undefined {
    return this.values.find(([known]) => known === code)?.[1]
  }

  text(code: number): string | undefined {
    return this.texts(code)[0]
  }

  /** Of an option that may be there more than once. */
  texts(code: number): ReadonlyArray<string> {
    return this.values.filter(([known]) => known === code).map(([, value]) => decoder.decode(value))
  }

  u32(code: number): number | undefined {
    const value = this.octets(code)
    if (value === undefined || value.length < 4) return undefined
    return new DataView(value.buffer, value.byteOffset, 4).getUint32(0, this.order === "little")
  }
}
