/**
 * The pcapng file format (draft-ietf-opsawg-pcapng): the blocks strata writes,
 * and the same read back from files of either byte order.
 *
 * Times are nanoseconds since the Unix epoch. Blocks of other kinds are skipped.
 */
import { copyOf } from "@strata/core/wire/Octets"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type ByteOrder, OptionReader, OptionWriter } from "./PcapngOptions.ts"

/** LINKTYPE_ETHERNET and LINKTYPE_RAW of the link-layer type registry. */
export const LinkType = { ethernet: 1, raw: 101 } as const

/** §4.1 Starts a section: interface numbers begin again at 0. */
export interface Section {
  readonly _tag: "Section"
  readonly application: string | undefined
}

/** §4.2 */
export interface Interface {
  readonly _tag: "Interface"
  /** One of `LinkType`, or another number of that registry. */
  readonly linkType: number
  /** Octets kept of each packet; 0 for all. */
  readonly snapLength: number
  readonly name: string | undefined
}

/** Into the stack, or out of it. */
export type Direction = "inbound" | "outbound" | "unknown"

/** §4.3 */
export interface Packet {
  readonly _tag: "Packet"
  /** Counted from 0 in the order of the section's `Interface` blocks. */
  readonly interface: number
  readonly time: bigint
  readonly direction: Direction
  /** Octets on the wire; more than `bytes` has when the packet was cut. */
  readonly originalLength: number
  readonly bytes: Uint8Array
  readonly comments: ReadonlyArray<string>
}

/** A block of a file, of those that captures have. */
export type Block = Section | Interface | Packet

/** Where and why a file makes no sense. */
export class PcapngError extends Schema.TaggedError<PcapngError>()("PcapngError", {
  /** Octets from the start of the file to the block at fault. */
  offset: Schema.Number,
  problem: Schema.String
}) {
  override get message() {
    return `not a valid pcapng file: at byte ${this.offset}, ${this.problem}`
  }
}

const BlockType = { section: 0x0a0d_0d0a, interface: 1, packet: 6 } as const
const BYTE_ORDER_MAGIC = 0x1a2b_3c4d
const Option = { comment: 1, interfaceName: 2, userApplication: 4, packetFlags: 2, timeResolution: 9 } as const
const DIRECTIONS: ReadonlyArray<Direction> = ["unknown", "inbound", "outbound"]
/** The resolution of the files we write, and of `time`: 10^-9 s. */
const NANOSECONDS = 9
/** §4.2: the resolution where the option is missing. */
const MICROSECONDS = 6

// A length that a file claims may have its highest bit set: bitwise operators would make it negative.
const padded = (length: number): number => Math.ceil(length / 4) * 4

const NO_OCTETS = new Uint8Array(0)

/** §3.1: type and total length in front, total length again behind; `fixed` octets to be filled in from octet 8 on. */
const frame = (
  allocate: Allocate,
  type: number,
  fixed: number,
  data: Uint8Array,
  options: Uint8Array
): DataView => {
  const length = 12 + fixed + padded(data.length) + options.length
  const bytes = allocate(length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  view.setUint32(0, type, true)
  view.setUint32(4, length, true)
  bytes.set(data, 8 + fixed)
  bytes.set(options, 8 + fixed + padded(data.length))
  view.setUint32(length - 4, length, true)
  return view
}

const octetsOf = (view: DataView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

/** Gives octets that nobody else uses, all zero. */
export type Allocate = (length: number) => Uint8Array

const allocateEach: Allocate = (length) => new Uint8Array(length)

const encodeSection = (section: Section): Uint8Array => {
  const options = new OptionWriter()
  if (section.application !== undefined) options.text(Option.userApplication, section.application)
  const view = frame(allocateEach, BlockType.section, 16, NO_OCTETS, options.end())
  view.setUint32(8, BYTE_ORDER_MAGIC, true)
  view.setUint16(12, 1, true)
  // The length of the section is not known when it begins.
  view.setBigInt64(16, -1n, true)
  return octetsOf(view)
}

const encodeInterface = (self: Interface): Uint8Array => {
  const options = new OptionWriter()
  if (self.name !== undefined) options.text(Option.interfaceName, self.name)
  options.octets(Option.timeResolution, Uint8Array.of(NANOSECONDS))
  const view = frame(allocateEach, BlockType.interface, 8, NO_OCTETS, options.end())
  view.setUint16(8, self.linkType, true)
  view.setUint32(12, self.snapLength, true)
  return octetsOf(view)
}

const packetOptions = (direction: Direction, comments: ReadonlyArray<string>): Uint8Array => {
  const options = new OptionWriter()
  for (const comment of comments) options.text(Option.comment, comment)
  options.octets(Option.packetFlags, Uint8Array.of(DIRECTIONS.indexOf(direction), 0, 0, 0))
  return options.end()
}

/** Of packets without comments, which are most. */
const UNCOMMENTED: Readonly<Record<Direction, Uint8Array>> = {
  unknown: packetOptions("unknown", []),
  inbound: packetOptions("inbound", []),
  outbound: packetOptions("outbound", [])
}

const encodePacket = (allocate: Allocate, packet: Packet): Uint8Array => {
  const { bytes, comments, direction, time } = packet
  const options = comments.length === 0 ? UNCOMMENTED[direction] : packetOptions(direction, comments)
  const view = frame(allocate, BlockType.packet, 20, bytes, options)
  view.setUint32(8, packet.interface, true)
  view.setUint32(12, Number(time >> 32n), true)
  view.setUint32(16, Number(time & 0xffff_ffffn), true)
  view.setUint32(20, bytes.length, true)
  view.setUint32(24, packet.originalLength, true)
  return octetsOf(view)
}

/** One block as it stands in a little-endian file. */
export const encode = (self: Block): Uint8Array => encodeIn(allocateEach, self)

/** The same in memory that the caller provides. */
export const encodeIn = (allocate: Allocate, self: Block): Uint8Array => {
  switch (self._tag) {
    case "Section":
      return encodeSection(self)
    case "Interface":
      return encodeInterface(self)
    case "Packet":
      return encodePacket(allocate, self)
  }
}

/** All blocks of a file that has been read whole. */
export const decode = (file: Uint8Array): Result.Result<ReadonlyArray<Block>, PcapngError> =>
  Result.try({
    try: () => new Decoder(file).blocks(),
    catch: (error) => {
      if (error instanceof PcapngError) return error
      throw error
    }
  })

class Decoder {
  private readonly file: Uint8Array
  private readonly view: DataView
  private order: ByteOrder = "little"
  /** Time units per second of each interface of the section, as powers of ten or two. */
  private units: Array<bigint> = []
  private at = 0

  constructor(file: Uint8Array) {
    this.file = file
    this.view = new DataView(file.buffer, file.byteOffset, file.length)
  }

  blocks(): ReadonlyArray<Block> {
    const blocks: Array<Block> = []
    while (this.at < this.file.length) {
      const block = this.next()
      if (block !== undefined) blocks.push(block)
    }
    return blocks
  }

  private next(): Block | undefined {
    const { at } = this
    if (at + 12 > this.file.length) throw this.fault("a block is cut off")
    // A section's type reads the same in both orders; its magic tells which one the section is in.
    const type = this.u32(at)
    if (type === BlockType.section) this.begin()
    else if (at === 0) throw this.fault("there is no section header")
    const length = this.u32(at + 4)
    if (length < 12 || length % 4 !== 0 || at + length > this.file.length) {
      throw this.fault(`a block claims ${length} bytes`)
    }
    if (this.u32(at + length - 4) !== length) throw this.fault("a block's two lengths differ")
    const start = at + 8
    const end = at + length - 4
    const block = type === BlockType.section
      ? this.section(start, end)
      : type === BlockType.interface
      ? this.interface(start, end)
      : type === BlockType.packet
      ? this.packet(start, end)
      : undefined
    this.at = at + length
    return block
  }

  private begin(): void {
    const little = this.view.getUint32(this.at + 8, true) === BYTE_ORDER_MAGIC
    if (!little && this.view.getUint32(this.at + 8) !== BYTE_ORDER_MAGIC) throw this.fault("the byte order is unknown")
    this.order = little ? "little" : "big"
    this.units = []
  }

  private section(start: number, end: number): Section {
    this.need(start, end, 16)
    const options = this.options(start + 16, end)
    return { _tag: "Section", application: options.text(Option.userApplication) }
  }

  private interface(start: number, end: number): Interface {
    this.need(start, end, 8)
    const options = this.options(start + 8, end)
    this.units.push(unitsPerSecond(options.octets(Option.timeResolution)?.[0] ?? MICROSECONDS))
    return {
      _tag: "Interface",
      linkType: this.u16(start),
      snapLength: this.u32(start + 4),
      name: options.text(Option.interfaceName)
    }
  }

  private packet(start: number, end: number): Packet {
    this.need(start, end, 20)
    const captured = this.u32(start + 12)
    this.need(start, end, 20 + padded(captured))
    const units = this.units[this.u32(start)]
    if (units === undefined) throw this.fault(`a packet is of interface ${this.u32(start)}, which was not described`)
    const options = this.options(start + 20 + padded(captured), end)
    const flags = options.u32(Option.packetFlags) ?? 0
    const time = (BigInt(this.u32(start + 4)) << 32n) | BigInt(this.u32(start + 8))
    return {
      _tag: "Packet",
      interface: this.u32(start),
      time: time * 1_000_000_000n / units,
      direction: DIRECTIONS[flags & 3] ?? "unknown",
      originalLength: this.u32(start + 16),
      bytes: copyOf(this.file, start + 20, start + 20 + captured),
      comments: options.texts(Option.comment)
    }
  }

  private options(start: number, end: number): OptionReader {
    const reader = OptionReader.make(this.file, start, end, this.order)
    if (reader === undefined) throw this.fault("a block's options run past its end")
    return reader
  }

  private need(start: number, end: number, size: number): void {
    if (end - start < size) throw this.fault(`a block has ${end - start} bytes and needs ${size}`)
  }

  private u16(at: number): number {
    return this.view.getUint16(at, this.order === "little")
  }

  private u32(at: number): number {
    return this.view.getUint32(at, this.order === "little")
  }

  private fault(problem: string): PcapngError {
    return new PcapngError({ offset: this.at, problem })
  }
}

/** §4.2, if_tsresol: a negative power of ten, or of two when the highest bit is set. */
const unitsPerSecond = (resolution: number): bigint =>
  (resolution & 0x80) === 0 ? 10n ** BigInt(resolution) : 2n ** BigInt(resolution & 0x7f)
