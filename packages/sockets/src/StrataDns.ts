/**
 * Effect's `Dns` over strata: a stub resolver with a cache of its own. It takes the place of `NodeDns` of
 * `@effect/platform-node`.
 *
 * ```ts
 * const Names = StrataDns.layerWith({ nameServers: ["192.0.2.1"], search: ["example.org"] })
 * const Host = Names.pipe(Layer.provideMerge(NetworkStack.layer))
 * ```
 *
 * It asks its name servers over UDP, and over TCP what does not fit into a datagram; `docs/dns.md` says how, RFC by RFC.
 * There is no system to ask: the hosts file and `resolv.conf` are given as options. `lookup` looks into the hosts table,
 * and then asks for A and AAAA records, those of IPv4 first; `resolve` asks for records; both try the search list.
 */
import type { Entropy, Statistics, Tcp, Udp } from "@strata/core"
import * as Config from "effect/Config"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Dns from "effect/net/Dns"
import type { DnsRecord, RecordType } from "effect/net/Dns"
import * as Host from "effect/net/Host"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as AnswerCache from "./dns/AnswerCache.ts"
import { closed, type QueryFailure } from "./dns/Failure.ts"
import { fold } from "./dns/Name.ts"
import * as Query from "./dns/Query.ts"
import { parse, type ResolvConf } from "./dns/ResolvConf.ts"
import { candidates } from "./dns/SearchList.ts"
import * as Settings from "./dns/Settings.ts"
import * as SpecialNames from "./dns/SpecialNames.ts"

/** Which servers are asked, and how. */
export type Options = Settings.Options

/** What is remembered, and for how long. */
export type CacheOptions = Settings.CacheOptions

/** What the resolver stands on. */
export type Requirements = Udp | Tcp | Entropy | Statistics

/** Options from the text of `/etc/resolv.conf`. What it says of name servers that IPv4 does not reach, it says in vain. */
export const fromResolvConf: (text: string) => ResolvConf = parse

type Service = Dns.Dns["Service"]

/** A resolver for as long as the scope is open; questions that are not answered by then fail with `Unknown`. */
export const make = Effect.fnUntraced(function*(
  options?: Options
): Effect.fn.Return<Service, NetAddress.NetAddressError, Requirements | Scope.Scope> {
  const settings = yield* Effect.fromResult(Settings.make(options))
  const closing = yield* Deferred.make<never, QueryFailure>()
  yield* Effect.addFinalizer(() => Deferred.fail(closing, closed))
  const asked = yield* Query.make(settings)
  const query = yield* AnswerCache.make(
    (name, type) => Effect.raceFirst(asked(name, type), Deferred.await(closing)),
    settings
  )

  /** The records of an absolute name, none when it does not exist. */
  const recordsOf = (name: string, type: RecordType): Effect.Effect<ReadonlyArray<DnsRecord>, QueryFailure> => {
    const special = SpecialNames.recordsOf(fold(name), type)
    if (special !== undefined) return Effect.succeed(special)
    return Effect.map(query(fold(name), type), (outcome) => outcome._tag === "Found" ? outcome.records : [])
  }

  const addressesOf = (name: string, type: "A" | "AAAA") =>
    Effect.map(
      recordsOf(name, type),
      (records) => records.flatMap((record) => record._tag === "A" || record._tag === "AAAA" ? [record.address] : [])
    )

  /** Of both families, unless one is asked for. This stack uses those of IPv4: without them, or an answer why, it cannot do. */
  const bothOf = Effect.fnUntraced(function*(name: string, family: NetAddress.IpFamily | undefined) {
    if (family !== undefined) return yield* addressesOf(name, family === "IPv4" ? "A" : "AAAA")
    const [four, six] = yield* Effect.all([addressesOf(name, "A"), Effect.result(addressesOf(name, "AAAA"))], {
      concurrency: "unbounded"
    })
    if (six._tag === "Success") return [...four, ...six.success]
    return four.length > 0 ? four : yield* six.failure
  })

  /** What the first of the names that `name` may stand for has. A failure ends the search: else its result would vary. */
  const search = Effect.fnUntraced(function*<A>(
    name: Host.DomainName,
    find: (candidate: string) => Effect.Effect<ReadonlyArray<A>, QueryFailure>
  ) {
    const isSpecial = SpecialNames.recordsOf(Host.toFullyQualified(name), "A") !== undefined
    for (const candidate of candidates(name, isSpecial ? [] : settings.search, settings.ndots)) {
      const found = yield* find(candidate)
      if (found.length > 0) return found
    }
    return []
  })

  return Dns.make({
    lookup: (host, family) => {
      const known = settings.hosts.addressesOf(host)
      if (known !== undefined) return Effect.succeed(known)
      return search(host, (name) => bothOf(name, family)).pipe(
        Effect.mapError((failure) => errorOf(failure, "lookup", host))
      )
    },
    resolve: (name, type) =>
      search(name, (candidate) => recordsOf(candidate, type)).pipe(
        Effect.mapError((failure) => errorOf(failure, "resolve", name, type))
      ),
    reverse: (address) => {
      const known = settings.hosts.namesOf(address)
      if (known.length > 0) return Effect.succeed(known)
      if (SpecialNames.isLoopback(address)) return Effect.succeed([SpecialNames.LOCALHOST])
      return recordsOf(Host.toFullyQualified(Dns.reverseName(address)), "PTR").pipe(
        Effect.map((records) => records.flatMap((record) => record._tag === "PTR" ? [record.host] : [])),
        Effect.mapError((failure) => errorOf(failure, "reverse", NetAddress.formatIp(address)))
      )
    }
  })
})

const errorOf = (
  { cause, reason }: QueryFailure,
  method: Dns.DnsError["method"],
  hostname: string,
  recordType?: RecordType
): Dns.DnsError => new Dns.DnsError({ reason, method, hostname, recordType, cause })

/** The resolver with its defaults: it asks 127.0.0.1. */
export const layer: Layer.Layer<Dns.Dns, never, Requirements> = Layer.effect(
  Dns.Dns,
  Effect.orDie(make())
)

/** The resolver with options. Fails when an address or a name among them is none. */
export const layerWith = (
  options: Options
): Layer.Layer<Dns.Dns, NetAddress.NetAddressError, Requirements> => Layer.effect(Dns.Dns, make(options))

/** The resolver with options read from configuration. */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<Dns.Dns, Config.ConfigError | NetAddress.NetAddressError, Requirements> =>
  Layer.effect(Dns.Dns, Effect.flatMap(Config.unwrap(options), make))
