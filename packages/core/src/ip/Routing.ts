/**
 * Interfaces, routes and the choice of a source address.
 *
 * An address brings its connected route and its directed broadcast; a static
 * route belongs to the address whose network its gateway is on. All of them go
 * with the address, and the address with its device. While a device is down, its
 * addresses and routes are kept but not used: another route, if there is one,
 * takes their place.
 *
 * The host model is the weak one (RFC 1122 §3.3.4.2): a packet to any address of
 * the host is accepted from any device.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as IpInterface from "effect/net/IpInterface"
import * as IpNetwork from "effect/net/IpNetwork"
import type { Ipv4Address } from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type AttachedDevice, Devices } from "../device/Devices.ts"
import { Trace } from "../Trace.ts"
import { formatIpv4, fromIpv4, netmask, toIpv4 } from "../wire/Address.ts"
import { isLoopback, isMulticast, isReserved, isThisNetwork, isUnicast, LIMITED_BROADCAST } from "./AddressClass.ts"
import { RouteCache } from "./RouteCache.ts"
import { RouteSet } from "./RouteSet.ts"

/** An address on a device; numbers are unsigned 32-bit integers. */
export interface Interface {
  readonly device: AttachedDevice
  readonly address: number
  readonly prefixLength: number
  readonly netmask: number
  readonly network: number
  /** The directed broadcast; 0xffffffff where there is none (31 and 32 bits, RFC 3021, and links without broadcast). */
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
export class MissingNextHop extends Schema.TaggedError<MissingNextHop>()("MissingNextHop", { network: Schema.String }) {
  override get message() {
    return `the route to ${this.network} leads nowhere; name a gateway or a device`
  }
}

/** An address or a route that cannot be had. */
export class RoutingError extends Schema.TaggedError<RoutingError>()("RoutingError", {
  reason: Schema.Union([NoSuchDevice, GatewayUnreachable, AddressInUse, InvalidAddress, MissingNextHop])
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

/** The addresses of this host, and its routes. */
export class Routing extends Context.Service<Routing, {
  /**
   * The route to a destination by longest prefix, or undefined. Own addresses lead to the loopback device, whenever
   * that one was attached. Limited broadcast and multicast go out by the interface of `source` if there is one, else
   * by the route for them (for a broadcast the default route), else by the first device that is capable of it, loopback
   * last.
   */
  readonly lookup: (destination: number, source?: number) => Route | undefined
  /**
   * The way to a multicast group by that device, from the first address on it (0 without one); undefined when it is down or
   * knows no multicast.
   */
  readonly through: (device: AttachedDevice, group: number) => Route | undefined
  /** Changes with every address, route and device: what was looked up holds until then. */
  readonly version: () => number
  /**
   * How an address looks from the point of view of a packet that arrived on `device`: a directed broadcast is one of
   * that device's networks; multicast may be for nobody (`Multicast`).
   */
  readonly classify: (device: AttachedDevice, address: number) => Destination
  /** Whether an address, an unsigned integer, is one of this host's. */
  readonly isLocal: (address: number) => boolean
  /** Whether it is a limited or directed broadcast of any interface. */
  readonly isBroadcast: (address: number) => boolean
  /** The first interface on a device, or undefined. */
  readonly interfaceOf: (device: AttachedDevice) => Interface | undefined
  /** The addresses of this host, with their devices. */
  readonly interfaces: () => ReadonlyArray<Interface>
  /**
   * Calls `listener` for each address that is there, whether its device is up or not, and each that comes (`added`) or
   * goes, until the scope closes.
   */
  readonly watch: (
    listener: (change: { readonly added: boolean; readonly interface: Interface }) => void
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Adds an address and its connected route; they go with the device. */
  readonly addAddress: (device: string, address: IpInterface.Ipv4Interface) => Effect.Effect<void, RoutingError>
  /** Takes an address from a device; false when it did not have it. */
  readonly removeAddress: (device: string, address: Ipv4Address) => Effect.Effect<boolean>
  /**
   * Adds a static route by a gateway on a connected network, or to destinations on the link of a device. Among equal
   * prefixes the first one added whose device is up is used.
   */
  readonly addRoute: (network: IpNetwork.Ipv4Network, options: {
    readonly gateway?: Ipv4Address | undefined
    readonly device?: string | undefined
  }) => Effect.Effect<void, RoutingError>
  /** Removes the static routes to exactly that network; whether there were any. */
  readonly removeRoute: (network: IpNetwork.Ipv4Network) => Effect.Effect<boolean>
  /** Replaces the default routes by one. */
  readonly setDefaultGateway: (gateway: Ipv4Address) => Effect.Effect<void, RoutingError>
  readonly routes: Effect.Effect<ReadonlyArray<RouteInfo>>
}>()("@strata/core/Routing") {
  static readonly layer: Layer.Layer<Routing, never, Devices | Trace> = Layer.effect(
    Routing,
    Effect.gen(function*() {
      const devices = yield* Devices
      const trace = yield* Trace
      const interfaces: Array<Interface> = []
      const routes = new RouteSet()
      // Keys of what is asked for each packet are signed: V8 keeps those out of the heap, and finds them faster.
      /** The own addresses whose device is up; without a loopback device they cannot be reached from here. */
      const locals = new Map<number, Route | undefined>()
      const broadcasts = new Set<number>()
      const listeners = new Set<(change: { readonly added: boolean; readonly interface: Interface }) => void>()
      const cache = new RouteCache<Route>()
      let version = 0
      const renew = () => {
        version++
        cache.clear()
      }

      const usableInterface = (accept: (candidate: Interface) => boolean) =>
        interfaces.find((candidate) => candidate.device.up && accept(candidate))

      const limitedBroadcastRoute = (source: number): Route | undefined => {
        const standard = routes.standard?.device
        const device = usableInterface((own) => own.address === source && own.device.flags.broadcast)?.device
          ?? (canBroadcast(standard) ? standard : devices.all().find(canBroadcast))
        if (device === undefined) return undefined
        const address = source === 0 ? usableInterface((own) => own.device === device)?.address ?? 0 : source
        return { ...hostRoute(LIMITED_BROADCAST, device, address), kind: "broadcast" }
      }
      const multicastRoute = (group: number, source: number): Route | undefined => {
        const own = usableInterface((one) => one.address === source && one.device.flags.multicast)
        if (own !== undefined) return hostRoute(group, own.device, source)
        const route = routes.lookup(group)
        if (route?.device.flags.multicast === true) return hostRoute(group, route.device, route.source)
        const first = usableInterface((one) => one.device.flags.multicast && !one.device.flags.loopback)
          ?? usableInterface((one) => one.device.flags.multicast)
        return first === undefined ? undefined : hostRoute(group, first.device, first.address)
      }
      const unicastRoute = (destination: number): Route | undefined => {
        if (locals.has(destination | 0)) return locals.get(destination | 0)
        if (isThisNetwork(destination) || isReserved(destination)) return undefined
        const route = routes.lookup(destination)
        return isLoopback(destination) && route?.device.flags.loopback !== true ? undefined : route
      }
      const lookup = (destination: number, source = 0): Route | undefined => {
        if (destination === LIMITED_BROADCAST) return limitedBroadcastRoute(source)
        if (isMulticast(destination)) return multicastRoute(destination, source)
        if (cache.has(destination)) return cache.get(destination)
        return cache.set(destination, unicastRoute(destination))
      }
      const isLocal = (address: number): boolean =>
        locals.has(address | 0) || (isLoopback(address) && lookup(address) !== undefined)

      const refreshAddresses = () => {
        locals.clear()
        broadcasts.clear()
        renew()
        const loopback = devices.all().find((device) => device.flags.loopback && device.up)
        for (const { address, broadcast, device } of interfaces) {
          if (!device.up) continue
          locals.set(address | 0, loopback && { ...hostRoute(address, loopback, address), kind: "local" })
          if (broadcast !== LIMITED_BROADCAST) broadcasts.add(broadcast | 0)
        }
      }
      const tellRoute = (tag: "RouteAdded" | "RouteRemoved", route: Route) => {
        if (route.kind === "broadcast") return
        const { gateway, network, prefixLength, source } = route
        trace.emit({ _tag: tag, network, prefixLength, gateway, source, device: route.device.name })
      }
      const insertRoute = (route: Route) => {
        if (!routes.insert(route)) return
        renew()
        tellRoute("RouteAdded", route)
      }
      const told = (removed: ReadonlyArray<Route>): boolean => {
        renew()
        for (const route of removed) tellRoute("RouteRemoved", route)
        return removed.length > 0
      }

      const tell = (added: boolean, changed: Interface) => {
        for (const listener of listeners) listener({ added, interface: changed })
      }
      /** Gives a source to the routes that were added before their device had an address. */
      const adoptRoutes = ({ address, device }: Interface) => {
        const orphans = routes.remove((route) => route.device === device && route.source === 0)
        told(orphans)
        for (const route of orphans) insertRoute({ ...route, source: address })
      }
      const insertInterface = (own: Interface) => {
        const { address, broadcast, device, network, prefixLength } = own
        interfaces.push(own)
        refreshAddresses()
        if (prefixLength < 32) {
          insertRoute({ network, prefixLength, gateway: 0, device, source: address, kind: "connected" })
        }
        if (broadcast !== LIMITED_BROADCAST) {
          insertRoute({ ...hostRoute(broadcast, device, address), kind: "broadcast" })
        }
        adoptRoutes(own)
        trace.emit({ _tag: "AddressAdded", device: device.name, address, prefixLength })
        tell(true, own)
      }
      const removeInterface = (own: Interface) => {
        const { address, device, prefixLength } = own
        interfaces.splice(interfaces.indexOf(own), 1)
        refreshAddresses()
        told(routes.remove((route) => route.device === device && route.source === address))
        trace.emit({ _tag: "AddressRemoved", device: device.name, address, prefixLength })
        tell(false, own)
      }

      yield* devices.watch(({ _tag, device }) => {
        if (_tag === "Opened" || _tag === "Closed") {
          routes.refresh()
          refreshAddresses()
        } else if (_tag === "Detached") {
          for (const own of interfaces.filter((one) => one.device === device)) removeInterface(own)
          told(routes.remove((route) => route.device === device))
          refreshAddresses()
        }
      })

      const findDevice = (name: string) => {
        const device = devices.byName(name)
        return device === undefined ? fail(new NoSuchDevice({ name })) : Effect.succeed(device)
      }
      /** The interface on whose network a gateway is. */
      const interfaceTowards = (gateway: number, device: AttachedDevice | undefined) =>
        interfaces
          .filter((own) =>
            (device === undefined || own.device === device)
            && own.network === (gateway & own.netmask) >>> 0 && own.address !== gateway && own.broadcast !== gateway
          )
          .reduce<Interface | undefined>(
            (best, own) => best === undefined || own.prefixLength > best.prefixLength ? own : best,
            undefined
          )

      const addRoute = Effect.fnUntraced(function*(target: IpNetwork.Ipv4Network, options: {
        readonly gateway?: Ipv4Address | undefined
        readonly device?: string | undefined
      }): Effect.fn.Return<void, RoutingError> {
        const network = fromIpv4(target.address)
        const { prefixLength } = target
        const device = options.device === undefined ? undefined : yield* findDevice(options.device)
        if (options.gateway !== undefined) {
          const gateway = fromIpv4(options.gateway)
          const own = interfaceTowards(gateway, device)
          if (own === undefined) return yield* fail(new GatewayUnreachable({ gateway: formatIpv4(gateway) }))
          insertRoute({ network, prefixLength, gateway, device: own.device, source: own.address, kind: "static" })
        } else if (device !== undefined) {
          const source = interfaces.find((own) => own.device === device)?.address ?? 0
          insertRoute({ network, prefixLength, gateway: 0, device, source, kind: "static" })
        } else {
          return yield* fail(new MissingNextHop({ network: IpNetwork.format(target) }))
        }
      })

      return Routing.of({
        lookup,
        version: () => version,
        through: (device, group) =>
          device.up && device.flags.multicast
            ? hostRoute(group, device, interfaces.find((own) => own.device === device)?.address ?? 0)
            : undefined,
        classify: (device, address) => {
          if (locals.has(address | 0)) return "local"
          if (address === LIMITED_BROADCAST) return "broadcast"
          if (isMulticast(address)) return "multicast"
          if (isLoopback(address)) return device.flags.loopback ? "local" : "other"
          return broadcasts.has(address | 0) &&
              interfaces.some((own) => own.device === device && own.broadcast === address)
            ? "broadcast"
            : "other"
        },
        isLocal,
        isBroadcast: (address) => address === LIMITED_BROADCAST || broadcasts.has(address | 0),
        interfaceOf: (device) => interfaces.find((own) => own.device === device),
        interfaces: () => interfaces,
        watch: (listener) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              listeners.add(listener)
              for (const own of interfaces) listener({ added: true, interface: own })
            }),
            () => Effect.sync(() => listeners.delete(listener))
          ),
        addAddress: Effect.fnUntraced(function*(name, { address, prefixLength }) {
          const device = yield* findDevice(name)
          const own = makeInterface(device, fromIpv4(address), prefixLength)
          if (!isHostAddress(own)) {
            return yield* fail(new InvalidAddress({ address: `${formatIpv4(own.address)}/${prefixLength}` }))
          }
          if (interfaces.some((other) => other.address === own.address)) {
            return yield* fail(new AddressInUse({ address: formatIpv4(own.address) }))
          }
          insertInterface(own)
        }),
        removeAddress: (name, address) =>
          Effect.sync(() => {
            const own = interfaces.find((one) => one.device.name === name && one.address === fromIpv4(address))
            if (own !== undefined) removeInterface(own)
            return own !== undefined
          }),
        addRoute,
        removeRoute: (target) =>
          Effect.sync(() =>
            told(routes.removeAt(fromIpv4(target.address), target.prefixLength, (route) => route.kind === "static"))
          ),
        setDefaultGateway: (gateway) =>
          Effect.gen(function*() {
            yield* addRoute(DEFAULT_NETWORK, { gateway })
            told(routes.removeAt(0, 0, (route) => route.gateway !== fromIpv4(gateway)))
          }),
        routes: Effect.sync(() =>
          routes.all().map((route) => ({
            network: IpNetwork.makeUnsafe(toIpv4(route.network), route.prefixLength),
            gateway: route.gateway === 0 ? undefined : toIpv4(route.gateway),
            device: route.device.name,
            kind: route.kind
          }))
        )
      })
    })
  )
}

const DEFAULT_NETWORK: IpNetwork.Ipv4Network = IpNetwork.makeUnsafe(toIpv4(0), 0)

const fail = (reason: RoutingError["reason"]) => Effect.fail(new RoutingError({ reason }))

const hostRoute = (address: number, device: AttachedDevice, source: number): Route => ({
  network: address,
  prefixLength: 32,
  gateway: 0,
  device,
  source,
  kind: "static"
})

const canBroadcast = (device: AttachedDevice | undefined): boolean => device?.flags.broadcast === true && device.up

const makeInterface = (device: AttachedDevice, address: number, prefixLength: number): Interface => {
  const mask = netmask(prefixLength)
  const network = (address & mask) >>> 0
  const hasBroadcast = prefixLength < 31 && device.flags.broadcast
  const broadcast = hasBroadcast ? (network | ~mask) >>> 0 : LIMITED_BROADCAST
  return { device, address, prefixLength, netmask: mask, network, broadcast }
}

/** RFC 1122 §3.2.1.3: a host part of all zeros or all ones is no host, except where there are no others (RFC 3021). */
const isHostAddress = (own: Interface): boolean =>
  isUnicast(own.address)
  && (!isLoopback(own.address) || own.device.flags.loopback)
  && (own.prefixLength >= 31 || (own.address !== own.network && own.address !== (own.network | ~own.netmask) >>> 0))
