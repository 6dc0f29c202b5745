import { assert, describe, it } from "@effect/vitest"
import { Bbr } from "@strata/core/tcp/Bbr"
import * as Model from "@strata/core/tcp/bbr/Model"
import type { BbrState } from "@strata/core/tcp/bbr/State"
import type { CongestionState, CongestionView, Delivery } from "@strata/core/tcp/Congestion"
import { Reno } from "@strata/core/tcp/Reno"
import { Schema } from "effect"
import { course, delivery, stateOf, view } from "../../../support/bbrCourse.ts"
import { Bottleneck, megabits, MSS, PRODUCT, RATE } from "../../../support/bottleneck.ts"

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** What may happen to a connection; figures are drawn independently, so that most of it is nonsense. */
const Event = Schema.Struct({
  kind: Schema.Literals([
    "ack",
    "ack",
    "ack",
    "ack",
    "ack",
    "loss",
    "echo",
    "recovered",
    "timeout",
    "spurious",
    "idle"
  ]),
  pause: between(0, 400),
  delivered: between(0, 40_000),
  lost: between(0, 40_000),
  inFlight: between(0, 1_000_000),
  back: between(0, 1_000_000),
  interval: between(0, 500),
  rtt: between(0, 500),
  flags: between(0, 31)
})

type Event = typeof Event.Type

const SEGMENT = 1000

/** Applies an event; returns the state and how many octets are delivered now. */
const applied = (
  state: CongestionState,
  event: Event,
  total: number,
  now: number
): readonly [CongestionState, number] => {
  const told: CongestionView = {
    mss: SEGMENT,
    inFlight: event.inFlight,
    smoothedRtt: event.flags & 1 ? event.rtt : undefined,
    minimumRtt: event.flags & 1 ? event.rtt : Infinity,
    now
  }
  switch (event.kind) {
    case "loss":
    case "echo":
      return [Bbr.onCongestion(state, event.kind, told), total]
    case "recovered":
      return [Bbr.onRecovered(state, told), total]
    case "timeout":
      return [Bbr.onTimeout(state, (event.flags & 2) !== 0, told), total]
    case "spurious":
      return [Bbr.onSpurious!(state, state, told), total]
    case "idle":
      return [Bbr.onIdle!(state, event.pause, told), total]
    case "ack": {
      const heard: Delivery = delivery({
        delivered: event.delivered,
        totalDelivered: total + event.delivered,
        lost: event.lost,
        rtt: event.flags & 4 ? event.rtt : undefined,
        windowLimited: (event.flags & 8) !== 0,
        recovering: (event.flags & 16) !== 0
      }, {
        delivered: Math.min(event.back, total + event.delivered),
        priorDelivered: Math.max(0, total + event.delivered - event.back),
        interval: event.interval,
        inFlightAtSend: event.inFlight,
        lost: event.lost,
        applicationLimited: (event.flags & 2) !== 0
      })
      const delivered = event.flags & 1 || event.flags === 0 ? heard : { ...heard, rate: undefined }
      return [Bbr.onAck(state, delivered, told), total + event.delivered]
    }
  }
}

const states = (events: ReadonlyArray<Event>): ReadonlyArray<{ event: Event; state: BbrState }> => {
  let state = Bbr.initial(SEGMENT)
  let total = 0
  let now = 1e9
  return events.map((event) => {
    now += event.pause
    ;[state, total] = applied(state, event, total, now)
    return { event, state: state as BbrState }
  })
}

describe("whatever happens to BBR", () => {
  it.prop(
    "the window stays at four segments and more, but for the one segment after a timeout",
    [Schema.Array(Event)],
    ([events]) => {
      let least = 4 * SEGMENT
      return states(events).every(({ event, state }) => {
        if (event.kind === "timeout") least = SEGMENT
        if (event.kind === "ack") least = 4 * SEGMENT
        return Number.isFinite(state.window) && state.window >= least
      })
    }
  )

  it.prop(
    "the rate stays above zero, and finite",
    [Schema.Array(Event)],
    ([events]) => states(events).every(({ state }) => state.pacingRate > 0 && Number.isFinite(state.pacingRate))
  )

  it.prop(
    "the bounds stay above zero",
    [Schema.Array(Event)],
    ([events]) =>
      states(events).every(({ state }) =>
        state.longTerm > 0 && state.shortTerm.bandwidth >= 0 && state.shortTerm.inFlight > 0 &&
        !Number.isNaN(Model.bandwidth(state)) && state.rtt.value >= 0
      )
  )

  it.prop("it does the same each time, and leaves what it was given as it is", [Schema.Array(Event)], ([events]) => {
    const before = JSON.stringify(Bbr.initial(SEGMENT))
    const frozen: Array<BbrState> = []
    let state = Object.freeze(Bbr.initial(SEGMENT))
    let total = 0
    let now = 1e9
    for (const event of events) {
      now += event.pause
      const [next, delivered] = applied(state, event, total, now)
      for (const part of Object.values(next)) Object.freeze(part)
      state = Object.freeze(next)
      total = delivered
      frozen.push(state as BbrState)
    }
    return JSON.stringify(frozen) === JSON.stringify(states(events).map((step) => step.state)) &&
      JSON.stringify(Bbr.initial(SEGMENT)) === before
  })
})

/** Octets that wait on average. */
const queued = (algorithm: typeof Bbr): number => {
  const bottleneck = new Bottleneck({ queue: PRODUCT })
  bottleneck.add({ algorithm })
  bottleneck.run(5000)
  let backlog = 0
  for (let at = 5000; at < 25_000; at++) {
    bottleneck.run(at)
    backlog += bottleneck.backlog
  }
  return backlog / 20_000
}

describe("BBR on its way", () => {
  it("begins where another algorithm left off", () => {
    const reno = Reno.onAck(Reno.initial(1000), delivery(), view())
    const next = Bbr.onAck(reno, delivery(), view())
    assert.isAbove(next.window, 0)
    assert.isAbove(next.pacingRate!, 0)
  })

  it("fills paths of every length and rate, and leaves their queues short", () => {
    for (const [rate, rtt] of [[10, 10], [10, 300], [40, 0.1], [30, 100], [300, 1]] as const) {
      const run = course({ rate: megabits(rate), rtt, queue: 4 * megabits(rate) * rtt + 100_000 })
      const settled = (rate > 100 ? 500 : 2000) + 30 * rtt
      const span = rate > 100 ? 2000 : rtt < 1 ? 5000 : 20_000
      run.bottleneck.run(settled)
      const before = run.flow.delivered
      let backlog = 0
      let samples = 0
      for (let at = settled + 5; at <= settled + span; at += 5, samples++) {
        run.bottleneck.run(at)
        backlog += run.bottleneck.backlog
      }
      const name = `${rate} Mbit/s, ${rtt} ms`
      assert.isAbove((run.flow.delivered - before) / span, 0.9 * megabits(rate), name)
      // Probing queues up to a flight now and then; the budget for bursts of a millisecond is always there.
      assert.isBelow(backlog / samples, 0.4 * megabits(rate) * rtt + 3 * megabits(rate) + 6 * MSS, name)
    }
  })

  it("has a queue a fifth as long as Reno's", () => {
    assert.isBelow(queued(Bbr), 0.2 * queued(Reno))
  })

  it("shares with its like", () => {
    const bottleneck = new Bottleneck({ queue: 2 * PRODUCT }, 5)
    const flows = [bottleneck.add({ algorithm: Bbr }), bottleneck.add({ algorithm: Bbr, start: 3000 })]
    bottleneck.run(30_000)
    const before = flows.map(({ delivered }) => delivered)
    bottleneck.run(70_000)
    const shares = flows.map(({ delivered }, index) => delivered - before[index]!)
    const jain = (shares[0]! + shares[1]!) ** 2 / (2 * (shares[0]! ** 2 + shares[1]! ** 2))
    assert.isAtLeast(jain, 0.95, shares.join(" "))
    assert.isAbove((shares[0]! + shares[1]!) / 40_000, 0.9 * RATE)
  })

  it("spaces its segments evenly", () => {
    const run = course()
    run.until("cruise")
    run.bottleneck.run(run.bottleneck.now + 200)
    const since = run.flow.departures.length
    run.bottleneck.run(run.bottleneck.now + 200)
    const gaps = run.flow.departures.slice(since).map((at, index, all) => at - (all[index - 1] ?? at)).slice(1)
    const even = MSS / stateOf(run.flow).pacingRate
    assert.isAbove(gaps.length, 500)
    for (const gap of gaps) assert.closeTo(gap, even, 0.01 * even)
  })

  it("does as well where a timer lets it send for a millisecond at once", () => {
    const run = course({ quantum: 1 })
    run.bottleneck.run(2000)
    const before = run.flow.delivered
    run.bottleneck.run(12_000)
    assert.isAbove((run.flow.delivered - before) / 10_000, 0.94 * RATE)
  })

  it("paces at the bandwidth that it knows after a pause, without beginning anew (§5.4)", () => {
    let sent = 0
    const run = course({}, {
      written: (now) => now < 3000 ? Infinity : (sent ||= run.flow.sent) + (now < 6000 ? 0 : 2e6)
    })
    run.bottleneck.at(6000, () => run.flow.send())
    run.bottleneck.run(6000)
    const since = run.flow.departures.length - 1
    run.bottleneck.run(6040)
    const restarted = run.flow.departures.slice(since)
    assert.closeTo((restarted.at(-1)! - restarted[0]!) / (restarted.length - 1), MSS / (0.99 * RATE), 0.001)
    assert.isAbove(restarted.length, 120)
  })
})
