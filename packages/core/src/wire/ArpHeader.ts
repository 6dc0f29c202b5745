/**
 * ARP for IPv4 over Ethernet (RFC 826).
 */
import * as Field from "./Field.ts"
import * as Header from "./Header.ts"

/** RFC 826, for IPv4 over Ethernet. */
export const ArpHeader = Header.make("Arp", {
  hardwareType: Field.u16,
  protocolType: Field.u16,
  hardwareLength: Field.u8,
  protocolLength: Field.u8,
  operation: Field.u16,
  senderHardware: Field.mac,
  senderProtocol: Field.ipv4,
  targetHardware: Field.mac,
  targetProtocol: Field.ipv4
})

/** RFC 826, "Packet format": `ar$op`. */
export const ArpOperation = { request: 1, reply: 2 } as const

/** RFC 826: `ar$hrd` of Ethernet. */
export const ARP_HARDWARE_ETHERNET = 1
