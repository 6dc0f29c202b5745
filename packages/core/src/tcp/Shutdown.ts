/**
 * The end of a stack's TCP, and of a device under it: every connection is closed
 * in order, and given a little time for its last octets and its FIN to be
 * acknowledged.
 */
import * as Effect from "effect/Effect"
import type { AttachedDevice } from "../device/Devices.ts"
import type { LiveConnection } from "./Connection.ts"
import type { Host } from "./Host.ts"
import { atMost, isSettled, until } from "./Linger.ts"

/** Milliseconds without progress until the connections that are left are reset. */
export const SHUTDOWN_TIMEOUT = 1000

/**
 * Before a device goes: connections that programs have let go of, and that lead through it, may deliver what was written
 * as long as the peer takes it. What is left is reset while the device can still say so.
 */
export const drain = Effect.fnUntraced(function*(host: Host, device: AttachedDevice): Effect.fn.Return<void> {
  const remaining = () =>
    [...host.connections].filter((connection) =>
      connection.orphan && waitsForPeer(host, connection) &&
      host.routing.lookup(connection.endpoints.remoteAddress)?.device === device
    )
  let before = Infinity
  for (let left = remaining(); left.length > 0 && unsettled(left) < before; left = remaining()) {
    before = unsettled(left)
    yield* settleAll(host, left)
  }
  host.turn.run(() => {
    for (const connection of remaining()) connection.abort()
  })
})

export const shutdown = Effect.fnUntraced(function*(host: Host): Effect.fn.Return<void> {
  host.turn.run(() => {
    for (const acceptor of host.acceptors.all()) acceptor.close()
    for (const connection of host.connections) connection.close()
  })
  const pending = [...host.connections].filter((connection) => waitsForPeer(host, connection))
  yield* settleAll(host, pending)
  host.turn.run(() => {
    for (const connection of host.connections) {
      if (connection.state === "TIME-WAIT") connection.forget()
      else connection.abort()
    }
  })
})

/** Octets and FINs that are not acknowledged. */
const unsettled = (connections: ReadonlyArray<LiveConnection>): number =>
  connections.reduce((octets, connection) => octets + connection.sending.queued + 1, 0)

const settleAll = (host: Host, connections: ReadonlyArray<LiveConnection>) =>
  atMost(
    SHUTDOWN_TIMEOUT,
    Effect.forEach(connections, (connection) => until(connection, () => !waitsForPeer(host, connection)), {
      concurrency: "unbounded"
    })
  )

/** Whether a FIN is not acknowledged yet, and might be. */
const waitsForPeer = (host: Host, connection: LiveConnection): boolean =>
  !isSettled(connection) && host.ipv4.sourceFor(connection.endpoints.remoteAddress) !== 0
