/**
 * A host at 192.0.2.2 with ARP, and its neighbours at 192.0.2.1 and 192.0.2.3.
 */
import * as Packet from "@strata/core/device/Packet"
import { ArpCache } from "@strata/core/link/ArpCache"
import { Turn } from "@strata/core/time/Turn"
import { BROADCAST } from "@strata/core/wire/EthernetHeader"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { arpFrame, attach, summary } from "./link.ts"

export const OWN_MAC = 0x0000_5e00_5301
export const OWN = 0xc000_0202
export const PEER_MAC = 0x0200_0000_0001
export const PEER = 0xc000_0201
export const OTHER_MAC = 0x0200_0000_0002
export const OTHER = 0xc000_0203

export const asks = "to ff:ff:ff:ff:ff:ff: 192.0.2.2 (00:00:5e:00:53:01) asks for 192.0.2.1"
export const asksAlone = "to 02:00:00:00:00:01: 192.0.2.2 (00:00:5e:00:53:01) asks for 192.0.2.1"
export const announces = "to ff:ff:ff:ff:ff:ff: 192.0.2.2 (00:00:5e:00:53:01) asks for 192.0.2.2"
export const answers = "to 02:00:00:00:00:01: 192.0.2.2 (00:00:5e:00:53:01) answers 192.0.2.1 (02:00:00:00:00:01)"

export const packetOf = (first: number) => {
  const packet = Packet.make(100)
  packet.append(Uint8Array.of(first, ...new Uint8Array(59)))
  return packet
}

export const message = (operation: number, hardware: number, from: number, targetHardware: number, target: number) => ({
  operation,
  senderHardware: hardware,
  senderProtocol: from,
  targetHardware,
  targetProtocol: target
})

/** A host at 192.0.2.2 on `eth0`, some time after it came up. */
export const host = Effect.gen(function*() {
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
