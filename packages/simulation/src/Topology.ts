/**
 * A small network as a value, and the network that is built from it.
 *
 * Hosts are called `a`, `b`, `c` and `d`, and have numbers from 0 on. They have
 * a wire from each to each, or are all on one switch.
 */
import { type Conditions, Distribution } from "@strata/drivers"
import type { Decoded } from "@strata/drivers/path/Decoded"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import type { Ipv4Address } from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import { pick } from "./Arbitraries.ts"
import type { Host } from "./Host.ts"
import { Network } from "./Network.ts"

const NAMES = ["a", "b", "c", "d"] as const

/** Hosts, and how they are linked. */
export const Topology = Schema.Struct({
  /** How many; from 2 to 4. */
  hosts: Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: NAMES.length })),
  links: Schema.Literals(["wires", "switch"]),
  /** Milliseconds each way. */
  latency: Schema.Number.check(Schema.isGreaterThanOrEqualTo(0)),
  /** Bits per second; no limit where it is absent. */
  bandwidth: Schema.optionalKey(Schema.Number.check(Schema.isGreaterThan(0))),
  /** Octets, of every device. */
  mtu: Schema.Int.check(Schema.isBetween({ minimum: 576, maximum: 9000 }))
})
export type Topology = typeof Topology.Type

/** Two hosts on an ideal wire. */
export const simplest: Topology = { hosts: 2, links: "wires", latency: 1, mtu: 1500 }

/** Small networks, more of the simple ones. */
export const arbitrary: Arbitrary.Arbitrary<Topology> = Arbitrary.map(
  Arbitrary.all({
    hosts: pick(2, 2, 2, 3, 4),
    links: pick("wires", "wires", "switch"),
    latency: pick(1, 0, 5, 20, 60, 150),
    bandwidth: pick(undefined, undefined, 100e6, 10e6),
    mtu: pick(1500, 1500, 576)
  }),
  ({ bandwidth, ...topology }) => bandwidth === undefined ? topology : { ...topology, bandwidth }
)

/** One direction of a link. Packets on it are counted from 1. */
export interface Way {
  /** Such as `from a to b`, or, behind a switch, `to b`. */
  readonly name: string
  /** Changes some conditions, from the next packet on. */
  readonly set: (changes: Partial<Conditions>) => Effect.Effect<void>
}

/** A link as faults name it. */
export interface Link {
  /** Such as `a and b`, or, on a switch, `b and the switch`. */
  readonly name: string
  /** Whether a packet on a way passes this link. */
  readonly carries: (way: number, packet: () => Decoded) => boolean
}

/** A network that was built. Ways and links have numbers as hosts do. */
export interface Stage {
  readonly hosts: ReadonlyArray<Host>
  readonly ways: ReadonlyArray<Way>
  readonly links: ReadonlyArray<Link>
  /** The address of one host as another one reaches it. */
  readonly addressOf: (host: number, from: number) => Ipv4Address
}

/** The name of a host by its number, from 0. */
export const nameOf = (host: number): string => NAMES[host]!

/** Each with each, the smaller number first. */
const pairs = (hosts: number): ReadonlyArray<readonly [first: number, second: number]> =>
  [...Array(hosts).keys()].flatMap((second) => [...Array(second).keys()].map((first) => [first, second] as const))

/** How many ways and links there are, without building them. */
export const sizes = (topology: Topology): { readonly ways: number; readonly links: number } => {
  const links = topology.links === "wires" ? pairs(topology.hosts).length : topology.hosts
  return { links, ways: topology.links === "wires" ? 2 * links : links }
}

/** Makes the hosts and links. */
export const build = (topology: Topology): Effect.Effect<Stage, never, Network> =>
  Effect.gen(function*() {
    const network = yield* Network
    const hosts = yield* Effect.forEach(NAMES.slice(0, topology.hosts), (name) => network.host(name))
    return yield* topology.links === "wires" ? onWires(topology, hosts) : onSwitch(topology, hosts)
  })

const conditionsOf = ({ bandwidth = Infinity, latency }: Topology): Partial<Conditions> => ({
  latency: Distribution.constant(latency),
  bandwidth
})

const onWires = Effect.fnUntraced(function*(topology: Topology, hosts: ReadonlyArray<Host>) {
  const network = yield* Network
  const ways: Array<Way> = []
  const links: Array<Link> = []
  const addresses = new Map<string, Ipv4Address>()
  for (const [first, second] of pairs(hosts.length)) {
    const wire = yield* network.wire(hosts[first]!, hosts[second]!, {
      ...conditionsOf(topology),
      deviceMtu: topology.mtu
    })
    const [one, other] = [nameOf(first), nameOf(second)]
    addresses.set(`${first} ${second}`, wire.addresses[0]).set(`${second} ${first}`, wire.addresses[1])
    ways.push({ name: `from ${one} to ${other}`, set: (changes) => wire.set(changes, "forth") })
    ways.push({ name: `from ${other} to ${one}`, set: (changes) => wire.set(changes, "back") })
    const link = links.length
    links.push({ name: `${one} and ${other}`, carries: (way) => way >> 1 === link })
  }
  return { hosts, ways, links, addressOf: (host, from) => addresses.get(`${host} ${from}`)! } satisfies Stage
})

const onSwitch = Effect.fnUntraced(function*(topology: Topology, hosts: ReadonlyArray<Host>) {
  const network = yield* Network
  const lan = yield* network.lan(hosts, { conditions: conditionsOf(topology), deviceMtu: topology.mtu })
  return {
    hosts,
    ways: hosts.map((host) => ({ name: `to ${host.name}`, set: (changes) => lan.set(changes, host) })),
    links: hosts.map((host, index) => ({
      name: `${host.name} and the switch`,
      carries: (way, packet) => way === index || sourceOf(packet()) === String(host.addresses()[0])
    })),
    addressOf: (host) => hosts[host]!.addresses()[0]!
  } satisfies Stage
})

const sourceOf = ({ arp, ipv4 }: Decoded): string | undefined => ipv4?.source ?? arp?.sender

/** In words. */
export const format = ({ bandwidth, hosts, latency, links, mtu }: Topology): string => {
  const names = NAMES.slice(0, hosts).join(", ")
  const where = links === "switch" ? "on a switch" : hosts === 2 ? "on a wire" : "on a wire from each to each"
  const speed = bandwidth === undefined ? "" : `, ${bandwidth / 1e6} Mbit/s`
  return `hosts ${names} ${where}, ${latency} ms${speed}, MTU ${mtu}`
}

/** Simpler ones to be tried, the simplest first. `hosts` is how many are needed. */
export const simpler = (topology: Topology, hosts: number): ReadonlyArray<Topology> => {
  const { bandwidth, ...unlimited } = topology
  const candidates: ReadonlyArray<Topology> = [
    { ...simplest, hosts },
    { ...topology, hosts },
    { ...topology, links: "wires" },
    ...bandwidth === undefined ? [] : [unlimited],
    { ...topology, mtu: 1500 },
    { ...topology, latency: simplest.latency }
  ]
  return candidates.filter((candidate) => format(candidate) !== format(topology))
}
