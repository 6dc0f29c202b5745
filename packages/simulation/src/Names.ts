/**
 * The `Dns` and `AddressResolver` of simulated hosts: they know the hosts of
 * their network by name, and nobody else. Answers take no time and no packets.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as AddressResolver from "effect/net/AddressResolver"
import * as Dns from "effect/net/Dns"
import type { Ipv4Address } from "effect/net/NetAddress"
import * as Result from "effect/Result"

/** `hosts` is asked anew with each question. */
export const make = (
  hosts: () => Iterable<readonly [name: string, addresses: ReadonlyArray<Ipv4Address>]>
): Context.Context<Dns.Dns | AddressResolver.AddressResolver> => {
  const zone = Effect.suspend(() => {
    const known = [...hosts()].filter(([, addresses]) => addresses.length > 0)
    return Effect.orDie(Effect.fromResult(Dns.makeStatic({ hosts: Object.fromEntries(known) })))
  })
  const dns = Dns.make({
    lookup: (host, family) => Effect.flatMap(zone, (now) => now.lookup(host, { family })),
    resolve: (name, type) => Effect.flatMap(zone, (now) => now.resolve(name, type)),
    reverse: (address) => Effect.flatMap(zone, (now) => now.reverse(address))
  })
  return Context.make(Dns.Dns, dns).pipe(Context.add(AddressResolver.AddressResolver, AddressResolver.make(dns)))
}

/** Whether a host can have that name. */
export const isValid = (name: string): boolean => Result.isSuccess(Dns.makeStatic({ hosts: { [name]: [] } }))
