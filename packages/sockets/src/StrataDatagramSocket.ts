/**
 * `DatagramSocket` of Effect over strata's UDP: `NodeDatagramSocket` of `@effect/platform-node` by another name.
 *
 * ```ts
 * const Ingest = StrataDatagramSocket.layer({ bind: { port: 9000 }, receiveBuffer: { capacity: 4096, strategy: "sliding" } })
 * ```
 *
 * Acquiring the reader binds the port, and its scope owns it; so somebody who only sends acquires a reader too. How this
 * differs from `NodeDatagramSocket` is in docs/effect-services.md.
 */
import { Udp } from "@strata/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as NetAddress from "effect/net/NetAddress"
import * as DatagramSocket from "effect/socket/DatagramSocket"
import { openPort } from "./internal/DatagramPort.ts"

/** An address, or a name that is resolved when the reader is acquired, for which there has to be an `AddressResolver`. */
export interface Endpoint {
  readonly address: string | NetAddress.IpAddress
  readonly port: number
}

/** What a socket is bound to. */
export interface BindOptions {
  /** All addresses of the host by default; with `connect`, the one from which the route leaves. */
  readonly address?: string | NetAddress.IpAddress | undefined
  /** A random free ephemeral port by default. */
  readonly port?: number | undefined
}

/** Of a socket. */
export type Options =
  & {
    readonly bind?: BindOptions | undefined
    /** There is IPv4 only: `"ipv6"` fails as unsupported. */
    readonly family?: "ipv4" | "ipv6" | undefined
    /** Shares address and port with other sockets that say so too; as `reusePort`. */
    readonly reuseAddress?: boolean | undefined
    readonly reusePort?: boolean | undefined
    /** Octets that arrived and that no fiber had the time to take yet; 4,194,304 by default. */
    readonly kernelReceiveBufferSize?: number | undefined
    /** Permission to send to broadcast addresses; false by default. */
    readonly broadcast?: boolean | undefined
    /** Of datagrams to one host, 1 to 255; 64 by default. */
    readonly ttl?: number | undefined
    /** How datagrams to a group leave. */
    readonly multicast?: {
      /** The own address by whose device they leave; the route's by default. */
      readonly interface?: NetAddress.MulticastInterface | undefined
      /** Whether members of the group on this host hear them; true by default. */
      readonly loopback?: boolean | undefined
      /** 1 to 255; 1 by default. */
      readonly ttl?: number | undefined
    } | undefined
    readonly receiveBuffer?: DatagramSocket.ReceiveBufferOptions | undefined
    /** Told of errors that no write is left to fail with: what ICMP reports about the connected peer. */
    readonly onError?: ((error: DatagramSocket.DatagramSocketError) => void) | undefined
  }
  & (
    /** Where datagrams go that name no destination; others are heard too. */
    | { readonly peer?: Endpoint | undefined; readonly connect?: undefined }
    /** The only one that is heard, of whom errors are reported. */
    | { readonly connect: Endpoint; readonly peer?: undefined }
  )

/** A socket that binds whenever its reader is acquired. */
export const make = (options: Options = {}): Effect.Effect<DatagramSocket.DatagramSocket, never, Udp> =>
  Effect.flatMap(
    Udp,
    (udp) => DatagramSocket.makeFromBackingSocket((events) => openPort(udp, options, events), options)
  )

/** A socket, in the place of `NodeDatagramSocket.layer`. */
export const layer = (options?: Options): Layer.Layer<DatagramSocket.DatagramSocket, never, Udp> =>
  Layer.effect(DatagramSocket.DatagramSocket, make(options))
