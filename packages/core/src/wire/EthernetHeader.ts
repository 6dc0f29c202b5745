/**
 * Ethernet II (IEEE 802.3-2022 §3.2.6, RFC 894).
 */
import * as Field from "./Field.ts"
import * as Header from "./Header.ts"

/** Ethernet II. */
export const EthernetHeader = Header.make("Ethernet", {
  destination: Field.mac,
  source: Field.mac,
  etherType: Field.u16
})

/** The EtherTypes the stack knows by name (IANA "IEEE 802 Numbers"). */
export const EtherType = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const

/** The destination that every station accepts, as an unsigned 48-bit integer. */
export const BROADCAST = 0xffff_ffff_ffff
