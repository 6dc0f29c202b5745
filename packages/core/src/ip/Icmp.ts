/**
 * ICMP for IPv4 (RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3, RFC 6633).
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { Ipv4Address } from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import type { AttachedDevice } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"
import type { Destination } from "./Routing.ts"

export interface EchoReply {
  /** Who answered. */
  readonly address: Ipv4Address
  /** Octets of ICMP, header included, as `ping` counts them. */
  readonly length: number
  readonly identifier: number
  readonly sequence: number
  readonly timeToLive: number
  /** Milliseconds, with a fraction. */
  readonly roundTrip: number
}

export class PingTimedOut extends Schema.TaggedError<PingTimedOut>()("PingTimedOut", {}) {
  override readonly message = "no reply in time"
}
export class PingUnreachable extends Schema.TaggedError<PingUnreachable>()("PingUnreachable", {
  kind: Schema.String,
  /** Who said so. */
  reporter: Schema.Ipv4Address
}) {
  override get message() {
    return `${this.kind} (from ${this.reporter})`
  }
}
export class PingNotSent extends Schema.TaggedError<PingNotSent>()("PingNotSent", { why: Schema.String }) {
  override get message() {
    return this.why
  }
}
export class PingError extends Schema.TaggedError<PingError>()("PingError", {
  reason: Schema.Union([PingTimedOut, PingUnreachable, PingNotSent])
}) {
  override get message() {
    return this.reason.message
  }
}

export class Icmp extends Context.Service<Icmp, {
  readonly input: (device: AttachedDevice, packet: Packet, destination: Destination) => void
  /** One echo request, and its reply. `payload` is at most 65,507 octets (56 by default); waits 1 second by default. */
  readonly ping: (destination: Ipv4Address, options?: {
    readonly payload?: Uint8Array | undefined
    readonly sequence?: number | undefined
    readonly identifier?: number | undefined
    readonly source?: Ipv4Address | undefined
    readonly timeToLive?: number | undefined
    readonly timeout?: Duration.Input | undefined
  }) => Effect.Effect<EchoReply, PingError>
}>()("@strata/core/Icmp") {}
