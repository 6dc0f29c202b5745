/**
 * What must hold for an IPv4 header before anything in it is believed (RFC 791 §3.1, RFC 1122 §3.2.1).
 */
import type { AttachedDevice } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"
import * as Checksum from "../wire/Checksum.ts"
import { Ipv4Header, Protocol } from "../wire/Ipv4Header.ts"
import * as Ipv4Options from "../wire/Ipv4Options.ts"
import { isLoopback, isMulticast, isReserved, isThisNetwork, isUnicast, LIMITED_BROADCAST } from "./AddressClass.ts"

const header = Ipv4Header.get

/** Why a packet is dropped, or undefined. On the way, cuts off what the link padded behind the datagram. */
export const checkHeader = (packet: Packet): string | undefined => {
  const { start, view } = packet
  const available = packet.end - start
  if (available < Ipv4Header.size) return "truncatedHeader"
  if (header.version(view, start) !== 4) return "badVersion"
  const headerLength = 4 * header.headerWords(view, start)
  if (headerLength < Ipv4Header.size || headerLength > available) return "badHeaderLength"
  const totalLength = header.totalLength(view, start)
  if (totalLength < headerLength || totalLength > available) return "badTotalLength"
  if (!Checksum.verify(sumOf(packet, headerLength))) return "badChecksum"
  packet.end = start + totalLength
  return headerLength === Ipv4Header.size
    ? undefined
    : checkOptions(view, start + Ipv4Header.size, start + headerLength)
}

const sumOf = ({ bytes, start, view }: Packet, headerLength: number): number =>
  headerLength === Ipv4Header.size
    ? Checksum.ofTwenty(view, start)
    : Checksum.add(0, bytes, start, start + headerLength)

const checkOptions = (view: DataView, at: number, end: number): string | undefined => {
  const found = Ipv4Options.parse(view, at, end)
  if ((found & Ipv4Options.Ipv4OptionsFound.malformed) !== 0) return "badOptions"
  // RFC 7126 §4.3: source routes serve attackers alone, so hosts drop them by default.
  return (found & Ipv4Options.Ipv4OptionsFound.sourceRoute) !== 0 ? "sourceRouted" : undefined
}

/**
 * Addresses no packet may come with (RFC 1122 §3.2.1.3, RFC 1812 §5.3.7), as far as they alone tell: whether a source
 * is one of this host's own, or a directed broadcast, is for others to say.
 */
export const checkAddresses = (
  device: AttachedDevice,
  source: number,
  destination: number,
  protocol: number
): string | undefined => {
  const inside = device.flags.loopback
  // 0.0.0.0 asks for an address (RFC 1122 §3.2.1.3 (a)), and can only do so by shouting; or it is a host without one that
  // speaks of groups (RFC 9776 §4.2.14), or a bridge that asks for them (RFC 4541 §2.1.1).
  const asking = source === 0
    && (destination === LIMITED_BROADCAST || (protocol === Protocol.igmp && isMulticast(destination)))
  if (!asking && (!isUnicast(source) || (isLoopback(source) && !inside))) return "martianSource"
  if (isThisNetwork(destination) || isReserved(destination) || (isLoopback(destination) && !inside)) {
    return "martianDestination"
  }
  return undefined
}
