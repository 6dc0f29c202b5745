/**
 * Networks in virtual time: whole stacks over virtual links, from a seed.
 *
 * @module @strata/simulation
 */
export * as Fault from "./Fault.ts"
export * as FaultSearch from "./FaultSearch.ts"
export { type Host, HostDown, type HostOptions, type HostServices } from "./Host.ts"
export { Invariant, InvariantViolated } from "./Invariants.ts"
export { type Lan, type LanOptions, Network, type WireLink, type WireOptions } from "./Network.ts"
export * as Report from "./Report.ts"
export * as Scenario from "./Scenario.ts"
export * as Simulation from "./Simulation.ts"
export * as Topology from "./Topology.ts"
export * as Traffic from "./Traffic.ts"
export * as VirtualTime from "./VirtualTime.ts"
