/**
 * ARP messages on the wire: which ones make sense, and how ours are sent.
 */
import * as Effect from "effect/Effect"
import type { AttachedDevice } from "../device/Devices.ts"
import { make as makePacket, type Packet } from "../device/Packet.ts"
import { Statistics } from "../Statistics.ts"
import { Trace } from "../Trace.ts"
import { ARP_HARDWARE_ETHERNET, ArpHeader, ArpOperation } from "../wire/ArpHeader.ts"
import { BROADCAST, EtherType } from "../wire/EthernetHeader.ts"
import { Ethernet, isGroupAddress } from "./Ethernet.ts"

const header = ArpHeader.get
const write = ArpHeader.set

/** Why a message is not to be believed, as a drop reason; undefined when it may be. */
export const objection = (device: AttachedDevice, packet: Packet): string | undefined => {
  const { start, view } = packet
  if (packet.length < ArpHeader.size) return "truncated"
  if (
    header.hardwareType(view, start) !== ARP_HARDWARE_ETHERNET ||
    header.protocolType(view, start) !== EtherType.ipv4 ||
    header.hardwareLength(view, start) !== 6 ||
    header.protocolLength(view, start) !== 4
  ) return "unsupported"
  const operation = header.operation(view, start)
  if (operation !== ArpOperation.request && operation !== ArpOperation.reply) return "unknownOperation"
  const hardware = header.senderHardware(view, start)
  if (hardware === 0 || isGroupAddress(hardware)) return "invalidSender"
  if (hardware === device.hardwareAddress) return "ownSender"
  const sender = header.senderProtocol(view, start)
  // A probe asks without saying who it is (RFC 5227 §1.1); groups and loopback addresses are nobody's.
  if (sender === 0) return operation === ArpOperation.request ? undefined : "invalidSender"
  return isGroup(sender) || sender >>> 24 === 127 ? "invalidSender" : undefined
}

/** Multicast, reserved and limited broadcast (RFC 1122 §3.2.1.3). */
export const isGroup = (address: number): boolean => address >= 0xe000_0000

/** Sends messages; protocol addresses are unsigned 32-bit integers, hardware addresses unsigned 48-bit ones. */
export interface ArpMessages {
  /** Asks everybody (`BROADCAST`) or one station who has `target`. */
  readonly request: (device: AttachedDevice, destination: number, sender: number, target: number) => void
  /** Tells one station that `sender` is here. */
  readonly reply: (device: AttachedDevice, hardware: number, sender: number, target: number) => void
  /** Tells everybody that `address` is here (RFC 5227 §3). */
  readonly announce: (device: AttachedDevice, address: number) => void
}

export const make: Effect.Effect<ArpMessages, never, Ethernet | Trace | Statistics> = Effect.gen(function*() {
  const ethernet = yield* Ethernet
  const trace = yield* Trace
  const sent = (yield* Statistics).counter("arp.sent")
  const scratch = makePacket(ArpHeader.size)

  const send = (
    device: AttachedDevice,
    destination: number,
    operation: number,
    sender: number,
    targetHardware: number,
    target: number
  ) => {
    scratch.reset()
    scratch.end += ArpHeader.size
    const { start, view } = scratch
    write.hardwareType(view, start, ARP_HARDWARE_ETHERNET)
    write.protocolType(view, start, EtherType.ipv4)
    write.hardwareLength(view, start, 6)
    write.protocolLength(view, start, 4)
    write.operation(view, start, operation)
    write.senderHardware(view, start, device.hardwareAddress)
    write.senderProtocol(view, start, sender)
    write.targetHardware(view, start, targetHardware)
    write.targetProtocol(view, start, target)
    if (trace.enabled) {
      trace.emit({
        _tag: "Packet",
        layer: "arp",
        direction: "out",
        device: device.name,
        bytes: scratch.toBytes()
      })
    }
    sent.value++
    ethernet.output(device, scratch, EtherType.arp, destination)
  }

  return {
    request: (device, destination, sender, target) =>
      send(device, destination, ArpOperation.request, sender, 0, target),
    reply: (device, hardware, sender, target) => send(device, hardware, ArpOperation.reply, sender, hardware, target),
    announce: (device, address) => send(device, BROADCAST, ArpOperation.request, address, 0, address)
  }
})
