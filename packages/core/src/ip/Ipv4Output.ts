/**
 * The way down: route, header, fragments, link.
 */
import * as Effect from "effect/Effect"
import * as Packet from "../device/Packet.ts"
import { Entropy } from "../Entropy.ts"
import { ArpCache } from "../link/ArpCache.ts"
import { Ethernet, multicastAddress } from "../link/Ethernet.ts"
import { Statistics } from "../Statistics.ts"
import { Turn } from "../time/Turn.ts"
import { makeDrop, Trace } from "../Trace.ts"
import * as Checksum from "../wire/Checksum.ts"
import { BROADCAST, EtherType } from "../wire/EthernetHeader.ts"
import { Ipv4Header, Protocol } from "../wire/Ipv4Header.ts"
import { isLoopback, isMulticast } from "./AddressClass.ts"
import { copiedOptions, nextLength } from "./Fragmentation.ts"
import { Identification } from "./Identification.ts"
import type { OutputResult } from "./Ipv4.ts"
import { Multicast } from "./Multicast.ts"
import type { Loop } from "./MulticastLoop.ts"
import type { PathMtu } from "./PathMtu.ts"
import { type Route, Routing } from "./Routing.ts"
import { admits } from "./SourceFilter.ts"

const MAX_DATAGRAM = 0xffff
const DEFAULT_TIME_TO_LIVE = 64
/** RFC 1112 §6.1: unless asked for, multicast stays on the link. */
const MULTICAST_TIME_TO_LIVE = 1

const set = Ipv4Header.set

/** Of the first and the fourth 16-bit word of a header (RFC 791 §3.1). */
const VERSION = 0x4000
const DONT_FRAGMENT = 0x4000
const MORE_FRAGMENTS = 0x2000

/** `Ipv4.output`. */
export const makeOutput = Effect.fnUntraced(function*(pathMtu: PathMtu, loop: Loop): Effect.fn.Return<
  (packet: Packet.Packet) => OutputResult,
  never,
  ArpCache | Entropy | Ethernet | Multicast | Routing | Statistics | Trace | Turn
> {
  const turn = yield* Turn
  const trace = yield* Trace
  const statistics = yield* Statistics
  const entropy = yield* Entropy
  const ethernet = yield* Ethernet
  const arp = yield* ArpCache
  const routing = yield* Routing
  const multicast = yield* Multicast
  const drop = yield* makeDrop("ipv4")
  const sent = statistics.counter("ipv4.sent")
  const fragmented = statistics.counter("ipv4.fragmented")
  const identification = new Identification(entropy.u32)
  /** Made for the first datagram that is cut: most hosts cut none. */
  let kept: Packet.Packet | undefined

  /** Hands a packet with its header to the link. */
  const transmit = (route: Route, packet: Packet.Packet): boolean => {
    const { device } = route
    const { destination } = packet
    sent.value++
    if (trace.enabled) {
      trace.emit({
        _tag: "Packet",
        layer: "ipv4",
        direction: "out",
        device: device.name,
        interface: route.source,
        bytes: packet.toBytes()
      })
    }
    if (route.kind === "broadcast") return ethernet.output(device, packet, EtherType.ipv4, BROADCAST)
    if (isMulticast(destination)) {
      return ethernet.output(device, packet, EtherType.ipv4, multicastAddress(destination))
    }
    if (!device.flags.needsArp) return ethernet.output(device, packet, EtherType.ipv4, device.hardwareAddress)
    return arp.output(device, packet, route.gateway === 0 ? destination : route.gateway, packet.source)
  }

  const fragment = (route: Route, packet: Packet.Packet, mtu: number): OutputResult => {
    packet.completeChecksum()
    fragmented.value++
    const id = identification.next(packet.source, packet.destination, packet.protocol)
    const { length, networkOptions } = packet
    const scratch = kept ??= Packet.make(MAX_DATAGRAM)
    let options = networkOptions
    for (let offset = 0; offset < length;) {
      const size = nextLength(length - offset, mtu, Ipv4Header.size + (options?.length ?? 0))
      if (size === 0) return refuse("tooBig", "tooBig", packet)
      scratch.reset()
      appendSlice(scratch, packet, offset, size)
      scratch.source = packet.source
      scratch.destination = packet.destination
      scratch.protocol = packet.protocol
      scratch.timeToLive = packet.timeToLive
      scratch.typeOfService = packet.typeOfService
      scratch.networkOptions = options
      pushHeader(scratch, id, offset, offset + size < length)
      if (!transmit(route, scratch)) return "dropped"
      if (offset === 0 && networkOptions !== undefined) options = copiedOptions(networkOptions)
      offset += size
    }
    return "sent"
  }

  const refuse = (result: OutputResult, reason: string, packet: Packet.Packet): OutputResult => {
    drop(reason, packet)
    return result
  }

  return (packet: Packet.Packet): OutputResult => {
    const { destination } = packet
    const route = packet.outlet === undefined
      ? routing.lookup(destination, packet.source)
      : routing.through(packet.outlet, destination)
    if (route === undefined) return refuse("unreachable", "noRoute", packet)
    const { device } = route
    if (packet.source === 0) packet.source = route.source
    if (packet.source === 0 && route.kind !== "broadcast" && packet.protocol !== Protocol.igmp) {
      return refuse("unreachable", "noSource", packet)
    }
    if (isLoopback(packet.source) && !device.flags.loopback) return refuse("unreachable", "martianSource", packet)
    if (packet.timeToLive === 0) {
      packet.timeToLive = isMulticast(destination) ? MULTICAST_TIME_TO_LIVE : DEFAULT_TIME_TO_LIVE
    }
    const length = packet.length + Ipv4Header.size + (packet.networkOptions?.length ?? 0)
    if (length > MAX_DATAGRAM) return refuse("tooBig", "tooBig", packet)

    // A loopback device brings everything back by itself.
    if (packet.looped && !device.flags.loopback && admits(multicast.filter(device, destination), packet.source)) {
      loop(device, packet)
    }

    const now = turn.now()
    if (packet.dontFragment && pathMtu.isFragmentable(destination, now)) packet.dontFragment = false
    const mtu = pathMtu.get(destination, device.mtu, now)
    const cutByDevice = packet.segmentSize !== 0 && length <= device.offload.segmentation &&
      length - packet.payloadLength + packet.segmentSize <= mtu
    if (length > mtu && !cutByDevice) {
      return packet.dontFragment ? refuse("tooBig", "tooBig", packet) : fragment(route, packet, mtu)
    }
    // RFC 6864 §4.1: what is never fragmented needs no identification.
    const id = packet.dontFragment ? 0 : identification.next(packet.source, destination, packet.protocol)
    pushHeader(packet, id, 0, false)
    return transmit(route, packet) ? "sent" : "dropped"
  }
})

/** Writes an IPv4 header with its options in front of a packet. `offset` is in octets. */
const pushHeader = (packet: Packet.Packet, id: number, offset: number, more: boolean): void => {
  const options = packet.networkOptions
  const headerLength = Ipv4Header.size + (options?.length ?? 0)
  const at = packet.push(headerLength)
  const { bytes, view } = packet
  const fragmentation = (packet.dontFragment ? DONT_FRAGMENT : 0) | (more ? MORE_FRAGMENTS : 0) | offset >>> 3
  // Written out in words: each packet comes here.
  view.setUint16(at, VERSION | headerLength >>> 2 << 8 | packet.typeOfService)
  view.setUint16(at + 2, packet.length)
  view.setUint16(at + 4, id)
  view.setUint16(at + 6, fragmentation)
  view.setUint16(at + 8, packet.timeToLive << 8 | packet.protocol)
  view.setUint16(at + 10, 0)
  view.setUint32(at + 12, packet.source)
  view.setUint32(at + 16, packet.destination)
  if (options !== undefined) bytes.set(options, at + Ipv4Header.size)
  const sum = options === undefined ? Checksum.ofTwenty(view, at) : Checksum.add(0, bytes, at, at + headerLength)
  set.checksum(view, at, Checksum.finish(sum))
  packet.networkStart = at
}

/** Appends `size` octets from `offset` of another packet, whether they are linear or in its separate payload. */
const appendSlice = (target: Packet.Packet, packet: Packet.Packet, offset: number, size: number): void => {
  const linear = packet.end - packet.start
  if (offset < linear) {
    target.append(packet.bytes.subarray(packet.start + offset, Math.min(packet.end, packet.start + offset + size)))
  }
  let base = linear
  for (let index = 0; index < packet.pieceCount; index++) {
    const { bytes, end, start } = packet.pieces[index]!
    const from = Math.max(offset, base)
    const to = Math.min(offset + size, base + end - start)
    if (from < to) target.append(bytes.subarray(start + from - base, start + to - base))
    base += end - start
  }
}
