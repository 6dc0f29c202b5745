/**
 * What is known about a connection, told whenever it changes: at once when the state or the phase of recovery does, else at most
 * every so often. A connection that nobody watches pays for one comparison a turn.
 *
 * Bound: a reader that falls behind finds the latest `CAPACITY` changes.
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { LiveConnection } from "./Connection.ts"
import { infoOf, type TcpInfo } from "./TcpInfo.ts"

export const CAPACITY = 64
/** Milliseconds. */
const INTERVAL = 100

/** Looks at a connection once per turn; the first look is to be told whatever it sees. */
const makeWatch = (connection: LiveConnection, interval: number, tell: (info: TcpInfo) => void) => {
  const { timers, turn } = connection.host
  let revision = 0
  let state = connection.tcb.state
  let phase = connection.tcb.recovery.phase
  let toldAt = -Infinity
  const timer = timers.make(() => look())
  const look = (): void => {
    const { tcb } = connection
    const now = turn.now()
    if (connection.revision === revision && toldAt !== -Infinity) return
    const isTurn = tcb.state !== state || tcb.recovery.phase !== phase
    if (!isTurn && now < toldAt + interval) return timer.set(toldAt + interval)
    timer.clear()
    revision = connection.revision
    state = tcb.state
    phase = tcb.recovery.phase
    toldAt = now
    tell(infoOf(connection))
  }
  return { look, stop: () => timer.clear() }
}

/** Begins with how things stand, and ends when the connection is CLOSED. */
export const infoChanges = (connection: LiveConnection, interval: Duration.Input = INTERVAL): Stream.Stream<TcpInfo> =>
  Stream.unwrap(Effect.gen(function*() {
    const queue = yield* Queue.sliding<TcpInfo, Cause.Done>(CAPACITY)
    const { turn } = connection.host
    const watch = makeWatch(connection, Duration.toMillis(Duration.fromInputUnsafe(interval)), (info) => {
      Queue.offerUnsafe(queue, info)
      if (info.state === "CLOSED") Queue.endUnsafe(queue)
    })
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        turn.run(() => {
          connection.onlookers = [...connection.onlookers, watch.look]
          watch.look()
        })
      ),
      () =>
        Effect.sync(() => {
          connection.onlookers = connection.onlookers.filter((look) => look !== watch.look)
          watch.stop()
        })
    )
    return Stream.fromQueue(queue)
  }))
