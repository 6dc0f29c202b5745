/**
 * The Internet Protocol, version 4 (RFC 791, RFC 1122 §3.2, RFC 1812).
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AttachedDevice } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"
import type { Destination } from "./Routing.ts"

/** Takes a packet whose `start` is at the transport header and whose `source`, `destination` and `protocol` are set. */
export type TransportInput = (device: AttachedDevice, packet: Packet, destination: Destination) => void

/** What became of a packet that was to be sent. */
export type OutputResult =
  | "sent"
  /** No route to the destination. */
  | "unreachable"
  /** Over the path's MTU, with `dontFragment`; or over 65,535 octets. */
  | "tooBig"
  /** The device or a queue had no room, or the device is down. */
  | "dropped"

/** Tells why a packet of this host's did not arrive; an ICMP error or the same found out here. */
export interface DeliveryError {
  readonly kind:
    | "netUnreachable"
    | "hostUnreachable"
    | "protocolUnreachable"
    | "portUnreachable"
    | "fragmentationNeeded"
    | "sourceRouteFailed"
    | "prohibited"
    | "timeExceeded"
    | "parameterProblem"
    | "sourceQuench"
  /** Next-hop MTU in octets with `fragmentationNeeded`, else 0. */
  readonly mtu: number
  /** Who said so, unsigned 32-bit; one of our own addresses when this host found out. */
  readonly reporter: number
  /** Of the offending packet. */
  readonly source: number
  readonly destination: number
}

/** Takes a quoted packet: `start` at its transport header, of which at least eight octets are there. */
export type ErrorInput = (error: DeliveryError, quoted: Packet) => void

/** What ICMP offers to IPv4 once it is there; `code` and `parameter` as in the message's header. */
export type ErrorReporter = (packet: Packet, type: number, code: number, parameter: number) => void

export class Ipv4 extends Context.Service<Ipv4, {
  /** A packet from the link layer. */
  readonly input: (device: AttachedDevice, packet: Packet) => void
  /**
   * Sends a packet whose `start` is at the transport header. Reads `destination`, `protocol`, `source` (0: chosen by the
   * route, and written back), `timeToLive` (0: 64), `typeOfService`, `dontFragment`, `networkOptions`. A transport that has a pseudo-header
   * needs the source first: `sourceFor`. Fragments where it must.
   */
  readonly output: (packet: Packet) => OutputResult
  /** The source address for a destination (both unsigned 32-bit), or 0 without a route. */
  readonly sourceFor: (destination: number) => number
  /** The MTU towards a destination in octets, IPv4 header included; 576 without a route. */
  readonly mtuFor: (destination: number) => number
  /** Packets of that protocol go to `input`, errors about them to `error`, until the scope closes. */
  readonly handle: (
    protocol: number,
    input: TransportInput,
    error?: ErrorInput
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Whether somebody handles a protocol. */
  readonly handles: (protocol: number) => boolean
  /**
   * Reports an ICMP error about a packet that arrived (its `networkStart` at the offending header), if ICMP is in the stack.
   */
  readonly report: ErrorReporter
  /** ICMP registers itself here until the scope closes: IPv4, below it, does not import it. */
  readonly reporter: (reporter: ErrorReporter) => Effect.Effect<void, never, Scope.Scope>
  /** Passes an error about a packet this host sent to its protocol; `quoted.start` is at the quoted IPv4 header. */
  readonly deliverError: (kind: DeliveryError["kind"], mtu: number, reporter: number, quoted: Packet) => void
}>()("@strata/core/Ipv4") {}
