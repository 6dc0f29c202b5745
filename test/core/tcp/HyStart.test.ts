import { assert, describe, it } from "@effect/vitest"
import { Cubic, type CubicState, make } from "@strata/core/tcp/Cubic"
import * as HyStart from "@strata/core/tcp/HyStart"
import { Schema } from "effect"
import { MSS } from "../../support/congestionEvents.ts"
import { type Event, type Model, simulate } from "../../support/congestionModel.ts"

/** A sender whose flight is always `flight` octets, and what it has learned. */
interface Sender {
  readonly state: HyStart.HyStart
  readonly una: number
}

const FLIGHT = 20_000
const sender = (una = 0): Sender => ({ state: HyStart.initial, una })

/** Acknowledgements of a segment each, with these round-trip times. */
const hears = (from: Sender, ...rtts: ReadonlyArray<number | undefined>): Sender => {
  let { state, una } = from
  for (const rtt of rtts) {
    una = (una + 1000) >>> 0
    state = HyStart.acknowledged(state, rtt, una, (una + FLIGHT) >>> 0)
  }
  return { state, una }
}
const times = (count: number, rtt: number): ReadonlyArray<number> => Array.from({ length: count }, () => rtt)
/** The first round, with a round-trip time of 100 ms, and the beginning of the second. */
const started = (una?: number): Sender => hears(sender(una), ...times(21, 100))
/** In conservative slow start, in the middle of the second round. */
const slowed = (): Sender => hears(started(), ...times(8, 120))

describe("rounds", () => {
  it("end when all is acknowledged that was sent when they began", () => {
    const first = hears(sender(), ...times(20, 100))
    assert.deepStrictEqual([first.state.windowEnd, first.state.samples], [21_000, 20])
    const second = hears(first, 100)
    assert.deepStrictEqual([second.state.windowEnd, second.state.samples], [41_000, 0])
    assert.deepStrictEqual([second.state.lastRoundMinRtt, second.state.currentRoundMinRtt], [100, Infinity])
  })

  it("end where sequence numbers begin again as well", () => {
    const near = started(0xffff_ffff - 5000)
    assert.deepStrictEqual([near.state.samples, near.state.lastRoundMinRtt], [0, 100])
  })

  it("know the shortest round trip; not every acknowledgement has one", () => {
    const { state } = hears(started(), 108, undefined, 104, undefined, 106)
    assert.deepStrictEqual([state.currentRoundMinRtt, state.samples], [104, 3])
  })
})

describe("the delay that matters (RFC 9406 §4.3)", () => {
  it("is an eighth of the last round's, from 4 to 16 ms", () => {
    assert.deepStrictEqual([1, 32, 80, 128, 500].map(HyStart.threshold), [4, 4, 10, 16, 16])
  })

  it("takes eight samples to believe", () => {
    const seven = hears(started(), ...times(7, 150))
    assert.isFalse(HyStart.isConservative(seven.state))
    assert.isTrue(HyStart.isConservative(hears(seven, 150).state))
  })

  it("counts from the threshold on, and against the shortest of the round", () => {
    const at = (rtt: number) => HyStart.isConservative(hears(started(), ...times(8, rtt)).state)
    assert.deepStrictEqual([at(112.4), at(112.5)], [false, true])
    assert.isFalse(HyStart.isConservative(hears(started(), ...times(18, 150), 112).state) && at(112))
    assert.isFalse(HyStart.isConservative(hears(started(), 112, ...times(18, 150)).state))
  })

  it("is unknown in the first round", () => {
    assert.isFalse(HyStart.isConservative(hears(sender(), 10, ...times(19, 300)).state))
  })
})

describe("conservative slow start", () => {
  it("grows at a quarter of the pace; one acknowledgement counts for eight segments at most", () => {
    assert.deepStrictEqual([500, 2000, 50_000].map((octets) => HyStart.increase(started().state, octets, MSS)), [
      500,
      2000,
      8000
    ])
    assert.deepStrictEqual([500, 2000, 50_000].map((octets) => HyStart.increase(slowed().state, octets, MSS)), [
      125,
      500,
      2000
    ])
  })

  it("ends slow start after five rounds, the one counted in which it began", () => {
    let next = slowed()
    // The rest of the round in which it began, and four more.
    next = hears(next, ...times(11 + 4 * 20, 120))
    assert.deepStrictEqual([next.state.cssRounds, HyStart.isOver(next.state)], [4, false])
    next = hears(next, 120)
    assert.isTrue(HyStart.isOver(next.state))
  })

  it("goes back to slow start when a round is shorter than its first", () => {
    const next = hears(slowed(), ...times(12, 120), ...times(7, 119))
    assert.isTrue(HyStart.isConservative(next.state))
    const back = hears(next, 119)
    assert.isFalse(HyStart.isConservative(back.state))
    assert.strictEqual(back.state.cssRounds, 0)
  })

  it("can begin again", () => {
    const back = hears(slowed(), ...times(12, 120), ...times(8, 100))
    assert.isFalse(HyStart.isConservative(back.state))
    const again = hears(back, ...times(40, 150))
    assert.isTrue(HyStart.isConservative(again.state))
  })
})

/** The queue begins with a hundred segments in flight, and overflows with `100 + queue`. */
const path = (queue: number): Omit<Model, "algorithm"> => ({ rtt: 100, rate: 1, queue, until: 5000 })

/** Where slow start is after ten round trips to which `extra` is added. */
const windowAfter = (extra: (now: number) => number) => {
  let conservative = false
  const watch = ({ state }: { readonly state: unknown }) => {
    const { hyStart } = state as CubicState
    if (hyStart !== undefined && HyStart.isConservative(hyStart)) conservative = true
  }
  const { state } = simulate({ rtt: 100, extra, algorithm: Cubic, until: 1050, watch })
  return { window: state.window / MSS, conservative, isInfinite: state.slowStartThreshold === Infinity }
}

describe("the first slow start of CUBIC", () => {
  const withoutHyStart = make({ hyStart: false })

  it("ends while a deep queue grows, before a loss, and leaves the link full", () => {
    for (const delayed of [false, true]) {
      let over: CubicState | undefined
      const watch = ({ before, state }: Event) => {
        if ((before as CubicState).hyStart !== undefined && (state as CubicState).hyStart === undefined) {
          over = state as CubicState
        }
      }
      const outcome = simulate({ ...path(1000), delayed, algorithm: Cubic, watch })
      assert.strictEqual(outcome.lost, 0)
      assert.isAbove(outcome.received, 4500)
      // It is congestion avoidance from here on, without a W_max (RFC 9438 §4.10).
      assert.deepStrictEqual([over?.slowStartThreshold, over?.prior, over?.maximum], [over?.window, over?.window, 0])
      assert.isAbove(over!.window, 100 * MSS)
      assert.isAbove(simulate({ ...path(1000), delayed, algorithm: withoutHyStart }).lost, 500)
    }
  })

  it("loses at most half as much in a queue for one window", () => {
    const lost = simulate({ ...path(100), algorithm: Cubic }).lost
    assert.isAtMost(lost, simulate({ ...path(100), algorithm: withoutHyStart }).lost / 2)
  })

  it("goes on when round trips are long for a while only", () => {
    const undisturbed = windowAfter(() => 0)
    const disturbed = windowAfter((now) => now >= 300 && now < 450 ? 40 : 0)
    const slow = windowAfter((now) => now >= 300 ? 40 : 0)
    assert.deepStrictEqual([undisturbed.conservative, disturbed.conservative, slow.conservative], [false, true, true])
    assert.isTrue(disturbed.isInfinite)
    // It lost a few round trips, but not its pace.
    assert.isAbove(disturbed.window, undisturbed.window / 16)
    assert.isAbove(disturbed.window, 4 * slow.window)
  })

  it("doubles each round trip, whether acknowledgements are delayed or not", () => {
    for (const delayed of [false, true]) {
      const windows: Array<number> = []
      const watch = ({ now, state }: { readonly now: number; readonly state: { readonly window: number } }) => {
        windows[Math.round(now / 100)] = state.window / MSS
      }
      simulate({ rtt: 100, algorithm: Cubic, until: 550, delayed, watch })
      assert.deepStrictEqual(windows.slice(1, 6), [20, 40, 80, 160, 320])
    }
  })

  it("is the only one: a later slow start is that of Reno", () => {
    const state = Cubic.onTimeout(Cubic.initial(MSS), true, {
      mss: MSS,
      inFlight: 10_000,
      smoothedRtt: 100,
      minimumRtt: 100,
      now: 0
    }) as CubicState
    assert.isUndefined(state.hyStart)
  })
})

it.prop(
  "a slow start whose round trips take the same time goes on for ever",
  {
    rtts: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 100, maximum: 103 }))),
    una: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))
  },
  ({ rtts, una }) => {
    const { state } = hears(sender(una), ...rtts)
    assert.isFalse(HyStart.isConservative(state))
    assert.isFalse(HyStart.isOver(state))
  },
  { arbitrary: { runs: 200 } }
)
