import { assert, describe, it } from "@effect/vitest"
import { multicastAddress } from "@strata/core/link/Ethernet"
import { formatIpv4, toIpv4 } from "@strata/core/wire/Address"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import {
  answers,
  asks,
  asksAlone,
  host,
  OTHER,
  OTHER_MAC,
  OWN,
  packetOf,
  PEER,
  PEER_MAC
} from "../../support/arpHost.ts"
import { arpLayer, attach, counted, listen } from "../../support/link.ts"

describe("a packet to a neighbour", () => {
  it.effect("waits for the answer, and leaves in order when it comes", () =>
    Effect.gen(function*() {
      const { answer, entries, send, sent } = yield* host
      assert.isTrue(send(1))
      assert.isTrue(send(2))
      assert.deepStrictEqual(sent(), [asks])
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 unknown incomplete"])
      answer()
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 1", "to 02:00:00:00:00:01: 2"])
      assert.isTrue(send(3))
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 3"])
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 02:00:00:00:00:01 reachable"])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("waits as a copy: its sender uses it again at once", () =>
    Effect.gen(function*() {
      const { answer, arp, link, sent, turn } = yield* host
      const packet = packetOf(1)
      turn.run(() => arp.output(link.device, packet, PEER, OWN))
      packet.bytes.fill(9)
      packet.reset()
      sent()
      answer()
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 1"])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("is asked for once a second, three times; then its sender is told, once for each packet", () =>
    Effect.gen(function*() {
      const { arp, entries, send, sent } = yield* host
      const told: Array<string> = []
      yield* arp.onUnreachable((device, packet) => told.push(`${device.name} ${packet.bytes[packet.start]}`))
      send(1)
      for (let tenth = 0; tenth < 29; tenth++) {
        yield* TestClock.adjust(100)
        if (tenth === 14) send(2)
      }
      assert.deepStrictEqual(sent(), [asks, asks, asks])
      assert.deepStrictEqual(told, [])
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(told, ["eth0 1", "eth0 2"])
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 unknown failed"])
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(told, ["eth0 1", "eth0 2"])
      assert.deepStrictEqual(sent(), [])
      assert.deepStrictEqual(yield* entries, [])
      assert.strictEqual(yield* counted("arp.dropped.hostUnreachable"), 2)
    }).pipe(Effect.provide(arpLayer)))

  it.effect("is refused at once for three seconds after that, without a question; then asked for again", () =>
    Effect.gen(function*() {
      const { answer, arp, send, sent, turn } = yield* host
      const told: Array<number> = []
      yield* arp.onUnreachable((_, packet) => told.push(packet.bytes[packet.start]!))
      send(1)
      yield* TestClock.adjust(3_000)
      sent()
      assert.isFalse(send(2))
      turn.run(() => {
        send(3)
        assert.deepStrictEqual(told, [1, 2], "the sender is not told while it is sending")
      })
      assert.deepStrictEqual(told, [1, 2, 3])
      yield* TestClock.adjust(2_999)
      assert.isFalse(send(4))
      assert.deepStrictEqual(sent(), [])
      yield* TestClock.adjust(1)
      assert.isTrue(send(5))
      assert.deepStrictEqual(sent(), [asks])
      answer()
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 5"])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("lets who is told that it was lost send something else", () =>
    Effect.gen(function*() {
      const { arp, send, sent } = yield* host
      yield* arp.onUnreachable(() => send(2, OTHER))
      send(1)
      yield* TestClock.adjust(3_000)
      assert.deepStrictEqual(sent(), [asks, asks, asks, asks.replace(/192\.0\.2\.1$/, "192.0.2.3")])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("finds room for 64; the oldest is dropped for the next", () =>
    Effect.gen(function*() {
      const { answer, send, sent } = yield* host
      const told = yield* listen
      for (let index = 1; index <= 68; index++) assert.isTrue(send(index))
      const dropped = told.flatMap((detail) => detail._tag === "Dropped" ? [`${detail.reason} ${detail.bytes[0]}`] : [])
      assert.deepStrictEqual(dropped, ["queueFull 1", "queueFull 2", "queueFull 3", "queueFull 4"])
      sent()
      answer()
      assert.deepStrictEqual(sent(), Array.from({ length: 64 }, (_, index) => `to 02:00:00:00:00:01: ${index + 5}`))
    }).pipe(Effect.provide(arpLayer)))

  it.effect("finds no room when too many wait for all neighbours together, and then again when they have gone", () =>
    Effect.gen(function*() {
      const { answer, arp, send, sent } = yield* host
      const neighbours = Array.from({ length: 16 }, (_, index) => 0xc000_0210 + index)
      for (const neighbour of neighbours) for (let index = 0; index < 64; index++) assert.isTrue(send(1, neighbour))
      assert.isFalse(send(2))
      assert.strictEqual(yield* counted("arp.dropped.queueFull"), 1)
      yield* arp.remove("eth0", toIpv4(neighbours[0]!))
      assert.strictEqual(yield* counted("arp.dropped.neighbourRemoved"), 64)
      assert.isTrue(send(3))
      sent()
      answer()
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 3"])
      for (const neighbour of neighbours.slice(1)) answer(PEER_MAC, neighbour)
      assert.strictEqual(sent().length, 15 * 64)
      for (let index = 0; index < 64; index++) assert.isTrue(send(1, OTHER))
    }).pipe(Effect.provide(arpLayer)))

  it.effect("goes to everybody, or to its group, without a question", () =>
    Effect.gen(function*() {
      const { send, sent } = yield* host
      send(1, 0xffff_ffff)
      send(2, 0xe000_00fb)
      assert.strictEqual(multicastAddress(0xe000_00fb), 0x0100_5e00_00fb)
      assert.deepStrictEqual(sent(), ["to ff:ff:ff:ff:ff:ff: 1", "to 01:00:5e:00:00:fb: 2"])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("goes out at once on a device that needs no ARP", () =>
    Effect.gen(function*() {
      const { send } = yield* host
      const link = yield* attach({ name: "ppp0", hardware: 0, framing: "none", flags: { needsArp: false } })
      assert.isTrue(send(7, PEER, link.device))
      assert.deepStrictEqual(link.take().map((bytes) => bytes[0]), [7])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("is asked for in the name of an address the link knows", () =>
    Effect.gen(function*() {
      const { arp, link, sent, turn } = yield* host
      const second = 0xc000_0204
      arp.own(link.device, second)
      sent()
      turn.run(() => arp.output(link.device, packetOf(1), PEER, second))
      turn.run(() => arp.output(link.device, packetOf(1), OTHER, 0x0a00_0001))
      assert.deepStrictEqual(sent().map((line) => line.split(" ")[2]), [formatIpv4(second), formatIpv4(OWN)])
    }).pipe(Effect.provide(arpLayer)))
})

describe("a neighbour", () => {
  it.effect("is stale after 30 seconds, used at once, and probed alone five seconds later", () =>
    Effect.gen(function*() {
      const { answer, entries, send, sent } = yield* host
      send(1)
      answer()
      yield* TestClock.adjust(29_999)
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 02:00:00:00:00:01 reachable"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 02:00:00:00:00:01 stale"])
      sent()
      send(2)
      yield* TestClock.adjust(4_999)
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 2"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(sent(), [asksAlone])
      send(3)
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 3"])
      answer()
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 02:00:00:00:00:01 reachable"])
      yield* TestClock.adjust(20_000)
      assert.deepStrictEqual(sent(), [])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("that nobody uses is not probed", () =>
    Effect.gen(function*() {
      const { answer, send, sent } = yield* host
      send(1)
      answer()
      sent()
      yield* TestClock.adjust(3_600_000)
      assert.deepStrictEqual(sent(), [])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("that changed its hardware address in silence is found by asking everybody", () =>
    Effect.gen(function*() {
      const { answer, send, sent } = yield* host
      send(1)
      answer()
      yield* TestClock.adjust(30_000)
      send(2)
      sent()
      yield* TestClock.adjust(8_000)
      assert.deepStrictEqual(sent(), [asksAlone, asksAlone, asksAlone, asks])
      send(3)
      answer(OTHER_MAC)
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:02: 3"])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("that asks for us is answered and learned, and checked when it is used", () =>
    Effect.gen(function*() {
      const { ask, entries, send, sent } = yield* host
      ask()
      assert.deepStrictEqual(sent(), [answers])
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 02:00:00:00:00:01 stale"])
      send(1)
      yield* TestClock.adjust(5_000)
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 1", asksAlone])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("that asks for us while we wait for its answer has told enough", () =>
    Effect.gen(function*() {
      const { ask, send, sent } = yield* host
      send(1)
      sent()
      ask()
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 1", answers])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("that asks for somebody else is neither answered nor learned", () =>
    Effect.gen(function*() {
      const { ask, entries, sent } = yield* host
      ask(PEER_MAC, PEER, OTHER)
      assert.deepStrictEqual(sent(), [])
      assert.deepStrictEqual(yield* entries, [])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("that is known is updated from anything it says, and checked", () =>
    Effect.gen(function*() {
      const { answer, ask, entries, gratuitous, send } = yield* host
      send(1)
      answer()
      yield* TestClock.adjust(1_000)
      ask(OTHER_MAC, PEER, OTHER)
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 02:00:00:00:00:02 stale"])
      yield* TestClock.adjust(1_000)
      gratuitous(PEER_MAC, PEER)
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 02:00:00:00:00:01 stale"])
      yield* TestClock.adjust(1_000)
      gratuitous(OTHER_MAC, PEER, 1)
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 02:00:00:00:00:02 stale"])
    }).pipe(Effect.provide(arpLayer)))
})
