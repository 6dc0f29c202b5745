/**
 * A frame as people speak of it, for predicates that pick packets. Only what
 * is there: a truncated or foreign frame has fewer parts.
 */
import type { Framing } from "@strata/core/device/Device"
import type { Packet } from "@strata/core/device/Packet"
import * as Address from "@strata/core/wire/Address"
import { ArpHeader } from "@strata/core/wire/ArpHeader"
import { EthernetHeader, EtherType } from "@strata/core/wire/EthernetHeader"
import { Ipv4Header, Protocol } from "@strata/core/wire/Ipv4Header"
import { TcpFlag, TcpHeader } from "@strata/core/wire/TcpHeader"
import { UdpHeader } from "@strata/core/wire/UdpHeader"

export interface Decoded {
  /** Octets of the whole frame. */
  readonly length: number
  readonly ethernet?: { readonly source: string; readonly destination: string; readonly etherType: number }
  readonly arp?: { readonly operation: number; readonly sender: string; readonly target: string }
  readonly ipv4?: {
    readonly source: string
    readonly destination: string
    readonly protocol: number
    readonly identification: number
    readonly timeToLive: number
    /** Octets; parts below are there only in the first fragment. */
    readonly fragmentOffset: number
    readonly moreFragments: boolean
  }
  readonly icmp?: { readonly type: number; readonly code: number }
  readonly udp?: { readonly sourcePort: number; readonly destinationPort: number; readonly length: number }
  readonly tcp?: {
    readonly sourcePort: number
    readonly destinationPort: number
    readonly sequence: number
    readonly acknowledgement: number
    readonly syn: boolean
    readonly fin: boolean
    readonly rst: boolean
    readonly ack: boolean
    readonly window: number
    /** Octets of text. */
    readonly length: number
  }
}

const ethernet = EthernetHeader.get
const arp = ArpHeader.get
const ip = Ipv4Header.get
const udp = UdpHeader.get
const tcp = TcpHeader.get

/** Decodes a frame whose linear bytes hold all of it. */
export const decode = (packet: Packet, framing: Framing): Decoded => {
  const { end, start, view } = packet
  const frame = { length: end - start }
  if (framing === "none") return { ...frame, ...network(view, start, end, packet.etherType) }
  if (frame.length < EthernetHeader.size) return frame
  const etherType = ethernet.etherType(view, start)
  return {
    ...frame,
    ethernet: {
      source: Address.formatMac(ethernet.source(view, start)),
      destination: Address.formatMac(ethernet.destination(view, start)),
      etherType
    },
    ...network(view, start + EthernetHeader.size, end, etherType)
  }
}

const network = (view: DataView, at: number, end: number, etherType: number): Partial<Decoded> => {
  if (etherType === EtherType.arp && end - at >= ArpHeader.size) {
    return {
      arp: {
        operation: arp.operation(view, at),
        sender: Address.formatIpv4(arp.senderProtocol(view, at)),
        target: Address.formatIpv4(arp.targetProtocol(view, at))
      }
    }
  }
  if (etherType !== EtherType.ipv4 || end - at < Ipv4Header.size) return {}
  const fragmentOffset = ip.fragmentOffset(view, at) * 8
  const protocol = ip.protocol(view, at)
  const header = {
    ipv4: {
      source: Address.formatIpv4(ip.source(view, at)),
      destination: Address.formatIpv4(ip.destination(view, at)),
      protocol,
      identification: ip.identification(view, at),
      timeToLive: ip.timeToLive(view, at),
      fragmentOffset,
      moreFragments: ip.moreFragments(view, at) === 1
    }
  }
  if (fragmentOffset > 0) return header
  const transportEnd = Math.min(end, at + ip.totalLength(view, at))
  return { ...header, ...transport(view, at + ip.headerWords(view, at) * 4, transportEnd, protocol) }
}

const transport = (view: DataView, at: number, end: number, protocol: number): Partial<Decoded> => {
  if (protocol === Protocol.icmp && end - at >= 4) {
    return { icmp: { type: view.getUint8(at), code: view.getUint8(at + 1) } }
  }
  if (protocol === Protocol.udp && end - at >= UdpHeader.size) {
    return {
      udp: {
        sourcePort: udp.sourcePort(view, at),
        destinationPort: udp.destinationPort(view, at),
        length: udp.length(view, at) - UdpHeader.size
      }
    }
  }
  if (protocol !== Protocol.tcp || end - at < TcpHeader.size) return {}
  const flags = tcp.flags(view, at)
  return {
    tcp: {
      sourcePort: tcp.sourcePort(view, at),
      destinationPort: tcp.destinationPort(view, at),
      sequence: tcp.sequence(view, at),
      acknowledgement: tcp.acknowledgement(view, at),
      syn: (flags & TcpFlag.syn) !== 0,
      fin: (flags & TcpFlag.fin) !== 0,
      rst: (flags & TcpFlag.rst) !== 0,
      ack: (flags & TcpFlag.ack) !== 0,
      window: tcp.window(view, at),
      length: Math.max(0, end - at - tcp.headerWords(view, at) * 4)
    }
  }
}
