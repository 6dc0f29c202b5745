/**
 * The end of a stack's TCP: every connection is closed in order, and given a
 * little time for its last octets and its FIN to be acknowledged.
 */
import * as Effect from "effect/Effect"
import type { LiveConnection } from "./Connection.ts"
import type { Host } from "./Host.ts"

/** Milliseconds until the connections that are left are reset. */
export const SHUTDOWN_TIMEOUT = 1000

export const shutdown = Effect.fnUntraced(function*(host: Host) {
  host.turn.run(() => {
    for (const acceptor of host.acceptors.all()) acceptor.close()
    for (const connection of host.connections) connection.close()
  })
  const pending = [...host.connections].filter((connection) => waitsForPeer(host, connection))
  yield* Effect.forEach(pending, (connection) => settled(host, connection), { concurrency: "unbounded" }).pipe(
    Effect.timeoutOption(SHUTDOWN_TIMEOUT),
    // A finalizer is not interruptible, and what cannot be interrupted cannot time out.
    Effect.interruptible
  )
  host.turn.run(() => {
    for (const connection of host.connections) {
      if (connection.state === "TIME-WAIT") connection.forget()
      else connection.abort()
    }
  })
})

/** Whether a FIN is not acknowledged yet, and might be. */
const waitsForPeer = (host: Host, { endpoints, state }: LiveConnection): boolean =>
  state !== "CLOSED" && state !== "TIME-WAIT" && state !== "FIN-WAIT-2" &&
  host.ipv4.sourceFor(endpoints.remoteAddress) !== 0

const settled = (host: Host, connection: LiveConnection): Effect.Effect<void> => {
  const ready = () => !waitsForPeer(host, connection)
  const next: Effect.Effect<void> = Effect.suspend(() =>
    ready() ? Effect.void : Effect.andThen(connection.watchers.waitUnless(ready), next)
  )
  return next
}
