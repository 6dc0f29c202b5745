/**
 * The options of a TCP header (RFC 9293 §3.2, RFC 2018, RFC 7323).
 *
 * - `parse` and `write` are what the data path uses: a record that is filled again and again, and bytes written in
 *   place.
 * - `schema` turns the options' bytes into a list of readable values and back, keeping everything: unknown kinds,
 *   order, padding.
 *
 * Both refuse the same bytes: an option shorter than its kind and length, one that runs past the header, and a known
 * kind with a length that is not its own.
 */
import * as Field from "./Field.ts"
import * as Options from "./Options.ts"

/** RFC 9293 §3.2, RFC 7323 and RFC 2018: option kinds. */
export const TcpOptionKind = {
  end: 0,
  noOperation: 1,
  maximumSegmentSize: 2,
  windowScale: 3,
  sackPermitted: 4,
  sack: 5,
  timestamps: 8
} as const

/** Between the options' bytes and a list of readable values. */
export const schema = Options.make("Tcp", {
  MaximumSegmentSize: { kind: TcpOptionKind.maximumSegmentSize, fields: { size: Field.u16 } },
  WindowScale: { kind: TcpOptionKind.windowScale, fields: { shift: Field.u8 } },
  SackPermitted: { kind: TcpOptionKind.sackPermitted, fields: {} },
  Sack: {
    kind: TcpOptionKind.sack,
    fields: {},
    items: { name: "blocks", fields: { left: Field.u32, right: Field.u32 }, minimum: 1 }
  },
  Timestamps: { kind: TcpOptionKind.timestamps, fields: { value: Field.u32, echoReply: Field.u32 } }
})

/** A block of a SACK option (RFC 2018 §3): octets from `left` up to but not including `right`. */
export interface SackBlock {
  readonly left: number
  readonly right: number
}

/** What a segment's options say, and what is to be said; absent ones are undefined. */
export interface TcpOptionValues {
  /** Octets. */
  readonly maximumSegmentSize?: number | undefined
  /** The shift count as sent. */
  readonly windowScale?: number | undefined
  readonly sackPermitted?: boolean | undefined
  /** At most four blocks fit, three beside timestamps; `write` leaves the rest out. */
  readonly sack?: ReadonlyArray<SackBlock> | undefined
  readonly timestamps?: { readonly value: number; readonly echoReply: number } | undefined
}

/**
 * The record that `parse` fills. Everything in it but `sack` is overwritten by the next parse, `timestamps` in place:
 * whoever keeps a value copies it.
 */
export class ParsedOptions implements TcpOptionValues {
  maximumSegmentSize: number | undefined = undefined
  windowScale: number | undefined = undefined
  sackPermitted = false
  sack: Array<SackBlock> | undefined = undefined
  timestamps: { value: number; echoReply: number } | undefined = undefined
  private readonly stamps = { value: 0, echoReply: 0 }

  /** Forgets all of them. */
  clear(): void {
    this.maximumSegmentSize = undefined
    this.windowScale = undefined
    this.sackPermitted = false
    this.sack = undefined
    this.timestamps = undefined
  }

  /** Sets the timestamps (RFC 7323 §3). */
  stamp(value: number, echoReply: number): void {
    this.stamps.value = value
    this.stamps.echoReply = echoReply
    this.timestamps = this.stamps
  }
}

const KIND_AND_LENGTH = 2
const NO_OPERATIONS = 0x0101
/** No-op, no-op, and the head of a timestamps option: how every segment of an established connection starts. */
const ALIGNED_TIMESTAMPS = 0x0101_080a

/**
 * Reads the options in `[at, end)` of `view` into `into`; unknown kinds are skipped, the last of several equal ones
 * counts. False when they are malformed: then `into` holds nothing to rely on.
 */
export const parse = (view: DataView, at: number, end: number, into: ParsedOptions): boolean => {
  into.clear()
  if (end - at === 12 && view.getUint32(at) === ALIGNED_TIMESTAMPS) {
    into.stamp(view.getUint32(at + 4), view.getUint32(at + 8))
    return true
  }
  while (at < end) {
    const kind = view.getUint8(at)
    if (kind === TcpOptionKind.end) return true
    if (kind === TcpOptionKind.noOperation) {
      at++
      continue
    }
    if (at + KIND_AND_LENGTH > end) return false
    const length = view.getUint8(at + 1)
    if (length < KIND_AND_LENGTH || at + length > end) return false
    if (!parseOne(view, at, kind, length, into)) return false
    at += length
  }
  return true
}

/** False when a known kind has a wrong length. */
const parseOne = (view: DataView, at: number, kind: number, length: number, into: ParsedOptions): boolean => {
  switch (kind) {
    case TcpOptionKind.maximumSegmentSize:
      if (length !== 4) return false
      into.maximumSegmentSize = view.getUint16(at + 2)
      return true
    case TcpOptionKind.windowScale:
      if (length !== 3) return false
      into.windowScale = view.getUint8(at + 2)
      return true
    case TcpOptionKind.sackPermitted:
      if (length !== 2) return false
      into.sackPermitted = true
      return true
    case TcpOptionKind.sack: {
      if (length < 10 || length % 8 !== 2) return false
      const blocks: Array<SackBlock> = []
      for (let block = at + 2; block < at + length; block += 8) {
        blocks.push({ left: view.getUint32(block), right: view.getUint32(block + 4) })
      }
      into.sack = blocks
      return true
    }
    case TcpOptionKind.timestamps:
      if (length !== 10) return false
      into.stamp(view.getUint32(at + 2), view.getUint32(at + 6))
      return true
  }
  return true
}

const sackBlocks = (options: TcpOptionValues): number => {
  const wanted = options.sack?.length ?? 0
  if (wanted === 0) return 0
  return Math.min(wanted, Math.max(0, (Options.MAX_LENGTH - fixedLength(options) - 4) >>> 3))
}

/** Of all options but SACK, padding included. */
const fixedLength = (options: TcpOptionValues): number =>
  (options.maximumSegmentSize === undefined ? 0 : 4) +
  (options.timestamps === undefined ? options.sackPermitted === true ? 4 : 0 : 12) +
  (options.windowScale === undefined ? 0 : 4)

/** How many octets `write` will write: a multiple of four, at most `Options.MAX_LENGTH`. */
export const encodedLength = (options: TcpOptionValues): number => {
  const blocks = sackBlocks(options)
  return fixedLength(options) + (blocks === 0 ? 0 : 4 + 8 * blocks)
}

/**
 * Writes options at `at`, in the order in which Linux does, each padded with no-ops in front to a multiple of four
 * octets. Returns how many octets there are.
 */
export const write = (view: DataView, at: number, options: TcpOptionValues): number => {
  const start = at
  if (options.maximumSegmentSize !== undefined) {
    view.setUint16(at, TcpOptionKind.maximumSegmentSize << 8 | 4)
    view.setUint16(at + 2, options.maximumSegmentSize)
    at += 4
  }
  const permitted = TcpOptionKind.sackPermitted << 8 | 2
  if (options.timestamps !== undefined) {
    view.setUint16(at, options.sackPermitted === true ? permitted : NO_OPERATIONS)
    view.setUint16(at + 2, TcpOptionKind.timestamps << 8 | 10)
    view.setUint32(at + 4, options.timestamps.value)
    view.setUint32(at + 8, options.timestamps.echoReply)
    at += 12
  } else if (options.sackPermitted === true) {
    view.setUint16(at, NO_OPERATIONS)
    view.setUint16(at + 2, permitted)
    at += 4
  }
  if (options.windowScale !== undefined) {
    view.setUint16(at, TcpOptionKind.noOperation << 8 | TcpOptionKind.windowScale)
    view.setUint16(at + 2, 3 << 8 | options.windowScale)
    at += 4
  }
  const blocks = sackBlocks(options)
  if (blocks > 0) {
    view.setUint16(at, NO_OPERATIONS)
    view.setUint16(at + 2, TcpOptionKind.sack << 8 | (2 + 8 * blocks))
    at += 4
    for (let index = 0; index < blocks; index++, at += 8) {
      view.setUint32(at, options.sack![index]!.left)
      view.setUint32(at + 4, options.sack![index]!.right)
    }
  }
  return at - start
}
