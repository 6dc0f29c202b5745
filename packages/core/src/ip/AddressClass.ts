/**
 * What kind of IPv4 address a number is (RFC 1122 §3.2.1.3, RFC 6890). All take unsigned 32-bit integers.
 */

/** 255.255.255.255: everybody on this link (RFC 919). */
export const LIMITED_BROADCAST = 0xffff_ffff

/** 0.0.0.0/8, "this network": never a destination, and a source only before a host knows its address. */
export const isThisNetwork = (address: number): boolean => address >>> 24 === 0

/** 127.0.0.0/8, never seen outside of a host. */
export const isLoopback = (address: number): boolean => address >>> 24 === 127

/** 224.0.0.0/4. */
export const isMulticast = (address: number): boolean => address >>> 28 === 0xe

/** 232.0.0.0/8: groups that stand for a channel of one source each (RFC 4607 §1). */
export const isSourceSpecific = (address: number): boolean => address >>> 24 === 232

/** 240.0.0.0/4, without the limited broadcast. */
export const isReserved = (address: number): boolean => address >>> 28 === 0xf && address !== LIMITED_BROADCAST

/** Whether it can name a single host: not "this network", multicast, reserved or the limited broadcast. */
export const isUnicast = (address: number): boolean => address >>> 28 < 0xe && !isThisNetwork(address)
