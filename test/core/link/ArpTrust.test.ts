import { assert, describe, it } from "@effect/vitest"
import { toIpv4, toMac } from "@strata/core/wire/Address"
import { BROADCAST } from "@strata/core/wire/EthernetHeader"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { asks, host, OTHER, OTHER_MAC, OWN, OWN_MAC, PEER, PEER_MAC } from "../../support/arpHost.ts"
import { arpFrame, arpLayer, counted } from "../../support/link.ts"

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
