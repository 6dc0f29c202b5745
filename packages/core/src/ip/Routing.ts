/**
 * Interfaces, routes and the choice of a source address.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { IpInterface, IpNetwork } from "effect/net"
import type { Ipv4Address } from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { AttachedDevice } from "../device/Devices.ts"

/** An address on a device; numbers are unsigned 32-bit integers. */
export interface Interface {
  readonly device: AttachedDevice
  readonly address: number
  readonly prefixLength: number
  readonly netmask: number
  readonly network: number
  /** The directed broadcast address; 0xffffffff where the prefix has none (31 and 32 bits, RFC 3021). */
  readonly broadcast: number
}

/** A way out of the host. */
export interface Route {
  readonly network: number
  readonly prefixLength: number
  /** The next hop, or 0 when the destination itself is on the link. */
  readonly gateway: number
  readonly device: AttachedDevice
  /** The source address for packets that do not have one. */
  readonly source: number
  readonly kind: "local" | "connected" | "static" | "broadcast"
}

/** To whom an arriving packet is addressed. */
export type Destination = "local" | "broadcast" | "multicast" | "other"

export class NoSuchDevice extends Schema.TaggedError<NoSuchDevice>()("NoSuchDevice", { name: Schema.String }) {
  override get message() {
    return `there is no device ${this.name} in this stack`
  }
}
export class GatewayUnreachable extends Schema.TaggedError<GatewayUnreachable>()("GatewayUnreachable", {
  gateway: Schema.String
}) {
  override get message() {
    return `the gateway ${this.gateway} is on no connected network; add an address on its network first`
  }
}
export class AddressInUse extends Schema.TaggedError<AddressInUse>()("AddressInUse", { address: Schema.String }) {
  override get message() {
    return `the address ${this.address} is already on an interface of this stack`
  }
}
export class InvalidAddress extends Schema.TaggedError<InvalidAddress>()("InvalidAddress", { address: Schema.String }) {
  override get message() {
    return `${this.address} cannot be the address of a host`
  }
}
export class RoutingError extends Schema.TaggedError<RoutingError>()("RoutingError", {
  reason: Schema.Union([NoSuchDevice, GatewayUnreachable, AddressInUse, InvalidAddress])
}) {
  override get message() {
    return this.reason.message
  }
}

/** A route as people see it. */
export interface RouteInfo {
  readonly network: IpNetwork.Ipv4Network
  readonly gateway: Ipv4Address | undefined
  readonly device: string
  readonly kind: Route["kind"]
}

export class Routing extends Context.Service<Routing, {
  /**
   * The route to a destination by longest prefix, or undefined. Own addresses lead to the loopback device. A limited
   * broadcast needs `source` to choose among several devices. Devices that are down have no routes.
   */
  readonly lookup: (destination: number, source?: number) => Route | undefined
  /** How an address looks from the point of view of a packet that arrived on `device`. */
  readonly classify: (device: AttachedDevice, address: number) => Destination
  readonly isLocal: (address: number) => boolean
  /** Whether it is a limited or directed broadcast of any interface. */
  readonly isBroadcast: (address: number) => boolean
  /** The first interface on a device, or undefined. */
  readonly interfaceOf: (device: AttachedDevice) => Interface | undefined
  readonly interfaces: () => ReadonlyArray<Interface>
  /** Calls `listener` for each address that is there, and each that comes (`added`) or goes, until the scope closes. */
  readonly watch: (
    listener: (change: { readonly added: boolean; readonly interface: Interface }) => void
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Adds an address and its connected route; they go with the device. */
  readonly addAddress: (device: string, address: IpInterface.Ipv4Interface) => Effect.Effect<void, RoutingError>
  readonly removeAddress: (device: string, address: Ipv4Address) => Effect.Effect<boolean>
  readonly addRoute: (network: IpNetwork.Ipv4Network, options: {
    readonly gateway?: Ipv4Address | undefined
    readonly device?: string | undefined
  }) => Effect.Effect<void, RoutingError>
  readonly removeRoute: (network: IpNetwork.Ipv4Network) => Effect.Effect<boolean>
  readonly setDefaultGateway: (gateway: Ipv4Address) => Effect.Effect<void, RoutingError>
  readonly routes: Effect.Effect<ReadonlyArray<RouteInfo>>
}>()("@strata/core/Routing") {}
