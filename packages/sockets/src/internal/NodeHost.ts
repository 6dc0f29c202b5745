/**
 * What the sockets and servers of one `StrataNet` have in common: the stack, names, and what keeps the process alive.
 */
import type { Tcp } from "@strata/core"
import type { Connection, ConnectOptions, Listener, ListenOptions } from "@strata/core/tcp/Tcp"
import type { TcpError } from "@strata/core/tcp/TcpError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"

/** The longest delay of a timer of Node. */
const FOREVER = 2 ** 31 - 1

/** Milliseconds that one of several addresses has before the next one is tried; that of Node. */
const ATTEMPT_TIMEOUT = 250

/** A timer that does nothing is there as long as anybody holds it: as in Node, open sockets and servers keep the process alive. */
export class Hold {
  #count = 0
  #timer: NodeJS.Timeout | undefined

  take(): void {
    if (this.#count++ === 0) this.#timer = setInterval(() => {}, FOREVER)
  }

  release(): void {
    if (--this.#count === 0) clearInterval(this.#timer)
  }
}

/** Calls a program from within a turn of the stack. What it throws is nobody's but its own: an uncaught exception, as in Node. */
export const outward = (call: () => void): void => {
  try {
    call()
  } catch (error) {
    uncaught(error)
  }
}

export const uncaught = (error: unknown): void =>
  process.nextTick(() => {
    throw error
  })

/** A listener, and how to be rid of it. */
export interface OpenListener {
  readonly local: Listener["local"]
  readonly close: () => void
}

/** How names with several addresses are tried where a program does not say. */
export interface DialDefaults {
  autoSelectFamily: boolean
  /** Milliseconds. */
  attemptTimeout: number
}

/** All calls return at once. */
export interface NodeHost {
  readonly hold: Hold
  /** What is open, and ends with the adapter. */
  readonly open: Set<{ readonly shut: () => void }>
  readonly defaults: DialDefaults
  /** Opens a connection, in SYN-SENT. */
  readonly connect: (options: ConnectOptions) => Result.Result<Connection, TcpError>
  /** `taken` is called with each connection, within the turn in which it is taken. */
  readonly listen: (
    options: ListenOptions,
    taken: (connection: Connection) => void
  ) => Result.Result<OpenListener, TcpError>
  /** The addresses of a name. */
  readonly resolve: (host: string, done: (outcome: Result.Result<ReadonlyArray<string>, unknown>) => void) => void
}

type Resolve = (host: string) => Effect.Effect<ReadonlyArray<string>, unknown>

const now = <A, E>(effect: Effect.Effect<A, E>): Result.Result<A, E> => Effect.runSync(Effect.result(effect))

/** `run` has the services of the adapter. */
export const makeHost = (
  tcp: Tcp["Service"],
  resolve: Resolve,
  run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
): NodeHost => {
  const connect: NodeHost["connect"] = ({ localAddress, localPort, remote, ...options }) =>
    now(Scope.provide(
      tcp.open({ ...options, mode: "active", foreign: remote, local: { address: localAddress, port: localPort } }),
      // Nobody closes it: the connection is the caller's.
      Scope.makeUnsafe()
    ))

  const listen: NodeHost["listen"] = (options, taken) => {
    const scope = Scope.makeUnsafe()
    return Result.map(now(Scope.provide(tcp.listen(options), scope)), (listener) => {
      const accepting = run(Effect.forever(listener.acceptWith(taken), { disableYield: true }))
      return {
        local: listener.local,
        close: () => {
          accepting.interruptUnsafe()
          Effect.runSync(Scope.close(scope, Exit.void))
        }
      }
    })
  }

  return {
    hold: new Hold(),
    open: new Set(),
    defaults: { autoSelectFamily: true, attemptTimeout: ATTEMPT_TIMEOUT },
    connect,
    listen,
    resolve: (host, done) =>
      void run(Effect.map(Effect.result(resolve(host)), (outcome) => process.nextTick(done, outcome)))
  }
}
