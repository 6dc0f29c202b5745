/**
 * Puts segments on the wire: the text from the send buffer, the header in
 * front, and the sum of the pseudo-header where the checksum goes. One that
 * stands for several is a single packet here, which the device cuts.
 */
import { ChecksumState, make } from "../device/Packet.ts"
import type { Ipv4, OutputResult } from "../ip/Ipv4.ts"
import type { Statistics } from "../Statistics.ts"
import type { Trace } from "../Trace.ts"
import * as Checksum from "../wire/Checksum.ts"
import { Protocol } from "../wire/Ipv4Header.ts"
import { TcpHeader } from "../wire/TcpHeader.ts"
import * as TcpOptions from "../wire/TcpOptions.ts"
import type { Endpoints } from "./ControlBlock.ts"
import { Codepoint } from "./Ecn.ts"
import { NO_OPTIONS, TcpFlag, wireSegments } from "./Segment.ts"
import type { SendBuffer } from "./SendBuffer.ts"
import type { Emission } from "./TcpMachine.ts"

const tcp = TcpHeader.set
const CHECKSUM_OFFSET = 16
/** The most text a segment can have over IPv4. */
const LARGEST_TEXT = 65_535 - 40

/**
 * Sends a segment; its text comes from `text`, `emission.textOffset` octets after SND.UNA's octet. Too big for the path, it
 * is refused, unless `mayFragment` says otherwise.
 */
export type WriteSegment = (
  endpoints: Endpoints,
  emission: Emission,
  text?: SendBuffer,
  mayFragment?: boolean
) => OutputResult

export const makeWriter = (
  ipv4: Ipv4["Service"],
  trace: Trace["Service"],
  statistics: Statistics["Service"]
): WriteSegment => {
  const sent = statistics.counter("tcp.sent")
  const resetsSent = statistics.counter("tcp.resetsSent")
  // One packet for all: its octets are consumed before `ipv4.output` returns.
  const packet = make(LARGEST_TEXT)

  return (endpoints, emission, text, mayFragment = false) => {
    packet.reset()
    if (text !== undefined) text.lay(packet, emission.textOffset, emission.length)
    const optionsLength = emission.options === NO_OPTIONS ? 0 : TcpOptions.encodedLength(emission.options)
    const at = packet.push(TcpHeader.size + optionsLength)
    const view = packet.view
    tcp.sourcePort(view, at, endpoints.localPort)
    tcp.destinationPort(view, at, endpoints.remotePort)
    tcp.sequence(view, at, emission.seq)
    tcp.acknowledgement(view, at, emission.ack)
    view.setUint16(at + 12, ((TcpHeader.size + optionsLength) << 10) | emission.flags)
    tcp.window(view, at, emission.wnd)
    tcp.urgentPointer(view, at, emission.up)
    if (optionsLength > 0) TcpOptions.write(view, at + TcpHeader.size, emission.options)

    const { localAddress, remoteAddress } = endpoints
    tcp.checksum(view, at, Checksum.pseudoHeader(localAddress, remoteAddress, Protocol.tcp, packet.length))
    packet.checksum = ChecksumState.partial
    packet.checksumStart = at
    packet.checksumOffset = CHECKSUM_OFFSET
    packet.source = localAddress
    packet.destination = remoteAddress
    packet.protocol = Protocol.tcp
    // RFC 1191 §6.5: the segment size follows the path's MTU.
    packet.dontFragment = !mayFragment
    packet.segmentSize = emission.segmentSize ?? 0
    packet.typeOfService = emission.congestionCapable === true ? Codepoint.capable : Codepoint.notCapable

    sent.value += wireSegments(emission)
    if ((emission.flags & TcpFlag.rst) !== 0) resetsSent.value++
    if (trace.enabled) {
      // Who looks at the octets wants to see the checksum that goes out.
      packet.completeChecksum()
      const network = { source: localAddress, destination: remoteAddress }
      trace.emit({ _tag: "Packet", layer: "tcp", direction: "out", network, bytes: packet.toBytes() })
    }
    const result = ipv4.output(packet)
    // What was written belongs to its writer again once it is acknowledged; no reference may stay here.
    if (packet.pieceCount > 0) packet.forgetPieces()
    return result
  }
}
