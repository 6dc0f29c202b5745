/**
 * `SocketServer` of Effect over strata's TCP: `NodeSocketServer` of `@effect/platform-node` by another name.
 *
 * ```ts
 * const ServerLive = StrataSocketServer.layer({ port: 7 })
 * ```
 *
 * The server listens from the moment its Layer is built until that is released. Connections wait in the backlog until `run`
 * takes them, at most `backlog` of them: beyond that, SYNs stay without answer. Each connection is a `Socket` of its own, with
 * a scope of its own, and is closed when its handler is done.
 */
import { Tcp } from "@strata/core"
import type { Connection, ListenOptions } from "@strata/core/tcp/Tcp"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { IpAddress } from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { Handlers } from "./internal/Handlers.ts"
import * as HostAddress from "./internal/HostAddress.ts"
import * as Errors from "./internal/SocketErrors.ts"
import { ofConnection, type Transport } from "./internal/Transport.ts"
import { atEnd, overScoped } from "./internal/TransportSocket.ts"
import { connectionOptions, NetSocket, type TcpOptions } from "./StrataSocket.ts"

export interface Options extends TcpOptions, Pick<ListenOptions, "synCookies"> {
  /** All addresses of the host by default, of which 0.0.0.0 is reported; a name needs an `AddressResolver`. */
  readonly host?: string | IpAddress | undefined
  /** A random free ephemeral port by default (0). */
  readonly port?: number | undefined
  /** Connections that wait to be taken; 511 by default. */
  readonly backlog?: number | undefined
  /** As for clients: see `StrataSocket.SocketOptions`. */
  readonly allowHalfOpen?: boolean | undefined
  /** Handlers that run at a time, for each `run`; the other connections wait in the backlog. No bound by default. */
  readonly concurrency?: number | undefined
}

/** That of `node:net`. */
const BACKLOG = 511

/** Listens until the scope closes. */
export const make = (
  options: Options
): Effect.Effect<SocketServer.SocketServer["Service"], SocketServer.SocketServerError, Tcp | Scope.Scope> =>
  makeOver(options)

/** The same over what `secure` makes of a connection; those of which it makes nothing are closed, and no handler hears of them. */
export const makeOver = Effect.fnUntraced(function*(
  options: Options,
  secure?: (transport: Transport) => Effect.Effect<Transport, unknown>
): Effect.fn.Return<SocketServer.SocketServer["Service"], SocketServer.SocketServerError, Tcp | Scope.Scope> {
  const tcp = yield* Tcp
  const secured = secure ?? Effect.succeed
  const socketOptions = { allowHalfOpen: options.allowHalfOpen, encrypted: secure !== undefined }
  const listener = yield* Effect.gen(function*() {
    const address = options.host === undefined ? undefined : (yield* HostAddress.resolve(options.host))[0]
    const { backlog = BACKLOG, port, synCookies } = options
    return yield* tcp.listen({ ...connectionOptions(options), address, port, backlog, synCookies })
  }).pipe(Effect.mapError(openFailed))

  const run = Effect.fnUntraced(function*<R, E, _>(
    handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>
  ): Effect.fn.Return<never, SocketServer.SocketServerError, R> {
    const places = options.concurrency === undefined ? undefined : yield* Semaphore.make(options.concurrency)
    const handle = (connection: Connection) =>
      Effect.matchEffect(secured(ofConnection(connection)), {
        onFailure: () => Effect.void,
        onSuccess: (transport) =>
          Effect.flatMap(overScoped(onlyReader(connection, transport), socketOptions, { _tag: "server" }), handler)
      }).pipe(
        Effect.ignoreCause({ log: "Unhandled", message: "Unhandled error in SocketServer" }),
        Effect.provideService(NetSocket, connection),
        Effect.scoped
      )
    const leave = places === undefined ? Effect.void : places.release(1)
    /** Takes the next connection, and hands it to a fiber of its own. */
    const next = (handlers: Handlers) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          let taken: Connection | undefined
          const accepted = restore(listener.acceptWith((connection) => taken = connection)).pipe(
            // Whoever is interrupted with a connection in hand closes it.
            Effect.onError(() => Effect.andThen(taken?.close ?? Effect.void, leave))
          )
          const begun = Effect.flatMap(accepted, (connection) =>
            handlers.start(
              Effect.ensuring(restore(handle(connection)), Effect.andThen(connection.close, leave))
            ))
          return places === undefined ? begun : Effect.andThen(restore(places.take(1)), begun)
        })
      )
    const handlers = new Handlers()
    return yield* Effect.forever(next(handlers), { disableYield: true }).pipe(
      Effect.mapError(serverFailed),
      Effect.onExit(() => handlers.end)
    )
  })

  return SocketServer.SocketServer.of({ address: listener.local, run })
})

/** A server, in the place of `NodeSocketServer.layer`. */
export const layer = (
  options: Options
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError, Tcp> =>
  Layer.effect(SocketServer.SocketServer, make(options))

/** What the reader of a handler reads from, unless the connection is gone; there is one reader, and no other after it. */
const onlyReader = (
  connection: Connection,
  transport: Transport
): Effect.Effect<Transport, Socket.SocketError, Scope.Scope> => {
  let released = false
  const release = atEnd(Effect.sync(() => {
    released = true
  }))
  return Effect.suspend(() => {
    if (released) return Effect.fail(Errors.closedWith(Errors.NORMAL))
    if (connection.state() !== "CLOSED") return Effect.as(release, transport)
    return Effect.matchEffect(connection.closed, {
      onFailure: (cause) => Effect.fail(Errors.openFailed(cause)),
      onSuccess: () => Effect.fail(Errors.closedWith(Errors.NORMAL))
    })
  })
}

const openFailed = (cause: unknown) =>
  new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })

const serverFailed = (cause: unknown) =>
  new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerUnknownError({ cause }) })
