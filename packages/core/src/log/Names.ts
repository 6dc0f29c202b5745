/**
 * The names people know numbers by.
 */
import { ArpOperation } from "../wire/ArpHeader.ts"
import { EtherType } from "../wire/EthernetHeader.ts"
import { IcmpType } from "../wire/IcmpHeader.ts"
import { IgmpType } from "../wire/IgmpHeader.ts"
import { Protocol } from "../wire/Ipv4Header.ts"

const named = (names: Readonly<Record<number, string>>) => (number: number): string => names[number] ?? "UNKNOWN"

export const etherTypeName = named({ [EtherType.ipv4]: "IP", [EtherType.arp]: "ARP", [EtherType.ipv6]: "IPv6" })

export const protocolName = named({
  [Protocol.icmp]: "ICMP",
  [Protocol.igmp]: "IGMP",
  [Protocol.tcp]: "TCP",
  [Protocol.udp]: "UDP"
})

export const arpOperationName = named({ [ArpOperation.request]: "Request", [ArpOperation.reply]: "Reply" })

export const igmpTypeName = named({
  [IgmpType.query]: "Query",
  [IgmpType.reportV1]: "ReportV1",
  [IgmpType.reportV2]: "ReportV2",
  [IgmpType.leave]: "Leave",
  [IgmpType.reportV3]: "ReportV3"
})

/** RFC 792, RFC 950. */
export const icmpTypeName = named({
  [IcmpType.echoReply]: "EchoReply",
  [IcmpType.destinationUnreachable]: "DestinationUnreachable",
  [IcmpType.sourceQuench]: "SourceQuench",
  [IcmpType.redirect]: "Redirect",
  [IcmpType.echoRequest]: "Echo",
  [IcmpType.timeExceeded]: "TimeExceeded",
  [IcmpType.parameterProblem]: "ParameterProblem",
  [IcmpType.timestampRequest]: "Timestamp",
  [IcmpType.timestampReply]: "TimestampReply",
  [IcmpType.informationRequest]: "InformationRequest",
  [IcmpType.informationReply]: "InformationReply",
  [IcmpType.addressMaskRequest]: "AddressMask",
  [IcmpType.addressMaskReply]: "AddressMaskReply"
})
