/**
 * Turns an arriving packet into a `Segment`, or names what is wrong with it
 * (RFC 9293 §3.10.7, RFC 1122 §4.2.3.10).
 */
import { ChecksumState, type Packet } from "../device/Packet.ts"
import * as Checksum from "../wire/Checksum.ts"
import { Protocol } from "../wire/Ipv4Header.ts"
import { TcpHeader } from "../wire/TcpHeader.ts"
import * as TcpOptions from "../wire/TcpOptions.ts"
import type { Writable } from "./ControlBlock.ts"
import { Codepoint } from "./Ecn.ts"
import { NO_OPTIONS, type Segment } from "./Segment.ts"

const tcp = TcpHeader.get
/** The ECN field within the type of service. */
const CODEPOINT = 3

/** Why a segment was not read. */
export type BadSegment = "truncated" | "badDataOffset" | "badChecksum" | "zeroPort" | "badOptions"

/** Reads the segment in a packet, into a record that is used again for the next one: whoever keeps it copies it. */
export type ReadSegment = (packet: Packet) => Segment | BadSegment

/** Where the text of a segment starts in the packet's bytes. */
export const textStart = (packet: Packet): number => packet.start + 4 * tcp.headerWords(packet.view, packet.start)

export const makeReader = (): ReadSegment => {
  const parsed = new TcpOptions.ParsedOptions()
  const segment: Writable<Segment> = {
    seq: 0,
    ack: 0,
    flags: 0,
    wnd: 0,
    up: 0,
    length: 0,
    segmentSize: 0,
    options: NO_OPTIONS,
    congestionExperienced: false
  }

  return (packet) => {
    const { view, start: at } = packet
    if (packet.length < TcpHeader.size) return "truncated"
    const headerLength = 4 * tcp.headerWords(view, at)
    if (headerLength < TcpHeader.size || headerLength > packet.length) return "badDataOffset"
    if (packet.checksum === ChecksumState.unverified && !Checksum.verify(packet.sum(pseudoHeader(packet), at))) {
      return "badChecksum"
    }
    if (tcp.sourcePort(view, at) === 0 || tcp.destinationPort(view, at) === 0) return "zeroPort"
    const hasOptions = headerLength > TcpHeader.size
    if (hasOptions && !TcpOptions.parse(view, at + TcpHeader.size, at + headerLength, parsed)) return "badOptions"
    const length = packet.length - headerLength
    segment.seq = tcp.sequence(view, at)
    segment.ack = tcp.acknowledgement(view, at)
    segment.flags = tcp.flags(view, at)
    segment.wnd = tcp.window(view, at)
    segment.up = tcp.urgentPointer(view, at)
    segment.length = length
    segment.segmentSize = packet.segmentSize < length ? packet.segmentSize : 0
    segment.options = hasOptions ? parsed : NO_OPTIONS
    segment.congestionExperienced = (packet.typeOfService & CODEPOINT) === Codepoint.congestionExperienced
    return segment
  }
}

const pseudoHeader = (packet: Packet): number =>
  Checksum.pseudoHeader(packet.source, packet.destination, Protocol.tcp, packet.length)
