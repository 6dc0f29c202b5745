import { assert, describe, it } from "@effect/vitest"
import type { CongestionState } from "@strata/core/tcp/Congestion"
import { LARGEST_WINDOW, Reno } from "@strata/core/tcp/Reno"
import { Schema } from "effect"
import { congested, delivery, Events, isSound, MSS, replay, round, view } from "../../support/congestionEvents.ts"
import { type Event, simulate } from "../../support/congestionModel.ts"

const initial = Reno.initial(MSS)
/** Congestion avoidance with a window of ten segments. */
const avoiding = (): CongestionState => congested(Reno, { ...initial, window: 20 * MSS })
const grown = (state: CongestionState, octets: number): number => Reno.onAck(state, delivery(octets), view()).window

describe("slow start", () => {
  it("begins with the window of RFC 6928", () => {
    const windows = [536, 1000, 1460, 4000, 9000].map((mss) => Reno.initial(mss).window)
    assert.deepStrictEqual(windows, [5360, 10_000, 14_600, 14_600, 18_000])
  })

  it("grows by what was acknowledged, at most two segments each time (RFC 3465)", () => {
    assert.deepStrictEqual([300, 1000, 2000, 5000].map((octets) => grown(initial, octets)), [
      10_300,
      11_000,
      12_000,
      12_000
    ])
  })

  it("doubles each round trip, whether acknowledgements are delayed or not", () => {
    for (const segments of [1, 2]) {
      const windows = [initial]
      for (let count = 0; count < 5; count++) windows.push(round(Reno, windows.at(-1)!, count * 100, { segments }))
      assert.deepStrictEqual(windows.map(({ window }) => window / MSS), [10, 20, 40, 80, 160, 320])
    }
  })

  it("ends at the threshold", () => {
    assert.strictEqual(grown({ ...initial, slowStartThreshold: 11_500 }, 2000), 11_500)
  })

  it("does not pass what a peer can announce", () => {
    assert.strictEqual(grown({ ...initial, window: LARGEST_WINDOW - 1 }, 2000), LARGEST_WINDOW)
  })
})

describe("congestion avoidance", () => {
  it("grows by a segment when a whole window was acknowledged", () => {
    let state = avoiding()
    for (let count = 0; count < 10; count++) {
      assert.strictEqual(state.window, 10_000)
      state = Reno.onAck(state, delivery(1000), view())
    }
    assert.strictEqual(state.window, 11_000)
  })

  it("grows by a segment each round trip, whether acknowledgements are delayed or not", () => {
    for (const segments of [1, 2]) {
      let state = avoiding()
      for (let count = 0; count < 20; count++) state = round(Reno, state, count * 100, { segments })
      assert.closeTo(state.window / MSS, 30, segments === 1 ? 0 : 1)
    }
  })

  it("grows by one segment for one acknowledgement, however much it tells", () => {
    const state = Reno.onAck(avoiding(), delivery(95_000), view())
    assert.strictEqual(state.window, 11_000)
    // What is more than a window is forgotten.
    assert.strictEqual(grown(Reno.onAck(state, delivery(1000), view()), 1000), 12_000)
  })
})

describe("what limits the flight", () => {
  it("a window that is not filled does not grow (RFC 7661)", () => {
    for (const state of [initial, avoiding()]) {
      assert.strictEqual(Reno.onAck(state, delivery(1000, { windowLimited: false }), view()), state)
    }
  })

  it("a window does not grow while losses are repaired", () => {
    const state = Reno.onCongestion(initial, "loss", view())
    assert.strictEqual(Reno.onAck(state, delivery(1000, { recovering: true }), view()), state)
  })

  it("after a time without sending it begins as at first, and goes quickly to where it was", () => {
    const state = Reno.onIdle!({ ...avoiding(), window: 80_000 }, 5000, view())
    assert.deepStrictEqual([state.window, state.slowStartThreshold], [10_000, 60_000])
    const small = Reno.onIdle!({ ...avoiding(), window: 4000 }, 5000, view())
    assert.deepStrictEqual([small.window, small.slowStartThreshold], [4000, 10_000])
  })
})

const echoed = (window: number): CongestionState =>
  Reno.onCongestion({ ...initial, window }, "echo", view({ inFlight: window }))

describe("congestion", () => {
  it("the threshold is half of what is in flight, at least two segments (RFC 5681 §3.1)", () => {
    const state = Reno.onCongestion(initial, "loss", view({ inFlight: 20_000 }))
    assert.deepStrictEqual([state.window, state.slowStartThreshold], [10_000, 10_000])
    assert.strictEqual(Reno.onCongestion(initial, "loss", view({ inFlight: 1000 })).slowStartThreshold, 2000)
  })

  it("when all is repaired the window is the threshold, wherever recovery has left it (RFC 9937 §4)", () => {
    const state = Reno.onCongestion({ ...initial, window: 20_000 }, "loss", view({ inFlight: 20_000 }))
    assert.strictEqual(Reno.onRecovered(state, view()).window, 10_000)
    assert.strictEqual(Reno.onRecovered({ ...state, window: 7000 }, view()).window, 10_000)
  })

  it("an echo halves the window at once, down to one segment (RFC 3168)", () => {
    assert.deepStrictEqual([20_000, 3000, 2000, 1000].map((window) => echoed(window).window), [
      10_000,
      1500,
      1000,
      1000
    ])
    assert.strictEqual(echoed(2000).slowStartThreshold, 2000)
  })
})

describe("a timeout", () => {
  it("leaves one segment; the threshold is lowered once for the same segment", () => {
    const first = Reno.onTimeout(initial, true, view({ inFlight: 20_000 }))
    assert.deepStrictEqual([first.window, first.slowStartThreshold], [1000, 10_000])
    const second = Reno.onTimeout(first, false, view({ inFlight: 1000 }))
    assert.deepStrictEqual([second.window, second.slowStartThreshold], [1000, 10_000])
  })

  it("is repaired in slow start, by a segment each time (RFC 3465 §2.3)", () => {
    const state = Reno.onTimeout(initial, true, view({ inFlight: 20_000 }))
    const next = Reno.onAck(state, delivery(5000, { afterTimeout: true }), view())
    assert.deepStrictEqual([next.window, Reno.onAck(next, delivery(2000), view()).window], [2000, 4000])
  })

  it("that was a mistake changes nothing", () => {
    const before = Reno.onAck(avoiding(), delivery(3000), view())
    const after = Reno.onTimeout(before, true, view())
    assert.deepStrictEqual(Reno.onSpurious!(after, before, view()), before)
  })
})

const losingEach = (period: number) => (count: number) => count % period === 0

const losesFromFiveSeconds = (_: number, now: number) => now >= 5000 && now < 6500

/** Segments in the mean over time. */
const meanWindow = (period: number, delayed: boolean): number => {
  let [sum, last] = [0, 0]
  const from = 30_000
  const until = 30_000 + 60 * 100 * Math.sqrt(period)
  const watch = ({ before, now }: Event) => {
    if (now > from) sum += before.window / MSS * (now - Math.max(last, from))
    last = now
  }
  simulate({ algorithm: Reno, rtt: 100, loses: losingEach(period), delayed, until, watch })
  return sum / (last - from)
}

describe("in a network", () => {
  for (const period of [1000, 4000]) {
    it(`one loss in ${period} leaves a window of 1.22/√p (RFC 5681, RFC 9438 §4.3 equation 3)`, () => {
      const expected = Math.sqrt(1.5 * period)
      // The round trip until a loss is found, and the one that repairs it, are not part of the formula.
      assert.closeTo(meanWindow(period, false) / expected, 1, 0.1)
      assert.closeTo(meanWindow(period, true) / expected, 1, 0.1)
    })
  }

  it("fills a bottleneck whose queue holds what is in flight", () => {
    const outcome = simulate({ algorithm: Reno, rtt: 40, rate: 1, queue: 40, until: 60_000 })
    assert.isAbove(outcome.received / 60_000, 0.98)
    assert.strictEqual(outcome.timeouts, 0)
  })

  it("goes on after everything was lost for a second and a half", () => {
    const outcome = simulate({
      algorithm: Reno,
      rtt: 40,
      rate: 1,
      queue: 40,
      loses: losesFromFiveSeconds,
      until: 20_000
    })
    assert.strictEqual(outcome.timeouts, 2)
    assert.isAbove(outcome.received, 12_000)
  })
})

it.prop(
  "the window stays finite and at least a segment, whatever happens, and is the same each time",
  { events: Events, mss: Schema.Literals([100, 1460, 65_495]) },
  ({ events, mss }) => {
    const states = replay(Reno, events, mss)
    for (const state of states) isSound(state, mss)
    assert.deepStrictEqual(replay(Reno, events, mss), states)
  },
  { arbitrary: { runs: 300 } }
)
