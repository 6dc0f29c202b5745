import { assert, describe, it } from "@effect/vitest"
import { type DeviceFlags, NO_OFFLOAD } from "@strata/core/device/Device"
import { Devices } from "@strata/core/device/Devices"
import { type Interface, type Route, Routing } from "@strata/core/ip/Routing"
import { Statistics } from "@strata/core/Statistics"
import { Turn } from "@strata/core/time/Turn"
import { Trace, type TraceDetail } from "@strata/core/Trace"
import { formatIpv4 } from "@strata/core/wire/Address"
import { Effect, Exit, Layer, Scope } from "effect"
import { IpNetwork, NetAddress } from "effect/net"
import { cidr, host, ipv4, raw } from "../../support/internet.ts"

const stack = Layer.fresh(
  Routing.layer.pipe(
    Layer.provideMerge(Devices.layer),
    Layer.provideMerge(Layer.mergeAll(Turn.layer, Trace.layer, Statistics.layer))
  )
)

const attach = (name: string, flags: Partial<DeviceFlags> = {}) =>
  Effect.gen(function*() {
    const { device } = yield* (yield* Devices).attach({
      name,
      type: "ethernet",
      framing: "none",
      flags: { loopback: false, broadcast: true, multicast: true, pointToPoint: false, needsArp: true, ...flags },
      mtu: 1500,
      hardwareAddress: 0,
      offload: NO_OFFLOAD,
      transmit: () => true,
      flush: () => {}
    })
    return device
  })

const attachLoopback = attach("lo", { loopback: true, broadcast: false, needsArp: false })

/** A route as a line: `network/length via gateway dev device src source kind`, without what is not there. */
const show = (route: Route | undefined): string => {
  if (route === undefined) return "none"
  const gateway = route.gateway === 0 ? "" : ` via ${formatIpv4(route.gateway)}`
  const source = route.source === 0 ? "" : ` src ${formatIpv4(route.source)}`
  return `${formatIpv4(route.network)}/${route.prefixLength}${gateway} dev ${route.device.name}${source} ${route.kind}`
}

const lookup = (destination: string, source?: string) =>
  Effect.map(
    Routing,
    (routing) => show(routing.lookup(raw(destination), source === undefined ? undefined : raw(source)))
  )

const addAddress = (device: string, address: string) =>
  Effect.flatMap(Routing, (routing) => routing.addAddress(device, host(address)))

/** What a failure says. */
const message = <A>(effect: Effect.Effect<A, { readonly message: string }, Routing>) =>
  Effect.map(Effect.flip(effect), (error) => error.message)

/** lo, eth0 in 192.0.2.0/24 with the default gateway, and eth1 in 198.51.100.0/25. */
const twoNetworks = Effect.gen(function*() {
  const lo = yield* attachLoopback
  const eth0 = yield* attach("eth0")
  const eth1 = yield* attach("eth1")
  yield* addAddress("lo", "127.0.0.1/8")
  yield* addAddress("eth0", "192.0.2.2/24")
  yield* addAddress("eth1", "198.51.100.2/25")
  const routing = yield* Routing
  yield* routing.setDefaultGateway(ipv4("192.0.2.1"))
  return { lo, eth0, eth1, routing, devices: yield* Devices }
})

describe("Routing", () => {
  it.effect("routes by the longest prefix, with the source of the way out", () =>
    Effect.gen(function*() {
      const { routing } = yield* twoNetworks
      yield* routing.addRoute(cidr("203.0.113.0/24"), { gateway: ipv4("198.51.100.1") })
      yield* routing.addRoute(cidr("203.0.113.128/25"), { device: "eth0" })
      assert.strictEqual(yield* lookup("192.0.2.77"), "192.0.2.0/24 dev eth0 src 192.0.2.2 connected")
      assert.strictEqual(yield* lookup("198.51.100.77"), "198.51.100.0/25 dev eth1 src 198.51.100.2 connected")
      assert.strictEqual(yield* lookup("198.51.100.200"), "0.0.0.0/0 via 192.0.2.1 dev eth0 src 192.0.2.2 static")
      assert.strictEqual(
        yield* lookup("203.0.113.1"),
        "203.0.113.0/24 via 198.51.100.1 dev eth1 src 198.51.100.2 static"
      )
      assert.strictEqual(yield* lookup("203.0.113.129"), "203.0.113.128/25 dev eth0 src 192.0.2.2 static")
    }).pipe(Effect.provide(stack)))

  it.effect("has another version after each change of what is looked up, and after nothing else", () =>
    Effect.gen(function*() {
      const { devices, routing } = yield* twoNetworks
      const changes = <E, R>(effect: Effect.Effect<unknown, E, R>) =>
        Effect.gen(function*() {
          const before = routing.version()
          yield* effect
          return routing.version() !== before
        })
      assert.isFalse(yield* changes(lookup("198.51.100.77")))
      assert.isTrue(yield* changes(routing.addRoute(cidr("203.0.113.0/24"), { device: "eth0" })))
      assert.isTrue(yield* changes(routing.removeRoute(cidr("203.0.113.0/24"))))
      assert.isTrue(yield* changes(addAddress("eth1", "198.51.100.3/25")))
      assert.isTrue(yield* changes(routing.removeAddress("eth1", ipv4("198.51.100.3"))))
      assert.isTrue(yield* changes(devices.close("eth1")))
      assert.isTrue(yield* changes(devices.open("eth1")))
    }).pipe(Effect.provide(stack)))

  it.effect("knows no way to nowhere", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* lookup("192.0.2.1"), "none")
      assert.strictEqual(yield* lookup("255.255.255.255"), "none")
      assert.strictEqual(yield* lookup("224.0.0.1"), "none")
      const eth0 = yield* attach("eth0")
      yield* addAddress("eth0", "192.0.2.2/24")
      yield* (yield* Routing).setDefaultGateway(ipv4("192.0.2.1"))
      assert.strictEqual(yield* lookup("0.0.0.0"), "none")
      assert.strictEqual(yield* lookup("0.1.2.3"), "none")
      assert.strictEqual(yield* lookup("240.0.0.1"), "none")
      assert.strictEqual(yield* lookup("127.0.0.1"), "none")
      assert.isFalse((yield* Routing).isLocal(raw("127.0.0.1")))
      assert.strictEqual((yield* Routing).classify(eth0, raw("127.0.0.1")), "other")
    }).pipe(Effect.provide(stack)))

  it.effect("leads to own addresses through loopback, in whatever order the devices came", () =>
    Effect.gen(function*() {
      yield* attach("eth0")
      yield* addAddress("eth0", "192.0.2.2/24")
      assert.strictEqual(yield* lookup("192.0.2.2"), "none")
      assert.isTrue((yield* Routing).isLocal(raw("192.0.2.2")))
      yield* attachLoopback
      assert.strictEqual(yield* lookup("192.0.2.2"), "192.0.2.2/32 dev lo src 192.0.2.2 local")
      yield* addAddress("lo", "127.0.0.1/8")
      assert.strictEqual(yield* lookup("127.0.0.1"), "127.0.0.1/32 dev lo src 127.0.0.1 local")
      assert.strictEqual(yield* lookup("127.9.9.9"), "127.0.0.0/8 dev lo src 127.0.0.1 connected")
      assert.isTrue((yield* Routing).isLocal(raw("127.9.9.9")))
      yield* (yield* Devices).close("lo")
      assert.strictEqual(yield* lookup("192.0.2.2"), "none")
      assert.strictEqual(yield* lookup("127.0.0.1"), "none")
    }).pipe(Effect.provide(stack)))

  it.effect("sends broadcasts out of the device they belong to", () =>
    Effect.gen(function*() {
      const { devices } = yield* twoNetworks
      assert.strictEqual(yield* lookup("192.0.2.255"), "192.0.2.255/32 dev eth0 src 192.0.2.2 broadcast")
      assert.strictEqual(yield* lookup("198.51.100.127"), "198.51.100.127/32 dev eth1 src 198.51.100.2 broadcast")
      assert.strictEqual(yield* lookup("255.255.255.255"), "255.255.255.255/32 dev eth0 src 192.0.2.2 broadcast")
      assert.strictEqual(
        yield* lookup("255.255.255.255", "198.51.100.2"),
        "255.255.255.255/32 dev eth1 src 198.51.100.2 broadcast"
      )
      yield* devices.close("eth0")
      assert.strictEqual(yield* lookup("255.255.255.255"), "255.255.255.255/32 dev eth1 src 198.51.100.2 broadcast")
      assert.strictEqual(yield* lookup("192.0.2.255"), "none")
    }).pipe(Effect.provide(stack)))

  it.effect("lets a host without an address ask everybody for one", () =>
    Effect.gen(function*() {
      yield* attachLoopback
      yield* attach("eth0")
      assert.strictEqual(yield* lookup("255.255.255.255"), "255.255.255.255/32 dev eth0 broadcast")
    }).pipe(Effect.provide(stack)))

  it.effect("has no directed broadcast on links of two hosts, or without broadcast", () =>
    Effect.gen(function*() {
      const routing = yield* Routing
      yield* attach("eth0")
      yield* attach("tun0", { broadcast: false, pointToPoint: true })
      yield* addAddress("eth0", "192.0.2.0/31")
      yield* addAddress("eth0", "192.0.2.9/32")
      yield* addAddress("tun0", "198.51.100.2/24")
      assert.deepStrictEqual(routing.interfaces().map(({ broadcast }) => broadcast), [
        0xffff_ffff,
        0xffff_ffff,
        0xffff_ffff
      ])
      assert.isFalse(routing.isBroadcast(raw("192.0.2.1")))
      assert.isFalse(routing.isBroadcast(raw("198.51.100.255")))
      assert.strictEqual(yield* lookup("192.0.2.1"), "192.0.2.0/31 dev eth0 src 192.0.2.0 connected")
    }).pipe(Effect.provide(stack)))

  it.effect("sends multicast by its source, its route, or the first device that can", () =>
    Effect.gen(function*() {
      const { devices, routing } = yield* twoNetworks
      assert.strictEqual(yield* lookup("239.1.2.3"), "239.1.2.3/32 dev eth0 src 192.0.2.2 static")
      assert.strictEqual(
        yield* lookup("239.1.2.3", "198.51.100.2"),
        "239.1.2.3/32 dev eth1 src 198.51.100.2 static"
      )
      yield* routing.addRoute(cidr("239.0.0.0/8"), { device: "eth1" })
      assert.strictEqual(yield* lookup("239.1.2.3"), "239.1.2.3/32 dev eth1 src 198.51.100.2 static")
      yield* routing.removeRoute(cidr("239.0.0.0/8"))
      yield* devices.close("eth0")
      assert.strictEqual(yield* lookup("239.1.2.3"), "239.1.2.3/32 dev eth1 src 198.51.100.2 static")
    }).pipe(Effect.provide(stack)))

  it.effect("says to whom a packet is addressed", () =>
    Effect.gen(function*() {
      const { devices, eth0, eth1, lo, routing } = yield* twoNetworks
      const seen = (device: typeof eth0, address: string) => routing.classify(device, raw(address))
      assert.strictEqual(seen(eth0, "192.0.2.2"), "local")
      assert.strictEqual(seen(eth1, "192.0.2.2"), "local")
      assert.strictEqual(seen(eth0, "192.0.2.3"), "other")
      assert.strictEqual(seen(eth0, "192.0.2.255"), "broadcast")
      assert.strictEqual(seen(eth1, "192.0.2.255"), "other")
      assert.strictEqual(seen(eth1, "255.255.255.255"), "broadcast")
      assert.strictEqual(seen(eth0, "224.0.0.1"), "multicast")
      assert.strictEqual(seen(eth0, "0.0.0.0"), "other")
      assert.strictEqual(seen(eth0, "192.0.2.0"), "other")
      assert.strictEqual(seen(lo, "127.0.0.9"), "local")
      assert.strictEqual(seen(eth0, "127.0.0.9"), "other")
      assert.isTrue(routing.isBroadcast(raw("198.51.100.127")))
      assert.isFalse(routing.isBroadcast(raw("198.51.100.126")))
      yield* devices.close("eth0")
      assert.strictEqual(seen(eth1, "192.0.2.2"), "other")
      assert.isFalse(routing.isLocal(raw("192.0.2.2")))
    }).pipe(Effect.provide(stack)))

  it.effect("does not use what belongs to a device that is down, and uses it again", () =>
    Effect.gen(function*() {
      const { devices, routing } = yield* twoNetworks
      yield* attach("eth2")
      yield* addAddress("eth2", "192.0.2.3/24")
      yield* routing.addRoute(cidr("0.0.0.0/0"), { gateway: ipv4("198.51.100.1") })
      assert.strictEqual(yield* lookup("192.0.2.77"), "192.0.2.0/24 dev eth0 src 192.0.2.2 connected")
      yield* devices.close("eth0")
      assert.strictEqual(yield* lookup("192.0.2.77"), "192.0.2.0/24 dev eth2 src 192.0.2.3 connected")
      assert.strictEqual(
        yield* lookup("203.0.113.1"),
        "0.0.0.0/0 via 198.51.100.1 dev eth1 src 198.51.100.2 static"
      )
      yield* devices.close("eth1")
      assert.strictEqual(yield* lookup("203.0.113.1"), "none")
      yield* devices.open("eth0")
      assert.strictEqual(yield* lookup("192.0.2.77"), "192.0.2.0/24 dev eth0 src 192.0.2.2 connected")
      assert.strictEqual(yield* lookup("203.0.113.1"), "0.0.0.0/0 via 192.0.2.1 dev eth0 src 192.0.2.2 static")
    }).pipe(Effect.provide(stack)))

  it.effect("forgets everything of a device with the device", () =>
    Effect.gen(function*() {
      const routing = yield* Routing
      const scope = yield* Scope.make()
      yield* attach("eth0").pipe(Effect.provideService(Scope.Scope, scope))
      yield* addAddress("eth0", "192.0.2.2/24")
      yield* routing.setDefaultGateway(ipv4("192.0.2.1"))
      yield* routing.addRoute(cidr("203.0.113.0/24"), { device: "eth0" })
      yield* attach("tun0").pipe(Effect.provideService(Scope.Scope, scope))
      yield* routing.addRoute(cidr("198.51.100.0/24"), { device: "tun0" })
      assert.strictEqual((yield* routing.routes).length, 5)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* routing.routes, [])
      assert.deepStrictEqual(routing.interfaces(), [])
      assert.isFalse(routing.isLocal(raw("192.0.2.2")))
      assert.strictEqual(yield* lookup("192.0.2.1"), "none")
      yield* attach("eth0")
      yield* addAddress("eth0", "192.0.2.2/24")
    }).pipe(Effect.provide(stack)))

  it.effect("removes an address with its routes, and nothing else", () =>
    Effect.gen(function*() {
      const { eth0, routing } = yield* twoNetworks
      yield* addAddress("eth0", "203.0.113.2/24")
      assert.isTrue(yield* routing.removeAddress("eth0", ipv4("192.0.2.2")))
      assert.isFalse(yield* routing.removeAddress("eth0", ipv4("192.0.2.2")))
      assert.isFalse(yield* routing.removeAddress("eth1", ipv4("203.0.113.2")))
      assert.strictEqual(yield* lookup("192.0.2.1"), "none")
      assert.strictEqual(yield* lookup("203.0.113.1"), "203.0.113.0/24 dev eth0 src 203.0.113.2 connected")
      assert.strictEqual(routing.interfaceOf(eth0)?.address, raw("203.0.113.2"))
    }).pipe(Effect.provide(stack)))

  it.effect("gives a route the address that its device gets later", () =>
    Effect.gen(function*() {
      yield* attach("tun0", { broadcast: false, pointToPoint: true })
      yield* (yield* Routing).addRoute(cidr("203.0.113.0/24"), { device: "tun0" })
      assert.strictEqual(yield* lookup("203.0.113.1"), "203.0.113.0/24 dev tun0 static")
      yield* addAddress("tun0", "192.0.2.2/24")
      assert.strictEqual(yield* lookup("203.0.113.1"), "203.0.113.0/24 dev tun0 src 192.0.2.2 static")
    }).pipe(Effect.provide(stack)))

  it.effect("lists and removes routes", () =>
    Effect.gen(function*() {
      const { routing } = yield* twoNetworks
      yield* routing.addRoute(cidr("203.0.113.0/24"), { gateway: ipv4("192.0.2.9") })
      yield* routing.addRoute(cidr("203.0.113.0/24"), { gateway: ipv4("192.0.2.9") })
      const lines = (yield* routing.routes).map(({ device, gateway, kind, network }) =>
        `${IpNetwork.format(network)} ${gateway === undefined ? "-" : NetAddress.formatIp(gateway)} ${device} ${kind}`
      )
      assert.sameMembers(lines, [
        "127.0.0.0/8 - lo connected",
        "192.0.2.0/24 - eth0 connected",
        "192.0.2.255/32 - eth0 broadcast",
        "198.51.100.0/25 - eth1 connected",
        "198.51.100.127/32 - eth1 broadcast",
        "0.0.0.0/0 192.0.2.1 eth0 static",
        "203.0.113.0/24 192.0.2.9 eth0 static"
      ])
      assert.isTrue(yield* routing.removeRoute(cidr("203.0.113.0/24")))
      assert.isFalse(yield* routing.removeRoute(cidr("203.0.113.0/24")))
      assert.isFalse(yield* routing.removeRoute(cidr("192.0.2.0/24")))
      assert.strictEqual(yield* lookup("203.0.113.1"), "0.0.0.0/0 via 192.0.2.1 dev eth0 src 192.0.2.2 static")
    }).pipe(Effect.provide(stack)))

  it.effect("replaces the default gateway", () =>
    Effect.gen(function*() {
      const { routing } = yield* twoNetworks
      yield* routing.setDefaultGateway(ipv4("198.51.100.1"))
      assert.strictEqual(
        yield* lookup("203.0.113.1"),
        "0.0.0.0/0 via 198.51.100.1 dev eth1 src 198.51.100.2 static"
      )
      assert.strictEqual((yield* routing.routes).filter(({ network }) => network.prefixLength === 0).length, 1)
      yield* routing.setDefaultGateway(ipv4("198.51.100.1"))
      assert.strictEqual((yield* routing.routes).filter(({ network }) => network.prefixLength === 0).length, 1)
      const error = yield* Effect.flip(routing.setDefaultGateway(ipv4("203.0.113.1")))
      assert.strictEqual(error.reason._tag, "GatewayUnreachable")
      assert.strictEqual(
        yield* lookup("203.0.113.1"),
        "0.0.0.0/0 via 198.51.100.1 dev eth1 src 198.51.100.2 static"
      )
    }).pipe(Effect.provide(stack)))

  it.effect("refuses what cannot be, in words", () =>
    Effect.gen(function*() {
      const { routing } = yield* twoNetworks
      assert.strictEqual(
        yield* message(addAddress("eth9", "10.0.0.1/8")),
        "there is no device eth9 in this stack"
      )
      assert.strictEqual(
        yield* message(addAddress("eth1", "192.0.2.2/16")),
        "the address 192.0.2.2 is already on an interface of this stack"
      )
      for (
        const address of [
          "0.0.0.0/0",
          "0.1.2.3/8",
          "10.0.0.0/24",
          "10.0.0.255/24",
          "224.0.0.1/24",
          "240.0.0.1/8",
          "255.255.255.255/32",
          "127.0.0.2/8"
        ]
      ) {
        assert.strictEqual(
          yield* message(addAddress("eth0", address)),
          `${address} cannot be the address of a host`
        )
      }
      assert.strictEqual(
        yield* message(routing.addRoute(cidr("203.0.113.0/24"), { gateway: ipv4("203.0.113.1") })),
        "the gateway 203.0.113.1 is on no connected network; add an address on its network first"
      )
      for (const gateway of ["192.0.2.2", "192.0.2.255"]) {
        assert.include(yield* message(routing.setDefaultGateway(ipv4(gateway))), "is on no connected network")
      }
      assert.include(
        yield* message(routing.addRoute(cidr("203.0.113.0/24"), { gateway: ipv4("192.0.2.1"), device: "eth1" })),
        "is on no connected network"
      )
      assert.strictEqual(
        yield* message(routing.addRoute(cidr("203.0.113.0/24"), {})),
        "the route to 203.0.113.0/24 leads nowhere; name a gateway or a device"
      )
    }).pipe(Effect.provide(stack)))

  it.effect("tells listeners of addresses there are, that come, and that go", () =>
    Effect.gen(function*() {
      const { routing } = yield* twoNetworks
      const told: Array<string> = []
      const listener = ({ added, interface: { address, device } }: { added: boolean; interface: Interface }) => {
        told.push(`${added ? "+" : "-"}${formatIpv4(address)} ${device.name}`)
      }
      const scope = yield* Scope.make()
      yield* routing.watch(listener).pipe(Effect.provideService(Scope.Scope, scope))
      assert.deepStrictEqual(told.splice(0), ["+127.0.0.1 lo", "+192.0.2.2 eth0", "+198.51.100.2 eth1"])
      yield* Effect.scoped(Effect.gen(function*() {
        yield* attach("eth2")
        yield* addAddress("eth2", "203.0.113.2/24")
        assert.deepStrictEqual(told.splice(0), ["+203.0.113.2 eth2"])
      }))
      assert.deepStrictEqual(told.splice(0), ["-203.0.113.2 eth2"])
      yield* Scope.close(scope, Exit.void)
      yield* routing.removeAddress("eth0", ipv4("192.0.2.2"))
      assert.deepStrictEqual(told, [])
    }).pipe(Effect.provide(stack)))

  it.effect("traces addresses and routes", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      const details: Array<TraceDetail> = []
      yield* attach("eth0")
      const stop = trace.listen(({ detail }) => details.push(detail))
      yield* addAddress("eth0", "192.0.2.2/24")
      yield* (yield* Routing).setDefaultGateway(ipv4("192.0.2.1"))
      yield* (yield* Routing).removeAddress("eth0", ipv4("192.0.2.2"))
      stop()
      const lines = details.map((detail) =>
        "prefixLength" in detail
          ? `${detail._tag} ${
            formatIpv4("network" in detail ? detail.network : detail.address)
          }/${detail.prefixLength} ${detail.device}`
          : detail._tag
      )
      assert.deepStrictEqual(lines, [
        "RouteAdded 192.0.2.0/24 eth0",
        "AddressAdded 192.0.2.2/24 eth0",
        "RouteAdded 0.0.0.0/0 eth0",
        "RouteRemoved 192.0.2.0/24 eth0",
        "RouteRemoved 0.0.0.0/0 eth0",
        "AddressRemoved 192.0.2.2/24 eth0"
      ])
    }).pipe(Effect.provide(stack)))
})
