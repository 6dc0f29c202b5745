/**
 * The buffer that travels through the stack.
 *
 * Going up, a packet is a window `[start, end)` over the driver's slab; each
 * layer moves `start` past its own header. It is valid only until the call it
 * was passed to returns: whoever keeps bytes copies them.
 *
 * Going down, a packet has headroom; each layer writes its header in front with
 * `push`. The payload may stay where it is, in one piece or several (`attach`):
 * a device refers to it until it is on the wire. The linear bytes are consumed
 * before `transmit` returns, so every protocol owns one packet and uses it again.
 *
 * A packet may stand for several on the wire (`segmentSize`), both ways: a TCP
 * segment or a UDP datagram of up to 64 KiB, with the headers of the first.
 */
import * as Checksum from "../wire/Checksum.ts"
import type { AttachedDevice } from "./Devices.ts"

/** Room for every header in front of a transport payload, in bytes: Ethernet 14, IPv4 60, TCP 60. */
export const HEADROOM = 160

/** What is known about the transport checksum. */
export const ChecksumState = {
  /** In the packet; nobody has looked at it. */
  unverified: 0,
  /** Vouched for by the device or by the sender in the same host. */
  valid: 1,
  /**
   * The field at `checksumStart + checksumOffset` holds only the sum of the pseudo-header; whoever puts the
   * packet on a wire adds the bytes from `checksumStart` on.
   */
  partial: 2
} as const

/** To whom a frame was addressed on the link. */
export const LinkDestination = { own: 0, broadcast: 1, multicast: 2 } as const

/** A stretch of payload that stands elsewhere. */
export interface Piece {
  bytes: Uint8Array
  start: number
  end: number
}

const NO_BYTES = new Uint8Array()

/** Where UDP has its checksum, and no other protocol does. */
const UDP_CHECKSUM_OFFSET = 6

/** The buffer that travels through the layers, which step over headers on the way in and write theirs in front on the way out. */
export class Packet {
  bytes: Uint8Array
  view: DataView
  /** First byte of the current layer's header. */
  start: number
  /** One past the last linear byte. */
  end: number

  /** What follows the linear bytes: the first `pieceCount` of these; only on the way down. Those behind are used again. */
  readonly pieces: Array<Piece> = []
  pieceCount = 0
  /** Octets in all pieces. */
  payloadLength = 0

  /** One of `ChecksumState`. */
  checksum = 0
  checksumStart = 0
  checksumOffset = 0
  /**
   * Octets of payload per segment on the wire, the last one may have fewer; 0 when it is one. On the way down the device
   * cuts what is in pieces (`Offload`); on the way up it has put the packet together, of segments whose checksums were right.
   */
  segmentSize = 0

  /** The EtherType, on links without a header of their own and between Ethernet and the layer above. */
  etherType = 0
  /** One of `LinkDestination`. */
  linkDestination = 0
  /** Where the network header starts, for those that quote it. */
  networkStart = 0
  /** IPv4, both ways; addresses are unsigned 32-bit integers. */
  source = 0
  destination = 0
  protocol = 0
  timeToLive = 0
  /** DSCP and ECN: the whole second octet of the IPv4 header. */
  typeOfService = 0
  dontFragment = false
  /** Encoded IPv4 options to be sent, a multiple of four octets. */
  networkOptions: Uint8Array | undefined = undefined
  /** By which device a multicast packet leaves; undefined leaves it to the route. */
  outlet: AttachedDevice | undefined = undefined
  /** Whether members of the group on this host get a multicast packet of this host too. */
  looped = false
  /** Whether others hold it, too: whoever changes it, or passes it up, takes a copy. A copy is not shared. */
  shared = false

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.start = start
    this.end = end
  }

  /** Octets from `start`, the separate payload included. */
  get length(): number {
    return this.end - this.start + this.payloadLength
  }

  /** Empties the packet for its next way down, with `HEADROOM` in front. */
  reset(): void {
    this.point(HEADROOM, HEADROOM)
  }

  /** Points the packet at `[start, end)` of its slab and forgets all that was known about it. */
  point(start: number, end: number): void {
    this.start = start
    this.end = end
    this.pieceCount = 0
    this.payloadLength = 0
    this.checksum = 0
    this.checksumStart = 0
    this.checksumOffset = 0
    this.segmentSize = 0
    this.etherType = 0
    this.linkDestination = 0
    this.networkStart = 0
    this.source = 0
    this.destination = 0
    this.protocol = 0
    this.timeToLive = 0
    this.typeOfService = 0
    this.dontFragment = false
    this.networkOptions = undefined
    this.outlet = undefined
    this.looped = false
    this.shared = false
  }

  /** Makes room for a header of `size` bytes in front and returns where it starts. */
  push(size: number): number {
    this.start -= size
    return this.start
  }

  /** Copies bytes behind the linear part. */
  append(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.end)
    this.end += bytes.length
  }

  /** Adds a piece of payload behind those there are, and leaves it where it is until the device has sent it. */
  attach(bytes: Uint8Array, start: number, end: number): void {
    const index = this.pieceCount++
    const piece = this.pieces[index]
    if (piece === undefined) this.pieces.push({ bytes, start, end })
    else {
      piece.bytes = bytes
      piece.start = start
      piece.end = end
    }
    this.payloadLength += end - start
  }

  /** Lets go of the memory that earlier pieces referred to. */
  forgetPieces(): void {
    for (const piece of this.pieces) piece.bytes = NO_BYTES
  }

  /** A running sum from `from` to the end of the packet, the separate payload included. */
  sum(initial: number, from: number): number {
    let sum = Checksum.add(initial, this.bytes, from, this.end)
    let octets = this.end - from
    for (let index = 0; index < this.pieceCount; index++) {
      const { bytes, end, start } = this.pieces[index]!
      const rest = Checksum.add(0, bytes, start, end)
      sum = Checksum.addWord(sum, (octets & 1) === 0 ? rest : Checksum.swap(rest))
      octets += end - start
    }
    return sum
  }

  /** Completes a partial checksum in place; a packet that has none is left alone. */
  completeChecksum(): void {
    if (this.checksum !== ChecksumState.partial) return
    const value = Checksum.finish(this.sum(0, this.checksumStart))
    // RFC 768: a computed zero is sent as all ones, since zero means "none". RFC 1624 §3: nowhere else.
    const field = value === 0 && this.checksumOffset === UDP_CHECKSUM_OFFSET ? 0xffff : value
    this.view.setUint16(this.checksumStart + this.checksumOffset, field)
    this.checksum = ChecksumState.valid
  }

  /** Copies the linear bytes and the separate payload to `target` and returns how many there were. */
  copyTo(target: Uint8Array, at: number): number {
    target.set(this.bytes.subarray(this.start, this.end), at)
    let to = at + this.end - this.start
    for (let index = 0; index < this.pieceCount; index++) {
      const { bytes, end, start } = this.pieces[index]!
      target.set(bytes.subarray(start, end), to)
      to += end - start
    }
    return this.length
  }

  /** A fresh copy of the octets from `start`. */
  toBytes(): Uint8Array {
    // Half the time of what follows; but the slice of a `Buffer` is no copy.
    if (this.pieceCount === 0 && this.bytes.constructor === Uint8Array) return this.bytes.slice(this.start, this.end)
    const copy = new Uint8Array(this.length)
    this.copyTo(copy, 0)
    return copy
  }

  /** An independent packet with the same octets, headroom in front and the same knowledge: what a queue keeps. */
  clone(): Packet {
    return make(this.length).copyFrom(this)
  }

  /**
   * Becomes an independent copy of `original`, all its octets linear, with headroom in front. This packet's slab must
   * have the room.
   */
  copyFrom(original: Packet): this {
    this.reset()
    this.end += original.copyTo(this.bytes, this.start)
    const moved = this.start - original.start
    this.checksum = original.checksum
    this.checksumStart = original.checksumStart + moved
    this.checksumOffset = original.checksumOffset
    this.segmentSize = original.segmentSize
    this.etherType = original.etherType
    this.linkDestination = original.linkDestination
    this.networkStart = original.networkStart + moved
    this.source = original.source
    this.destination = original.destination
    this.protocol = original.protocol
    this.timeToLive = original.timeToLive
    this.typeOfService = original.typeOfService
    this.dontFragment = original.dontFragment
    this.networkOptions = original.networkOptions
    this.outlet = original.outlet
    this.looped = original.looped
    return this
  }
}

/** An empty packet with `HEADROOM` and space for `capacity` linear bytes behind it. */
export const make = (capacity: number): Packet => new Packet(new Uint8Array(HEADROOM + capacity), HEADROOM, HEADROOM)
