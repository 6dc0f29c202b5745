/**
 * Streams over TCP: each a connection that begins with the cookie.
 */
import { Turn } from "@strata/core"
import { type AlgorithmName, byName, names } from "@strata/core/tcp/Algorithms"
import { type Connection, type ConnectionOptions, Tcp } from "@strata/core/tcp/Tcp"
import * as Effect from "effect/Effect"
import type { InetAddressV4 } from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import { type DataStream, named, type Plan } from "./DataStream.ts"
import { type Iperf3Error, refused, streamFailed } from "./Iperf3Error.ts"
import type { Parameters } from "./Parameters.ts"
import { encodeCookie, Problem } from "./Protocol.ts"
import { Tally } from "./Tally.ts"

/** How long a stream that failed waits for the reason on the control connection, milliseconds. */
const GRACE = 1000

const isKnown = (name: string): name is AlgorithmName => names.some((known) => known === name)

/** What the parameters say about connections. */
export const connectionOptions = Effect.fnUntraced(function*(
  { congestion, noDelay, segmentSize, window }: Parameters
): Effect.fn.Return<ConnectionOptions, Iperf3Error> {
  if (congestion !== undefined && !isKnown(congestion)) {
    return yield* refused(Problem.congestion, `there is no congestion control ${congestion}, but ${names.join(", ")}`)
  }
  return {
    ...congestion === undefined ? {} : { congestion: byName(congestion) },
    ...window === undefined ? {} : { sendBuffer: window, receiveBuffer: window },
    settings: {
      ...noDelay ? { nagle: false } : {},
      ...segmentSize === undefined ? {} : { maximumSegmentSize: segmentSize }
    }
  }
})

/**
 * Writes the block again and again. With a rate, the next one waits until as much may have been sent since the beginning; time
 * that was lost on the way is made up for.
 */
const sending = (
  connection: Connection,
  tally: Tally,
  plan: Plan,
  isStopped: () => boolean
): Effect.Effect<never, Iperf3Error, Turn> =>
  Effect.gen(function*() {
    const turn = yield* Turn
    const { block, goal, parameters: { burst, rate }, stopsAtGoal } = plan
    const begun = turn.now()
    const together = Math.max(1, burst)
    let bits = 0
    const mayGoOn = () => !isStopped() && !(stopsAtGoal && goal.over)
    for (let blocks = 1; mayGoOn(); blocks++) {
      yield* connection.write(block)
      tally.count(block.length, 1)
      goal.noteSent(block.length, 1)
      if (rate === 0) continue
      bits += 8 * block.length
      if (blocks % together !== 0) continue
      const wait = begun + (bits / rate) * 1000 - turn.now()
      if (wait > 0) yield* Effect.sleep(wait)
    }
    return yield* Effect.never
  }).pipe(Effect.mapError(streamFailed))

/** Reads and counts; a peer that has closed its half sends no more. */
const receiving = (connection: Connection, tally: Tally, plan: Plan): Effect.Effect<never, Iperf3Error> => {
  const { goal, parameters } = plan
  const take = Effect.map(connection.read, (chunks) => {
    let bytes = 0
    for (const chunk of chunks) bytes += chunk.length
    const before = Math.floor(tally.bytes / parameters.length)
    const blocks = Math.floor((tally.bytes + bytes) / parameters.length) - before
    tally.count(bytes, blocks)
    goal.noteReceived(bytes, blocks)
  })
  return Effect.forever(take).pipe(
    Effect.catchTag("Done", () => Effect.never),
    Effect.mapError(streamFailed)
  )
}

/** The stream with that number, from 0, over an open connection. */
export const fromConnection = Effect.fnUntraced(function*(
  connection: Connection,
  index: number,
  sends: boolean,
  plan: Plan
): Effect.fn.Return<DataStream, never, Turn | Scope.Scope> {
  const turn = yield* Turn
  const tally = new Tally()
  let stopped = false
  // What is on its way at the end of a test is of no use to anybody.
  yield* Effect.addFinalizer(() => connection.abort)
  const move = sends
    ? Effect.provideService(sending(connection, tally, plan, () => stopped), Turn, turn)
    : receiving(connection, tally, plan)
  return {
    ...named(index),
    sends,
    local: connection.local,
    remote: connection.remote,
    tally,
    info: connection.info,
    move: Effect.catch(move, (error) => Effect.andThen(Effect.sleep(GRACE), Effect.fail(error))),
    stop: () => {
      stopped = true
    },
    close: connection.close
  }
})

/** Opens a stream to a server. */
export const open = Effect.fnUntraced(function*(
  remote: InetAddressV4,
  cookie: string,
  index: number,
  sends: boolean,
  plan: Plan
): Effect.fn.Return<DataStream, Iperf3Error, Tcp | Turn | Scope.Scope> {
  const tcp = yield* Tcp
  const options = yield* connectionOptions(plan.parameters)
  const connection = yield* Effect.mapError(tcp.connect({ ...options, remote }), streamFailed)
  yield* Effect.mapError(connection.write(encodeCookie(cookie)), streamFailed)
  return yield* fromConnection(connection, index, sends, plan)
})
