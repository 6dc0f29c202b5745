/** What happens to a congestion control, made by hand or drawn. Segments have 1000 octets, a round trip takes 100 ms. */
import { assert } from "@effect/vitest"
import type { CongestionAlgorithm, CongestionState, CongestionView, Delivery } from "@strata/core/tcp/Congestion"
import { Schema } from "effect"

export const MSS = 1000
export const RTT = 100

export const view = (options: Partial<CongestionView> = {}): CongestionView => ({
  mss: MSS,
  inFlight: 10_000,
  smoothedRtt: RTT,
  minimumRtt: RTT,
  now: 0,
  ...options
})

export const delivery = (acknowledged: number, options: Partial<Delivery> = {}): Delivery => ({
  acknowledged,
  delivered: acknowledged,
  totalDelivered: acknowledged,
  lost: 0,
  rtt: RTT,
  rate: undefined,
  windowLimited: true,
  recovering: false,
  afterTimeout: false,
  una: 0,
  nxt: 0,
  congestionEcho: false,
  ...options
})

/** One round trip, from `now` on, in which everything is acknowledged that the window let out, in equal steps of time. */
export const round = (
  algorithm: CongestionAlgorithm,
  from: CongestionState,
  now: number,
  options: { readonly rtt?: number; readonly segments?: number; readonly windowLimited?: boolean } = {}
): CongestionState => {
  const { rtt = RTT, segments = 1, windowLimited = true } = options
  const count = Math.max(Math.floor(from.window / MSS / segments), 1)
  let state = from
  for (let step = 1; step <= count; step++) {
    const seen = view({ inFlight: from.window, smoothedRtt: rtt, now: now + step * rtt / count })
    state = algorithm.onAck(state, delivery(segments * MSS, { rtt, windowLimited }), seen)
  }
  return state
}

/** Congestion, and the end of the repair of its losses. */
export const congested = (algorithm: CongestionAlgorithm, state: CongestionState, now = 0): CongestionState => {
  const seen = view({ inFlight: state.window, now })
  return algorithm.onRecovered(algorithm.onCongestion(state, "loss", seen), seen)
}

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

export const Events = Schema.Array(
  Schema.Struct({
    kind: Schema.Literals(["ack", "ack", "ack", "loss", "echo", "recovered", "timeout", "spurious", "idle"]),
    octets: upTo(3_000_000),
    after: upTo(5000),
    rtt: upTo(2000),
    inFlight: upTo(3_000_000),
    windowLimited: Schema.Boolean,
    phase: Schema.Literals(["open", "recovery", "loss"]),
    first: Schema.Boolean
  })
)

type Event = typeof Events.Type[number]

/** All the states that `events` lead through, whatever sense they make. */
export const replay = (
  algorithm: CongestionAlgorithm,
  events: ReadonlyArray<Event>,
  mss: number
): ReadonlyArray<CongestionState> => {
  let state = algorithm.initial(mss)
  let before = state
  let now = 0
  let una = 0
  const step = (event: Event): CongestionState => {
    const { inFlight, octets, phase, rtt, windowLimited } = event
    const seen = view({ mss, inFlight, smoothedRtt: rtt === 0 ? undefined : rtt, minimumRtt: rtt, now })
    switch (event.kind) {
      case "ack": {
        una = (una + octets) >>> 0
        const nxt = (una + inFlight) >>> 0
        const recovering = phase === "recovery"
        const afterTimeout = phase === "loss"
        const told = delivery(octets, { rtt, windowLimited, recovering, afterTimeout, una, nxt })
        return algorithm.onAck(state, told, seen)
      }
      case "loss":
      case "echo":
        before = state
        return algorithm.onCongestion(state, event.kind, seen)
      case "recovered":
        return algorithm.onRecovered(state, seen)
      case "timeout":
        before = state
        return algorithm.onTimeout(state, event.first, seen)
      case "spurious":
        return algorithm.onSpurious?.(state, before, seen) ?? state
      case "idle":
        return algorithm.onIdle?.(state, event.after, seen) ?? state
    }
  }
  return events.map((event) => {
    now += event.after
    state = step(event)
    return state
  })
}

/** What holds for each state. */
export const isSound = (state: CongestionState, mss: number): void => {
  assert.isTrue(Number.isFinite(state.window), `window ${state.window}`)
  assert.isAtLeast(state.window, mss)
  assert.isAtLeast(state.slowStartThreshold, 2 * mss)
  for (const [name, value] of Object.entries(state)) assert.notStrictEqual(value, NaN, name)
}
