import { assert, describe, it } from "@effect/vitest"
import type { CongestionAlgorithm, CongestionState } from "@strata/core/tcp/Congestion"
import { Cubic, type CubicState, make, timeToMaximum, windowAt } from "@strata/core/tcp/Cubic"
import { Reno } from "@strata/core/tcp/Reno"
import { Schema } from "effect"
import { congested, delivery, Events, isSound, MSS, replay, round, RTT, view } from "../../support/congestionEvents.ts"
import { type Event, simulate } from "../../support/congestionModel.ts"

const of = (state: CongestionState): CubicState => state as CubicState
const initial = of(Cubic.initial(MSS))
/** A connection that met congestion for the first time with this many segments in its window. */
const reducedFrom = (segments: number): CubicState =>
  of(congested(Cubic, { ...initial, window: segments * MSS } as CongestionState))

const segments = (state: CongestionState): number => state.window / MSS

/** What `count` round trips make of a state, and each state on the way. */
const rounds = (
  from: CongestionState,
  count: number,
  options: Parameters<typeof round>[3] & { readonly from?: number } = {}
): ReadonlyArray<CubicState> => {
  const states = [of(from)]
  const rtt = options.rtt ?? RTT
  for (let index = 0; index < count; index++) {
    states.push(of(round(Cubic, states.at(-1)!, (options.from ?? 0) + index * rtt, options)))
  }
  return states.slice(1)
}

/** The window after ten seconds. */
const windowOver = (rtt: number): number => segments(rounds(reducedFrom(1000), 10_000 / rtt, { rtt }).at(-1)!)

describe("the function (RFC 9438 §4.2)", () => {
  it("the window follows 0.4 (t − K)³ + W_max within a segment, before and after W_max", () => {
    const k = Math.cbrt(1000 * 0.3 / 0.4)
    let furthest = 0
    for (const segmentsPerAck of [1, 2]) {
      for (const state of rounds(reducedFrom(1000), 190, { segments: segmentsPerAck })) {
        const t = state.elapsed / 1000
        furthest = Math.max(furthest, t)
        assert.closeTo(segments(state), 0.4 * (t - k) ** 3 + 1000, 1, `${t} s`)
      }
    }
    assert.isAbove(furthest, 2 * k)
  })

  it("does not depend on the round-trip time", () => {
    assert.closeTo(windowOver(50), windowOver(200), 1)
  })

  it("K and W_cubic(t) agree: 0.7 W_max at the beginning, W_max at K", () => {
    const k = timeToMaximum(700_000, 1_000_000, MSS)
    assert.closeTo(k, 1000 * Math.cbrt(750), 1e-6)
    const state: CubicState = { ...initial, maximum: 1_000_000, k }
    assert.closeTo(windowAt(state, 0, MSS), 700_000, 1e-6)
    assert.closeTo(windowAt(state, k, MSS), 1_000_000, 1e-6)
    assert.closeTo(windowAt(state, k + 10_000, MSS), 1_400_000, 1e-3)
  })

  it("grows by half in a round trip at most", () => {
    const [first, second] = rounds({ ...reducedFrom(100), maximum: 100_000 * MSS } as CubicState, 2, { rtt: 5000 })
    assert.closeTo(segments(first!) / 70, 1.5, 0.01)
    assert.closeTo(second!.window / first!.window, 1.5, 0.01)
    const once = Cubic.onAck(second!, delivery(1e6), view({ now: 15_000, smoothedRtt: 5000 }))
    assert.strictEqual(once.window, 1.5 * second!.window)
  })

  it("never falls while nothing is lost", () => {
    const ahead: CubicState = { ...of(rounds(reducedFrom(1000), 5).at(-1)!), window: 990_000, estimate: 0 }
    assert.strictEqual(Cubic.onAck(ahead, delivery(1000), view({ now: 501 })).window, 990_000)
    const aheadOfReno: CubicState = { ...ahead, estimate: 900_000 }
    assert.strictEqual(Cubic.onAck(aheadOfReno, delivery(1000), view({ now: 501 })).window, 990_000)
  })
})

const isReno = (state: CubicState): boolean => state.window === state.estimate

describe("the Reno-friendly region (§4.3)", () => {
  const alpha = 3 * 0.3 / 1.7

  it("grows by 0.53 segments each round trip, and by one from the old window on", () => {
    const states = rounds(reducedFrom(20), 30, { rtt: 10 })
    const windows = states.map(segments)
    for (let index = 1; index < windows.length; index++) {
      const step = windows[index]! - windows[index - 1]!
      if (windows[index]! < 20) assert.closeTo(step, alpha, 0.04)
      else if (windows[index - 1]! > 20) assert.closeTo(step, 1, 0.06)
    }
    assert.isAbove(windows.at(-1)!, 30)
    for (const state of states) assert.isAbove(state.window, windowAt(state, state.elapsed, MSS))
  })

  it("ends where the cubic function is faster", () => {
    const states = rounds(reducedFrom(40), 120)
    assert.isTrue(isReno(states[30]!))
    assert.isFalse(isReno(states.at(-1)!))
    assert.isAbove(states.at(-1)!.window, states.at(-1)!.estimate)
  })
})

describe("congestion (§4.6, §4.7)", () => {
  it("leaves 0.7 of the window, at least two segments", () => {
    const state = Cubic.onCongestion({ ...initial, window: 100_000 } as CubicState, "loss", view())
    assert.deepStrictEqual([state.window, state.slowStartThreshold], [100_000, 70_000])
    assert.strictEqual(Cubic.onRecovered(state, view()).window, 70_000)
    assert.strictEqual(Cubic.onRecovered({ ...state, window: 60_000 }, view()).window, 70_000)
    assert.strictEqual(congested(Cubic, { ...initial, window: 2000 } as CubicState).window, 2000)
  })

  it("an echo lowers the window at once, down to one segment", () => {
    const windows = [10_000, 2000, 1200].map((window) => {
      const state = Cubic.onCongestion({ ...initial, window } as CubicState, "echo", view())
      return [state.window, state.slowStartThreshold]
    })
    assert.deepStrictEqual(windows, [[7000, 7000], [1400, 2000], [1000, 2000]])
  })

  it("W_max is the window, and less when that was not reached (fast convergence)", () => {
    const first = reducedFrom(1000)
    assert.strictEqual(first.maximum, 1_000_000)
    const early = congested(Cubic, first)
    assert.closeTo(of(early).maximum, 700_000 * 0.85, 1e-6)
    const late = congested(Cubic, { ...first, window: 1_100_000 } as CubicState)
    assert.strictEqual(of(late).maximum, 1_100_000)
    const alone = make({ fastConvergence: false })
    assert.strictEqual(of(congested(alone, first)).maximum, 700_000)
  })

  it("while losses are repaired the window does not grow", () => {
    const state = Cubic.onCongestion(initial, "loss", view())
    assert.strictEqual(Cubic.onAck(state, delivery(1000, { recovering: true }), view()), state)
  })

  it("slow start leads back to the threshold when recovery left less, and the function begins there", () => {
    const short = { ...reducedFrom(100), window: 60_000 }
    const [next] = rounds(short, 1)
    assert.deepStrictEqual([next!.window >= 70_000, next!.counted !== undefined], [true, true])
    assert.closeTo(next!.k, timeToMaximum(70_000, 100_000, MSS), 1e-6)
  })
})

/** What the Reno-friendly region has added. */
const friendlyGain = (state: CubicState): number => (state.estimate - state.maximum) / MSS

describe("a timeout (§4.8)", () => {
  it("leaves one segment, and 0.7 of the window to slow start", () => {
    const state = of(Cubic.onTimeout({ ...initial, window: 100_000 } as CubicState, true, view()))
    assert.deepStrictEqual([state.window, state.slowStartThreshold, state.prior], [1000, 70_000, 100_000])
    const again = of(Cubic.onTimeout(state, false, view()))
    assert.deepStrictEqual([again.window, again.slowStartThreshold, again.prior], [1000, 70_000, 100_000])
  })

  it("is repaired in slow start; then the function is flat at first: K is 0, W_max the window", () => {
    const state = Cubic.onTimeout(reducedFrom(1000), true, view())
    const repairing = Cubic.onAck(state, delivery(3000, { afterTimeout: true }), view())
    assert.strictEqual(repairing.window, 2000)
    const states = rounds(repairing, 40)
    const stage = states.find(({ counted }) => counted !== undefined)!
    assert.strictEqual(stage.k, 0)
    assert.closeTo(stage.maximum, 490_000, 1e-6)
    const last = states.at(-1)!
    assert.closeTo(segments(last), 490 + Math.max(0.4 * (last.elapsed / 1000) ** 3, friendlyGain(last)), 1)
  })
})

describe("congestion that was none (§4.9)", () => {
  const before = rounds(reducedFrom(1000), 30).at(-1)!

  it("gives back the state, and does not count the time between", () => {
    for (const mistake of ["loss", "timeout"] as const) {
      const seen = view({ now: 3100 })
      const resumed: CubicState = { ...before, counted: 9000 }
      const state = mistake === "loss" ? Cubic.onCongestion(before, "loss", seen) : Cubic.onTimeout(before, true, seen)
      assert.deepStrictEqual(Cubic.onSpurious!({ ...state, window: 700_000 }, before, view({ now: 9000 })), resumed)
    }
  })

  it("lets slow start go on, with what HyStart++ knew", () => {
    const starting = Cubic.onAck(initial, delivery(1000, { una: 1000, nxt: 12_000 }), view())
    const state = Cubic.onTimeout(starting, true, view())
    assert.deepStrictEqual(Cubic.onSpurious!(state, starting, view({ now: 500 })), starting)
  })

  it("keeps a window that has become larger meanwhile", () => {
    const grown = { ...of(Cubic.onCongestion(before, "loss", view())), window: before.window + 5000 }
    const state = of(Cubic.onSpurious!(grown, before, view()))
    assert.deepStrictEqual([state.window, state.prior, state.maximum], [grown.window, grown.prior, grown.maximum])
  })
})

describe("what limits the flight (§5.8)", () => {
  it("time in which the program limits it does not count", () => {
    const busy = rounds(reducedFrom(1000), 40)
    const half = busy[19]!
    const quiet = rounds(half, 500, { from: 2000, windowLimited: false }).at(-1)!
    assert.deepStrictEqual([quiet.window, quiet.elapsed], [half.window, half.elapsed])
    const late = rounds(quiet, 20, { from: 52_000 }).at(-1)!
    assert.closeTo(late.window, busy[39]!.window, 1)
    assert.closeTo(late.elapsed, busy[39]!.elapsed, 1e-6)
  })

  it("nor does silence that was too short to be noticed", () => {
    const state = rounds(reducedFrom(1000), 20).at(-1)!
    const next = of(Cubic.onAck(state, delivery(1000), view({ now: 2900 })))
    assert.closeTo(next.elapsed - state.elapsed, 2 * RTT, 1e-6)
  })

  it("a first slow start learns from round trips, but does not end, while the program limits it", () => {
    let state = initial
    let una = 0
    const hear = (rtt: number) => {
      una += MSS
      const told = delivery(MSS, { rtt, una, nxt: una + 20 * MSS, windowLimited: false })
      state = of(Cubic.onAck(state, told, view()))
    }
    for (let count = 0; count < 40; count++) hear(100)
    assert.strictEqual(state.hyStart!.lastRoundMinRtt, 100)
    for (let count = 0; count < 400; count++) hear(150)
    assert.deepStrictEqual([state.window, state.slowStartThreshold, state.hyStart?.cssRounds], [10_000, Infinity, 0])
  })

  it("after a time without sending it begins as at first, and goes quickly to where it was", () => {
    const before = rounds(reducedFrom(1000), 60).at(-1)!
    const state = of(Cubic.onIdle!(before, 60_000, view({ now: 66_000 })))
    assert.strictEqual(state.window, 10_000)
    assert.strictEqual(state.slowStartThreshold, 0.75 * before.window)
    const after = rounds(state, 12, { from: 66_000 }).at(-1)!
    assert.isAbove(after.window, 0.75 * before.window)
    assert.strictEqual(after.maximum, before.maximum)
    const convex = rounds(reducedFrom(1000), 150).at(-1)!
    assert.isAbove(convex.window, convex.maximum)
    assert.strictEqual(of(Cubic.onIdle!(convex, 60_000, view())).maximum, convex.window)
    assert.strictEqual(Cubic.onIdle!(initial, 60_000, view()).slowStartThreshold, Infinity)
  })
})

/** §5.1, equation 6 */
const formula = (rtt: number, p: number): number => (0.4 * 3.7 / 1.2) ** 0.25 * (rtt / 1000) ** 0.75 / p ** 0.75

const withSilence = (silent: readonly [number, number], until: number) => {
  const { congestions, received } = simulate({ algorithm: Cubic, rtt: 100, rate: 2, queue: 200, until, silent })
  return { congestions, received }
}

/** The mean window in segments over time, after the first quarter. */
const mean = (algorithm: CongestionAlgorithm, rtt: number, period: number, from: CongestionState | undefined) => {
  // As long as sixty losses take, about.
  const until = 60 * period * rtt / Math.max(Math.sqrt(1.5 * period), formula(rtt, 1 / period))
  let [sum, last] = [0, 0]
  const watch = ({ before, now }: Event) => {
    if (now > until / 4) sum += before.window / MSS * (now - Math.max(last, until / 4))
    last = now
  }
  const loses = (count: number) => count % period === 0
  simulate({ algorithm, rtt, loses, until, watch, ...(from === undefined ? {} : { initial: from }) })
  return sum / (last - until / 4)
}
for (const [rtt, period] of [[100, 10_000], [200, 5000]] as const) {
  it(`one loss in ${period} over ${rtt} ms leaves the window of §5.1, equation 6`, () => {
    const expected = formula(rtt, 1 / period)
    // In the formula the window at a loss is W_max: 4/(3 + β) of the mean.
    const alone = make({ fastConvergence: false })
    const from = congested(alone, { ...initial, window: expected * 4 / 3.7 * MSS } as CubicState)
    assert.closeTo(mean(alone, rtt, period, from) / expected, 1, 0.07)
    // Whoever gives way gets less.
    assert.closeTo(mean(Cubic, rtt, period, from) / expected, 0.9, 0.05)
  })
}

describe("in a network", () => {
  it("is as fast as Reno where Reno is fast", () => {
    const [cubic, reno] = [Cubic, Reno].map((algorithm) => mean(algorithm, 10, 1000, undefined))
    assert.closeTo(cubic! / reno!, 1, 0.1)
    assert.isAbove(cubic!, 3 * formula(10, 1 / 1000))
  })

  it("is faster than Reno over long paths", () => {
    const [cubic, reno] = [Cubic, Reno].map((algorithm) => mean(algorithm, 200, 5000, undefined))
    assert.isAbove(cubic! / reno!, 1.7)
  })

  it("fills a bottleneck whose queue holds half of what is in flight", () => {
    const outcome = simulate({ algorithm: Cubic, rtt: 100, rate: 2, queue: 100, until: 60_000 })
    assert.isAbove(outcome.received / 120_000, 0.97)
    assert.strictEqual(outcome.timeouts, 0)
  })

  it("takes up where it was after the program was silent", () => {
    const never = withSilence([1e9, 1e9], 20_000)
    const paused = withSilence([10_000, 40_000], 50_000)
    assert.isAbove(paused.received, 0.9 * never.received)
    assert.isAtMost(paused.congestions, never.congestions + 2)
  })
})

it.prop(
  "the window stays finite and at least a segment, whatever happens, and is the same each time",
  { events: Events, mss: Schema.Literals([100, 1460, 65_495]) },
  ({ events, mss }) => {
    const states = replay(Cubic, events, mss)
    for (const state of states) isSound(state, mss)
    assert.deepStrictEqual(replay(Cubic, events, mss), states)
  },
  { arbitrary: { runs: 500 } }
)
