/**
 * What a resolver can be told, checked once.
 */
import * as Duration from "effect/Duration"
import * as Dns from "effect/net/Dns"
import * as Host from "effect/net/Host"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as HostsTable from "./HostsTable.ts"
import type { Name } from "./Name.ts"

/** How long answers are kept. */
export interface CacheOptions {
  /** Answers; the oldest unused one goes for a new one. 1,000 by default, 0 to keep none. */
  readonly capacity?: number | undefined
  /** Records with a shorter time to live are kept that long; 0 by default. */
  readonly minTimeToLive?: Duration.Input | undefined
  /** Records with a longer time to live are kept that long; one day by default. */
  readonly maxTimeToLive?: Duration.Input | undefined
  /** That there is no such name, or no such record, is kept that long at most; 3 hours by default (RFC 2308 §5). */
  readonly maxNegativeTimeToLive?: Duration.Input | undefined
  /** How long a server's failure is kept, so that it is not asked again and again; 1 second by default (RFC 9520 §3.2). */
  readonly failureTimeToLive?: Duration.Input | undefined
}

export interface Options {
  /** Whom to ask, over IPv4; port 53 by default, and 127.0.0.1 when there is none (resolv.conf(5)). */
  readonly nameServers?: ReadonlyArray<NetAddress.IpAddressInput | NetAddress.InetAddressInput> | undefined
  /** For each attempt of the first round; twice as long in each round after it. 2 seconds by default. */
  readonly timeout?: Duration.Input | undefined
  /** Attempts per name server; 4 by default. */
  readonly tries?: number | undefined
  /** Domains in which names are looked for that do not end in a dot; none by default. */
  readonly search?: ReadonlyArray<string> | undefined
  /** Names with that many dots are first taken as they are, and only then looked for in `search`; 1 by default. */
  readonly ndots?: number | undefined
  /** Whether each question begins with another server; false by default: with the first. */
  readonly rotate?: boolean | undefined
  /** Whether to speak EDNS (RFC 6891), or the size of datagrams announced by it: true by default, and 1,232 octets. */
  readonly edns?: boolean | number | undefined
  /** Whether to mix the case of letters, and to insist that answers have it; false by default, since some servers do not keep it. */
  readonly mixCase?: boolean | undefined
  /** Whether to ask over TCP from the start; false by default. */
  readonly tcp?: boolean | undefined
  /** Names known without asking, for `lookup` and `reverse`. */
  readonly hosts?: HostsTable.HostsInput | undefined
  readonly cache?: CacheOptions | undefined
}

/** Options with everything in its place; times in milliseconds. */
export interface Settings {
  readonly nameServers: ReadonlyArray<NetAddress.InetAddressV4>
  readonly timeout: number
  readonly tries: number
  readonly search: ReadonlyArray<Name>
  readonly ndots: number
  readonly rotate: boolean
  readonly ednsSize: number | undefined
  readonly mixCase: boolean
  readonly tcp: boolean
  readonly hosts: HostsTable.HostsTable
  readonly cache: {
    readonly capacity: number
    readonly minTtl: number
    readonly maxTtl: number
    readonly maxNegativeTtl: number
    readonly failureTtl: number
  }
}

/** The size that crosses the Internet unfragmented, on which its operators agreed in 2020. */
const EDNS_SIZE = 1232
/** RFC 6891 §6.2.3: less counts as this. */
const MIN_EDNS_SIZE = 512

const millis = (input: Duration.Input | undefined, otherwise: Duration.Input): number =>
  Duration.toMillis(Duration.fromInputUnsafe(input ?? otherwise))

/** From 1 to 2^31 - 1, as the resolver of Node takes its numbers. */
const positive = (value: number): number => value >= 1 ? Math.min(Math.ceil(value), 2 ** 31 - 1) : 1

const ednsSize = (edns: boolean | number): number | undefined => {
  if (edns === false) return undefined
  return edns === true ? EDNS_SIZE : Math.min(Math.max(edns, MIN_EDNS_SIZE), 0xffff)
}

const nameServer = (
  input: NetAddress.IpAddressInput | NetAddress.InetAddressInput
): Result.Result<NetAddress.InetAddressV4, NetAddress.NetAddressError> =>
  Result.flatMap(Dns.nameServerFromInput(input), (server) =>
    NetAddress.isInetAddressV4(server)
      ? Result.succeed(server)
      : Result.fail(new NetAddress.NetAddressError({ input, message: "name servers are asked over IPv4 only" })))

export const make = (options: Options = {}): Result.Result<Settings, NetAddress.NetAddressError> =>
  Result.gen(function*() {
    const nameServers: Array<NetAddress.InetAddressV4> = []
    for (const input of options.nameServers ?? []) nameServers.push(yield* nameServer(input))
    if (nameServers.length === 0) nameServers.push(yield* nameServer("127.0.0.1"))
    const search: Array<Name> = []
    for (const domain of options.search ?? []) {
      search.push(Host.toFullyQualified(yield* Host.domainNameFromString(domain)))
    }
    const { cache = {} } = options
    return {
      nameServers,
      timeout: positive(millis(options.timeout, "2 seconds")),
      tries: positive(Math.floor(options.tries ?? 4)),
      search,
      ndots: options.ndots ?? 1,
      rotate: options.rotate ?? false,
      ednsSize: ednsSize(options.edns ?? true),
      mixCase: options.mixCase ?? false,
      tcp: options.tcp ?? false,
      hosts: yield* HostsTable.make(options.hosts ?? {}),
      cache: {
        capacity: cache.capacity ?? 1000,
        minTtl: millis(cache.minTimeToLive, 0),
        maxTtl: millis(cache.maxTimeToLive, "1 day"),
        maxNegativeTtl: millis(cache.maxNegativeTimeToLive, "3 hours"),
        failureTtl: millis(cache.failureTimeToLive, "1 second")
      }
    }
  })
