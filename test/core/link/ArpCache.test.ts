import { assert, describe, it } from "@effect/vitest"
import { Devices } from "@strata/core/device/Devices"
import * as Packet from "@strata/core/device/Packet"
import { ArpCache, NeighbourSettings } from "@strata/core/link/ArpCache"
import { multicastAddress } from "@strata/core/link/Ethernet"
import * as Table from "@strata/core/link/NeighbourTable"
import { Turn } from "@strata/core/time/Turn"
import { formatIpv4, toIpv4, toMac } from "@strata/core/wire/Address"
import { BROADCAST } from "@strata/core/wire/EthernetHeader"
import { Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { arpFrame, arpLayer, attach, counted, ethernetLayer, listen, summary } from "../../support/link.ts"

const OWN_MAC = 0x0000_5e00_5301
const OWN = 0xc000_0202
const PEER_MAC = 0x0200_0000_0001
const PEER = 0xc000_0201
const OTHER_MAC = 0x0200_0000_0002
const OTHER = 0xc000_0203

const asks = "to ff:ff:ff:ff:ff:ff: 192.0.2.2 (00:00:5e:00:53:01) asks for 192.0.2.1"
const asksAlone = "to 02:00:00:00:00:01: 192.0.2.2 (00:00:5e:00:53:01) asks for 192.0.2.1"
const announces = "to ff:ff:ff:ff:ff:ff: 192.0.2.2 (00:00:5e:00:53:01) asks for 192.0.2.2"
const answers = "to 02:00:00:00:00:01: 192.0.2.2 (00:00:5e:00:53:01) answers 192.0.2.1 (02:00:00:00:00:01)"

const packetOf = (first: number) => {
  const packet = Packet.make(100)
  packet.append(Uint8Array.of(first, ...new Uint8Array(59)))
  return packet
}

const message = (operation: number, hardware: number, from: number, targetHardware: number, target: number) => ({
  operation,
  senderHardware: hardware,
  senderProtocol: from,
  targetHardware,
  targetProtocol: target
})

/** A host at 192.0.2.2 on `eth0`, some time after it came up. */
const host = Effect.gen(function*() {
  const arp = yield* ArpCache
  const turn = yield* Turn
  const link = yield* attach({ name: "eth0", hardware: OWN_MAC })
  const disown = arp.own(link.device, OWN)
  yield* TestClock.adjust(10_000)
  link.take()
  return {
    arp,
    turn,
    link,
    disown,
    /** Sends a packet that starts with an octet; whether it was accepted. */
    send: (first: number, neighbour = PEER, device = link.device) => {
      let sent = false
      turn.run(() => {
        sent = arp.output(device, packetOf(first), neighbour, OWN)
      })
      return sent
    },
    sent: () => link.take().map(summary),
    answer: (hardware = PEER_MAC, from = PEER) =>
      link.receive(arpFrame(OWN_MAC, message(2, hardware, from, OWN_MAC, OWN))),
    ask: (hardware = PEER_MAC, from = PEER, target = OWN) =>
      link.receive(arpFrame(BROADCAST, message(1, hardware, from, 0, target))),
    gratuitous: (hardware: number, from: number, operation = 2) =>
      link.receive(arpFrame(BROADCAST, message(operation, hardware, from, BROADCAST, from))),
    entries: Effect.map(
      arp.entries,
      (all) =>
        all.map(({ address, device, hardwareAddress, state }) =>
          `${device} ${address} ${hardwareAddress ?? "unknown"} ${state}`
        )
    )
  }
})

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

const refused = (what: string, reason: string, bytes: Uint8Array) =>
  it.effect(`${what}, dropped as ${reason}`, () =>
    Effect.gen(function*() {
      const { entries, link, sent } = yield* host
      link.receive(bytes)
      assert.deepStrictEqual(sent(), [])
      assert.deepStrictEqual(yield* entries, [])
      assert.strictEqual(yield* counted(`arp.dropped.${reason}`), 1)
    }).pipe(Effect.provide(arpLayer)))

describe("what is not to be believed", () => {
  it.effect("an answer nobody asked for", () =>
    Effect.gen(function*() {
      const { answer, entries, gratuitous } = yield* host
      answer()
      answer(OTHER_MAC, OTHER)
      gratuitous(PEER_MAC, PEER)
      gratuitous(PEER_MAC, PEER, 1)
      assert.deepStrictEqual(yield* entries, [])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("a second answer that differs from the first", () =>
    Effect.gen(function*() {
      const { answer, entries, send, sent } = yield* host
      send(1)
      answer()
      answer(OTHER_MAC)
      send(2)
      assert.deepStrictEqual(sent(), [asks, "to 02:00:00:00:00:01: 1", "to 02:00:00:00:00:01: 2"])
      assert.deepStrictEqual(yield* entries, ["eth0 192.0.2.1 02:00:00:00:00:01 reachable"])
    }).pipe(Effect.provide(arpLayer)))

  it.effect("anything that contradicts a static entry", () =>
    Effect.gen(function*() {
      const { answer, arp, ask, gratuitous, send, sent } = yield* host
      yield* arp.addStatic("eth0", toIpv4(PEER), toMac(PEER_MAC))
      answer(OTHER_MAC)
      gratuitous(OTHER_MAC, PEER)
      ask(OTHER_MAC, PEER)
      sent()
      send(1)
      yield* TestClock.adjust(3_600_000)
      send(2)
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 1", "to 02:00:00:00:00:01: 2"])
    }).pipe(Effect.provide(arpLayer)))

  const request = {
    operation: 1,
    senderHardware: PEER_MAC,
    senderProtocol: PEER,
    targetHardware: 0,
    targetProtocol: OWN
  }
  const from = (senderHardware: number, change?: (arp: DataView) => void) => {
    const bytes = arpFrame(BROADCAST, { ...request, senderHardware }, change)
    // The frame itself comes from an ordinary station.
    bytes.set([2, 0, 0, 0, 0, 9], 6)
    return bytes
  }
  refused("a message that is cut short", "truncated", from(PEER_MAC).subarray(0, 14 + 27))
  refused("another kind of hardware", "unsupported", from(PEER_MAC, (arp) => arp.setUint16(0, 6)))
  refused("another protocol", "unsupported", from(PEER_MAC, (arp) => arp.setUint16(2, 0x86dd)))
  refused("another length of hardware address", "unsupported", from(PEER_MAC, (arp) => arp.setUint8(4, 8)))
  refused("another length of protocol address", "unsupported", from(PEER_MAC, (arp) => arp.setUint8(5, 16)))
  refused("another operation", "unknownOperation", from(PEER_MAC, (arp) => arp.setUint16(6, 3)))
  refused("a sender without an address", "invalidSender", from(0))
  refused("a sender that is everybody", "invalidSender", from(BROADCAST))
  refused("a sender that is a group", "invalidSender", from(0x0100_5e00_0001))
  refused("a sender with our own hardware address", "ownSender", from(OWN_MAC))
  refused(
    "a sender in a multicast group",
    "invalidSender",
    arpFrame(BROADCAST, { ...request, senderProtocol: 0xe000_0001 })
  )
  refused(
    "a sender at limited broadcast",
    "invalidSender",
    arpFrame(BROADCAST, { ...request, senderProtocol: 0xffff_ffff })
  )
  refused(
    "a sender on its own loopback",
    "invalidSender",
    arpFrame(BROADCAST, { ...request, senderProtocol: 0x7f00_0001 })
  )
  refused("an answer from nobody", "invalidSender", arpFrame(OWN_MAC, { ...request, operation: 2, senderProtocol: 0 }))

  it.effect.prop("arbitrary octets, which never throw", [Schema.Uint8Array], ([octets]) =>
    Effect.gen(function*() {
      const { link } = yield* host
      const start = arpFrame(BROADCAST, request)
      start.set(octets.subarray(0, 28), 14)
      link.receive(start)
      link.receive(Uint8Array.from([...start.subarray(0, 14), ...octets]))
    }).pipe(Effect.provide(Layer.fresh(arpLayer))))
})

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
