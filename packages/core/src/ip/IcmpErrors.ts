/**
 * ICMP errors: about what they may be sent, and what they mean when they arrive (RFC 792, RFC 1122 §3.2.2, RFC 1812
 * §4.3.2).
 */
import { LinkDestination, type Packet } from "../device/Packet.ts"
import { IcmpType, UnreachableCode } from "../wire/IcmpHeader.ts"
import { Ipv4Header, Protocol } from "../wire/Ipv4Header.ts"
import { isUnicast } from "./AddressClass.ts"
import type { DeliveryError } from "./Ipv4.ts"

const ip = Ipv4Header.get

/** RFC 1812 §4.3.2.3: as much of the offending datagram as fits an error of 576 octets. */
const MAX_ERROR = 576
const ICMP_HEADER = 8
export const MAX_QUOTE = MAX_ERROR - Ipv4Header.size - ICMP_HEADER

/** The types an error may be sent about; a type nobody knows may be an error. */
const queries: ReadonlySet<number> = new Set([
  IcmpType.echoReply,
  IcmpType.echoRequest,
  IcmpType.timestampRequest,
  IcmpType.timestampReply,
  IcmpType.informationRequest,
  IcmpType.informationReply,
  IcmpType.addressMaskRequest,
  IcmpType.addressMaskReply
])

/**
 * Why no error may be sent about a packet (RFC 1122 §3.2.2), or undefined. `isBroadcast` knows directed broadcasts.
 */
export const silence = (packet: Packet, isBroadcast: (address: number) => boolean): string | undefined => {
  const { networkStart, view } = packet
  if (packet.linkDestination !== LinkDestination.own) return "aboutLinkBroadcast"
  const destination = ip.destination(view, networkStart)
  if (isBroadcast(destination) || !isUnicast(destination)) return "aboutBroadcast"
  const source = ip.source(view, networkStart)
  if (isBroadcast(source) || !isUnicast(source)) return "toNobody"
  if (ip.fragmentOffset(view, networkStart) !== 0) return "aboutFragment"
  if (ip.protocol(view, networkStart) !== Protocol.icmp) return undefined
  const transport = networkStart + 4 * ip.headerWords(view, networkStart)
  return transport < packet.end && queries.has(view.getUint8(transport)) ? undefined : "aboutError"
}

const unreachable: Readonly<Record<number, DeliveryError["kind"]>> = {
  [UnreachableCode.net]: "netUnreachable",
  [UnreachableCode.host]: "hostUnreachable",
  [UnreachableCode.protocol]: "protocolUnreachable",
  [UnreachableCode.port]: "portUnreachable",
  [UnreachableCode.fragmentationNeeded]: "fragmentationNeeded",
  [UnreachableCode.sourceRouteFailed]: "sourceRouteFailed",
  [UnreachableCode.netUnknown]: "netUnreachable",
  [UnreachableCode.hostUnknown]: "hostUnreachable",
  [UnreachableCode.sourceHostIsolated]: "hostUnreachable",
  [UnreachableCode.netProhibited]: "prohibited",
  [UnreachableCode.hostProhibited]: "prohibited",
  [UnreachableCode.netUnreachableForService]: "netUnreachable",
  [UnreachableCode.hostUnreachableForService]: "hostUnreachable",
  [UnreachableCode.prohibited]: "prohibited",
  [UnreachableCode.precedenceViolation]: "prohibited",
  [UnreachableCode.precedenceCutoff]: "prohibited"
}

/** What an error message says, or undefined for codes nobody knows. */
export const kindOf = (type: number, code: number): DeliveryError["kind"] | undefined => {
  switch (type) {
    case IcmpType.destinationUnreachable:
      return unreachable[code]
    case IcmpType.timeExceeded:
      return code <= 1 ? "timeExceeded" : undefined
    case IcmpType.parameterProblem:
      return code <= 2 ? "parameterProblem" : undefined
    default:
      return undefined
  }
}
