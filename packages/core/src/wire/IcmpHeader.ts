/**
 * The headers of ICMP for IPv4 (RFC 792, RFC 950, RFC 1191): the four octets all messages share, and the bodies by type.
 */
import * as Field from "./Field.ts"
import * as Header from "./Header.ts"

/** RFC 792, RFC 950. */
export const IcmpType = {
  echoReply: 0,
  destinationUnreachable: 3,
  sourceQuench: 4,
  redirect: 5,
  echoRequest: 8,
  timeExceeded: 11,
  parameterProblem: 12,
  timestampRequest: 13,
  timestampReply: 14,
  informationRequest: 15,
  informationReply: 16,
  addressMaskRequest: 17,
  addressMaskReply: 18
} as const

/** The codes of `destinationUnreachable` (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1). */
export const UnreachableCode = {
  net: 0,
  host: 1,
  protocol: 2,
  port: 3,
  fragmentationNeeded: 4,
  sourceRouteFailed: 5,
  netUnknown: 6,
  hostUnknown: 7,
  sourceHostIsolated: 8,
  netProhibited: 9,
  hostProhibited: 10,
  netUnreachableForService: 11,
  hostUnreachableForService: 12,
  prohibited: 13,
  precedenceViolation: 14,
  precedenceCutoff: 15
} as const

/** The codes of `timeExceeded` (RFC 792). */
export const TimeExceededCode = { transit: 0, reassembly: 1 } as const

const common = { type: Field.u8, code: Field.u8, checksum: Field.u16 }

/** What every message has; `rest` is four octets whose meaning goes with the type. */
export const IcmpHeader = Header.make("Icmp", { ...common, rest: Field.u32 })

/** Echo request and reply, and the information messages. */
export const IcmpEchoHeader = Header.make("Icmp echo", { ...common, identifier: Field.u16, sequence: Field.u16 })

/**
 * Destination unreachable. `length` counts the quoted datagram in words when extensions follow it (RFC 4884 §4.1);
 * `nextHopMtu` is in octets, with the code `fragmentationNeeded` (RFC 1191 §4).
 */
export const IcmpUnreachableHeader = Header.make("Icmp destination unreachable", {
  ...common,
  unused: Field.u8,
  length: Field.u8,
  nextHopMtu: Field.u16
})

/** RFC 792, page 12. */
export const IcmpRedirectHeader = Header.make("Icmp redirect", { ...common, gateway: Field.ipv4 })

/** `length` as in `IcmpUnreachableHeader` (RFC 4884 §4.2). */
export const IcmpTimeExceededHeader = Header.make("Icmp time exceeded", {
  ...common,
  unused: Field.u8,
  length: Field.u8,
  reserved: Field.u16
})

/** `pointer` is the octet of the quoted datagram in which the error was found; `length` as above (RFC 4884 §4.3). */
export const IcmpParameterProblemHeader = Header.make("Icmp parameter problem", {
  ...common,
  pointer: Field.u8,
  length: Field.u8,
  reserved: Field.u16
})

/** Times are milliseconds since midnight UTC; the most significant bit is set where they are not. */
export const IcmpTimestampHeader = Header.make("Icmp timestamp", {
  ...common,
  identifier: Field.u16,
  sequence: Field.u16,
  originate: Field.u32,
  receive: Field.u32,
  transmit: Field.u32
})

/** RFC 950, Appendix I. */
export const IcmpAddressMaskHeader = Header.make("Icmp address mask", {
  ...common,
  identifier: Field.u16,
  sequence: Field.u16,
  mask: Field.ipv4
})
