/**
 * The routes of a host, those of devices that are down included.
 *
 * Several routes may lead to the same network; the first one added whose device is up is used, and the others take its
 * place when it goes.
 */
import { RouteTable } from "./RouteTable.ts"
import type { Route } from "./Routing.ts"

export class RouteSet {
  /** Every route there is, by prefix, in the order in which they were added. */
  private readonly configured = new RouteTable<ReadonlyArray<Route>>()
  /** For each prefix, the first route whose device is up. */
  private readonly usable = new RouteTable<Route>()

  /** The route to be used by the longest prefix. */
  lookup(address: number): Route | undefined {
    return this.usable.lookup(address)
  }

  /** The default route to be used. */
  get standard(): Route | undefined {
    return this.usable.get(0, 0)
  }

  /** All routes to exactly that network. */
  at(network: number, prefixLength: number): ReadonlyArray<Route> {
    return this.configured.get(network, prefixLength) ?? []
  }

  all(): ReadonlyArray<Route> {
    return [...this.configured.entries()].flatMap(({ value }) => value)
  }

  /** False when the same route was there. */
  insert(route: Route): boolean {
    const others = this.at(route.network, route.prefixLength)
    if (others.some((other) => isSame(other, route))) return false
    this.put(route.network, route.prefixLength, [...others, route])
    return true
  }

  /** Removes what `accept` accepts and returns it. */
  remove(accept: (route: Route) => boolean): ReadonlyArray<Route> {
    const removed: Array<Route> = []
    for (const { network, prefixLength } of this.configured.entries()) {
      removed.push(...this.removeAt(network, prefixLength, accept))
    }
    return removed
  }

  /** As `remove`, among the routes to one network. */
  removeAt(network: number, prefixLength: number, accept: (route: Route) => boolean): ReadonlyArray<Route> {
    const routes = this.at(network, prefixLength)
    const removed = routes.filter(accept)
    if (removed.length > 0) this.put(network, prefixLength, routes.filter((route) => !removed.includes(route)))
    return removed
  }

  /** Looks again which devices are up. */
  refresh(): void {
    for (const { network, prefixLength, value } of this.configured.entries()) this.choose(network, prefixLength, value)
  }

  private put(network: number, prefixLength: number, routes: ReadonlyArray<Route>): void {
    if (routes.length === 0) this.configured.remove(network, prefixLength)
    else this.configured.insert(network, prefixLength, routes)
    this.choose(network, prefixLength, routes)
  }

  private choose(network: number, prefixLength: number, routes: ReadonlyArray<Route>): void {
    const route = routes.find((candidate) => candidate.device.up)
    if (route === undefined) this.usable.remove(network, prefixLength)
    else this.usable.insert(network, prefixLength, route)
  }
}

const isSame = (a: Route, b: Route): boolean =>
  a.gateway === b.gateway && a.device === b.device && a.source === b.source && a.kind === b.kind
