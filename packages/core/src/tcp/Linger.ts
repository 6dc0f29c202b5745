/**
 * How long closing a connection waits for the peer (`ConnectionOptions.linger`, as SO_LINGER elsewhere).
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { LiveConnection } from "./Connection.ts"

/** Whether the peer has acknowledged everything, the FIN included, or will never do so. */
export const isSettled = ({ state }: LiveConnection): boolean =>
  state === "CLOSED" || state === "TIME-WAIT" || state === "FIN-WAIT-2"

/** Waits until `ready` holds, which only a change of the connection's state can bring. */
export const until = (connection: LiveConnection, ready: () => boolean): Effect.Effect<void> => {
  const next: Effect.Effect<void> = Effect.suspend(() =>
    ready() ? Effect.void : Effect.andThen(connection.watchers.waitUnless(ready), next)
  )
  return next
}

/** Waits for `effect`, but no longer than `milliseconds`. */
export const atMost = (milliseconds: number, effect: Effect.Effect<unknown>): Effect.Effect<void> =>
  effect.pipe(
    Effect.timeoutOption(milliseconds),
    // What cannot be interrupted cannot time out, and a finalizer cannot. Nor may it be made to be in the fiber of a
    // program that was interrupted, which would not wait at all: so in a fiber of its own.
    Effect.interruptible,
    Effect.forkDetach,
    Effect.flatMap(Fiber.await),
    Effect.asVoid
  )
