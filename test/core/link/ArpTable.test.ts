import { assert, describe, it } from "@effect/vitest"
import { Devices } from "@strata/core/device/Devices"
import { ArpCache, NeighbourSettings } from "@strata/core/link/ArpCache"
import * as Table from "@strata/core/link/NeighbourTable"
import { toIpv4, toMac } from "@strata/core/wire/Address"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { announces, asks, host, OTHER, OTHER_MAC, OWN, PEER, PEER_MAC } from "../../support/arpHost.ts"
import { arpLayer, counted, ethernetLayer, listen, summary } from "../../support/link.ts"

const withSettings = (settings: Partial<Table.NeighbourSettings>) =>
  Layer.fresh(ArpCache.layer).pipe(
    Layer.provideMerge(ethernetLayer),
    Layer.provide(Layer.succeed(NeighbourSettings, { ...Table.defaults, ...settings }))
  )

describe("the table", () => {
  it.effect("is bounded: the oldest neighbour and what waits for it leave, static ones stay", () =>
    Effect.gen(function*() {
      const { answer, arp, ask, entries, send } = yield* host
      yield* arp.addStatic("eth0", toIpv4(OTHER), toMac(OTHER_MAC))
      send(1, 0xc000_0210)
      for (let index = 1; index < 4; index++) ask(0x0200_0000_0010 + index, 0xc000_0210 + index)
      send(1, 0xc000_0211)
      assert.strictEqual((yield* entries).length, 5)
      ask(0x0200_0000_0020, 0xc000_0220)
      assert.deepStrictEqual(yield* entries, [
        "eth0 192.0.2.3 02:00:00:00:00:02 static",
        "eth0 192.0.2.17 02:00:00:00:00:11 stale",
        "eth0 192.0.2.18 02:00:00:00:00:12 stale",
        "eth0 192.0.2.19 02:00:00:00:00:13 stale",
        "eth0 192.0.2.32 02:00:00:00:00:20 stale"
      ])
      assert.strictEqual(yield* counted("arp.dropped.neighbourEvicted"), 1)
      // One that has just been confirmed is the youngest.
      yield* TestClock.adjust(5_000)
      answer(0x0200_0000_0011, 0xc000_0211)
      ask(0x0200_0000_0021, 0xc000_0221)
      assert.deepStrictEqual((yield* entries).map((line) => line.split(" ")[1]), [
        "192.0.2.3",
        "192.0.2.19",
        "192.0.2.32",
        "192.0.2.17",
        "192.0.2.33"
      ])
    }).pipe(Effect.provide(withSettings({ maximumNeighbours: 4 }))))

  it.effect("takes ten thousand neighbours, each with its own deadline", () =>
    Effect.gen(function*() {
      const { answer, arp, link, send } = yield* host
      const neighbours = Array.from({ length: 10_000 }, (_, index) => 0x0a00_0001 + index)
      for (const neighbour of neighbours) {
        send(1, neighbour)
        answer(0x0200_0000_0000 + neighbour, neighbour)
      }
      assert.strictEqual(link.take().length, 20_000)
      yield* TestClock.adjust(30_000)
      const all = yield* arp.entries
      assert.strictEqual(all.length, 10_000)
      assert.isTrue(all.every(({ state }) => state === "stale"))
      send(1, neighbours[5_000]!)
      assert.deepStrictEqual(link.take().map(summary), ["to 02:00:0a:00:13:89: 1"])
    }).pipe(Effect.provide(withSettings({ maximumNeighbours: 10_000 }))))
})

describe("resolve", () => {
  it.effect("asks, and tells the answer to all who wait", () =>
    Effect.gen(function*() {
      const { answer, arp, sent } = yield* host
      const both = yield* Effect.forkChild(
        Effect.all([arp.resolve("eth0", toIpv4(PEER)), arp.resolve("eth0", toIpv4(PEER))], {
          concurrency: "unbounded"
        })
      )
      yield* Effect.yieldNow
      assert.deepStrictEqual(sent(), [asks])
      answer()
      assert.deepStrictEqual((yield* Fiber.join(both)).map(String), ["02:00:00:00:00:01", "02:00:00:00:00:01"])
      assert.strictEqual(String(yield* arp.resolve("eth0", toIpv4(PEER))), "02:00:00:00:00:01")
      assert.deepStrictEqual(sent(), [])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("fails when nobody answers, and at once for a while after", () =>
    Effect.gen(function*() {
      const { arp, sent } = yield* host
      const waiting = yield* Effect.forkChild(Effect.flip(arp.resolve("eth0", toIpv4(PEER))))
      yield* TestClock.adjust(3_000)
      const error = yield* Fiber.join(waiting)
      assert.strictEqual(error.message, "nobody on eth0 answered for 192.0.2.1")
      assert.strictEqual(sent().length, 3)
      assert.strictEqual((yield* Effect.flip(arp.resolve("eth0", toIpv4(PEER)))).reason._tag, "HostUnreachable")
      assert.deepStrictEqual(sent(), [])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("knows our own address, and fails without a device or when it is down", () =>
    Effect.gen(function*() {
      const { arp, sent } = yield* host
      const devices = yield* Devices
      assert.strictEqual(String(yield* arp.resolve("eth0", toIpv4(OWN))), "00:00:5e:00:53:01")
      const error = yield* Effect.flip(arp.resolve("eth9", toIpv4(PEER)))
      assert.strictEqual(error.message, "there is no device eth9 in this stack")
      assert.strictEqual((yield* Effect.flip(arp.resolve("eth0", toIpv4(0xe000_0001)))).reason._tag, "HostUnreachable")
      yield* devices.close("eth0")
      assert.strictEqual((yield* Effect.flip(arp.resolve("eth0", toIpv4(PEER)))).reason._tag, "HostUnreachable")
      assert.deepStrictEqual(sent(), [])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("can be interrupted, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const { answer, arp } = yield* host
      const waiting = yield* Effect.forkChild(arp.resolve("eth0", toIpv4(PEER)))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(waiting)
      answer()
      assert.strictEqual(String(yield* arp.resolve("eth0", toIpv4(PEER))), "02:00:00:00:00:01")
    }).pipe(Effect.provide(arpLayer)))
})

describe("people", () => {
  it.effect("add, replace, list and remove static entries", () =>
    Effect.gen(function*() {
      const { arp, entries, send, sent } = yield* host
      send(1)
      sent()
      const waiting = yield* Effect.forkChild(arp.resolve("eth0", toIpv4(PEER)))
      yield* Effect.yieldNow
      yield* arp.addStatic("eth0", toIpv4(PEER), toMac(PEER_MAC))
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 1"])
      assert.strictEqual(String(yield* Fiber.join(waiting)), "02:00:00:00:00:01")
      yield* arp.addStatic("eth0", toIpv4(PEER), toMac(OTHER_MAC))
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 02:00:00:00:00:02 static"])
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(sent(), [])
      assert.isTrue(yield* arp.remove("eth0", toIpv4(PEER)))
      assert.isFalse(yield* arp.remove("eth0", toIpv4(PEER)))
      assert.isFalse(yield* arp.remove("eth9", toIpv4(PEER)))
      assert.deepStrictEqual(yield* entries, [])
      assert.strictEqual(
        (yield* Effect.flip(arp.addStatic("eth9", toIpv4(PEER), toMac(PEER_MAC)))).reason._tag,
        "NoSuchDevice"
      )
    }).pipe(Effect.provide(arpLayer)))

  it.effect("announce an address", () =>
    Effect.gen(function*() {
      const { arp, sent } = yield* host
      yield* arp.announce("eth0", toIpv4(OWN))
      assert.deepStrictEqual(sent(), [announces])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("see what happens in the trace", () =>
    Effect.gen(function*() {
      const { answer, arp, send } = yield* host
      const told = yield* listen
      send(1)
      answer()
      yield* arp.remove("eth0", toIpv4(PEER))
      const lines = told.flatMap((detail) => {
        switch (detail._tag) {
          case "Packet":
            return [`${detail.layer} ${detail.direction}`]
          case "NeighbourInserted":
          case "NeighbourUpdated":
          case "NeighbourDeleted":
            return [`${detail._tag} ${detail.state}`]
          case "QueuePushed":
          case "QueuePopped":
            return [`${detail._tag} ${detail.queue} ${detail.count}`]
          default:
            return [detail._tag]
        }
      })
      assert.deepStrictEqual(lines, [
        "NeighbourInserted incomplete",
        "arp out",
        "ethernet out",
        "QueuePushed arp 192.0.2.1 1",
        "ethernet in",
        "arp in",
        "NeighbourUpdated reachable",
        "QueuePopped arp 192.0.2.1 0",
        "ethernet out",
        "NeighbourDeleted reachable"
      ])
    }).pipe(Effect.provide(arpLayer)))
})
