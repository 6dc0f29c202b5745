/**
 * TCP servers: a Stream of connections, or a handler for each of them.
 *
 * ```ts
 * const server = yield* TcpServer.listen({ port: 7 })
 * yield* TcpServer.serve(server, (peer) => Stream.run(peer.incoming, peer.outgoing))
 * ```
 *
 * A server listens until its scope closes; then the connections it accepted and
 * that are still open are closed in order, and those that wait to be accepted
 * are reset. Before that, a connection ends when both sides have closed it, or
 * with `close`. `serve` calls `close` when the handler is done; who runs the
 * Stream sees to that: `Stream.run(peer.incoming, peer.outgoing)` ends with both
 * sides closed.
 */
import { Tcp, type TcpError } from "@strata/core"
import { type Linked, LinkedList } from "@strata/core/LinkedList"
import type { Connection, ListenOptions as PortOptions } from "@strata/core/tcp/Tcp"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { InetAddressV4, Ipv4Address } from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Handlers } from "./internal/Handlers.ts"
import { toAddress } from "./internal/TcpAddress.ts"
import { fromConnection, type TcpSocket } from "./TcpSocket.ts"

/** Of a server, and of the connections it accepts. */
export interface ListenOptions extends Omit<PortOptions, "address"> {
  /** All addresses of the host by default; text such as `"192.0.2.2"` will do. */
  readonly address?: Ipv4Address | string | undefined
}

/** A port that accepts connections. */
export interface TcpServer {
  /** The port, with 0.0.0.0 when the server has all addresses of the host. */
  readonly address: InetAddressV4
  /** Connections, each as soon as it is established and the one before it was taken. Ends when the server's scope closes. */
  readonly connections: Stream.Stream<TcpSocket, TcpError>
}

/** A connection that its server closes. */
class Open implements Linked<Open> {
  list: LinkedList<Open> | undefined = undefined
  before: Open | undefined = undefined
  behind: Open | undefined = undefined
  readonly connection: Connection

  constructor(connection: Connection) {
    this.connection = connection
  }
}

/** Listens until the scope closes. */
export const listen = Effect.fnUntraced(function*(
  options: ListenOptions = {}
): Effect.fn.Return<TcpServer, TcpError, Tcp | Scope.Scope> {
  const tcp = yield* Tcp
  const address = options.address === undefined ? undefined : yield* toAddress(options.address)
  const open = new LinkedList<Open>()
  // At a time: each may linger.
  yield* Effect.addFinalizer(() =>
    Effect.forEach(open, ({ connection }) => connection.close, { concurrency: "unbounded", discard: true })
  )
  const listener = yield* tcp.listen({ ...options, address })

  const accept = listener.acceptWith((connection) => {
    const one = new Open(connection)
    open.add(one)
    connection.whenClosed(() => open.delete(one))
    return [fromConnection(connection)] as const
  }).pipe(Effect.catchReason("TcpError", "ConnectionClosed", () => Cause.done()))
  return { address: listener.local, connections: Stream.fromPull(Effect.succeed(accept)) }
})

/**
 * Runs the handler for each connection, in a fiber and a scope of its own, until the server's scope closes. A connection is
 * closed when its handler is done; a handler that fails or is interrupted ends its connection only, and failures are logged at
 * the level debug. With `concurrency`, at most that many connections are handled at a time, and the others wait in the backlog.
 */
export const serve = <E, R>(
  self: TcpServer,
  handler: (socket: TcpSocket) => Effect.Effect<unknown, E, R>,
  options?: { readonly concurrency?: number | undefined }
): Effect.Effect<void, TcpError, Exclude<R, Scope.Scope>> => {
  const handle = (socket: TcpSocket) =>
    Effect.scoped(handler(socket)).pipe(
      Effect.ensuring(socket.close),
      // Whoever interrupts all of it ends the fiber though this goes on; a handler may interrupt itself, too.
      Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logDebug(cause))
    )
  const concurrency = options?.concurrency
  return concurrency === undefined ? serveAll(self, handle) : self.connections.pipe(
    Stream.mapEffect(handle, { concurrency, unordered: true }),
    Stream.runDrain
  )
}

const serveAll = <R>(
  self: TcpServer,
  handle: (socket: TcpSocket) => Effect.Effect<void, never, R>
): Effect.Effect<void, TcpError, R> =>
  Effect.suspend(() => {
    const handlers = new Handlers()
    return Stream.runForEach(self.connections, (socket) => handlers.start(handle(socket))).pipe(
      Effect.andThen(handlers.done),
      Effect.onExit(() => handlers.end)
    )
  })
