/**
 * `Socket` over whatever transport: the life of the reader, and the writer that waits for one.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
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

    const reader: Socket.Socket["reader"] = Effect.gen(function*() {
      const opened = yield* withinTime(open, options.openTimeout)
      const live = new LiveSocket(opened, options)
      yield* Effect.addFinalizer(() => leave(live))
      current = live
      connected.openUnsafe()
      return {
        pull: live.pull,
        upgrade: (tls?: Socket.TlsUpgradeOptions) => live.upgrade(upgrade, role, tls ?? {})
      }
    }).pipe(
      Effect.updateContext((own: Context.Context<Scope.Scope>) => Context.merge(context, own) as Context.Context<any>)
    )

    const withCurrent = (
      use: (live: LiveSocket) => Effect.Effect<void, Socket.SocketError>
    ): Effect.Effect<void, Socket.SocketError> =>
      Effect.suspend(() => current === undefined ? connected.whenOpen(withCurrent(use)) : use(current))

    const writer: Socket.Socket["writer"] = Effect.acquireRelease(
      Effect.succeed<Socket.Writer>({
        write: (chunk) => withCurrent((live) => Socket.isCloseEvent(chunk) ? live.leave(chunk) : live.write(chunk)),
        writeAll: (chunks) => withCurrent((live) => live.writeAll(chunks))
      }),
      () => Effect.suspend(() => current === undefined ? Effect.void : current.end)
    )
    return Effect.succeed(Socket.make({ reader, writer }))
  })

const withinTime = <A, R>(
  open: Effect.Effect<A, Socket.SocketError, R>,
  duration: Duration.Input | undefined
): Effect.Effect<A, Socket.SocketError, R> =>
  duration === undefined
    ? open
    : Effect.timeoutOrElse(open, { duration, orElse: () => Effect.fail(Errors.openTimedOut()) })
