/**
 * A control connection: states and JSON, read in their order.
 */
import type { Connection } from "@strata/core/tcp/Tcp"
import * as Effect from "effect/Effect"
import { Iperf3Error, malformed, timedOut, Vanished } from "./Iperf3Error.ts"
import { COOKIE_LENGTH, decodeCookie, encodeCookie, encodeJson } from "./Protocol.ts"

export interface Control {
  readonly connection: Connection
  /** The cookie that a connection begins with; undefined when it begins with something else. */
  readonly readCookie: Effect.Effect<string | undefined, Iperf3Error>
  readonly readState: Effect.Effect<number, Iperf3Error>
  /** The two words behind `serverError`. */
  readonly readProblem: Effect.Effect<readonly [problem: number, system: number], Iperf3Error>
  /** JSON of at most `limit` octets; `what` names it in errors. */
  readonly readJson: (what: string, limit: number) => Effect.Effect<unknown, Iperf3Error>
  readonly writeCookie: (cookie: string) => Effect.Effect<void, Iperf3Error>
  /** States that follow one another leave together. */
  readonly writeState: (...states: ReadonlyArray<number>) => Effect.Effect<void, Iperf3Error>
  readonly writeProblem: (state: number, problem: number) => Effect.Effect<void, Iperf3Error>
  /** JSON, and states right behind it. */
  readonly writeJson: (value: unknown, ...states: ReadonlyArray<number>) => Effect.Effect<void, Iperf3Error>
}

/** How long one piece of the exchange may take to arrive once it is due, milliseconds. */
const PATIENCE = 30_000

const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

/** Fails when that takes longer than a peer should need for it. */
export const soon = (what: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Iperf3Error, R> =>
  Effect.timeoutOrElse(effect, { duration: PATIENCE, orElse: () => Effect.fail(timedOut(what)) })

/** `peer` is who is at the other end. */
export const make = (connection: Connection, peer: "server" | "client"): Control => {
  let pending: Uint8Array = new Uint8Array()

  const gone = (why?: string) => new Iperf3Error({ reason: new Vanished(why === undefined ? { peer } : { peer, why }) })

  const more = connection.read.pipe(
    Effect.map((chunks) => {
      pending = concat([pending, ...chunks])
    }),
    Effect.catchTag("Done", () => Effect.fail(gone())),
    Effect.catchTag("TcpError", (error) => Effect.fail(gone(error.message)))
  )

  const take = (count: number): Effect.Effect<Uint8Array, Iperf3Error> =>
    Effect.suspend(() => {
      if (pending.length < count) return Effect.flatMap(more, () => take(count))
      const taken = pending.subarray(0, count)
      pending = pending.subarray(count)
      return Effect.succeed(taken)
    })

  const write = (bytes: Uint8Array) =>
    Effect.catchTag(connection.write(bytes), "TcpError", (error) => Effect.fail(gone(error.message)))

  const readJson: Control["readJson"] = Effect.fnUntraced(function*(what, limit) {
    const head = yield* take(4)
    const length = new DataView(head.buffer, head.byteOffset).getUint32(0)
    if (length > limit) return yield* malformed(`${what} of ${length} bytes, and at most ${limit} are taken`)
    const text = yield* take(length)
    return yield* Effect.try({
      try: (): unknown => JSON.parse(new TextDecoder().decode(text)),
      catch: () => malformed(`${what} that are not JSON`)
    })
  })

  return {
    connection,
    readCookie: Effect.map(take(COOKIE_LENGTH), decodeCookie),
    readState: Effect.map(take(1), ([octet]) => (octet! << 24) >> 24),
    readProblem: Effect.map(take(8), (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      return [view.getUint32(0), view.getUint32(4)] as const
    }),
    readJson: (what, limit) => soon(what)(readJson(what, limit)),
    writeCookie: (cookie) => write(encodeCookie(cookie)),
    writeState: (...states) => write(Uint8Array.from(states)),
    writeProblem: (state, problem) => {
      const bytes = new Uint8Array(9)
      bytes[0] = state
      new DataView(bytes.buffer).setUint32(1, problem)
      return write(bytes)
    },
    writeJson: (value, ...states) => write(concat([encodeJson(value), Uint8Array.from(states)]))
  }
}
