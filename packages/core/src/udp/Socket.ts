/**
 * An open socket, as the parts of UDP share it.
 */
import type { InetAddressV4, Ipv4Address } from "effect/net/NetAddress"
import type { Packet } from "../device/Packet.ts"
import type { Member } from "../ip/Multicast.ts"
import { toInet, toIpv4 } from "../wire/Address.ts"
import type { Mailbox } from "./Mailbox.ts"
import type { Binding } from "./PortTable.ts"
import type { UdpError } from "./UdpError.ts"

/** A datagram that arrived; `payload` is its owner's to keep. */
export interface Datagram {
  readonly payload: Uint8Array
  readonly source: InetAddressV4
  /** The address it was sent to, which may be a broadcast. An answer leaves from there with `{ source: destination }`. */
  readonly destination: Ipv4Address
}

/** A datagram to be sent. */
export interface Outgoing {
  readonly payload: Uint8Array
  /** The connected peer by default. */
  readonly destination?: InetAddressV4 | undefined
  /** As `SendOptions.source`. */
  readonly source?: Ipv4Address | undefined
}

/**
 * What plain code that listens on a port is called with; `packet.start` is at the payload, valid during the call only. Whether
 * it has taken the datagram. Else the packet must be as it was, and is dropped: as `queueFull` for want of room (false), or as
 * `notReading` by who has a port but does not read yet.
 */
export type DatagramInput = (
  packet: Packet,
  source: number,
  sourcePort: number,
  destination: number
) => boolean | "notReading"

/** How datagrams leave. */
export interface Sending {
  /** Of those to one host; 0 leaves it to IPv4. */
  readonly timeToLive: number
  /** Of those to a group; 0 leaves it to IPv4. */
  readonly multicastTimeToLive: number
  /** The address of ours by whose device those to a group leave; 0 leaves it to the route. */
  readonly multicastInterface: number
  /** Whether members on this host get those to a group. */
  readonly multicastLoopback: boolean
}

/** What was found out about the latest destination, and holds as long as `Routing.version` and the socket's address do. */
export interface Flow {
  readonly version: number
  readonly destination: number
  /** The source that was asked for. */
  readonly wanted: number
  readonly source: number
}

export const NO_FLOW: Flow = { version: -1, destination: 0, wanted: 0, source: 0 }

export interface Socket extends Binding {
  address: number
  remoteAddress: number
  remotePort: number
  /** Whether it may send to broadcast addresses. */
  broadcast: boolean
  /** Takes the place of the mailbox. */
  readonly input: DatagramInput | undefined
  /** Told of errors in the place of the mailbox. */
  readonly failed: ((error: UdpError) => void) | undefined
  readonly mailbox: Mailbox<Datagram, UdpError>
  readonly addresses: Addresses
  /** What it has joined. */
  readonly member: Member
  sending: Sending
  flow: Flow
  closed: boolean
}

/** Makes addresses for readers; a datagram shares those of the one before where they are the same. */
export class Addresses {
  private sourceAddress = 0
  private sourcePort = 0
  private source = toInet(0, 0)
  private destinationAddress = 0
  private destination = toIpv4(0)

  sourceOf(address: number, port: number): InetAddressV4 {
    if (address !== this.sourceAddress || port !== this.sourcePort) {
      this.sourceAddress = address
      this.sourcePort = port
      this.source = toInet(address, port)
    }
    return this.source
  }

  destinationOf(address: number): Ipv4Address {
    if (address !== this.destinationAddress) {
      this.destinationAddress = address
      this.destination = toIpv4(address)
    }
    return this.destination
  }
}
