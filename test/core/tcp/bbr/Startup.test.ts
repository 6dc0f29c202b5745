import { assert, describe, it } from "@effect/vitest"
import { Bbr } from "@strata/core/tcp/Bbr"
import * as Model from "@strata/core/tcp/bbr/Model"
import type { BbrState } from "@strata/core/tcp/bbr/State"
import { course, delivery, stateOf, view } from "../../../support/bbrCourse.ts"
import { megabits, MSS, PRODUCT, RATE } from "../../../support/bottleneck.ts"

/** Startup, after one loss in a hundred that the peer shows, or not, selectively. */
const lost = (selective: boolean): BbrState => {
  const told = { ...view({ inFlight: 11_000 }), selective }
  const flowing = Bbr.onAck(Bbr.initial(1000), delivery(), told)
  const recovering = Bbr.onCongestion(flowing, "loss", told)
  return Bbr.onAck(
    recovering,
    delivery({ lost: 1000, recovering: true }, { inFlightAtSend: 100_000, lost: 1000 }),
    told
  ) as BbrState
}

describe("Startup of BBR (§5.3.1)", () => {
  it("begins with the initial window, paced over the first round trip that was measured", () => {
    const initial = Bbr.initial(1000)
    assert.strictEqual(initial.window, 10_000)
    assert.closeTo(initial.pacingRate!, 2.77 * 10_000, 1e-6)
    const next = Bbr.onAck(initial, delivery({}, { delivered: 1000, interval: 1000 }), view({ smoothedRtt: 50 }))
    assert.closeTo(next.pacingRate!, 2.77 * 10_000 / 50, 1e-6)
  })

  it("doubles the rate in each round, until it is that of the path", () => {
    const rates: Array<number> = []
    const { bottleneck, entries, flow } = course({ rate: megabits(300), rtt: 40 }, {
      watch: (watched) => {
        const { rounds } = stateOf(watched)
        rates[rounds.count] = Math.max(rates[rounds.count] ?? 0, Model.maximumBandwidth(stateOf(watched)))
      }
    })
    bottleneck.run(1500)
    const rounds = Math.ceil(Math.log2(bottleneck.path.rate * bottleneck.path.rtt / (10 * MSS)))
    const full = rates.findIndex((rate) => rate > 0.98 * bottleneck.path.rate)
    assert.isAtMost(full, rounds + 3)
    // Ten segments are too few for a rate; from then on it doubles.
    for (let round = 3; round < full - 1; round++) assert.isAtLeast(rates[round + 1]!, 1.8 * rates[round]!)
    assert.notStrictEqual(entries.at(-1)!.phase, "startup")
    assert.closeTo(Model.maximumBandwidth(stateOf(flow)), bottleneck.path.rate, 0.02 * bottleneck.path.rate)
  })

  it("ends after three rounds without growth by a quarter", () => {
    const full: Array<{ round: number; flat: number }> = []
    const run = course({}, {
      watch: (flow) => {
        const { fullPipe, phase, rounds } = stateOf(flow)
        if (phase === "startup") full[fullPipe.rounds] ??= { round: rounds.count, flat: fullPipe.rounds }
      }
    })
    const drain = run.until("drain")!
    assert.deepStrictEqual(full.map(({ flat }) => flat), [0, 1, 2])
    assert.strictEqual(drain.state.fullPipe.rounds, 3)
    assert.isTrue(drain.state.fullPipe.reached)
    assert.strictEqual(drain.state.rounds.count - full[1]!.round, 2)
    assert.strictEqual(run.flow.lost, 0)
  })

  it("puts at most twice of what the path holds into the queue", () => {
    const { bottleneck, entries, flow, until } = course()
    until("drain")
    const { rate, rtt } = bottleneck.path
    assert.isAtMost(flow.inFlight, 2.2 * rate * rtt)
    assert.lengthOf(entries, 2)
  })

  it("goes on while the program, and not the path, limits the rate", () => {
    const run = course({}, { written: (now) => now * RATE / 10 })
    run.bottleneck.run(10_000)
    assert.deepStrictEqual(run.entries.map(({ phase }) => phase).filter((phase) => phase === "drain"), [])
    assert.isFalse(stateOf(run.flow).fullPipe.reached)
    assert.isAtLeast(run.flow.state.pacingRate!, RATE / 10)
  })

  it("ends when more than 2 % of the flight are lost in six places, and keeps to what was delivered", () => {
    const run = course({ queue: PRODUCT / 10, rtt: 100 })
    const drain = run.until("drain")!
    const { longTerm } = drain.state
    const product = run.bottleneck.path.rate * run.bottleneck.path.rtt
    assert.isBelow(longTerm, Infinity)
    assert.closeTo(longTerm, product, 0.15 * product)
    assert.isBelow(drain.state.fullPipe.rounds, 3)
  })

  it("ends also when much is lost in few places, again and again, while the program limits what is sent", () => {
    let state = Bbr.onAck(Bbr.initial(1000), delivery(), view({ inFlight: 11_000 })) as BbrState
    const phases: Array<string> = []
    for (let round = 1; round <= 3; round++) {
      const told = view({ inFlight: 100_000 })
      const limited = { applicationLimited: true, inFlightAtSend: 100_000 }
      const { delivered } = state
      state = Bbr.onAck(
        state,
        delivery({ totalDelivered: delivered, delivered: 0, lost: 20_000, lostRanges: 2 }, {
          ...limited,
          priorDelivered: delivered - 1,
          lost: 20_000
        }),
        told
      ) as BbrState
      const after = delivery({ totalDelivered: delivered + 80_000 }, { ...limited, priorDelivered: delivered })
      state = Bbr.onAck(state, after, told) as BbrState
      phases.push(state.phase)
    }
    assert.deepStrictEqual(phases, ["startup", "startup", "drain"])
  })

  it("is not ended by a few losses", () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const drain = course({ loss: 0.003 }, { seed }).until("drain")!
      assert.strictEqual(drain.state.longTerm, Infinity, `seed ${seed}`)
      assert.closeTo(Model.maximumBandwidth(drain.state), RATE, 0.05 * RATE, `seed ${seed}`)
    }
  })

  it("is ended by any loss where the peer does not acknowledge selectively", () => {
    assert.strictEqual(lost(true).phase, "startup")
    assert.notStrictEqual(lost(false).phase, "startup")
    assert.isTrue(lost(false).fullPipe.reached)
  })

  it("is ended by an echo of congestion", () => {
    const flowing = Bbr.onAck(Bbr.initial(1000), delivery(), view())
    const echoed = Bbr.onCongestion(flowing, "echo", view()) as BbrState
    assert.isTrue(echoed.fullPipe.reached)
    const next = Bbr.onAck(echoed, delivery(), view({ inFlight: 30_000 })) as BbrState
    assert.strictEqual(next.phase, "drain")
  })
})

describe("Drain (§5.3.2)", () => {
  it("takes the queue away at half the rate, until no more is in flight than the path holds", () => {
    const run = course()
    const drain = run.until("drain")!
    assert.closeTo(drain.state.pacingRate, 0.5 * 0.99 * Model.bandwidth(drain.state), 1e-6)
    assert.isAbove(run.bottleneck.backlog, PRODUCT / 2)
    const next = run.until("cruise")!
    const { rate, rtt } = run.bottleneck.path
    assert.isBelow(next.inFlight, 1.05 * rate * rtt)
    assert.isBelow(next.at - drain.at, 3 * rtt)
  })

  it("ends after three rounds when more stays in flight", () => {
    const run = course()
    const { state } = run.until("drain")!
    const told = { ...run.flow.view(), inFlight: 1000 * MSS }
    let next = state
    const phases: Array<string> = []
    for (let round = 1; round <= 4; round++) {
      const totalDelivered = next.delivered + MSS
      next = Bbr.onAck(next, delivery({ totalDelivered }, { priorDelivered: totalDelivered - MSS }), told) as BbrState
      phases.push(next.phase)
    }
    assert.deepStrictEqual(phases, ["drain", "drain", "drain", "down"])
  })
})
