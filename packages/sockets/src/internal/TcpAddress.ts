/**
 * Addresses as people write them, or one clear error.
 */
import { TcpError } from "@strata/core"
import { InvalidAddress } from "@strata/core/tcp/TcpError"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

/** An address with a port, or text such as `"192.0.2.1:7"`. */
export type Destination = NetAddress.InetAddressV4 | string

export const toDestination = (input: Destination): Effect.Effect<NetAddress.InetAddressV4, TcpError> =>
  parse(input, NetAddress.inetAddressFromInput(input), NetAddress.isInetAddressV4)

export const toAddress = (input: NetAddress.Ipv4Address | string): Effect.Effect<NetAddress.Ipv4Address, TcpError> =>
  parse(input, NetAddress.ipFromInput(input), NetAddress.isIpv4Address)

export const toRemote = (
  host: NetAddress.Ipv4Address | string,
  port: number
): Effect.Effect<NetAddress.InetAddressV4, TcpError> =>
  Effect.flatMap(
    toAddress(host),
    (address) => parse(`${host}:${port}`, NetAddress.inetAddressV4(address, port), NetAddress.isInetAddressV4)
  )

const parse = <A, B extends A>(
  input: { readonly toString: () => string },
  parsed: Result.Result<A, NetAddress.NetAddressError>,
  isIpv4: (value: A) => value is B
): Effect.Effect<B, TcpError> => {
  const invalid = (why: string) => Effect.fail(new TcpError({ reason: new InvalidAddress({ input: `${input}`, why }) }))
  if (Result.isFailure(parsed)) return invalid(parsed.failure.message)
  return isIpv4(parsed.success) ? Effect.succeed(parsed.success) : invalid("IPv6 is not spoken here")
}
