/**
 * The Transmission Control Protocol (RFC 9293): demultiplexing, listening, connecting.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InetAddressV4, Ipv4Address } from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { type AttachedDevice, Devices } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"
import type { Entropy } from "../Entropy.ts"
import { type ErrorInput, Ipv4 } from "../ip/Ipv4.ts"
import type { Destination, Routing } from "../ip/Routing.ts"
import type { Statistics } from "../Statistics.ts"
import type { Timers } from "../time/Timers.ts"
import type { Turn } from "../time/Turn.ts"
import type { Trace } from "../Trace.ts"
import { Protocol } from "../wire/Ipv4Header.ts"
import type { Adjustable } from "./Configure.ts"
import type { CongestionAlgorithm, CongestionControl } from "./Congestion.ts"
import type { ControlBlock, State } from "./ControlBlock.ts"
import { makeHost } from "./Host.ts"
import { makeOpening } from "./Opening.ts"
import type { PlainConnection } from "./PlainConnection.ts"
import { drain, shutdown } from "./Shutdown.ts"
import { makeStatus } from "./Status.ts"
import type { TcpError } from "./TcpError.ts"
import type { TcpInfo } from "./TcpInfo.ts"
import type { TcpMachine } from "./TcpMachine.ts"
import type { TcpSettings } from "./TcpSettings.ts"

/** The octets of a buffer when a connection begins, and those up to which it grows. Memory is taken as it is used. */
export interface BufferBounds {
  readonly initial: number
  readonly maximum: number
}

/** Of any connection; where one is not given, that of `TcpDefaults` holds. */
export interface ConnectionOptions {
  /**
   * Octets of unacknowledged and unsent data; `write` waits beyond. It grows to twice the congestion window; from 262,144 to 33,554,432
   * by default. What is unsent is bounded by `TcpSettings.notSentLowWater` besides.
   */
  readonly sendBuffer?: number | BufferBounds | undefined
  /**
   * Octets of unread data, and so the largest window offered (up to 65,535 without window scaling). It grows to twice what the program
   * reads in a round trip, or more while that grows; from 131,072 to 33,554,432 by default.
   */
  readonly receiveBuffer?: number | BufferBounds | undefined
  /**
   * Whether `write` copies all that it is given, so that its caller may use the memory again as soon as it is done; false by default: see
   * `Connection.write`.
   */
  readonly copyWrites?: boolean | undefined
  readonly settings?: Partial<TcpSettings> | undefined
  /**
   * What `close`, and the end of the scope, do, as SO_LINGER elsewhere: by default they return at once, and the stack sees the
   * connection through. A number is how many milliseconds they wait until the peer has acknowledged all that was written and the
   * FIN; a connection that is not so far by then is reset. 0 resets it at once.
   */
  readonly linger?: number | undefined
  readonly congestion?: CongestionAlgorithm | undefined
}

/** Of a connection that this host opens. */
export interface ConnectOptions extends ConnectionOptions {
  readonly remote: InetAddressV4
  /** Chosen by the route by default. */
  readonly localAddress?: Ipv4Address | undefined
  /** A random free ephemeral port (RFC 6056) by default. */
  readonly localPort?: number | undefined
}

/** Of a listener, and of the connections it accepts. */
export interface ListenOptions extends ConnectionOptions {
  /** All addresses of the host by default. */
  readonly address?: Ipv4Address | undefined
  /** A random free ephemeral port by default (0). */
  readonly port?: number | undefined
  /**
   * Connections that are established but not accepted, and as many half-open ones; 128 by default. While as many wait to
   * be accepted, SYNs are ignored, and what would establish another one waits.
   */
  readonly backlog?: number | undefined
  /**
   * Whether SYNs are answered by cookies (RFC 4987 §3.6), of which nothing need be kept: when as many connections are
   * half-open as `backlog` says, always, or never. `"whenFull"` by default. `"off"` lets the half-open connection that
   * waits longest go for a new one, once its peer had time to answer, and ignores SYNs before.
   */
  readonly synCookies?: "whenFull" | "always" | "off" | undefined
}

/** The OPEN call of RFC 9293 §3.9.1.1. */
export interface OpenOptions extends ConnectionOptions {
  readonly mode: "active" | "passive"
  readonly local?: { readonly address?: Ipv4Address | undefined; readonly port?: number | undefined } | undefined
  /** Required when active; when passive, the only peer that is let in. */
  readonly foreign?: InetAddressV4 | undefined
}

/** The STATUS call of RFC 9293 §3.9.1.6. */
export interface ConnectionStatus {
  readonly local: InetAddressV4
  /** Port 0 of 0.0.0.0 while listening. */
  readonly remote: InetAddressV4
  /** By the names of RFC 9293 §3.3.2. */
  readonly state: State
  /** Octets: the peer's window, ours, unacknowledged and unsent data, unread data. */
  readonly sendWindow: number
  readonly receiveWindow: number
  readonly sendQueue: number
  readonly receiveQueue: number
}

/** One connection. */
export interface Connection {
  readonly local: InetAddressV4
  readonly remote: InetAddressV4
  /** By the names of RFC 9293 §3.3.2. */
  readonly state: () => State
  /** How it is, in a few numbers. */
  readonly status: () => ConnectionStatus
  /** What is known about the connection, as `ss -ti` shows it. */
  readonly info: () => TcpInfo
  /**
   * `info` as it changes: how things stand, then at once when the state or the phase of recovery is another at the end of a turn,
   * and after other changes once in `interval`, 100 milliseconds by default. Ends when the connection is CLOSED. Who falls
   * behind finds the latest 64.
   */
  readonly infoChanges: (interval?: Duration.Input) => Stream.Stream<TcpInfo>
  /** The whole control block as it is now, for those who look inside. */
  readonly controlBlock: () => ControlBlock
  /**
   * What arrived since the last read, in order; waits for the first octet. Ends with `Cause.done()` after the peer's FIN.
   * The chunks are the reader's to keep.
   */
  readonly read: Effect.Effect<readonly [Uint8Array, ...Array<Uint8Array>], TcpError | Cause.Done>
  /**
   * Queues all of `bytes`, waiting while the send buffer is full. Concurrent writes are queued one after another. The memory belongs to the
   * stack until the peer has acknowledged it: chunks of 4 KiB and more are not copied but sent, perhaps again, from where they are, and must
   * not be changed meanwhile. `copyWrites` is for those who cannot promise that.
   */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, TcpError>
  /** Half-close: a FIN after all that was written. Reading goes on. In LISTEN and SYN-SENT the connection ends (RFC 9293 §3.10.4). */
  readonly closeWrite: Effect.Effect<void, TcpError>
  /**
   * What the end of the scope does: nothing more is read or written, a FIN follows what was written, and the stack sees it
   * through, unless `linger` says otherwise. When octets that arrived were not read, or more arrive, the connection is reset (RFC 1122 §4.2.2.13).
   */
  readonly close: Effect.Effect<void>
  /** Resets the connection at once. */
  readonly abort: Effect.Effect<void>
  /** Waits until the connection is established (passive RFC 793 OPEN); fails when it ends before. */
  readonly established: Effect.Effect<void, TcpError>
  /** Waits until everything written was acknowledged and both directions are closed (TIME-WAIT counts as closed), or the connection failed. */
  readonly closed: Effect.Effect<void, TcpError>
  /**
   * Settings that are otherwise from now on, such as Nagle's algorithm (TCP_NODELAY elsewhere) and keep-alive; the silence before a
   * keep-alive begins anew. No error where the connection is closed.
   */
  readonly configure: (settings: Partial<Adjustable>) => Effect.Effect<void>
  /** The plain face of the connection, for adapters to streams that are not Effect's. */
  readonly plain: PlainConnection
  /** The plain face of `closed`, however it ends: `listener` is called once, at once where it is closed already. */
  readonly whenClosed: (listener: () => void) => void
}

/** A port that accepts connections. */
export interface Listener {
  readonly local: InetAddressV4
  /** The next established connection. It is closed with the scope: in order, all that was written arriving. */
  readonly accept: Effect.Effect<Connection, TcpError, Scope.Scope>
  /**
   * The same for servers of many: no scope closes the connection. It is the caller's from the moment `taken` is called with it, in
   * the turn in which it is taken and before the fiber goes on; the result is that of `taken`.
   */
  readonly acceptWith: <A>(taken: (connection: Connection) => A) => Effect.Effect<A, TcpError>
}

/** TCP (RFC 9293): listens, connects, and tells how connections are. */
export class Tcp extends Context.Service<Tcp, {
  /** A packet from IPv4. */
  readonly input: (device: AttachedDevice, packet: Packet, destination: Destination) => void
  /** An ICMP error about a segment of ours. */
  readonly error: ErrorInput
  /**
   * Active open, complete when established. When the scope closes, the connection is closed in order: a FIN follows all that was written,
   * and the stack sees it through in the background.
   */
  readonly connect: (options: ConnectOptions) => Effect.Effect<Connection, TcpError, Scope.Scope>
  /** Accepts connections until the scope closes. */
  readonly listen: (options?: ListenOptions) => Effect.Effect<Listener, TcpError, Scope.Scope>
  /** RFC 9293 §3.9.1.1: returns at once, in SYN-SENT or LISTEN. */
  readonly open: (options: OpenOptions) => Effect.Effect<Connection, TcpError, Scope.Scope>
  /** All connections and listeners. */
  readonly status: Effect.Effect<ReadonlyArray<ConnectionStatus>>
  /** What is known about all connections, those in TIME-WAIT included. */
  readonly info: Effect.Effect<ReadonlyArray<TcpInfo>>
}>()("@strata/core/Tcp") {
  /**
   * When it is released, listeners close, and so do all connections, in order; after a second at the most what is left is
   * reset. A device that is detached waits for the connections through it that programs let go of, until nothing moved
   * for a second; then they are reset.
   */
  static readonly layer: Layer.Layer<
    Tcp,
    never,
    Turn | Timers | Trace | Statistics | Entropy | Devices | Ipv4 | Routing | TcpMachine | CongestionControl
  > = Layer.effect(
    Tcp,
    Effect.gen(function*() {
      const host = yield* makeHost
      const ipv4 = yield* Ipv4
      yield* ipv4.handle(Protocol.tcp, host.input, host.error)
      yield* (yield* Devices).beforeDetach((device) => drain(host, device))
      yield* Effect.addFinalizer(() => shutdown(host))
      return Tcp.of({ input: host.input, error: host.error, ...makeOpening(host), ...makeStatus(host) })
    })
  )
}
