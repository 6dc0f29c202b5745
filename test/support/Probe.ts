/**
 * The other end of an in-memory Ethernet: a peer that records what the stack
 * sends and says only what it is told to, down to the last bit.
 *
 * The stack is 192.0.2.2/24 on `probe0`; the peer is 192.0.2.1, its default
 * gateway. Lengths and checksums of all that the stack sends are verified.
 */
import { ArpCache, Devices, NO_OFFLOAD, Routing } from "@strata/core"
import { Packet } from "@strata/core/device/Packet"
import * as Address from "@strata/core/wire/Address"
import * as Checksum from "@strata/core/wire/Checksum"
import { BROADCAST, EthernetHeader, EtherType } from "@strata/core/wire/EthernetHeader"
import { Ipv4Header, Protocol } from "@strata/core/wire/Ipv4Header"
import { TcpFlag, TcpHeader } from "@strata/core/wire/TcpHeader"
import { UdpHeader } from "@strata/core/wire/UdpHeader"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { IpInterface, NetAddress } from "effect/net"
import * as Result from "effect/Result"

export const STACK = "192.0.2.2"
export const PEER = "192.0.2.1"
export const STACK_MAC = 0x0000_5e00_5301
export const PEER_MAC = 0x0200_0000_0001

export const ipv4 = (text: string): NetAddress.Ipv4Address => Result.getOrThrow(NetAddress.ipv4FromString(text))
export const inet = (text: string, port: number): NetAddress.InetAddressV4 =>
  Result.getOrThrow(NetAddress.inetAddressV4(ipv4(text), port))
const raw = (text: string): number => Address.fromIpv4(ipv4(text))

/** An IPv4 packet as the stack sent it, or as the peer is to send it. */
export interface Datagram {
  readonly source: number
  readonly destination: number
  readonly protocol: number
  /** The transport header and what follows. */
  readonly body: Uint8Array
}

/** A TCP segment as the stack sent it. */
export interface SentSegment {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly wnd: number
  /** The options as they stand in the header, padding included. */
  readonly options: Uint8Array
  readonly text: Uint8Array
}

export interface SentUdp {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly payload: Uint8Array
}

export interface SentIcmp {
  readonly type: number
  readonly code: number
  /** Behind type, code and checksum. */
  readonly rest: Uint8Array
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

const pseudo = (packet: Datagram): number =>
  Checksum.pseudoHeader(packet.source, packet.destination, packet.protocol, packet.body.length)

const check = (what: string, sum: number): void => {
  if (!Checksum.verify(sum)) throw new Error(`the stack sent a bad ${what} checksum`)
}

/** The IPv4 packet in a frame, or undefined when it is something else. */
const parse = (frame: Uint8Array): Datagram | undefined => {
  const view = viewOf(frame)
  if (EthernetHeader.get.etherType(view, 0) !== EtherType.ipv4) return undefined
  const at = EthernetHeader.size
  const header = at + 4 * Ipv4Header.get.headerWords(view, at)
  check("IPv4", Checksum.add(0, frame, at, header))
  return {
    source: Ipv4Header.get.source(view, at),
    destination: Ipv4Header.get.destination(view, at),
    protocol: Ipv4Header.get.protocol(view, at),
    body: frame.slice(header, at + Ipv4Header.get.totalLength(view, at))
  }
}

const parseTcp = (packet: Datagram): SentSegment => {
  const view = viewOf(packet.body)
  check("TCP", Checksum.add(pseudo(packet), packet.body, 0, packet.body.length))
  return {
    sourcePort: TcpHeader.get.sourcePort(view, 0),
    destinationPort: TcpHeader.get.destinationPort(view, 0),
    seq: TcpHeader.get.sequence(view, 0),
    ack: TcpHeader.get.acknowledgement(view, 0),
    flags: TcpHeader.get.flags(view, 0),
    wnd: TcpHeader.get.window(view, 0),
    options: packet.body.slice(TcpHeader.size, 4 * TcpHeader.get.headerWords(view, 0)),
    text: packet.body.slice(4 * TcpHeader.get.headerWords(view, 0))
  }
}

const parseUdp = (packet: Datagram): SentUdp => {
  const view = viewOf(packet.body)
  if (UdpHeader.get.checksum(view, 0) !== 0) {
    check("UDP", Checksum.add(pseudo(packet), packet.body, 0, packet.body.length))
  }
  return {
    sourcePort: UdpHeader.get.sourcePort(view, 0),
    destinationPort: UdpHeader.get.destinationPort(view, 0),
    payload: packet.body.slice(UdpHeader.size, UdpHeader.get.length(view, 0))
  }
}

const parseIcmp = (packet: Datagram): SentIcmp => {
  check("ICMP", Checksum.add(0, packet.body, 0, packet.body.length))
  return { type: packet.body[0]!, code: packet.body[1]!, rest: packet.body.slice(4) }
}

/** A frame from the peer to the stack. */
export const frame = (etherType: number, payload: Uint8Array, destination = STACK_MAC): Uint8Array => {
  const bytes = new Uint8Array(EthernetHeader.size + payload.length)
  const view = viewOf(bytes)
  EthernetHeader.set.destination(view, 0, destination)
  EthernetHeader.set.source(view, 0, PEER_MAC)
  EthernetHeader.set.etherType(view, 0, etherType)
  bytes.set(payload, EthernetHeader.size)
  return bytes
}

/**
 * An IPv4 packet with a header of 20 octets. `change` sees it before the checksum is computed over as many octets as
 * the header then says it has.
 */
export const ipv4Packet = (
  protocol: number,
  body: Uint8Array,
  change: (view: DataView) => void = () => {}
): Uint8Array => {
  const bytes = new Uint8Array(Ipv4Header.size + body.length)
  const view = viewOf(bytes)
  Ipv4Header.set.version(view, 0, 4)
  Ipv4Header.set.headerWords(view, 0, 5)
  Ipv4Header.set.totalLength(view, 0, bytes.length)
  Ipv4Header.set.timeToLive(view, 0, 64)
  Ipv4Header.set.protocol(view, 0, protocol)
  Ipv4Header.set.source(view, 0, raw(PEER))
  Ipv4Header.set.destination(view, 0, raw(STACK))
  bytes.set(body, Ipv4Header.size)
  change(view)
  const header = 4 * Ipv4Header.get.headerWords(view, 0)
  Ipv4Header.set.checksum(view, 0, Checksum.finish(Checksum.add(0, bytes, 0, header)))
  return bytes
}

const withPseudo = (protocol: number, body: Uint8Array): number =>
  Checksum.finish(Checksum.add(
    Checksum.pseudoHeader(raw(PEER), raw(STACK), protocol, body.length),
    body,
    0,
    body.length
  ))

/** A datagram from the peer; `checksum: false` leaves the field zero, which means that there is none. */
export const udp = (options: {
  readonly from: number
  readonly to: number
  readonly payload: Uint8Array
  readonly checksum?: boolean
}): Uint8Array => {
  const body = new Uint8Array(UdpHeader.size + options.payload.length)
  const view = viewOf(body)
  UdpHeader.set.sourcePort(view, 0, options.from)
  UdpHeader.set.destinationPort(view, 0, options.to)
  UdpHeader.set.length(view, 0, body.length)
  body.set(options.payload, UdpHeader.size)
  if (options.checksum !== false) UdpHeader.set.checksum(view, 0, withPseudo(Protocol.udp, body) || 0xffff)
  return frame(EtherType.ipv4, ipv4Packet(Protocol.udp, body))
}

/** A segment from the peer. */
export const tcp = (options: {
  readonly from: number
  readonly to: number
  readonly seq: number
  readonly ack?: number
  readonly flags?: number
  readonly wnd?: number
  /** A multiple of four octets. */
  readonly options?: Uint8Array
  readonly text?: Uint8Array
}): Uint8Array => {
  const text = options.text ?? new Uint8Array()
  const header = TcpHeader.size + (options.options?.length ?? 0)
  const body = new Uint8Array(header + text.length)
  const view = viewOf(body)
  TcpHeader.set.sourcePort(view, 0, options.from)
  TcpHeader.set.destinationPort(view, 0, options.to)
  TcpHeader.set.sequence(view, 0, options.seq >>> 0)
  TcpHeader.set.acknowledgement(view, 0, (options.ack ?? 0) >>> 0)
  TcpHeader.set.headerWords(view, 0, header / 4)
  TcpHeader.set.flags(view, 0, options.flags ?? TcpFlag.ack)
  TcpHeader.set.window(view, 0, options.wnd ?? 65_535)
  if (options.options !== undefined) body.set(options.options, TcpHeader.size)
  body.set(text, header)
  TcpHeader.set.checksum(view, 0, withPseudo(Protocol.tcp, body))
  return frame(EtherType.ipv4, ipv4Packet(Protocol.tcp, body))
}

/** An ICMP echo request from the peer. */
export const echoRequest = (payload: Uint8Array): Uint8Array => {
  const body = new Uint8Array(8 + payload.length)
  body[0] = 8
  body.set(payload, 8)
  viewOf(body).setUint16(2, Checksum.finish(Checksum.add(0, body, 0, body.length)))
  return body
}

export class Probe extends Context.Service<Probe, {
  /** Puts a frame on the wire; what the stack answers at once is there when this returns. */
  readonly send: (frame: Uint8Array) => void
  /** Takes the frames the stack sent since the last take, of one kind; frames of the others stay. */
  readonly takeTcp: () => ReadonlyArray<SentSegment>
  readonly takeUdp: () => ReadonlyArray<SentUdp>
  readonly takeIcmp: () => ReadonlyArray<SentIcmp>
  readonly takeArp: () => ReadonlyArray<Uint8Array>
}>()("test/Probe") {
  /** `resolved: false` leaves the stack to ask for the peer's hardware address, and the peer silent. */
  static readonly layer = (options?: { readonly resolved?: boolean; readonly mtu?: number }) =>
    Layer.effect(
      Probe,
      Effect.gen(function*() {
        const devices = yield* Devices
        const routing = yield* Routing
        const arp = yield* ArpCache
        let sent: Array<Uint8Array> = []
        const attachment = yield* devices.attach({
          name: "probe0",
          type: "ethernet",
          framing: "ethernet",
          flags: { loopback: false, broadcast: true, multicast: true, pointToPoint: false, needsArp: true },
          mtu: options?.mtu ?? 1500,
          hardwareAddress: STACK_MAC,
          offload: NO_OFFLOAD,
          transmit: (packet) => {
            sent.push(packet.toBytes())
            return true
          },
          flush: () => {}
        })
        yield* routing.addAddress("probe0", Result.getOrThrow(IpInterface.ipv4FromString(`${STACK}/24`)))
        yield* routing.setDefaultGateway(ipv4(PEER))
        if (options?.resolved !== false) {
          yield* arp.addStatic("probe0", ipv4(PEER), Address.toMac(PEER_MAC))
        }
        sent = []

        const take = <A>(parseFrame: (frame: Uint8Array) => A | undefined): ReadonlyArray<A> => {
          const kept: Array<Uint8Array> = []
          const taken: Array<A> = []
          for (const bytes of sent) {
            const value = parseFrame(bytes)
            if (value === undefined) kept.push(bytes)
            else taken.push(value)
          }
          sent = kept
          return taken
        }
        const takeProtocol = <A>(protocol: number, parseBody: (packet: Datagram) => A) =>
          take((bytes) => {
            const packet = parse(bytes)
            return packet?.protocol === protocol ? parseBody(packet) : undefined
          })
        return Probe.of({
          send: (bytes) => attachment.batch(() => attachment.input(new Packet(bytes.slice()))),
          takeTcp: () => takeProtocol(Protocol.tcp, parseTcp),
          takeUdp: () => takeProtocol(Protocol.udp, parseUdp),
          takeIcmp: () => takeProtocol(Protocol.icmp, parseIcmp),
          takeArp: () =>
            take((bytes) => EthernetHeader.get.etherType(viewOf(bytes), 0) === EtherType.arp ? bytes : undefined)
        })
      })
    )
}

export { BROADCAST, EtherType, Protocol, TcpFlag }
