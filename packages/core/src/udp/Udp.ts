/**
 * The User Datagram Protocol (RFC 768, RFC 1122 §4.1, RFC 8085).
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { InetAddressV4, Ipv4Address } from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { AttachedDevice } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"
import type { DeliveryError } from "../ip/Ipv4.ts"
import type { Destination } from "../ip/Routing.ts"

/** A datagram that arrived; `payload` is its owner's to keep. */
export interface Datagram {
  readonly payload: Uint8Array
  readonly source: InetAddressV4
  /** The address it was sent to, which may be a broadcast. */
  readonly destination: Ipv4Address
}

export class AddressInUse extends Schema.TaggedError<AddressInUse>()("AddressInUse", { address: Schema.String }) {
  override get message() {
    return `udp ${this.address} is already in use; choose another port`
  }
}
export class AddressNotAvailable
  extends Schema.TaggedError<AddressNotAvailable>()("AddressNotAvailable", { address: Schema.String })
{
  override get message() {
    return `${this.address} is not an address of this stack`
  }
}
export class PortsExhausted extends Schema.TaggedError<PortsExhausted>()("PortsExhausted", {}) {
  override readonly message = "no ephemeral port is free (49152–65535)"
}
export class MessageTooLarge
  extends Schema.TaggedError<MessageTooLarge>()("MessageTooLarge", { length: Schema.Number })
{
  override get message() {
    return `a datagram of ${this.length} bytes does not fit; the most is 65507`
  }
}
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  destination: Schema.String,
  /** As in `DeliveryError`, or `noRoute`. */
  kind: Schema.String
}) {
  override get message() {
    return `${this.destination} is unreachable: ${this.kind}`
  }
}
export class Refused extends Schema.TaggedError<Refused>()("Refused", { destination: Schema.String }) {
  override get message() {
    return `nothing listens on udp ${this.destination}`
  }
}
export class BroadcastNotPermitted
  extends Schema.TaggedError<BroadcastNotPermitted>()("BroadcastNotPermitted", { destination: Schema.String })
{
  override get message() {
    return `${this.destination} is a broadcast address; open the socket with { broadcast: true }`
  }
}
export class NoDestination extends Schema.TaggedError<NoDestination>()("NoDestination", {}) {
  override readonly message = "the socket is not connected; name a destination"
}
export class SocketClosed extends Schema.TaggedError<SocketClosed>()("SocketClosed", {}) {
  override readonly message = "the socket is closed"
}
export class UdpError extends Schema.TaggedError<UdpError>()("UdpError", {
  reason: Schema.Union([
    AddressInUse,
    AddressNotAvailable,
    PortsExhausted,
    MessageTooLarge,
    Unreachable,
    Refused,
    BroadcastNotPermitted,
    NoDestination,
    SocketClosed
  ])
}) {
  override get message() {
    return this.reason.message
  }
}

export interface BindOptions {
  /** All addresses of the host by default. */
  readonly address?: Ipv4Address | undefined
  /** A random free ephemeral port (RFC 6056) by default. */
  readonly port?: number | undefined
  /** Receives only from, and sends by default to, that peer; errors about it are reported. */
  readonly remote?: InetAddressV4 | undefined
  /** Permission to send to broadcast addresses; false by default. */
  readonly broadcast?: boolean | undefined
  /** Datagrams kept for a slow reader, 1,024 by default; the newest are dropped at the bound. */
  readonly capacity?: number | undefined
}

/** What plain code that listens on a port is called with; `packet.start` is at the payload, valid during the call only. */
export type DatagramInput = (packet: Packet, source: number, sourcePort: number, destination: number) => void

/** A bound port. */
export interface UdpPort {
  readonly address: Ipv4Address
  readonly port: number
  readonly remote: InetAddressV4 | undefined
  /** Datagrams that arrived since the last take; waits for the first. Fails once with each error that ICMP reported about the connected peer. */
  readonly take: Effect.Effect<readonly [Datagram, ...Array<Datagram>], UdpError>
  /** Datagrams dropped because the reader was slow. */
  readonly dropped: () => number
  readonly send: (payload: Uint8Array, destination?: InetAddressV4 | undefined) => Effect.Effect<void, UdpError>
  /** The plain face of `send`: the reason why not, or undefined. */
  readonly sendUnsafe: (
    payload: Uint8Array,
    address: number,
    port: number
  ) => UdpError["reason"] | undefined
}

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
}>()("@strata/core/Udp") {}
