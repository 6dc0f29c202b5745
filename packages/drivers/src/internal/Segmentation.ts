/**
 * Cuts a packet that stands for several into those that it stands for, as a device does (`Packet.segmentSize`).
 *
 * Each has the headers of the whole, with its own lengths and identification. Of TCP, sequence numbers go on, FIN and PSH are on the last
 * one only, and CWR is on the first (RFC 3168 §6.1.2). Checksums of the text are left partial.
 */
import type { Framing } from "@strata/core/device/Device"
import { ChecksumState, make, type Packet } from "@strata/core/device/Packet"
import * as Checksum from "@strata/core/wire/Checksum"
import { EthernetHeader } from "@strata/core/wire/EthernetHeader"
import { Ipv4Header, Protocol } from "@strata/core/wire/Ipv4Header"
import { TcpFlag, TcpHeader } from "@strata/core/wire/TcpHeader"
import { UdpHeader } from "@strata/core/wire/UdpHeader"

const ip = Ipv4Header.get
const tcp = TcpHeader.get

/** Octets behind the headroom, so that a pool of small packets takes them. */
const CAPACITY = 2048
const TCP_CHECKSUM_OFFSET = 16
const UDP_CHECKSUM_OFFSET = 6

/** Gives each packet on the wire to `take`, which owns it. All octets of `packet` must be linear, and of TCP or UDP over IPv4. */
export const cut = (packet: Packet, framing: Framing, take: (part: Packet) => void): void => {
  const { bytes, end, segmentSize, start, view } = packet
  const network = start + (framing === "ethernet" ? EthernetHeader.size : 0)
  const transport = network + 4 * ip.headerWords(view, network)
  const isTcp = ip.protocol(view, network) === Protocol.tcp
  const text = transport + (isTcp ? 4 * tcp.headerWords(view, transport) : UdpHeader.size)
  for (let at = text, index = 0; at < end; at += segmentSize, index++) {
    const to = Math.min(at + segmentSize, end)
    const part = make(Math.max(CAPACITY, text - start + to - at))
    const moved = part.start - start
    part.append(bytes.subarray(start, text))
    part.append(bytes.subarray(at, to))
    part.etherType = packet.etherType
    part.networkStart = network + moved
    part.checksum = ChecksumState.partial
    part.checksumStart = transport + moved
    part.checksumOffset = isTcp ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET
    writeNetwork(part, index)
    if (isTcp) writeTcp(part, at - text, to === end)
    else UdpHeader.set.length(part.view, part.checksumStart, part.end - part.checksumStart)
    const { checksumOffset, checksumStart } = part
    part.view.setUint16(checksumStart + checksumOffset, pseudoHeader(part))
    take(part)
  }
}

const pseudoHeader = ({ checksumStart, end, networkStart, view }: Packet): number =>
  Checksum.pseudoHeader(
    ip.source(view, networkStart),
    ip.destination(view, networkStart),
    ip.protocol(view, networkStart),
    end - checksumStart
  )

/** Its length, and its identification unless it has none (RFC 6864 §4.1). */
const writeNetwork = ({ bytes, checksumStart, end, networkStart: at, view }: Packet, index: number): void => {
  Ipv4Header.set.totalLength(view, at, end - at)
  if (ip.dontFragment(view, at) === 0) {
    Ipv4Header.set.identification(view, at, (ip.identification(view, at) + index) & 0xffff)
  }
  Ipv4Header.set.checksum(view, at, 0)
  Ipv4Header.set.checksum(view, at, Checksum.finish(Checksum.add(0, bytes, at, checksumStart)))
}

/** `offset` is where its text stands in that of the whole. */
const writeTcp = ({ checksumStart: at, view }: Packet, offset: number, isLast: boolean): void => {
  TcpHeader.set.sequence(view, at, (tcp.sequence(view, at) + offset) >>> 0)
  const first = offset === 0 ? 0 : TcpFlag.cwr
  const last = isLast ? 0 : TcpFlag.fin | TcpFlag.psh
  TcpHeader.set.flags(view, at, tcp.flags(view, at) & ~(first | last))
}
