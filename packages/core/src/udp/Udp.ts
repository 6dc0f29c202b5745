/**
 * The User Datagram Protocol (RFC 768, RFC 1122 §4.1, RFC 8085).
 *
 * A datagram goes to one socket; one sent to a broadcast or multicast address goes to each that has its port and, as
 * its address, that one or all. What no socket wants is answered with port unreachable, unless it was sent to many.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InetAddressV4, Ipv4Address } from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import type { AttachedDevice } from "../device/Devices.ts"
import { ChecksumState, make as makePacket, type Packet } from "../device/Packet.ts"
import { Entropy } from "../Entropy.ts"
import { type DeliveryError, Ipv4 } from "../ip/Ipv4.ts"
import { type Destination, Routing } from "../ip/Routing.ts"
import { Statistics } from "../Statistics.ts"
import { Turn } from "../time/Turn.ts"
import { makeDrop, Trace } from "../Trace.ts"
import { formatInet, formatIpv4, fromIpv4, toInet, toIpv4 } from "../wire/Address.ts"
import * as Checksum from "../wire/Checksum.ts"
import { IcmpType, UnreachableCode } from "../wire/IcmpHeader.ts"
import { Protocol } from "../wire/Ipv4Header.ts"
import { UdpHeader } from "../wire/UdpHeader.ts"
import { Mailbox, type NonEmpty } from "./Mailbox.ts"
import { type Binding, PortTable } from "./PortTable.ts"
import {
  AddressInUse,
  AddressNotAvailable,
  BroadcastNotPermitted,
  MessageTooLarge,
  NoDestination,
  NotSent,
  PortsExhausted,
  Refused,
  SocketClosed,
  UdpError,
  Unreachable
} from "./UdpError.ts"

export { UdpError }

/** A datagram that arrived; `payload` is its owner's to keep. */
export interface Datagram {
  readonly payload: Uint8Array
  readonly source: InetAddressV4
  /** The address it was sent to, which may be a broadcast. An answer leaves from there with `{ source: destination }`. */
  readonly destination: Ipv4Address
}

export interface BindOptions {
  /** All addresses of the host by default; with `remote`, the one from which the route to it leaves. */
  readonly address?: Ipv4Address | undefined
  /** A random free ephemeral port (RFC 6056) by default. */
  readonly port?: number | undefined
  /** Receives only from, and sends by default to, that peer; errors about it are reported. */
  readonly remote?: InetAddressV4 | undefined
  /** Permission to send to broadcast addresses; false by default. */
  readonly broadcast?: boolean | undefined
  /** Shares address and port with other sockets that say so too; false by default. */
  readonly shared?: boolean | undefined
  /** Datagrams kept for a slow reader, 1,024 by default; the newest are dropped at the bound. */
  readonly capacity?: number | undefined
}

export interface SendOptions {
  /**
   * The address of this stack to send from, for sockets that have all of them. A broadcast or multicast address, as
   * a datagram's `destination` may be, leaves the choice to the route.
   */
  readonly source?: Ipv4Address | undefined
}

/** What plain code that listens on a port is called with; `packet.start` is at the payload, valid during the call only. */
export type DatagramInput = (packet: Packet, source: number, sourcePort: number, destination: number) => void

/** A bound port. */
export interface UdpPort {
  readonly address: Ipv4Address
  readonly port: number
  readonly remote: InetAddressV4 | undefined
  /**
   * Datagrams that arrived since the last take; waits for the first. Fails once with an error that ICMP reported about
   * the connected peer (the latest, when there were several), after what arrived before.
   */
  readonly take: Effect.Effect<NonEmpty<Datagram>, UdpError>
  /** Datagrams dropped because the reader was slow. */
  readonly dropped: () => number
  /** Sends one datagram of at most 65,507 octets, to the connected peer by default. */
  readonly send: (
    payload: Uint8Array,
    destination?: InetAddressV4 | undefined,
    options?: SendOptions | undefined
  ) => Effect.Effect<void, UdpError>
  /** The plain face of `send`: the reason why not, or undefined. A source of 0 is chosen by the route. */
  readonly sendUnsafe: (
    payload: Uint8Array,
    address: number,
    port: number,
    source?: number
  ) => UdpError["reason"] | undefined
}

/** The most a datagram carries, in octets: a packet of 65,535 without its IPv4 and UDP headers. */
export const MAX_PAYLOAD = 65507

const DEFAULT_CAPACITY = 1024

export class Udp extends Context.Service<Udp, {
  readonly input: (device: AttachedDevice, packet: Packet, destination: Destination) => void
  /** An ICMP error about a datagram of ours. */
  readonly error: (error: DeliveryError, quoted: Packet) => void
  /** Takes a port until the scope closes. */
  readonly bind: (options?: BindOptions) => Effect.Effect<UdpPort, UdpError, Scope.Scope>
  /** Takes a port for plain code; `input` replaces the queue. */
  readonly bindWith: (
    options: BindOptions,
    input: DatagramInput
  ) => Effect.Effect<UdpPort, UdpError, Scope.Scope>
}>()("@strata/core/Udp") {
  static readonly layer: Layer.Layer<Udp, never, Turn | Trace | Statistics | Entropy | Routing | Ipv4> = Layer.effect(
    Udp,
    Effect.gen(function*() {
      const turn = yield* Turn
      const trace = yield* Trace
      const entropy = yield* Entropy
      const routing = yield* Routing
      const ipv4 = yield* Ipv4
      const statistics = yield* Statistics
      const drop = yield* makeDrop("udp")
      const received = statistics.counter("udp.received")
      const sent = statistics.counter("udp.sent")
      const ports = new PortTable<Socket>()
      const outgoing = makePacket(MAX_PAYLOAD)

      const tell = (direction: "in" | "out", packet: Packet, bytes: Uint8Array, device?: AttachedDevice) => {
        const network = { source: packet.source, destination: packet.destination }
        const where = device === undefined ? {} : { device: device.name }
        trace.emit({ _tag: "Packet", layer: "udp", direction, network, bytes, ...where })
      }

      const deliver = (socket: Socket, packet: Packet, source: number, sourcePort: number) => {
        if (socket.input !== undefined) return socket.input(packet, source, sourcePort, packet.destination)
        const { mailbox } = socket
        if (mailbox.hasRoom) mailbox.offer(datagramOf(socket, packet, source, sourcePort))
        else {
          mailbox.dropped++
          drop("queueFull", packet)
        }
      }

      const input = (device: AttachedDevice, packet: Packet, destination: Destination) => {
        received.value++
        const { start, view } = packet
        if (packet.length < UdpHeader.size) return drop("truncated", packet)
        const length = header.length(view, start)
        if (length < UdpHeader.size || length > packet.length) return drop("badLength", packet)
        packet.end = start + length
        if (trace.enabled) tell("in", packet, packet.toBytes(), device)
        if (!checksumHolds(packet)) return drop("badChecksum", packet)
        const sourcePort = header.sourcePort(view, start)
        const port = header.destinationPort(view, start)
        if (destination !== "local") {
          const sockets = ports.findAll(packet.destination, port, packet.source, sourcePort)
          if (sockets.length === 0) return drop("noListener", packet)
          for (const socket of sockets) {
            packet.start = start + UdpHeader.size
            deliver(socket, packet, packet.source, sourcePort)
          }
          return
        }
        const socket = ports.find(packet.destination, port, packet.source, sourcePort)
        if (socket === undefined) {
          drop("noListener", packet)
          return ipv4.report(packet, IcmpType.destinationUnreachable, UnreachableCode.port, 0)
        }
        packet.start += UdpHeader.size
        deliver(socket, packet, packet.source, sourcePort)
      }

      const error = (reported: DeliveryError, quoted: Packet) => {
        // RFC 6633 §3: source quenches are ignored.
        if (reported.kind === "sourceQuench" || quoted.length < UdpHeader.size) return
        const port = header.sourcePort(quoted.view, quoted.start)
        const remotePort = header.destinationPort(quoted.view, quoted.start)
        const socket = ports.find(reported.source, port, reported.destination, remotePort)
        if (socket === undefined || socket.remotePort === 0) return
        const destination = formatInet(reported.destination, remotePort)
        const reason = reported.kind === "portUnreachable"
          ? new Refused({ destination })
          : new Unreachable({ destination, kind: reported.kind })
        socket.mailbox.fail(new UdpError({ reason }))
      }

      const transmit = (socket: Socket, payload: Uint8Array, source: number, destination: number, port: number) => {
        const packet = outgoing
        packet.reset()
        packet.append(payload)
        const at = packet.push(UdpHeader.size)
        const length = UdpHeader.size + payload.length
        write.sourcePort(packet.view, at, socket.port)
        write.destinationPort(packet.view, at, port)
        write.length(packet.view, at, length)
        write.checksum(packet.view, at, Checksum.pseudoHeader(source, destination, Protocol.udp, length))
        packet.checksum = ChecksumState.partial
        packet.checksumStart = at
        packet.checksumOffset = CHECKSUM_OFFSET
        packet.source = source
        packet.destination = destination
        packet.protocol = Protocol.udp
        packet.timeToLive = isMulticast(destination) ? MULTICAST_TIME_TO_LIVE : 0
        if (trace.enabled) tell("out", packet, withChecksum(packet))
        const result = ipv4.output(packet)
        if (result === "sent") sent.value++
        return result
      }

      const send = (
        socket: Socket,
        payload: Uint8Array,
        destination: number,
        port: number,
        wanted: number
      ): UdpError["reason"] | undefined => {
        if (socket.closed) return new SocketClosed()
        if (destination === 0 || port === 0) return new NoDestination()
        if (payload.length > MAX_PAYLOAD) return new MessageTooLarge({ length: payload.length })
        if (!socket.broadcast && routing.isBroadcast(destination)) {
          return new BroadcastNotPermitted({ destination: formatIpv4(destination) })
        }
        let source = routing.isLocal(socket.address) ? socket.address : 0
        if (wanted !== 0 && wanted !== source && !isForMany(wanted)) {
          if (source !== 0 || !routing.isLocal(wanted)) return new AddressNotAvailable({ address: formatIpv4(wanted) })
          source = wanted
        }
        if (source === 0) source = ipv4.sourceFor(destination)
        switch (source === 0 ? "unreachable" : transmit(socket, payload, source, destination, port)) {
          case "sent":
            return undefined
          case "unreachable":
            return new Unreachable({ destination: formatInet(destination, port), kind: "noRoute" })
          case "tooBig":
            return new MessageTooLarge({ length: payload.length })
          case "dropped":
            return new NotSent({ destination: formatInet(destination, port) })
        }
      }
      const isForMany = (address: number) => isMulticast(address) || routing.isBroadcast(address)
      const sendInTurn = (socket: Socket, payload: Uint8Array, destination: number, port: number, wanted: number) => {
        let reason: UdpError["reason"] | undefined
        turn.run(() => {
          reason = send(socket, payload, destination, port, wanted)
        })
        return reason
      }

      const open = (options: BindOptions, plain: DatagramInput | undefined): Effect.Effect<Socket, UdpError> => {
        const { remote, shared = false } = options
        const remoteAddress = remote === undefined ? 0 : fromIpv4(remote.address)
        let address = options.address === undefined ? 0 : fromIpv4(options.address)
        if (address !== 0 && !routing.isLocal(address) && !isForMany(address)) {
          return failure(new AddressNotAvailable({ address: formatIpv4(address) }))
        }
        if (remote !== undefined) {
          if (remoteAddress === 0 || remote.port === 0) return failure(new NoDestination())
          if (routing.isBroadcast(remoteAddress) && options.broadcast !== true) {
            return failure(new BroadcastNotPermitted({ destination: formatIpv4(remoteAddress) }))
          }
          if (address === 0) address = ipv4.sourceFor(remoteAddress)
          if (address === 0) {
            return failure(new Unreachable({ destination: formatInet(remoteAddress, remote.port), kind: "noRoute" }))
          }
        }
        const port = options.port === undefined || options.port === 0
          ? ports.ephemeral(address, entropy.below)
          : options.port
        if (port === undefined) return failure(new PortsExhausted())
        if (ports.conflicts(address, port, shared)) {
          return failure(new AddressInUse({ address: formatInet(address, port) }))
        }
        const socket: Socket = {
          address,
          port,
          remoteAddress,
          remotePort: remote?.port ?? 0,
          shared,
          broadcast: options.broadcast === true,
          input: plain,
          mailbox: new Mailbox<Datagram, UdpError>(turn, options.capacity ?? DEFAULT_CAPACITY),
          closed: false,
          lastSource: toInet(remoteAddress, remote?.port ?? 0),
          lastDestination: toIpv4(address)
        }
        ports.add(socket)
        if (trace.enabled) trace.emit({ _tag: "PortBound", protocol: "udp", address, port })
        return Effect.succeed(socket)
      }
      const close = (socket: Socket) => {
        if (socket.closed) return
        socket.closed = true
        ports.remove(socket)
        socket.mailbox.close(new UdpError({ reason: new SocketClosed() }))
        if (trace.enabled) {
          trace.emit({ _tag: "PortReleased", protocol: "udp", address: socket.address, port: socket.port })
        }
      }
      const face = (socket: Socket, remote: InetAddressV4 | undefined): UdpPort => ({
        address: toIpv4(socket.address),
        port: socket.port,
        remote,
        take: socket.mailbox.take,
        dropped: () => socket.mailbox.dropped,
        send: (payload, destination = remote, options) =>
          Effect.suspend(() => {
            const address = destination === undefined ? 0 : fromIpv4(destination.address)
            const source = options?.source === undefined ? 0 : fromIpv4(options.source)
            const reason = sendInTurn(socket, payload, address, destination?.port ?? 0, source)
            return reason === undefined ? Effect.void : failure(reason)
          }),
        sendUnsafe: (payload, address, port, source = 0) => sendInTurn(socket, payload, address, port, source)
      })
      const bind = (options: BindOptions, plain?: DatagramInput) =>
        Effect.acquireRelease(
          Effect.suspend(() => open(options, plain)),
          (socket) => Effect.sync(() => close(socket))
        ).pipe(Effect.map((socket) => face(socket, options.remote)))

      yield* ipv4.handle(Protocol.udp, input, error)
      yield* Effect.addFinalizer(() => Effect.sync(() => ports.all().forEach(close)))
      return Udp.of({ input, error, bind: (options = {}) => bind(options), bindWith: bind })
    })
  )
}

interface Socket extends Binding {
  readonly broadcast: boolean
  readonly input: DatagramInput | undefined
  readonly mailbox: Mailbox<Datagram, UdpError>
  closed: boolean
  /** Of the datagram before, whose values the next one shares where they are the same. */
  lastSource: InetAddressV4
  lastDestination: Ipv4Address
}

const header = UdpHeader.get
const write = UdpHeader.set
const CHECKSUM_OFFSET = 6
/** RFC 1112 §6.1. */
const MULTICAST_TIME_TO_LIVE = 1

const isMulticast = (address: number): boolean => address >>> 28 === 0xe

const failure = (reason: UdpError["reason"]) => Effect.fail(new UdpError({ reason }))

const checksumHolds = (packet: Packet): boolean => {
  // RFC 768: all zero means that the sender computed none.
  if (packet.checksum !== ChecksumState.unverified || header.checksum(packet.view, packet.start) === 0) return true
  const pseudo = Checksum.pseudoHeader(packet.source, packet.destination, Protocol.udp, packet.length)
  return Checksum.verify(packet.sum(pseudo, packet.start))
}

/** A copy of an outgoing datagram as it will stand on the wire. */
const withChecksum = (packet: Packet): Uint8Array => {
  const copy = packet.clone()
  copy.completeChecksum()
  return copy.toBytes()
}

const datagramOf = (socket: Socket, packet: Packet, source: number, sourcePort: number): Datagram => {
  if (fromIpv4(socket.lastSource.address) !== source || socket.lastSource.port !== sourcePort) {
    socket.lastSource = toInet(source, sourcePort)
  }
  if (fromIpv4(socket.lastDestination) !== packet.destination) socket.lastDestination = toIpv4(packet.destination)
  return { payload: packet.toBytes(), source: socket.lastSource, destination: socket.lastDestination }
}
