/**
 * A sender and a network in a few lines, for congestion control alone: a first-in, first-out bottleneck with a queue, a
 * receiver, selective acknowledgements and repair of losses. There is no TCP in it. Time is in milliseconds, sequence
 * numbers and flights are in segments inside, in octets for the algorithm.
 */
import type { CongestionAlgorithm, CongestionState, CongestionView, Delivery } from "@strata/core/tcp/Congestion"

export interface Model {
  readonly algorithm: CongestionAlgorithm
  /** Round-trip time without a queue. */
  readonly rtt: number
  /** What is added to a round trip that begins at `now`. */
  readonly extra?: (now: number) => number
  /** Segments per millisecond. */
  readonly rate?: number
  /** Segments that wait for the bottleneck at most. */
  readonly queue?: number
  /** Whether the segment sent as number `count`, from 1 on, is lost. */
  readonly loses?: (count: number, now: number) => boolean
  /** Whether an acknowledgement is for two segments, where nothing is missing. */
  readonly delayed?: boolean
  /** Milliseconds at which the program falls silent, and goes on. */
  readonly silent?: readonly [from: number, until: number]
  readonly until: number
  readonly mss?: number
  readonly initial?: CongestionState
  readonly watch?: (event: Event) => void
}

export interface Event {
  readonly kind: "ack" | "congestion" | "recovered" | "timeout"
  readonly now: number
  readonly state: CongestionState
  readonly before: CongestionState
  readonly delivery: Delivery | undefined
  readonly view: CongestionView
}

export interface Outcome {
  readonly state: CongestionState
  /** Segments that the receiver has in order. */
  readonly received: number
  readonly sent: number
  readonly lost: number
  readonly congestions: number
  readonly timeouts: number
}

interface Flight {
  readonly seq: number
  readonly count: number
  readonly sent: number
  /** When its acknowledgement is back; undefined when it is lost. */
  readonly back: number | undefined
}

export const simulate = (model: Model): Outcome => {
  const { algorithm, delayed = false, loses, mss = 1000, queue = Infinity, rate = Infinity, until, watch } = model
  const flights: Array<Flight> = []
  const arrived = new Set<number>()
  let state = model.initial ?? algorithm.initial(mss)
  let now = 0
  let [una, nxt, count, lost, congestions, timeouts, delivered] = [0, 0, 0, 0, 0, 0, 0]
  let missing: Array<number> = []
  let idleAt = 0
  let linkFree = 0
  let lastBack = 0
  let phase: "open" | "recovery" | "loss" = "open"
  /** The phase ends when everything before it has arrived. */
  let end = 0
  let smoothed: number | undefined
  let minimum = Infinity
  let attempts = 0
  let windowLimited = false

  const view = (): CongestionView => ({
    mss,
    inFlight: flights.length * mss,
    smoothedRtt: smoothed,
    minimumRtt: minimum,
    now
  })
  const change = (kind: Event["kind"], next: (view: CongestionView) => CongestionState, delivery?: Delivery) => {
    const before = state
    const seen = view()
    state = next(seen)
    watch?.({ kind, now, state, before, delivery, view: seen })
  }
  const isSilent = () => model.silent !== undefined && now >= model.silent[0] && now < model.silent[1]

  const transmit = (seq: number) => {
    count++
    const waiting = linkFree > now ? (linkFree - now) * rate : 0
    const isLost = waiting > queue || loses?.(count, now) === true
    if (isLost) lost++
    else linkFree = Math.max(linkFree, now) + 1 / rate
    const back = isLost
      ? undefined
      : Math.max(lastBack, linkFree + model.rtt + (model.extra?.(now) ?? 0), now + model.rtt)
    if (back !== undefined) lastBack = back
    flights.push({ seq, count, sent: now, back })
  }
  const send = () => {
    if (flights.length === 0 && nxt > 0 && now - idleAt > 1000 && missing.length === 0 && !isSilent()) {
      change("ack", (seen) => algorithm.onIdle?.(state, now - idleAt, seen) ?? state)
    }
    while ((flights.length + 1) * mss <= state.window) {
      const again = missing.shift()
      if (again === undefined && isSilent()) {
        windowLimited = false
        return
      }
      transmit(again ?? nxt++)
    }
    windowLimited = true
  }
  const repair = () => {
    change("congestion", (seen) => algorithm.onCongestion(state, "loss", seen))
    state = { ...state, window: state.slowStartThreshold }
    phase = "recovery"
    end = nxt
    congestions++
  }
  const timeout = () => {
    now += 1000 * 2 ** attempts
    change("timeout", (seen) => algorithm.onTimeout(state, attempts === 0 && phase !== "recovery", seen))
    missing = [...missing, ...flights.map((flight) => flight.seq)].toSorted((a, b) => a - b)
    flights.length = 0
    phase = "loss"
    end = nxt
    attempts++
    timeouts++
  }
  /** The flights up to and with the one at `index` are answered; one that is lost is missed by the third after it. */
  const acknowledge = (index: number) => {
    const last = flights[index]!
    const seen = view()
    const before = una
    const passed = flights.splice(0, index + 1)
    const group = passed.filter((flight) => flight.back !== undefined)
    const gone = passed.filter((flight) => flight.back === undefined && flight.count <= last.count - 3)
    if (passed.length > group.length + gone.length) {
      flights.unshift(...passed.filter((flight) => flight.back === undefined && flight.count > last.count - 3))
    }
    for (const flight of group) arrived.add(flight.seq)
    while (arrived.delete(una)) una++
    const rtt = now - last.sent
    smoothed = smoothed === undefined ? rtt : smoothed + (rtt - smoothed) / 8
    minimum = Math.min(minimum, rtt)
    delivered += group.length
    if (una > before) attempts = 0
    if (gone.length > 0 && phase === "open") repair()
    missing.push(...gone.map((flight) => flight.seq))
    const delivery: Delivery = {
      acknowledged: (una - before) * mss,
      delivered: group.length * mss,
      totalDelivered: delivered * mss,
      lost: gone.length * mss,
      rtt,
      rate: undefined,
      windowLimited,
      recovering: phase === "recovery",
      afterTimeout: phase === "loss",
      una: (una * mss) >>> 0,
      nxt: (nxt * mss) >>> 0,
      congestionEcho: false
    }
    const old = state
    state = algorithm.onAck(state, delivery, { ...seen, smoothedRtt: smoothed, minimumRtt: minimum })
    watch?.({ kind: "ack", now, state, before: old, delivery, view: seen })
    if (phase !== "open" && una >= end) {
      if (phase === "recovery") change("recovered", (after) => algorithm.onRecovered(state, after))
      phase = "open"
    }
    if (flights.length === 0) idleAt = now
  }

  send()
  while (now < until) {
    const next = flights.findIndex((flight) => flight.back !== undefined)
    if (next === -1) {
      if (flights.length > 0 || missing.length > 0) timeout()
      else now = model.silent?.[1] ?? until
      send()
      continue
    }
    const first = flights[next]!
    const second = flights[next + 1]
    const isPair = delayed && missing.length === 0 && phase === "open" && next === 0 &&
      second?.back !== undefined &&
      second.back < first.back! + 40
    now = isPair ? second!.back! : first.back!
    acknowledge(isPair ? next + 1 : next)
    send()
  }
  return { state, received: una, sent: count, lost, congestions, timeouts }
}
