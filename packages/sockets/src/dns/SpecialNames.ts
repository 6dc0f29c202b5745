/**
 * Names that are never asked for, since everybody knows what they mean.
 */
import type { DnsRecord, RecordType } from "effect/net/Dns"
import * as Dns from "effect/net/Dns"
import * as NetAddress from "effect/net/NetAddress"
import type { Name } from "./Name.ts"

/** What this host is called by itself. */
export const LOCALHOST: Name = "localhost."

const loopback: ReadonlyArray<DnsRecord> = [
  Dns.makeRecordUnsafe("A", { address: NetAddress.ipv4FromBytesUnsafe(Uint8Array.of(127, 0, 0, 1)) }),
  Dns.makeRecordUnsafe("AAAA", { address: NetAddress.ipFromStringUnsafe("::1") as NetAddress.Ipv6Address })
]

const isWithin = (name: Name, domain: Name): boolean => name === domain || name.endsWith(`.${domain}`)

/**
 * The records of an absolute name in lower case that is special: the loopback addresses of `localhost` (RFC 6761 §6.3),
 * and nothing for `invalid` (RFC 6761 §6.4) and `onion` (RFC 7686 §2). Undefined for all others.
 */
export const recordsOf = (name: Name, type: RecordType): ReadonlyArray<DnsRecord> | undefined => {
  if (isWithin(name, LOCALHOST)) return loopback.filter((record) => record._tag === type)
  return isWithin(name, "invalid.") || isWithin(name, "onion.") ? [] : undefined
}

export const isLoopback = (address: NetAddress.IpAddress): boolean =>
  NetAddress.isIpv4Address(address)
    ? NetAddress.ipv4ToOctets(address)[0] === 127
    : NetAddress.formatIp(address) === "::1"
