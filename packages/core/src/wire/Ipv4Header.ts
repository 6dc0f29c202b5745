/**
 * The IPv4 header without its options (RFC 791 §3.1, RFC 2474, RFC 3168).
 */
import * as Field from "./Field.ts"
import * as Header from "./Header.ts"

/** RFC 791 §3.1, without options. */
export const Ipv4Header = Header.make("Ipv4", {
  version: Field.bits(4),
  headerWords: Field.bits(4),
  dscp: Field.bits(6),
  ecn: Field.bits(2),
  totalLength: Field.u16,
  identification: Field.u16,
  reserved: Field.flag,
  dontFragment: Field.flag,
  moreFragments: Field.flag,
  fragmentOffset: Field.bits(13),
  timeToLive: Field.u8,
  protocol: Field.u8,
  checksum: Field.u16,
  source: Field.ipv4,
  destination: Field.ipv4
})

/** The IP protocol numbers the stack knows by name (IANA "Protocol Numbers"). */
export const Protocol = { icmp: 1, igmp: 2, tcp: 6, udp: 17 } as const
