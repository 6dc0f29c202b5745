/**
 * Who has which IPv4 address on the link (RFC 826), with the states of RFC 4861.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { MacAddress } from "effect/net/NetAddress"
import type { Ipv4Address } from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { AttachedDevice } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"

export type NeighbourState = "incomplete" | "reachable" | "stale" | "probing" | "failed" | "static"

/** A neighbour as people see it. */
export interface Neighbour {
  readonly device: string
  readonly address: Ipv4Address
  /** Undefined while incomplete or failed. */
  readonly hardwareAddress: MacAddress | undefined
  readonly state: NeighbourState
}

export class HostUnreachable extends Schema.TaggedError<HostUnreachable>()("HostUnreachable", {
  address: Schema.Ipv4Address,
  device: Schema.String
}) {
  override get message() {
    return `nobody on ${this.device} answered for ${this.address}`
  }
}

export class ArpError extends Schema.TaggedError<ArpError>()("ArpError", { reason: HostUnreachable }) {
  override get message() {
    return this.reason.message
  }
}

export class ArpCache extends Context.Service<ArpCache, {
  /**
   * Sends an IPv4 packet to a neighbour: at once when its hardware address is known, or when it becomes known, from a
   * bounded queue that keeps copies. `source` and `neighbour` are unsigned 32-bit integers; `source` is what requests
   * carry as their sender. False when the packet was dropped at once.
   */
  readonly output: (device: AttachedDevice, packet: Packet, neighbour: number, source: number) => boolean
  /** Packets that waited in vain are passed to `listener`, once each, until the scope closes. */
  readonly onUnreachable: (
    listener: (device: AttachedDevice, packet: Packet) => void
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Answers requests for `address` (unsigned 32-bit) on that device and announces it, until the result is called. */
  readonly own: (device: AttachedDevice, address: number) => () => void
  /** The hardware address of a neighbour, asked for where it is not known. */
  readonly resolve: (device: string, address: Ipv4Address) => Effect.Effect<MacAddress, ArpError>
  readonly entries: Effect.Effect<ReadonlyArray<Neighbour>>
  readonly addStatic: (device: string, address: Ipv4Address, hardwareAddress: MacAddress) => Effect.Effect<void>
  /** Whether there was one. */
  readonly remove: (device: string, address: Ipv4Address) => Effect.Effect<boolean>
  /** Sends a gratuitous request for an address of our own (RFC 5227 §3). */
  readonly announce: (device: string, address: Ipv4Address) => Effect.Effect<void>
}>()("@strata/core/ArpCache") {}
