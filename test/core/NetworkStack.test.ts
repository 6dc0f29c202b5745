/**
 * Layers that stack: whole, without a protocol, with another in its place, and two in one process.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  ArpCache,
  CongestionControl,
  Devices,
  Entropy,
  Ethernet,
  Icmp,
  Igmp,
  Ipv4,
  Multicast,
  NetworkStack,
  Routing,
  Statistics,
  Tcp,
  TcpMachine,
  Timers,
  Trace,
  Turn,
  Udp
} from "@strata/core"
import { Loopback, Wire } from "@strata/drivers"
import { Context, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { counted, icmp, ipv4, Neighbour, packet, pattern } from "../support/internet.ts"

const services = [
  ArpCache,
  CongestionControl,
  Devices,
  Entropy,
  Ethernet,
  Icmp,
  Igmp,
  Ipv4,
  Multicast,
  Routing,
  Statistics,
  Tcp,
  TcpMachine,
  Timers,
  Trace,
  Turn,
  Udp
]

const ping = (address: string) => Effect.flatMap(Icmp, (service) => service.ping(ipv4(address)))
const names = Effect.map(Effect.flatMap(Devices, ({ list }) => list), (devices) => devices.map(({ name }) => name))

const alone = (name: string) => Loopback.layerWith({ name }).pipe(Layer.provideMerge(NetworkStack.layer))
const plugged = (end: Wire.End, name: string, address: string) =>
  Layer.fresh(Wire.layer(end, { name, address }).pipe(Layer.provideMerge(NetworkStack.layer)))

describe("NetworkStack", () => {
  it.effect("provides every service", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(NetworkStack.layer)
      const provided = [...context.mapUnsafe.keys()].filter((key) => key.startsWith("@strata/"))
      assert.sameMembers(provided, services.map(({ key }) => key))
    }))

  it.effect("is two stacks when it is built fresh for each of two hosts", () =>
    Effect.gen(function*() {
      const wire = Wire.make()
      const left = yield* Layer.build(plugged(wire.left, "left0", "192.0.2.1/24"))
      const right = yield* Layer.build(plugged(wire.right, "right0", "192.0.2.2/24"))
      assert.deepStrictEqual(yield* Effect.provideContext(names, left), ["left0"])
      assert.deepStrictEqual(yield* Effect.provideContext(names, right), ["right0"])
      assert.deepEqual((yield* Effect.provideContext(ping("192.0.2.2"), left)).address, ipv4("192.0.2.2"))
      assert.deepEqual((yield* Effect.provideContext(ping("192.0.2.1"), right)).address, ipv4("192.0.2.1"))
      assert.deepStrictEqual(yield* Effect.provideContext(counted("icmp."), left), { received: 2, sent: 2 })
      for (const service of services) {
        // A value without state is all that two stacks may share.
        if (service === CongestionControl || service === TcpMachine) continue
        assert.notStrictEqual(Context.get(left, service as never), Context.get(right, service as never), service.key)
      }
    }))

  it.effect("is two stacks when a program within another one asks for its own", () =>
    Effect.gen(function*() {
      const inner = names.pipe(Effect.provide(alone("inner"), { local: true }))
      const both = Effect.all([names, inner]).pipe(Effect.provide(alone("outer"), { local: true }))
      assert.deepStrictEqual(yield* both, [["outer"], ["inner"]])
    }))

  it.effect("leaves ICMP out when its Layer is left out", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      neighbour.say(packet({ protocol: 1, body: icmp(8, 0, 1) }))
      neighbour.say(packet({ protocol: 17, body: Uint8Array.of(0, 9, 0, 9, 0, 8, 0, 0) }))
      assert.deepStrictEqual(neighbour.hear(), [])
      assert.strictEqual((yield* counted("ipv4.dropped."))["unknownProtocol"], 1)
    }).pipe(Effect.provide(
      Neighbour.layer().pipe(
        Layer.provideMerge(Udp.layer),
        Layer.provideMerge(NetworkStack.network),
        Layer.provideMerge(Entropy.layer)
      ),
      { local: true }
    )))

  it.effect("says that it lacks UDP and TCP when their Layers are left out", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      for (const protocol of [6, 17]) neighbour.say(packet({ protocol, body: pattern(20) }))
      assert.deepStrictEqual(neighbour.hear().map(({ body }) => [body[0], body[1]]), [[3, 2], [3, 2]])
      neighbour.say(packet({ protocol: 1, body: icmp(8, 0, 1) }))
      assert.deepStrictEqual(neighbour.hear().map(({ body }) => body), [icmp(0, 0, 1)])
    }).pipe(Effect.provide(
      Neighbour.layer().pipe(
        Layer.provideMerge(Icmp.layer),
        Layer.provideMerge(NetworkStack.network),
        Layer.provideMerge(Entropy.layer)
      ),
      { local: true }
    )))

  it.effect("takes a protocol of the user's own in the place of another", () => {
    const asked: Array<string> = []
    // A program's own Icmp, which answers nothing and believes every host to be near.
    const optimist = Layer.succeed(Icmp, {
      input: () => {},
      ping: (address) =>
        Effect.sync(() => {
          asked.push(String(address))
          return { address, length: 64, identifier: 0, sequence: 0, timeToLive: 64, roundTrip: 0 }
        })
    })
    return Effect.gen(function*() {
      assert.strictEqual((yield* ping("203.0.113.1")).roundTrip, 0)
      assert.deepStrictEqual(asked, ["203.0.113.1"])
      const neighbour = yield* Neighbour
      neighbour.say(packet({ protocol: 1, body: icmp(8, 0, 1) }))
      assert.deepStrictEqual(neighbour.hear(), [])
    }).pipe(Effect.provide(
      Neighbour.layer().pipe(
        Layer.provideMerge(Layer.mergeAll(optimist, Udp.layer, NetworkStack.tcp)),
        Layer.provideMerge(NetworkStack.network),
        Layer.provideMerge(Entropy.layer)
      ),
      { local: true }
    ))
  })

  it.effect("falls silent with its scope, and can be built again", () =>
    Effect.gen(function*() {
      const wire = Wire.make()
      const seen: Array<Wire.Frame> = []
      wire.onFrame((frame) => seen.push(frame))
      const host = plugged(wire.left, "eth0", "192.0.2.1/24")
      yield* Layer.build(plugged(wire.right, "eth0", "192.0.2.2/24"))
      yield* Effect.scoped(
        Effect.flatMap(Layer.build(host), (context) => Effect.provideContext(ping("192.0.2.2"), context))
      )
      const before = seen.filter(({ from }) => from === "left").length
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(seen.filter(({ from }) => from === "left").length, before)
      const again = yield* Layer.build(host)
      assert.deepEqual((yield* Effect.provideContext(ping("192.0.2.2"), again)).address, ipv4("192.0.2.2"))
    }))

  it.effect("does the same again with the same seed", () => {
    const conversation = Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const pings = yield* Effect.forkChild(Effect.forEach([1, 2, 3], () => Effect.exit(ping("203.0.113.1"))), {
        startImmediately: true
      })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(pings)
      return neighbour.hear().map(({ bytes }) => [...bytes])
    })
    const run = (seed: number) =>
      conversation.pipe(
        Effect.provide(Neighbour.layer().pipe(Layer.provideMerge(NetworkStack.layerSeeded(seed))), { local: true })
      )
    return Effect.gen(function*() {
      const one = yield* run(1)
      assert.strictEqual(one.length, 3)
      assert.deepStrictEqual(yield* run(1), one)
      assert.notDeepEqual(yield* run(2), one)
    })
  })
})
