import { assert, describe, it } from "@effect/vitest"
import { Devices } from "@strata/core/device/Devices"
import { toIpv4, toMac } from "@strata/core/wire/Address"
import { BROADCAST } from "@strata/core/wire/EthernetHeader"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import {
  announces,
  answers,
  asks,
  host,
  OTHER,
  OTHER_MAC,
  OWN,
  OWN_MAC,
  PEER,
  PEER_MAC
} from "../../support/arpHost.ts"
import { arpFrame, arpLayer, attach, counted, listen, summary } from "../../support/link.ts"

describe("an address of our own", () => {
  it.effect("is announced twice, two seconds apart, when it comes", () =>
    Effect.gen(function*() {
      const { arp, link, sent } = yield* host
      const disown = arp.own(link.device, OTHER)
      const announcesOther = announces.replace("192.0.2.2 (", "192.0.2.3 (").replace("for 192.0.2.2", "for 192.0.2.3")
      assert.deepStrictEqual(sent(), [announcesOther])
      yield* TestClock.adjust(1_999)
      assert.deepStrictEqual(sent(), [])
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(sent(), [announcesOther])
      disown()
    }).pipe(Effect.provide(arpLayer)))

  it.effect("is not announced again nor answered for when it has gone", () =>
    Effect.gen(function*() {
      const { arp, ask, disown, link, sent } = yield* host
      disown()
      arp.own(link.device, OTHER)()
      sent()
      ask()
      ask(PEER_MAC, PEER, OTHER)
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(sent(), [])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("is answered for to a probe, whose sender is not learned", () =>
    Effect.gen(function*() {
      const { ask, entries, sent } = yield* host
      ask(PEER_MAC, 0)
      assert.deepStrictEqual(sent(), [answers.replace("192.0.2.1", "0.0.0.0")])
      assert.deepStrictEqual(yield* entries, [])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("is defended against another host once in ten seconds, and the conflict reported", () =>
    Effect.gen(function*() {
      const { ask, entries, gratuitous, sent } = yield* host
      const told = yield* listen
      gratuitous(OTHER_MAC, OWN, 1)
      ask(OTHER_MAC, OWN, OWN)
      gratuitous(OTHER_MAC, OWN, 2)
      assert.deepStrictEqual(sent(), [announces])
      yield* TestClock.adjust(10_000)
      ask(OTHER_MAC, OWN, PEER)
      assert.deepStrictEqual(sent(), [announces])
      assert.deepStrictEqual(yield* entries, [])
      assert.strictEqual(yield* counted("arp.addressConflicts"), 4)
      assert.strictEqual(yield* counted("arp.dropped.addressConflict"), 4)
      const warnings = told.flatMap((detail) => detail._tag === "Message" ? [detail] : [])
      assert.deepStrictEqual(warnings[0], {
        _tag: "Message",
        level: "warning",
        stage: "arp.input",
        text: "address conflict: 192.0.2.2 on eth0 is also used by 02:00:00:00:00:02"
      })
      assert.strictEqual(warnings.length, 2)
    }).pipe(Effect.provide(arpLayer)))

  it.effect("is announced again when its device is opened", () =>
    Effect.gen(function*() {
      const { sent } = yield* host
      const devices = yield* Devices
      yield* devices.close("eth0")
      yield* devices.open("eth0")
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(sent(), [announces, announces])
      yield* devices.close("eth0")
      yield* devices.open("eth0")
      yield* devices.close("eth0")
      sent()
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(sent(), [])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("belongs to one device: another does not answer for it", () =>
    Effect.gen(function*() {
      const { ask, arp, sent } = yield* host
      const second = yield* attach({ name: "eth1", hardware: OWN_MAC + 1 })
      arp.own(second.device, OTHER)
      second.take()
      ask(PEER_MAC, PEER, OTHER)
      assert.deepStrictEqual(sent(), [])
      second.receive(arpFrame(BROADCAST, {
        operation: 1,
        senderHardware: PEER_MAC,
        senderProtocol: PEER,
        targetHardware: 0,
        targetProtocol: OTHER
      }))
      assert.deepStrictEqual(second.take().map(summary), [
        "to 02:00:00:00:00:01: 192.0.2.3 (00:00:5e:00:53:02) answers 192.0.2.1 (02:00:00:00:00:01)"
      ])
    }).pipe(Effect.provide(arpLayer)))
})

describe("two devices", () => {
  it.effect("know their own neighbours", () =>
    Effect.gen(function*() {
      const { answer, arp, entries, send, sent } = yield* host
      const second = yield* attach({ name: "eth1", hardware: OWN_MAC + 1 })
      send(1)
      assert.isTrue(send(2, PEER, second.device))
      assert.deepStrictEqual(second.take().length, 1)
      answer()
      assert.deepStrictEqual(sent(), [asks, "to 02:00:00:00:00:01: 1"])
      assert.deepStrictEqual(second.take(), [])
      yield* arp.addStatic("eth1", toIpv4(PEER), toMac(OTHER_MAC))
      assert.deepStrictEqual(second.take().map(summary), ["to 02:00:00:00:00:02: 2"])
      assert.deepStrictEqual(yield* entries, [
        "eth0 192.0.2.1 02:00:00:00:00:01 reachable",
        "eth1 192.0.2.1 02:00:00:00:00:02 static"
      ])
    }).pipe(Effect.provide(arpLayer)))
})

describe("a device that is closed", () => {
  it.effect("forgets what it found, drops what waits, and keeps what people wrote", () =>
    Effect.gen(function*() {
      const { answer, arp, entries, send, sent } = yield* host
      const devices = yield* Devices
      yield* arp.addStatic("eth0", toIpv4(OTHER), toMac(OTHER_MAC))
      send(1)
      answer()
      send(2, 0xc000_0209)
      sent()
      const waiting = yield* Effect.forkChild(Effect.exit(arp.resolve("eth0", toIpv4(0xc000_0209))))
      yield* Effect.yieldNow
      yield* devices.close("eth0")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.3 02:00:00:00:00:02 static"])
      assert.strictEqual(yield* counted("arp.dropped.deviceDown"), 1)
      assert.isFalse(send(3))
      assert.isFalse(send(4, OTHER))
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(sent(), [])
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.3 02:00:00:00:00:02 static"])
      yield* devices.open("eth0")
      sent()
      send(5)
      send(6, OTHER)
      assert.deepStrictEqual(sent(), [asks, "to 02:00:00:00:00:02: 6"])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("and detached forgets everything", () =>
    Effect.gen(function*() {
      const { arp, entries, send } = yield* host
      const scope = yield* Scope.make()
      const second = yield* attach({ name: "eth1", hardware: OWN_MAC + 1 }).pipe(Scope.provide(scope))
      yield* arp.addStatic("eth1", toIpv4(OTHER), toMac(OTHER_MAC))
      send(1, PEER, second.device)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* entries, [])
      const third = yield* attach({ name: "eth1", hardware: OWN_MAC + 1 })
      assert.deepStrictEqual(yield* entries, [])
      assert.isFalse(send(1, PEER, second.device))
      assert.isTrue(send(1, OTHER, third.device))
      assert.strictEqual(third.take().length, 1)
    }).pipe(Effect.provide(arpLayer)))
})
