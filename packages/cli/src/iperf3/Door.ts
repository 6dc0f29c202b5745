/**
 * Who comes to a server: clients, their data streams, and everybody else.
 *
 * Every connection begins with a cookie. The first one while nothing is going on is a client. During its test, those with its
 * cookie are its streams, as long as streams are wanted; all others are told that the server is busy.
 */
import { type Connection, type ConnectionOptions, type Listener, Tcp } from "@strata/core/tcp/Tcp"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Control from "./Control.ts"
import { type Iperf3Error, streamFailed } from "./Iperf3Error.ts"
import { State } from "./Protocol.ts"

/** States are single octets, some of which follow others that nobody answers. */
const FOR_CONTROL: ConnectionOptions = { settings: { nagle: false } }

/** Milliseconds that a connection has for its cookie, and how many may be without one at a time. */
const COOKIE_PATIENCE = 10_000
const STRANGERS = 64

/** A client with its control connection, and what comes under its cookie. */
export interface Visitor {
  readonly cookie: string
  readonly control: Control.Control
  /** Lets in the next `count` streams. */
  readonly want: (count: number) => void
  readonly nextStream: Effect.Effect<Connection>
}

export interface Door {
  /** Waits for a client, and keeps others out until the scope closes, with which its connections are closed. */
  readonly next: Effect.Effect<Visitor, never, Scope.Scope>
  /** From now on accepts connections with these options, or those of control connections; connections that are there stay. */
  readonly listen: (options?: ConnectionOptions) => Effect.Effect<void, Iperf3Error>
}

interface Session {
  readonly cookie: string
  readonly control: Control.Control
  readonly streams: Queue.Queue<Connection>
  readonly scope: Scope.Closeable
  wanted: number
}

/** A connection's own scope closes with that of its test. */
const keep = (scope: Scope.Scope, own: Scope.Closeable) => Scope.addFinalizer(scope, Scope.close(own, Exit.void))

/** Listens on that port until the scope closes. */
export const make = Effect.fnUntraced(function*(
  port: number
): Effect.fn.Return<Door, Iperf3Error, Tcp | Scope.Scope> {
  const tcp = yield* Tcp
  const house = yield* Effect.scope
  const visitors = yield* Queue.unbounded<Session>()
  let session: Session | undefined
  let strangers = 0
  let leaveListener: Effect.Effect<void> = Effect.void

  /** Says what a connection is, once its cookie is there. */
  const meet = Effect.fnUntraced(function*(connection: Connection, own: Scope.Closeable) {
    const control = Control.make(connection, "client")
    const cookie = yield* control.readCookie.pipe(
      Effect.timeoutOrElse({ duration: COOKIE_PATIENCE, orElse: () => Effect.succeed(undefined) }),
      Effect.catch(() => Effect.succeed(undefined)),
      Effect.ensuring(Effect.sync(() => void strangers--))
    )
    if (cookie === undefined) return yield* Scope.close(own, Exit.void)
    const streams = yield* Queue.unbounded<Connection>()
    if (session === undefined) {
      session = { cookie, control, streams, scope: Scope.forkUnsafe(house), wanted: 0 }
      const visit = session
      yield* keep(visit.scope, own)
      return Queue.offerUnsafe(visitors, visit)
    }
    if (session.cookie === cookie && session.wanted > 0) {
      session.wanted--
      yield* keep(session.scope, own)
      return Queue.offerUnsafe(session.streams, connection)
    }
    yield* Effect.ignore(control.writeState(State.accessDenied))
    yield* Scope.close(own, Exit.void)
  })

  const accept = (listener: Listener) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const own = yield* Scope.fork(house)
        const connection = yield* restore(Scope.provide(listener.accept, own)).pipe(
          Effect.onError(() => Scope.close(own, Exit.void))
        )
        if (strangers >= STRANGERS) return yield* Scope.close(own, Exit.void)
        strangers++
        yield* Effect.forkIn(Effect.interruptible(meet(connection, own)), house)
      })
    )

  const listen: Door["listen"] = (options = FOR_CONTROL) =>
    Effect.gen(function*() {
      yield* leaveListener
      const own = yield* Scope.fork(house)
      const listener = yield* Effect.mapError(Scope.provide(tcp.listen({ ...options, port }), own), streamFailed)
      const accepting = yield* Effect.forkIn(Effect.ignore(Effect.forever(accept(listener))), house)
      leaveListener = Effect.andThen(Fiber.interrupt(accepting), Scope.close(own, Exit.void))
    })

  const leave = (left: Session) =>
    Effect.andThen(
      Effect.sync(() => {
        session = undefined
      }),
      Scope.close(left.scope, Exit.void)
    )

  yield* listen()
  return {
    listen,
    next: Effect.map(Effect.acquireRelease(Queue.take(visitors), leave, { interruptible: true }), (visitor) => ({
      cookie: visitor.cookie,
      control: visitor.control,
      want: (count) => {
        visitor.wanted = count
      },
      nextStream: Queue.take(visitor.streams)
    }))
  }
})
