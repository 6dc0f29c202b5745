/**
 * Packets in a few words, with sequence numbers of TCP counted from the SYN.
 */
import type { Decoded } from "@strata/drivers/path/Decoded"

type Tcp = NonNullable<Decoded["tcp"]>

/** Has to see every packet in order, to know where connections begin. */
export const make = (): (packet: Decoded) => string => {
  const begins = new Map<string, number>()

  return (packet) => {
    const { arp, icmp, ipv4, tcp, udp } = packet
    if (arp !== undefined) {
      return arp.operation === 1
        ? `arp, ${arp.sender} asks for ${arp.target}`
        : `arp, ${arp.sender} answers ${arp.target}`
    }
    if (ipv4 === undefined) return `${packet.length} octets`
    if (tcp !== undefined) return describe(tcp, ipv4.source, ipv4.destination, begins)
    const ends = `${ipv4.source} > ${ipv4.destination}`
    if (udp !== undefined) {
      return `udp ${ipv4.source}:${udp.sourcePort} > ${ipv4.destination}:${udp.destinationPort}, ${udp.length} octets`
    }
    if (icmp !== undefined) return `icmp ${ends}, type ${icmp.type}, code ${icmp.code}`
    return `ip ${ends}, ${packet.length} octets`
  }
}

const describe = (tcp: Tcp, source: string, destination: string, begins: Map<string, number>): string => {
  const from = `${source}:${tcp.sourcePort}`
  const to = `${destination}:${tcp.destinationPort}`
  if (tcp.syn) begins.set(`${from} ${to}`, tcp.sequence)
  const sequence = (tcp.sequence - (begins.get(`${from} ${to}`) ?? 0)) >>> 0
  const acknowledged = (tcp.acknowledgement - (begins.get(`${to} ${from}`) ?? 0)) >>> 0
  const parts = [
    `tcp ${from} > ${to}`,
    ...tcp.rst ? ["RST"] : [],
    ...tcp.syn ? ["SYN"] : [],
    ...tcp.fin ? ["FIN"] : [],
    `seq ${sequence}`,
    ...tcp.length > 0 ? [`${tcp.length} octets`] : [],
    ...tcp.ack ? [`ack ${acknowledged}`] : [],
    ...tcp.ack && tcp.length === 0 ? [`window ${tcp.window}`] : []
  ]
  return parts.join(", ")
}
