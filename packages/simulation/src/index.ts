/**
 * Networks in virtual time: whole stacks over virtual links, from a seed.
 */
export { type Host, HostDown, type HostOptions, type HostServices } from "./Host.ts"
export { Invariant, InvariantViolated } from "./Invariants.ts"
export { type Lan, type LanOptions, Network, type WireLink, type WireOptions } from "./Network.ts"
export * as Simulation from "./Simulation.ts"
export * as VirtualTime from "./VirtualTime.ts"
