/**
 * The formats on the wire: a header's `get` and `set` touch one field in place, its `schema` turns bytes into a readable
 * value and back; a header with options or a body has a module of its own.
 */
export * as Address from "./wire/Address.ts"
export { ARP_HARDWARE_ETHERNET, ArpHeader, ArpOperation } from "./wire/ArpHeader.ts"
export * as Checksum from "./wire/Checksum.ts"
export { BROADCAST, EthernetHeader, EtherType } from "./wire/EthernetHeader.ts"
export * as Field from "./wire/Field.ts"
export * as Header from "./wire/Header.ts"
export * from "./wire/IcmpHeader.ts"
export * as IcmpMessage from "./wire/IcmpMessage.ts"
export * from "./wire/IgmpHeader.ts"
export * as IgmpMessage from "./wire/IgmpMessage.ts"
export { Ipv4Header, Protocol } from "./wire/Ipv4Header.ts"
export * as Ipv4Options from "./wire/Ipv4Options.ts"
export * as Ipv4Packet from "./wire/Ipv4Packet.ts"
export { TcpFlag, TcpHeader } from "./wire/TcpHeader.ts"
export * as TcpOptions from "./wire/TcpOptions.ts"
export * as TcpSegment from "./wire/TcpSegment.ts"
export { UdpHeader } from "./wire/UdpHeader.ts"
