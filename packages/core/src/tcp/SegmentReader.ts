/**
 * Turns an arriving packet into a `Segment`, or names what is wrong with it
 * (RFC 9293 §3.10.7, RFC 1122 §4.2.3.10).
 */
import { ChecksumState, type Packet } from "../device/Packet.ts"
import * as Checksum from "../wire/Checksum.ts"
import { Protocol } from "../wire/Ipv4Header.ts"
import { TcpHeader } from "../wire/TcpHeader.ts"
import * as TcpOptions from "../wire/TcpOptions.ts"
import { Codepoint } from "./Ecn.ts"
import { NO_OPTIONS, type Segment } from "./Segment.ts"

const tcp = TcpHeader.get
/** The ECN field within the type of service. */
const CODEPOINT = 3

/** Why a segment was not read. */
export type BadSegment = "truncated" | "badDataOffset" | "badChecksum" | "zeroPort" | "badOptions"

export type ReadSegment = (packet: Packet) => Segment | BadSegment

/** Where the text of a segment starts in the packet's bytes. */
export const textStart = (packet: Packet): number => packet.start + 4 * tcp.headerWords(packet.view, packet.start)

export const makeReader = (): ReadSegment => {
  const parsed = new TcpOptions.ParsedOptions()

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
    return {
      seq: tcp.sequence(view, at),
      ack: tcp.acknowledgement(view, at),
      flags: tcp.flags(view, at),
      wnd: tcp.window(view, at),
      up: tcp.urgentPointer(view, at),
      length,
      segmentSize: packet.segmentSize < length ? packet.segmentSize : 0,
      options: hasOptions ? parsed : NO_OPTIONS,
      congestionExperienced: (packet.typeOfService & CODEPOINT) === Codepoint.congestionExperienced
    }
  }
}

const pseudoHeader = (packet: Packet): number =>
  Checksum.pseudoHeader(packet.source, packet.destination, Protocol.tcp, packet.length)
