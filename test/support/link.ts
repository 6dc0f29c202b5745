/**
 * The lower half of a stack, and devices whose wire is two arrays: what the
 * stack sent, and what the test lets it receive.
 */
import { Devices } from "@strata/core"
import { type DeviceFlags, type Framing, NO_OFFLOAD } from "@strata/core/device/Device"
import type { AttachedDevice } from "@strata/core/device/Devices"
import * as Packet from "@strata/core/device/Packet"
import { ArpCache } from "@strata/core/link/ArpCache"
import { Ethernet } from "@strata/core/link/Ethernet"
import { Statistics } from "@strata/core/Statistics"
import { Timers } from "@strata/core/time/Timers"
import { Turn } from "@strata/core/time/Turn"
import { Trace, type TraceDetail } from "@strata/core/Trace"
import { formatIpv4, formatMac } from "@strata/core/wire/Address"
import { ArpHeader } from "@strata/core/wire/ArpHeader"
import { EthernetHeader, EtherType } from "@strata/core/wire/EthernetHeader"
import { Effect, Layer } from "effect"

export const ethernetLayer = Layer.fresh(
  Ethernet.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(Devices.layer, Timers.layer)),
    Layer.provideMerge(Layer.mergeAll(Turn.layer, Trace.layer, Statistics.layer))
  )
)

export const arpLayer = Layer.fresh(ArpCache.layer.pipe(Layer.provideMerge(ethernetLayer)))

export interface TestLink {
  readonly device: AttachedDevice
  /** Takes the frames the stack sent since the last take. */
  readonly take: () => Array<Uint8Array>
  /** Lets one frame arrive, as a turn of its own. */
  readonly receive: (frame: Uint8Array) => void
}

/** Attaches a device until the scope closes. */
export const attach = Effect.fnUntraced(function*(options: {
  readonly name: string
  readonly hardware: number
  readonly framing?: Framing
  readonly flags?: Partial<DeviceFlags>
  readonly mtu?: number
  readonly checksumOffload?: boolean
}) {
  const devices = yield* Devices
  let sent: Array<Uint8Array> = []
  const attachment = yield* devices.attach({
    name: options.name,
    type: "ethernet",
    framing: options.framing ?? "ethernet",
    flags: { loopback: false, broadcast: true, multicast: true, pointToPoint: false, needsArp: true, ...options.flags },
    mtu: options.mtu ?? 1500,
    hardwareAddress: options.hardware,
    offload: { ...NO_OFFLOAD, checksum: options.checksumOffload ?? false },
    transmit: (packet) => {
      sent.push(packet.toBytes())
      return true
    },
    flush: () => {}
  })
  const link: TestLink = {
    device: attachment.device,
    take: () => {
      const taken = sent
      sent = []
      return taken
    },
    receive: (frame) => attachment.batch(() => attachment.input(new Packet.Packet(frame.slice())))
  }
  return link
})

/** What the stack tells from here on, until the scope closes. */
export const listen = Effect.gen(function*() {
  const trace = yield* Trace
  const details: Array<TraceDetail> = []
  yield* Effect.acquireRelease(
    Effect.sync(() => trace.listen((event) => details.push(event.detail))),
    (stop) => Effect.sync(stop)
  )
  return details
})

export const counted = (name: string) =>
  Effect.map(Effect.flatMap(Statistics, (statistics) => statistics.snapshot), (counters) => counters[name] ?? 0)

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

export const frame = (destination: number, source: number, etherType: number, payload: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(EthernetHeader.size + payload.length)
  const view = viewOf(bytes)
  EthernetHeader.set.destination(view, 0, destination)
  EthernetHeader.set.source(view, 0, source)
  EthernetHeader.set.etherType(view, 0, etherType)
  bytes.set(payload, EthernetHeader.size)
  return bytes
}

export interface Arp {
  readonly operation: number
  readonly senderHardware: number
  readonly senderProtocol: number
  readonly targetHardware: number
  readonly targetProtocol: number
}

/** An ARP message in a frame from its sender; `change` sees its 28 octets. */
export const arpFrame = (destination: number, arp: Arp, change: (arp: DataView) => void = () => {}): Uint8Array => {
  const bytes = new Uint8Array(ArpHeader.size)
  const view = viewOf(bytes)
  const set = ArpHeader.set
  set.hardwareType(view, 0, 1)
  set.protocolType(view, 0, EtherType.ipv4)
  set.hardwareLength(view, 0, 6)
  set.protocolLength(view, 0, 4)
  set.operation(view, 0, arp.operation)
  set.senderHardware(view, 0, arp.senderHardware)
  set.senderProtocol(view, 0, arp.senderProtocol)
  set.targetHardware(view, 0, arp.targetHardware)
  set.targetProtocol(view, 0, arp.targetProtocol)
  change(view)
  return frame(destination, arp.senderHardware, EtherType.arp, bytes)
}

/** A frame in one line: where it goes, and what it says or carries. */
export const summary = (bytes: Uint8Array): string => {
  const view = viewOf(bytes)
  const to = formatMac(EthernetHeader.get.destination(view, 0))
  const etherType = EthernetHeader.get.etherType(view, 0)
  const at = EthernetHeader.size
  if (etherType !== EtherType.arp) return `to ${to}: ${bytes[at]}`
  const get = ArpHeader.get
  const sender = `${formatIpv4(get.senderProtocol(view, at))} (${formatMac(get.senderHardware(view, at))})`
  const target = formatIpv4(get.targetProtocol(view, at))
  return get.operation(view, at) === 1
    ? `to ${to}: ${sender} asks for ${target}`
    : `to ${to}: ${sender} answers ${target} (${formatMac(get.targetHardware(view, at))})`
}
