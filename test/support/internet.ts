/**
 * IPv4 packets octet by octet, and a neighbour on a device of a stack who says them and hears what the stack says.
 *
 * The stack is 192.0.2.2/24 on `eth0`. The neighbour is 192.0.2.1, its default gateway, whose hardware address is known.
 */
import { NO_OFFLOAD } from "@strata/core/device/Device"
import { Devices } from "@strata/core/device/Devices"
import { Packet } from "@strata/core/device/Packet"
import { Routing } from "@strata/core/ip/Routing"
import { ArpCache } from "@strata/core/link/ArpCache"
import { Statistics } from "@strata/core/Statistics"
import * as Address from "@strata/core/wire/Address"
import * as Checksum from "@strata/core/wire/Checksum"
import { BROADCAST, EthernetHeader, EtherType } from "@strata/core/wire/EthernetHeader"
import { Ipv4Header, Protocol } from "@strata/core/wire/Ipv4Header"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { IpInterface, IpNetwork, NetAddress } from "effect/net"
import * as Result from "effect/Result"

export const ipv4 = (text: string): NetAddress.Ipv4Address => Result.getOrThrow(NetAddress.ipv4FromString(text))
export const cidr = (text: string): IpNetwork.Ipv4Network => Result.getOrThrow(IpNetwork.ipv4FromString(text))
export const host = (text: string): IpInterface.Ipv4Interface => Result.getOrThrow(IpInterface.ipv4FromString(text))
/** An address as an unsigned 32-bit integer. */
export const raw = (text: string): number => Address.fromIpv4(ipv4(text))

export const STACK = "192.0.2.2"
export const NEIGHBOUR = "192.0.2.1"
export const STACK_MAC = 0x0000_5e00_5301
export const NEIGHBOUR_MAC = 0x0200_0000_0001

/** The fields of a packet; what is left out is as an honest host would have it. */
export interface PacketOptions {
  readonly source?: string
  readonly destination?: string
  readonly protocol?: number
  readonly identification?: number
  readonly dontFragment?: boolean
  readonly moreFragments?: boolean
  /** Octets. */
  readonly offset?: number
  readonly timeToLive?: number
  readonly typeOfService?: number
  readonly options?: ReadonlyArray<number>
  readonly body?: Uint8Array
  /** To lie. */
  readonly version?: number
  readonly headerWords?: number
  readonly totalLength?: number
  readonly checksum?: number
}

/** The octets of a packet, by default from the neighbour to the stack. */
export const packet = (options: PacketOptions): Uint8Array => {
  const area = options.options ?? []
  const body = options.body ?? new Uint8Array()
  const headerLength = Ipv4Header.size + area.length
  const bytes = new Uint8Array(headerLength + body.length)
  const view = new DataView(bytes.buffer)
  const set = Ipv4Header.set
  set.version(view, 0, options.version ?? 4)
  set.headerWords(view, 0, options.headerWords ?? headerLength / 4)
  view.setUint8(1, options.typeOfService ?? 0)
  set.totalLength(view, 0, options.totalLength ?? bytes.length)
  set.identification(view, 0, options.identification ?? 0)
  set.dontFragment(view, 0, options.dontFragment === true ? 1 : 0)
  set.moreFragments(view, 0, options.moreFragments === true ? 1 : 0)
  set.fragmentOffset(view, 0, (options.offset ?? 0) / 8)
  set.timeToLive(view, 0, options.timeToLive ?? 64)
  set.protocol(view, 0, options.protocol ?? Protocol.udp)
  set.source(view, 0, raw(options.source ?? NEIGHBOUR))
  set.destination(view, 0, raw(options.destination ?? STACK))
  bytes.set(area, Ipv4Header.size)
  set.checksum(view, 0, options.checksum ?? Checksum.finish(Checksum.add(0, bytes, 0, headerLength)))
  bytes.set(body, headerLength)
  return bytes
}

/** A packet as it came off the wire. */
export interface Seen {
  readonly bytes: Uint8Array
  readonly linkDestination: number
  readonly source: string
  readonly destination: string
  readonly protocol: number
  readonly identification: number
  readonly dontFragment: boolean
  readonly moreFragments: boolean
  /** Octets. */
  readonly offset: number
  readonly timeToLive: number
  readonly typeOfService: number
  readonly options: Uint8Array
  readonly body: Uint8Array
}

/** Reads a packet; throws when its length or checksum is wrong. */
export const parse = (bytes: Uint8Array, linkDestination = 0): Seen => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const get = Ipv4Header.get
  const headerLength = 4 * get.headerWords(view, 0)
  const totalLength = get.totalLength(view, 0)
  if (get.version(view, 0) !== 4 || headerLength < 20 || totalLength < headerLength || totalLength > bytes.length) {
    throw new Error("the stack sent a malformed packet")
  }
  if (!Checksum.verify(Checksum.add(0, bytes, 0, headerLength))) throw new Error("the stack sent a bad checksum")
  return {
    bytes: bytes.slice(0, totalLength),
    linkDestination,
    source: Address.formatIpv4(get.source(view, 0)),
    destination: Address.formatIpv4(get.destination(view, 0)),
    protocol: get.protocol(view, 0),
    identification: get.identification(view, 0),
    dontFragment: get.dontFragment(view, 0) === 1,
    moreFragments: get.moreFragments(view, 0) === 1,
    offset: 8 * get.fragmentOffset(view, 0),
    timeToLive: get.timeToLive(view, 0),
    typeOfService: bytes[1]!,
    options: bytes.slice(Ipv4Header.size, headerLength),
    body: bytes.slice(headerLength, totalLength)
  }
}

/** An ICMP message with its checksum; `rest` is the second word. */
export const icmp = (type: number, code: number, rest: number, data: Uint8Array = new Uint8Array()): Uint8Array => {
  const bytes = new Uint8Array(8 + data.length)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, type)
  view.setUint8(1, code)
  view.setUint32(4, rest)
  bytes.set(data, 8)
  view.setUint16(2, Checksum.finish(Checksum.add(0, bytes, 0, bytes.length)))
  return bytes
}

/** `length` octets that differ from their neighbours. */
export const pattern = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => index * 7 + (index >> 8))

export class Neighbour extends Context.Service<Neighbour, {
  /** Says a packet, to the stack's hardware address or another one. */
  readonly say: (bytes: Uint8Array, linkDestination?: number) => void
  /** Takes the IPv4 packets that the stack sent since the last take. */
  readonly hear: () => ReadonlyArray<Seen>
}>()("test/Neighbour") {
  static readonly layer = (options: { readonly mtu?: number; readonly resolved?: boolean } = {}) =>
    Layer.effect(
      Neighbour,
      Effect.gen(function*() {
        const devices = yield* Devices
        const routing = yield* Routing
        const arp = yield* ArpCache
        let heard: Array<Uint8Array> = []
        const attachment = yield* devices.attach({
          name: "eth0",
          type: "ethernet",
          framing: "ethernet",
          flags: { loopback: false, broadcast: true, multicast: true, pointToPoint: false, needsArp: true },
          mtu: options.mtu ?? 1500,
          hardwareAddress: STACK_MAC,
          offload: NO_OFFLOAD,
          transmit: (sent) => {
            heard.push(sent.toBytes())
            return true
          },
          flush: () => {}
        })
        yield* routing.addAddress("eth0", host(`${STACK}/24`))
        yield* routing.setDefaultGateway(ipv4(NEIGHBOUR))
        if (options.resolved !== false) yield* arp.addStatic("eth0", ipv4(NEIGHBOUR), Address.toMac(NEIGHBOUR_MAC))
        return Neighbour.of({
          say: (bytes, linkDestination = STACK_MAC) => {
            const frame = new Uint8Array(EthernetHeader.size + bytes.length)
            const view = new DataView(frame.buffer)
            EthernetHeader.set.destination(view, 0, linkDestination)
            EthernetHeader.set.source(view, 0, NEIGHBOUR_MAC)
            EthernetHeader.set.etherType(view, 0, EtherType.ipv4)
            frame.set(bytes, EthernetHeader.size)
            attachment.batch(() => attachment.input(new Packet(frame)))
          },
          hear: () => {
            const frames = heard
            heard = []
            return frames.flatMap((frame) => {
              const view = new DataView(frame.buffer)
              if (EthernetHeader.get.etherType(view, 0) !== EtherType.ipv4) return []
              return [parse(frame.subarray(EthernetHeader.size), EthernetHeader.get.destination(view, 0))]
            })
          }
        })
      })
    )
}

/** The counters of the stack that are not zero and begin with `prefix`. */
export const counted = (prefix: string): Effect.Effect<Record<string, number>, never, Statistics> =>
  Effect.flatMap(Statistics, (statistics) =>
    Effect.map(statistics.snapshot, (all) =>
      Object.fromEntries(
        Object.entries(all).flatMap(([name, value]) =>
          name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : []
        )
      )))

export { BROADCAST, Protocol }
