/**
 * Addresses at the border: unsigned integers inside the stack, `effect/net`
 * values outside.
 */
import * as NetAddress from "effect/net/NetAddress"

/** An IPv4 address as an unsigned 32-bit integer. */
export const fromIpv4 = (address: NetAddress.Ipv4Address): number => {
  const [a, b, c, d] = NetAddress.ipv4ToOctets(address)
  return a * 0x100_0000 + (b << 16) + (c << 8) + d
}

/** An unsigned integer as an address of Effect's. */
export const toIpv4 = (address: number): NetAddress.Ipv4Address =>
  NetAddress.ipv4FromBytesUnsafe(Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address))

/** An IPv4 address, an unsigned integer, as text. */
export const formatIpv4 = (address: number): string =>
  `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`

/** An IPv4 address as an unsigned 32-bit integer and a port. */
export const toInet = (address: number, port: number): NetAddress.InetAddressV4 =>
  NetAddress.inetAddressUnsafe(toIpv4(address), port) as NetAddress.InetAddressV4

/** An IPv4 address (an unsigned integer) and a port as text, such as `192.0.2.1:7`. */
export const formatInet = (address: number, port: number): string => `${formatIpv4(address)}:${port}`

/** A MAC address as an unsigned 48-bit integer. */
export const fromMac = (address: NetAddress.MacAddress): number =>
  NetAddress.macAddressToOctets(address).reduce((raw, octet) => raw * 256 + octet, 0)

/** Six octets in lower-case hexadecimal, separated by colons. */
export const formatMac = (address: number): string => address.toString(16).padStart(12, "0").replace(/..\B/g, "$&:")

/** An unsigned 48-bit integer as an address of Effect's. */
export const toMac = (address: number): NetAddress.MacAddress =>
  NetAddress.macAddressFromStringUnsafe(formatMac(address))

/** The netmask of a prefix, as an unsigned 32-bit integer. */
export const netmask = (prefixLength: number): number => prefixLength === 0 ? 0 : (-1 << (32 - prefixLength)) >>> 0
