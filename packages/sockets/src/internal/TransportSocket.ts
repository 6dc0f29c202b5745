/**
 * `Socket` over whatever transport: the life of the reader, and the writer that waits for one.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import { LiveSocket, type Options as LiveOptions } from "./LiveSocket.ts"
import * as Errors from "./SocketErrors.ts"
import { type Role, TlsUpgrade, type Transport } from "./Transport.ts"

export interface Options extends LiveOptions {
  readonly openTimeout?: Duration.Input | undefined
}

/** `open` runs in the scope of the reader, and with the services of whoever made the socket. */
export const overTransport = <R>(
  open: Effect.Effect<Transport, Socket.SocketError, R>,
  options: Options,
  role: Role
): Effect.Effect<Socket.Socket, never, Exclude<R, Scope.Scope>> =>
  Effect.contextWith((context: Context.Context<Exclude<R, Scope.Scope>>) => {
    const withServices = Effect.updateContext(
      open,
      (own: Context.Context<Scope.Scope>) => Context.merge(context, own) as Context.Context<any>
    )
    return overScoped(withServices, options, role)
  })

/** The same where `open` needs nothing but the scope: services are not merged, which are three tables for each socket of a server. */
export const overScoped = (
  open: Effect.Effect<Transport, Socket.SocketError, Scope.Scope>,
  options: Options,
  role: Role
): Effect.Effect<Socket.Socket> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const connected = Latch.makeUnsafe(false)
    let current: LiveSocket | undefined
    const upgrade = Context.get(context, TlsUpgrade)

    const leave = (live: LiveSocket) =>
      Effect.suspend(() => {
        if (current === live) {
          current = undefined
          connected.closeUnsafe()
        }
        return live.close(() => Errors.closedWith(Errors.ABNORMAL))
      })

    const begin = (opened: Transport): Effect.Effect<Socket.Reader, never, Scope.Scope> => {
      const live = new LiveSocket(opened, options)
      return Effect.map(atEnd(leave(live)), () => {
        current = live
        connected.openUnsafe()
        return {
          pull: live.pull,
          upgrade: (tls?: Socket.TlsUpgradeOptions) => live.upgrade(upgrade, role, tls ?? {})
        }
      })
    }
    // No generator: each one that is written within a function has a map of its own, which lives until the next full collection.
    const reader: Socket.Socket["reader"] = Effect.flatMap(withinTime(open, options.openTimeout), begin)

    const withCurrent = (
      use: (live: LiveSocket) => Effect.Effect<void, Socket.SocketError>
    ): Effect.Effect<void, Socket.SocketError> =>
      Effect.suspend(() => current === undefined ? connected.whenOpen(withCurrent(use)) : use(current))

    const writer: Socket.Socket["writer"] = Effect.as(
      atEnd(Effect.suspend(() => current === undefined ? Effect.void : current.end)),
      {
        write: (chunk) => withCurrent((live) => Socket.isCloseEvent(chunk) ? live.leave(chunk) : live.write(chunk)),
        writeAll: (chunks) => withCurrent((live) => live.writeAll(chunks))
      }
    )
    return Effect.succeed(Socket.make({ reader, writer }))
  })

/** At the end of the scope. `Effect.addFinalizer` would merge the services of now with those of then, which are three tables each time. */
export const atEnd = (finalizer: Effect.Effect<void>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizer(scope, finalizer))

const withinTime = <A, R>(
  open: Effect.Effect<A, Socket.SocketError, R>,
  duration: Duration.Input | undefined
): Effect.Effect<A, Socket.SocketError, R> =>
  duration === undefined
    ? open
    : Effect.timeoutOrElse(open, { duration, orElse: () => Effect.fail(Errors.openTimedOut()) })
