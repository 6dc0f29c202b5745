/**
 * TCP for programs: a Stream of octets in, a Sink for octets out.
 *
 * A socket belongs to the scope in which it was opened. Closing the scope closes the connection in order: all that was
 * written arrives, then a FIN, and the stack sees to that in the background. Octets that arrived and were not read are
 * lost then, of which the peer is told by a reset (RFC 1122 §4.2.2.13).
 */
import { Tcp, type TcpError, type TcpInfo } from "@strata/core"
import type { State } from "@strata/core/tcp/ControlBlock"
import type { Connection, ConnectionOptions } from "@strata/core/tcp/Tcp"
import * as Effect from "effect/Effect"
import type { InetAddressV4, Ipv4Address } from "effect/net/NetAddress"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { type Destination, toAddress, toDestination, toRemote } from "./internal/TcpAddress.ts"

export type { Destination }

/** Of this end of a connection. */
export interface LocalOptions extends ConnectionOptions {
  /** Chosen by the route by default; text such as `"192.0.2.2"` will do. */
  readonly localAddress?: Ipv4Address | string | undefined
  /** A random free ephemeral port by default. */
  readonly localPort?: number | undefined
}

/** Whom to connect to: `{ remote: "192.0.2.1:7" }`, or `{ host: "192.0.2.1", port: 7 }`. Names are not resolved. */
export type ConnectOptions =
  & LocalOptions
  & (
    | { readonly remote: Destination }
    | { readonly host: Ipv4Address | string; readonly port: number }
  )

/** A connection as a Stream of what arrives and a Sink of what leaves. */
export interface TcpSocket {
  readonly local: InetAddressV4
  readonly remote: InetAddressV4
  /** What arrives, in the order in which it was sent, until the peer's FIN. Nobody else uses the memory of the chunks. */
  readonly incoming: Stream.Stream<Uint8Array, TcpError>
  /**
   * Writes all it is given, waiting while the send buffer is full. The end of the stream half-closes the connection: the
   * peer's `incoming` ends, and this side can still read. When the stream fails, the connection is left as it is. Of the chunks holds what
   * `write` says.
   */
  readonly outgoing: Sink.Sink<void, Uint8Array, never, TcpError>
  /**
   * Done when everything is in the send buffer, which waits while that is full. Concurrent writes follow one another whole.
   * When a write is interrupted, a part of it from its beginning, perhaps nothing, is sent. Text is sent as UTF-8.
   *
   * The memory of `payload` belongs to the stack until the peer has acknowledged it, and must not be changed meanwhile: large chunks are
   * sent from where they are. Those who use it again at once open the connection with `copyWrites`.
   */
  readonly write: (payload: Uint8Array | string) => Effect.Effect<void, TcpError>
  /** Half-close: a FIN after all that was written. */
  readonly closeWrite: Effect.Effect<void, TcpError>
  /** Closes the connection as the end of its scope does. */
  readonly close: Effect.Effect<void>
  /** Resets the connection at once; what was written and is not acknowledged is lost. */
  readonly abort: Effect.Effect<void>
  /** The name RFC 9293 §3.3.2 gives to it. */
  readonly state: Effect.Effect<State>
  /** What is known about the connection, as `ss -ti` shows it. */
  readonly info: Effect.Effect<TcpInfo>
  /** `info` as it changes, as `Connection.infoChanges` of `@strata/core` has it. */
  readonly infoChanges: Connection["infoChanges"]
  /** Waits until both sides have closed and everything written has arrived; fails when the connection fails before that. */
  readonly closed: Effect.Effect<void, TcpError>
}

/** A connection, once it is established. Interrupting leaves nothing behind. */
export const connect = Effect.fnUntraced(function*(
  options: ConnectOptions
): Effect.fn.Return<TcpSocket, TcpError, Tcp | Scope.Scope> {
  const tcp = yield* Tcp
  const remote = yield* ("remote" in options ? toDestination(options.remote) : toRemote(options.host, options.port))
  const localAddress = options.localAddress === undefined ? undefined : yield* toAddress(options.localAddress)
  return fromConnection(yield* tcp.connect({ ...options, remote, localAddress }))
})

const encoder = new TextEncoder()

/**
 * Its loop is not `Effect.forever`, which keeps what it repeats in a literal: V8 allocates those in the old generation once a server has had
 * enough connections that last, and there each would keep its connection, when that is over, until the next full collection.
 */
const writerOf = (connection: Connection): TcpSocket["outgoing"] =>
  Sink.fromTransform((upstream) => {
    const { closeWrite, plain, write } = connection
    const again = () => all
    // What fits needs no Effect of its own.
    const writeAll = (chunks: ReadonlyArray<Uint8Array>): Pull.Pull<never, TcpError> => {
      let done = 0
      while (done < chunks.length && plain.offer(chunks[done]!)) done++
      if (done === chunks.length) return all
      return Effect.flatMap(Effect.forEach(chunks.slice(done), write, { discard: true }), again)
    }
    const all: Pull.Pull<never, TcpError> = Effect.flatMap(upstream, writeAll)
    return Pull.catchDone(all, () => Effect.as(closeWrite, written))
  })

const written = [undefined] as const

/** A socket around a connection of `Tcp`. What is asked for is made when it is asked for: there may be very many. */
class ConnectionSocket implements TcpSocket {
  private readonly connection: Connection

  constructor(connection: Connection) {
    this.connection = connection
  }

  get local() {
    return this.connection.local
  }

  get remote() {
    return this.connection.remote
  }

  get incoming() {
    return Stream.fromPull(Effect.succeed(this.connection.read))
  }

  get outgoing() {
    return writerOf(this.connection)
  }

  get write(): TcpSocket["write"] {
    const { write } = this.connection
    return (payload) => write(typeof payload === "string" ? encoder.encode(payload) : payload)
  }

  get closeWrite() {
    return this.connection.closeWrite
  }

  get close() {
    return this.connection.close
  }

  get abort() {
    return this.connection.abort
  }

  get state() {
    return Effect.sync(this.connection.state)
  }

  get info() {
    return Effect.sync(this.connection.info)
  }

  get infoChanges() {
    return this.connection.infoChanges
  }

  get closed() {
    return this.connection.closed
  }
}

/** A socket around a connection of `Tcp`. */
export const fromConnection = (connection: Connection): TcpSocket => new ConnectionSocket(connection)
