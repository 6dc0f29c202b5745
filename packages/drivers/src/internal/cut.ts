/**
 * Takes packets apart that stand for several on the wire (`Packet.segmentSize`), as a device with segmentation offload
 * does: TCP segments over IPv4 have their sequence numbers advanced, PSH and FIN only on the last, CWR only on the first
 * (RFC 3168 §6.1.2); UDP datagrams have lengths of their own.
 */
import type { Framing } from "@strata/core/device/Device"
import { ChecksumState, make, type Packet } from "@strata/core/device/Packet"
import * as Checksum from "@strata/core/wire/Checksum"
import { EthernetHeader } from "@strata/core/wire/EthernetHeader"
import { Ipv4Header, Protocol } from "@strata/core/wire/Ipv4Header"
import { TcpFlag, TcpHeader } from "@strata/core/wire/TcpHeader"
import { UdpHeader } from "@strata/core/wire/UdpHeader"

const ip = Ipv4Header.get
const CHECKSUM_OFFSET = { tcp: 16, udp: 6 } as const

/** Octets behind the headroom of most: a pool of small packets takes them. */
const CAPACITY = 2048

/**
 * Passes each packet of the wire to `take`, all octets linear and every checksum computed, and each nobody else's. A
 * packet that stands for one alone is passed as a copy.
 */
export const cut = (whole: Packet, framing: Framing, take: (packet: Packet) => void): void => {
  const size = whole.segmentSize
  if (size === 0) return take(whole.clone())
  const linear = whole.pieceCount === 0 ? whole : whole.clone()
  const { bytes, start, view } = linear
  const network = start + (framing === "ethernet" ? EthernetHeader.size : 0)
  const transport = network + 4 * ip.headerWords(view, network)
  const isTcp = ip.protocol(view, network) === Protocol.tcp
  const payload = transport + (isTcp ? 4 * TcpHeader.get.headerWords(view, transport) : UdpHeader.size)
  const end = Math.min(linear.end, network + ip.totalLength(view, network))
  for (let at = payload, index = 0; at < end || index === 0; at += size, index++) {
    const to = Math.min(at + size, end)
    const segment = make(Math.max(CAPACITY, payload - start + to - at))
    segment.append(bytes.subarray(start, payload))
    segment.append(bytes.subarray(at, to))
    segment.etherType = whole.etherType
    const moved = segment.start - start
    rewriteNetwork(segment, network + moved, index)
    if (isTcp) rewriteTcp(segment, transport + moved, at - payload, index === 0, to === end)
    else UdpHeader.set.length(segment.view, transport + moved, segment.end - transport - moved)
    complete(segment, network + moved, transport + moved, isTcp ? CHECKSUM_OFFSET.tcp : CHECKSUM_OFFSET.udp)
    take(segment)
  }
}

const rewriteNetwork = ({ bytes, end, view }: Packet, at: number, index: number): void => {
  Ipv4Header.set.totalLength(view, at, end - at)
  // RFC 6864 §4.1: that of a packet which is never fragmented means nothing.
  if (ip.dontFragment(view, at) === 0) {
    Ipv4Header.set.identification(view, at, (ip.identification(view, at) + index) & 0xffff)
  }
  Ipv4Header.set.checksum(view, at, 0)
  const sum = Checksum.add(0, bytes, at, at + 4 * ip.headerWords(view, at))
  Ipv4Header.set.checksum(view, at, Checksum.finish(sum))
}

const rewriteTcp = ({ view }: Packet, at: number, offset: number, isFirst: boolean, isLast: boolean): void => {
  TcpHeader.set.sequence(view, at, (TcpHeader.get.sequence(view, at) + offset) >>> 0)
  const cleared = (isFirst ? 0 : TcpFlag.cwr) | (isLast ? 0 : TcpFlag.psh | TcpFlag.fin)
  TcpHeader.set.flags(view, at, TcpHeader.get.flags(view, at) & ~cleared)
}

const complete = (packet: Packet, network: number, transport: number, checksumOffset: number): void => {
  const { end, view } = packet
  const source = ip.source(view, network)
  const destination = ip.destination(view, network)
  const sum = Checksum.pseudoHeader(source, destination, ip.protocol(view, network), end - transport)
  view.setUint16(transport + checksumOffset, sum)
  packet.checksum = ChecksumState.partial
  packet.checksumStart = transport
  packet.checksumOffset = checksumOffset
  packet.completeChecksum()
}
