/**
 * The way down: from a socket to IPv4.
 */
import * as Effect from "effect/Effect"
import type { InetAddressV4, Ipv4Address } from "effect/net/NetAddress"
import type { AttachedDevice } from "../device/Devices.ts"
import { ChecksumState, make as makePacket, type Packet } from "../device/Packet.ts"
import { isMulticast } from "../ip/AddressClass.ts"
import { Ipv4, type OutputResult } from "../ip/Ipv4.ts"
import { Multicast } from "../ip/Multicast.ts"
import { Routing } from "../ip/Routing.ts"
import { Statistics } from "../Statistics.ts"
import { Trace } from "../Trace.ts"
import { formatInet, formatIpv4, fromIpv4 } from "../wire/Address.ts"
import * as Checksum from "../wire/Checksum.ts"
import { Protocol } from "../wire/Ipv4Header.ts"
import { UdpHeader } from "../wire/UdpHeader.ts"
import type { Outgoing, Socket } from "./Socket.ts"
import {
  AddressNotAvailable,
  BroadcastNotPermitted,
  MessageTooLarge,
  NoDestination,
  NotSent,
  SocketClosed,
  type UdpError,
  Unreachable
} from "./UdpError.ts"

/** The most a datagram carries, in octets: a packet of 65,535 without its IPv4 and UDP headers. */
export const MAX_PAYLOAD = 65507

const CHECKSUM_OFFSET = 6

const write = UdpHeader.set

/** Sends a datagram from `wanted`, or from where the route leaves when that is 0; the reason why not, or undefined. */
export type Send = (
  socket: Socket,
  payload: Uint8Array,
  destination: number,
  port: number,
  wanted: number
) => UdpError["reason"] | undefined

export const makeOutput = Effect.gen(function*() {
  const trace = yield* Trace
  const routing = yield* Routing
  const ipv4 = yield* Ipv4
  const multicast = yield* Multicast
  const statistics = yield* Statistics
  const sent = statistics.counter("udp.sent")
  const lost = statistics.counter("udp.lost")
  /** Made for the first datagram. */
  let kept: Packet | undefined

  /** The source for a datagram, 0 when there is no route, or undefined when it cannot be the one that is wanted. */
  const sourceFor = (socket: Socket, destination: number, wanted: number): number | undefined => {
    const bound = routing.isLocal(socket.address) ? socket.address : 0
    if (wanted === 0 || wanted === bound || isMulticast(wanted) || routing.isBroadcast(wanted)) {
      if (bound !== 0) return bound
      const chosen = socket.sending.multicastInterface
      return chosen !== 0 && isMulticast(destination) ? chosen : ipv4.sourceFor(destination)
    }
    return bound === 0 && routing.isLocal(wanted) ? wanted : undefined
  }

  const transmit = (
    socket: Socket,
    payload: Uint8Array,
    source: number,
    destination: number,
    port: number,
    outlet: AttachedDevice | undefined
  ): OutputResult => {
    const packet = kept ??= makePacket(MAX_PAYLOAD)
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
    if (isMulticast(destination)) {
      packet.timeToLive = socket.sending.multicastTimeToLive
      packet.looped = socket.sending.multicastLoopback
      packet.outlet = outlet
    } else {
      packet.timeToLive = socket.sending.timeToLive
    }
    if (trace.enabled) {
      trace.emit({
        _tag: "Packet",
        layer: "udp",
        direction: "out",
        network: { source, destination },
        bytes: withChecksum(packet)
      })
    }
    return ipv4.output(packet)
  }

  const send: Send = (socket, payload, destination, port, wanted) => {
    if (socket.closed) return new SocketClosed()
    if (destination === 0 || port === 0) return new NoDestination()
    if (payload.length > MAX_PAYLOAD) return new MessageTooLarge({ length: payload.length })
    const { flow } = socket
    if (flow.version === routing.version() && flow.destination === destination && flow.wanted === wanted) {
      return outcomeOf(transmit(socket, payload, flow.source, destination, port, undefined), payload, destination, port)
    }
    if (!socket.broadcast && routing.isBroadcast(destination)) {
      return new BroadcastNotPermitted({ destination: formatIpv4(destination) })
    }
    const chosen = isMulticast(destination) ? socket.sending.multicastInterface : 0
    const outlet = chosen === 0 ? undefined : multicast.deviceFor(destination, chosen)
    if (chosen !== 0 && outlet === undefined) return new AddressNotAvailable({ address: formatIpv4(chosen) })
    const source = sourceFor(socket, destination, wanted)
    if (source === undefined) return new AddressNotAvailable({ address: formatIpv4(wanted) })
    if (source === 0) return outcomeOf("unreachable", payload, destination, port)
    const isOne = !isMulticast(destination) && !routing.isBroadcast(destination)
    if (isOne) socket.flow = { version: routing.version(), destination, wanted, source }
    return outcomeOf(transmit(socket, payload, source, destination, port, outlet), payload, destination, port)
  }

  const outcomeOf = (
    result: OutputResult,
    payload: Uint8Array,
    destination: number,
    port: number
  ): UdpError["reason"] | undefined => {
    switch (result) {
      case "sent":
        sent.value++
        return undefined
      case "unreachable":
        return new Unreachable({ destination: formatInet(destination, port), kind: "noRoute" })
      case "tooBig":
        return new MessageTooLarge({ length: payload.length })
      case "dropped":
        return new NotSent({ destination: formatInet(destination, port) })
    }
  }

  /** Sends several; the reason why one can never be sent, or undefined. */
  const sendAll = (socket: Socket, datagrams: ReadonlyArray<Outgoing>): UdpError["reason"] | undefined => {
    // Datagrams that follow each other often have the same addresses, as the same objects.
    let lastDestination: InetAddressV4 | undefined
    let address = 0
    let port = 0
    let lastSource: Ipv4Address | undefined
    let from = 0
    for (const { destination, payload, source } of datagrams) {
      if (destination === undefined) {
        if (socket.remotePort === 0) return new NoDestination()
        address = socket.remoteAddress
        port = socket.remotePort
      } else if (destination !== lastDestination) {
        address = fromIpv4(destination.address)
        port = destination.port
      }
      lastDestination = destination
      if (source !== lastSource) {
        lastSource = source
        from = source === undefined ? 0 : fromIpv4(source)
      }
      const reason = send(socket, payload, address, port, from)
      if (reason === undefined) continue
      if (!isLoss(reason)) return reason
      lost.value++
    }
    return undefined
  }
  return { send, sendAll }
})

/** What a peer, or the state of the network, can bring about. */
const isLoss = ({ _tag }: UdpError["reason"]): boolean =>
  _tag === "NotSent" || _tag === "Unreachable" || _tag === "AddressNotAvailable" || _tag === "NoDestination"

/** A copy of an outgoing datagram as it will stand on the wire. */
const withChecksum = (packet: Packet): Uint8Array => {
  const copy = packet.clone()
  copy.completeChecksum()
  return copy.toBytes()
}
