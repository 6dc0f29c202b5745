/**
 * From the host of an endpoint to its IPv4 addresses: what is an address already needs nobody, names need an `AddressResolver`, or `Dns`.
 */
import type { NonEmpty } from "@strata/core/udp/Mailbox"
import * as Effect from "effect/Effect"
import * as AddressResolver from "effect/net/AddressResolver"
import * as Dns from "effect/net/Dns"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"

export type Host = NetAddress.IpAddress | string

/** RFC 6761 §6.3: it needs no resolver. */
const LOCALHOST = "localhost"

export const loopback = NetAddress.ipv4Loopback

/** Fails with why there is no IPv4 address. */
export const resolve = (host: Host): Effect.Effect<NonEmpty<NetAddress.Ipv4Address>, Error> => {
  if (host === LOCALHOST) return Effect.succeed([loopback])
  const address = typeof host === "string" ? Result.getOrUndefined(NetAddress.ipFromString(host)) : host
  if (address === undefined) return lookup(host as string)
  return NetAddress.isIpv4Address(address)
    ? Effect.succeed([address])
    : Effect.fail(new Error(`${NetAddress.formatIp(address)} is not an address of IPv4`))
}

const lookup = Effect.fnUntraced(function*(name: string): Effect.fn.Return<NonEmpty<NetAddress.Ipv4Address>, Error> {
  const dns = yield* Effect.serviceOption(Dns.Dns)
  const resolver = Option.orElse(
    yield* Effect.serviceOption(AddressResolver.AddressResolver),
    () => Option.map(dns, (service) => AddressResolver.make(service))
  )
  if (Option.isNone(resolver)) {
    return yield* Effect.fail(new Error(`${name} is a name, and there is no AddressResolver to ask`))
  }
  const [first, ...rest] = yield* resolver.value.resolve({ host: name, port: 0 }, { family: "IPv4" })
  return [first.address, ...rest.map(({ address }) => address)]
})
