/**
 * A network, what is said on it, and what goes wrong, as one value: everything
 * that a run depends on beside its seed. It can be drawn, made simpler, written
 * down as JSON, and run again.
 */
import { TcpMachine } from "@strata/core"
import * as Arbitrary from "effect/Arbitrary"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { pick } from "./Arbitraries.ts"
import * as Fault from "./Fault.ts"
import type { HostOptions } from "./Host.ts"
import * as Topology from "./Topology.ts"
import * as Traffic from "./Traffic.ts"

/** All that a run depends on beside its seed. */
export const Scenario = Schema.Struct({
  topology: Topology.Topology,
  traffic: Traffic.Traffic,
  faults: Schema.Array(Fault.Fault),
  /**
   * Lets the sequence numbers of all connections begin that many octets before 2³², so that they begin anew soon. They are
   * drawn as usual where it is absent.
   */
  wrapsAfter: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 0xffff_ffff })))
})
export type Scenario = typeof Scenario.Type

/** Which scenarios. What is given as a value is in all of them, and is left as it is when they are made simpler. */
export interface Options {
  /** Faults at most; 4 by default. A quarter of the scenarios have none. */
  readonly faults?: number | undefined
  /** Whether hosts may crash; they do not by default. */
  readonly crashes?: boolean | undefined
  /** `Topology.arbitrary` by default. */
  readonly topology?: Topology.Topology | Arbitrary.Arbitrary<Topology.Topology> | undefined
  /** `Traffic.arbitrary` by default; no traffic, `[]`, for those who have programs of their own. */
  readonly traffic?: Traffic.Traffic | Arbitrary.Arbitrary<Traffic.Traffic> | undefined
}

const isFixed = (part: unknown): boolean => part !== undefined && !Arbitrary.isArbitrary(part)

const drawn = <A>(part: A | Arbitrary.Arbitrary<A> | undefined, otherwise: Arbitrary.Arbitrary<A>) =>
  part === undefined
    ? otherwise
    : Arbitrary.isArbitrary(part)
    ? part as Arbitrary.Arbitrary<A>
    : Arbitrary.Constant(part)

/** Scenarios to search. */
export const arbitrary = (options: Options = {}): Arbitrary.Arbitrary<Scenario> => {
  const most = options.faults ?? 4
  const fault = options.crashes === true ? Fault.withCrashes : Fault.arbitrary
  return Arbitrary.map(
    Arbitrary.all({
      topology: drawn(options.topology, Topology.arbitrary),
      traffic: drawn(options.traffic, Traffic.arbitrary),
      faults: Arbitrary.array(fault, { minLength: most, maxLength: most }),
      count: pick(0, ...[1, 2, 3].map((third) => Math.ceil(third * most / 3))),
      isBurst: pick(false, true),
      wrapsAfter: pick(undefined, undefined, undefined, 1, 3000)
    }),
    ({ count, faults, isBurst, topology, traffic, wrapsAfter }) =>
      normalize({
        topology,
        traffic,
        faults: (isBurst ? Fault.together(faults) : faults).slice(0, count),
        ...wrapsAfter === undefined ? {} : { wrapsAfter }
      })
  )
}

/** With numbers of hosts, ways and links that exist. */
export const normalize = (self: Scenario): Scenario => {
  const { hosts } = self.topology
  const { links, ways } = Topology.sizes(self.topology)
  return {
    ...self,
    traffic: Traffic.normalize(self.traffic, hosts),
    faults: self.faults.map((fault) =>
      "way" in fault
        ? { ...fault, way: fault.way % ways }
        : "link" in fault
        ? { ...fault, link: fault.link % links }
        : { ...fault, host: fault.host % hosts }
    )
  }
}

/**
 * Scenarios with less in them, those with the fewest faults first: what delta debugging tries. `hits` are the packets that
 * each fault hit in a run.
 */
export const simpler = (
  self: Scenario,
  hits: ReadonlyArray<Fault.Hits>,
  options: Options = {}
): ReadonlyArray<Scenario> => {
  const { faults, topology, traffic } = self
  const { wrapsAfter, ...unwrapped } = self
  const isNetworkFixed = isFixed(options.topology)
  const isTrafficFixed = isFixed(options.traffic)
  const plainer = isNetworkFixed ? [] : Topology.simpler(topology, Traffic.hostsOf(traffic))
  return [
    ...fewer(faults).map((some) => ({ ...self, faults: some })),
    ...wrapsAfter === undefined ? [] : [unwrapped],
    ...isTrafficFixed ? [] : Traffic.fewer(traffic).map((less) => ({ ...self, traffic: less })),
    ...plainer.map((plain) => moved({ ...self, topology: plain }, topology)),
    ...isNetworkFixed || isTrafficFixed ? [] : renamed(self),
    ...faults.flatMap((fault, index) =>
      Fault.simpler(fault, hits[index] ?? []).map((some) => ({ ...self, faults: faults.toSpliced(index, 1, ...some) }))
    ),
    ...isTrafficFixed ? [] : Traffic.simpler(traffic).map((less) => ({ ...self, traffic: less })),
    ...isTrafficFixed ? [] : aimed(self)
  ]
}

/** How many numbers are tried for a packet. */
const AIMS = 12

/** One transfer alone, where the packet that the only fault is about has another number. */
const aimed = (self: Scenario): ReadonlyArray<Scenario> => {
  const [fault, ...others] = self.faults
  if (fault === undefined || others.length > 0 || !Fault.isOfPacket(fault)) return []
  return Traffic.fewer(self.traffic).flatMap((traffic) =>
    Array.from(
      { length: Math.min(AIMS, fault.packet) },
      (_, index): Scenario => ({ ...self, traffic, faults: [{ ...fault, packet: index + 1 }] })
    )
  )
}

/** None of a list, each half, each quarter, and so on, down to all but one. */
const fewer = <A>(list: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> => {
  if (list.length === 0) return []
  const parts: Array<ReadonlyArray<A>> = [[]]
  for (let size = Math.ceil(list.length / 2); size < list.length; size = Math.ceil(size / 2)) {
    for (let at = 0; at < list.length; at += size) parts.push(list.toSpliced(at, size))
    if (size === 1) break
  }
  return parts
}

/** The same faults on another topology: ways of wires lead to the host that the port of a switch did. */
const moved = (self: Scenario, from: Topology.Topology): Scenario => {
  if (from.links === self.topology.links) return normalize(self)
  const [transfer] = self.traffic
  const wayTo = (host: number) => transfer === undefined ? host : host === transfer.server ? 0 : 1
  return normalize({
    ...self,
    faults: self.faults.map((fault) => "way" in fault ? { ...fault, way: wayTo(fault.way) } : fault)
  })
}

/** A single transfer between the first two hosts. */
const renamed = (self: Scenario): ReadonlyArray<Scenario> => {
  const [transfer, ...others] = self.traffic
  if (transfer === undefined || others.length > 0 || transfer.client === 0 && transfer.server === 1) return []
  const smaller: Scenario = {
    ...self,
    topology: { ...self.topology, hosts: 2 },
    traffic: [{ ...transfer, client: 0, server: 1 }]
  }
  const swapped = smaller.faults.map((fault) => "way" in fault ? { ...fault, way: fault.way ^ 1 } : fault)
  return [normalize(smaller), normalize({ ...smaller, faults: swapped })]
}

/** What hosts are to be like in this scenario. */
export const hostOptions = ({ wrapsAfter }: Scenario, options: HostOptions = {}): HostOptions =>
  wrapsAfter === undefined
    ? options
    : { ...options, machine: wrapping(options.machine ?? TcpMachine.layer, 0x1_0000_0000 - wrapsAfter) }

/** A machine whose connections all begin at `iss`. */
const wrapping = (machine: Layer.Layer<TcpMachine>, iss: number): Layer.Layer<TcpMachine> =>
  Layer.effect(
    TcpMachine,
    TcpMachine.useSync((inner) => ({
      ...inner,
      connect: (parameters, now) => inner.connect({ ...parameters, iss }, now),
      listen: (parameters) => inner.listen({ ...parameters, iss })
    }))
  ).pipe(Layer.provide(machine))

/** In words, without the faults. */
export const format = ({ topology, traffic, wrapsAfter }: Scenario): ReadonlyArray<string> => [
  Topology.format(topology),
  ...traffic.map(Traffic.format),
  ...wrapsAfter === undefined ? [] : [`sequence numbers begin anew after ${wrapsAfter} octets`]
]
