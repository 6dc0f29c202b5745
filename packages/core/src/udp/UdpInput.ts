/**
 * The way up: from IPv4 to the sockets that want a datagram.
 *
 * A device may deliver several datagrams of one flow as one packet (`Packet.segmentSize`); here it is taken apart.
 */
import * as Effect from "effect/Effect"
import type { AttachedDevice } from "../device/Devices.ts"
import { ChecksumState, type Packet } from "../device/Packet.ts"
import { type ErrorInput, Ipv4 } from "../ip/Ipv4.ts"
import type { Destination } from "../ip/Routing.ts"
import { Statistics } from "../Statistics.ts"
import { makeDrop, Trace } from "../Trace.ts"
import { formatInet } from "../wire/Address.ts"
import * as Checksum from "../wire/Checksum.ts"
import { IcmpType, UnreachableCode } from "../wire/IcmpHeader.ts"
import { Protocol } from "../wire/Ipv4Header.ts"
import { UdpHeader } from "../wire/UdpHeader.ts"
import type { PortTable } from "./PortTable.ts"
import type { Datagram, DatagramInput, Socket } from "./Socket.ts"
import { Refused, UdpError, Unreachable } from "./UdpError.ts"

const header = UdpHeader.get

/** `Udp.input`. */
export const makeInput = Effect.fnUntraced(function*(ports: PortTable<Socket>): Effect.fn.Return<
  (device: AttachedDevice, packet: Packet, destination: Destination) => void,
  never,
  Ipv4 | Statistics | Trace
> {
  const trace = yield* Trace
  const ipv4 = yield* Ipv4
  const drop = yield* makeDrop("udp")
  const received = (yield* Statistics).counter("udp.received")

  /** `packet.start` is at the first octet of payload, `end` behind the last one of all datagrams. */
  const deliver = (socket: Socket, packet: Packet, sourcePort: number) => {
    const { end, segmentSize: size } = packet
    if (size === 0 || packet.length <= size) return deliverOne(socket, packet, sourcePort)
    for (let at = packet.start; at < end; at += size) {
      packet.start = at
      packet.end = Math.min(at + size, end)
      deliverOne(socket, packet, sourcePort)
    }
    packet.end = end
  }

  const deliverOne = (socket: Socket, packet: Packet, sourcePort: number) => {
    const taken = take(socket, packet, sourcePort)
    if (taken === true) return
    if (taken !== false) return drop(taken, packet)
    socket.mailbox.dropped++
    drop("queueFull", packet)
  }

  const deliverToOne = (packet: Packet, port: number, sourcePort: number) => {
    const socket = ports.find(packet.destination, port, packet.source, sourcePort)
    if (socket === undefined) {
      keepFirst(packet)
      drop("noListener", packet)
      return ipv4.report(packet, IcmpType.destinationUnreachable, UnreachableCode.port, 0)
    }
    packet.start += UdpHeader.size
    deliver(socket, packet, sourcePort)
  }

  const deliverToAll = (packet: Packet, port: number, sourcePort: number) => {
    const sockets = ports.findAll(packet.destination, port, packet.source, sourcePort)
    if (sockets.length === 0) return drop("noListener", packet)
    deliverCopies(sockets, packet, sourcePort)
  }

  /** RFC 9776 §3.1: to the sockets that have joined the group there, from such a source. */
  const deliverToMembers = (device: AttachedDevice, packet: Packet, port: number, sourcePort: number) => {
    const { destination: group, source } = packet
    const sockets = ports.findAll(group, port, source, sourcePort)
    if (sockets.length === 0) return drop("noListener", packet)
    const members = sockets.filter(({ member }) => member.admits(device, group, source))
    if (members.length === 0) return drop("notJoined", packet)
    deliverCopies(members, packet, sourcePort)
  }

  const deliverCopies = (sockets: ReadonlyArray<Socket>, packet: Packet, sourcePort: number) => {
    const payload = packet.start + UdpHeader.size
    for (const socket of sockets) {
      packet.start = payload
      deliver(socket, packet, sourcePort)
    }
  }

  return (device: AttachedDevice, packet: Packet, destination: Destination): void => {
    received.value += datagramsIn(packet)
    const { start, view } = packet
    if (packet.length < UdpHeader.size) return drop("truncated", packet)
    const length = header.length(view, start)
    if (length < UdpHeader.size || length > packet.length) return drop("badLength", packet)
    packet.end = start + length
    if (trace.enabled) {
      trace.emit({
        _tag: "Packet",
        layer: "udp",
        direction: "in",
        device: device.name,
        network: { source: packet.source, destination: packet.destination },
        bytes: packet.toBytes()
      })
    }
    if (!checksumHolds(packet)) return drop("badChecksum", packet)
    const port = header.destinationPort(view, start)
    const sourcePort = header.sourcePort(view, start)
    if (destination === "local") deliverToOne(packet, port, sourcePort)
    else if (destination === "multicast") deliverToMembers(device, packet, port, sourcePort)
    else deliverToAll(packet, port, sourcePort)
  }
})

/** `Udp.error`: the connected socket whose datagram is quoted is told. */
export const makeError = (ports: PortTable<Socket>): ErrorInput => (error, quoted) => {
  // RFC 6633 §3: source quenches are ignored.
  if (error.kind === "sourceQuench" || quoted.length < UdpHeader.size) return false
  const port = header.sourcePort(quoted.view, quoted.start)
  const remotePort = header.destinationPort(quoted.view, quoted.start)
  const socket = ports.find(error.source, port, error.destination, remotePort)
  if (socket === undefined || socket.remotePort === 0) return false
  const destination = formatInet(error.destination, remotePort)
  const reason = error.kind === "portUnreachable"
    ? new Refused({ destination })
    : new Unreachable({ destination, kind: error.kind })
  const failure = new UdpError({ reason })
  if (socket.failed === undefined) socket.mailbox.fail(failure)
  else socket.failed(failure)
  // Datagrams leave as ones that may be fragmented, so that nobody can need smaller ones.
  return error.kind !== "fragmentationNeeded"
}

/** As `DatagramInput`. */
const take = (socket: Socket, packet: Packet, sourcePort: number): ReturnType<DatagramInput> => {
  const { input, mailbox } = socket
  if (input !== undefined) return input(packet, packet.source, sourcePort, packet.destination)
  if (!mailbox.hasRoom) return false
  mailbox.offer(datagramOf(socket, packet, sourcePort), packet.length)
  return true
}

/** How many datagrams a packet stands for. */
const datagramsIn = ({ length, segmentSize }: Packet): number =>
  segmentSize === 0 ? 1 : Math.max(1, Math.ceil((length - UdpHeader.size) / segmentSize))

/** Leaves only the first datagram in a packet: what an ICMP error quotes is what was sent. */
const keepFirst = (packet: Packet): void => {
  if (packet.segmentSize === 0) return
  const length = Math.min(packet.length, UdpHeader.size + packet.segmentSize)
  packet.end = packet.start + length
  packet.segmentSize = 0
  UdpHeader.set.length(packet.view, packet.start, length)
}

const checksumHolds = (packet: Packet): boolean => {
  // RFC 768: all zero means that the sender computed none.
  if (packet.checksum !== ChecksumState.unverified || header.checksum(packet.view, packet.start) === 0) return true
  const pseudo = Checksum.pseudoHeader(packet.source, packet.destination, Protocol.udp, packet.length)
  return Checksum.verify(packet.sum(pseudo, packet.start))
}

const datagramOf = ({ addresses }: Socket, packet: Packet, sourcePort: number): Datagram => ({
  payload: packet.toBytes(),
  source: addresses.sourceOf(packet.source, sourcePort),
  destination: addresses.destinationOf(packet.destination)
})
