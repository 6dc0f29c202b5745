import { assert, layer } from "@effect/vitest"
import * as Packet from "@strata/core/device/Packet"
import { ArpCache } from "@strata/core/link/ArpCache"
import { Turn } from "@strata/core/time/Turn"
import { BROADCAST, EtherType } from "@strata/core/wire/EthernetHeader"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { arpFrame, arpLayer, attach, summary } from "../../support/link.ts"

const OWN_MAC = 0x0000_5e00_5301
const OWN = 0xc000_0202
const PEER_MAC = 0x0200_0000_0001
const PEER = 0xc000_0201

const asks = "to ff:ff:ff:ff:ff:ff: 192.0.2.2 (00:00:5e:00:53:01) asks for 192.0.2.1"
const announces = "to ff:ff:ff:ff:ff:ff: 192.0.2.2 (00:00:5e:00:53:01) asks for 192.0.2.2"

const host = Effect.gen(function*() {
  const arp = yield* ArpCache
  const turn = yield* Turn
  const link = yield* attach({ name: "eth0", hardware: OWN_MAC })
  arp.own(link.device, OWN)
  yield* TestClock.adjust(10_000)
  link.take()
  return {
    arp,
    link,
    send: (first: number, neighbour = PEER) => {
      const packet = Packet.make(100)
      packet.append(Uint8Array.of(first, ...new Uint8Array(59)))
      let sent = false
      turn.run(() => {
        sent = arp.output(link.device, packet, neighbour, OWN)
      })
      return sent
    },
    sent: () => link.take().map(summary),
    answer: (hardware = PEER_MAC, from = PEER) =>
      link.receive(arpFrame(OWN_MAC, {
        operation: 2,
        senderHardware: hardware,
        senderProtocol: from,
        targetHardware: OWN_MAC,
        targetProtocol: OWN
      })),
    ask: (hardware = PEER_MAC, from = PEER, target = OWN) =>
      link.receive(arpFrame(BROADCAST, {
        operation: 1,
        senderHardware: hardware,
        senderProtocol: from,
        targetHardware: 0,
        targetProtocol: target
      }))
  }
})

layer(arpLayer)("waiting for an answer", (it) => {
  it.effect("packets wait, and leave in order when the answer comes", () =>
    Effect.gen(function*() {
      const { answer, send, sent } = yield* host
      assert.isTrue(send(1))
      assert.isTrue(send(2))
      assert.deepStrictEqual(sent(), [asks])
      answer()
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 1", "to 02:00:00:00:00:01: 2"])
      send(3)
      assert.deepStrictEqual(sent(), ["to 02:00:00:00:00:01: 3"])
      assert.strictEqual(EtherType.arp, 0x0806)
      assert.strictEqual(announces.length, asks.length)
    }))
})
