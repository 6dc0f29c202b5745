/**
 * The ends of a connection as programs see them.
 */
import type { InetAddressV4 } from "effect/net/NetAddress"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Address from "../wire/Address.ts"
import type { Endpoints } from "./ControlBlock.ts"

/** `address` is an unsigned 32-bit integer. */
export const inetAddress = (address: number, port: number): InetAddressV4 =>
  Result.getOrThrow(NetAddress.inetAddressV4(Address.toIpv4(address), port))

export const localOf = (endpoints: Endpoints): InetAddressV4 => inetAddress(endpoints.localAddress, endpoints.localPort)

export const remoteOf = (endpoints: Endpoints): InetAddressV4 =>
  inetAddress(endpoints.remoteAddress, endpoints.remotePort)
