import { assert, describe, it } from "@effect/vitest"
import * as Model from "@strata/core/tcp/bbr/Model"
import { course, stateOf } from "../../../support/bbrCourse.ts"
import { megabits, MSS, PRODUCT, RATE } from "../../../support/bottleneck.ts"

/** The course of eight seconds. */
const eightSeconds = () => {
  const run = course({ loss: 0.01, queue: 0.6 * PRODUCT }, { seed: 3 })
  run.bottleneck.run(8000)
  return run.entries.map(({ at, phase }) => `${phase} ${at}`)
}

describe("ProbeBW of BBR (§5.3.3)", () => {
  it("goes down, cruises, fills the path and goes up, with the gains of each", () => {
    const run = course()
    run.bottleneck.run(6500)
    const phases = run.entries.map(({ phase }) => phase)
    assert.deepStrictEqual(phases.slice(phases.indexOf("cruise"), -1).slice(0, 8), [
      "cruise",
      "refill",
      "up",
      "down",
      "cruise",
      "refill",
      "up",
      "down"
    ])
    const gains = { startup: 2.77, drain: 0.5, down: 0.9, cruise: 1, refill: 1, up: 1.25, probeRtt: 1 }
    for (const { phase, state } of run.entries.slice(1)) {
      assert.closeTo(state.pacingRate / Model.bandwidth(state), 0.99 * gains[phase], 1e-9, phase)
    }
  })

  it("probes every two to three seconds on a long path, each time after another wait", () => {
    const run = course({ rtt: 100 })
    run.bottleneck.run(40_000)
    const waits = run.all("down").map(({ state }) => state.probe.wait)
    assert.isAtLeast(waits.length, 8)
    for (const wait of waits) assert.isTrue(2000 <= wait && wait <= 3000)
    assert.isAbove(new Set(waits).size, waits.length / 2)
    const ups = run.all("refill").map(({ at }) => at)
    // ProbeRTT starts the wait anew.
    for (let index = 1; index < ups.length; index++) assert.isBelow(ups[index]! - ups[index - 1]!, 2 * 3000 + 2000)
  })

  it("probes at least every 63 rounds on a short path", () => {
    const run = course({ rtt: 10 })
    run.bottleneck.run(4900)
    const downs = run.all("down")
    const refills = run.all("refill")
    assert.isAbove(refills.length, 4)
    for (const refill of refills) {
      const down = downs.findLast(({ at }) => at < refill.at)
      if (down !== undefined) assert.isAtMost(refill.state.rounds.count - down.state.rounds.count, 64)
    }
  })

  it("leaves no queue while it cruises", () => {
    const run = course()
    run.until("cruise")
    run.until("cruise")
    run.bottleneck.run(run.bottleneck.now + 200)
    assert.strictEqual(stateOf(run.flow).phase, "cruise")
    assert.isAtMost(run.bottleneck.backlog, 2 * MSS)
  })

  it("does the same each time", () => {
    assert.deepStrictEqual(eightSeconds(), eightSeconds())
  })

  it("finds ten times the bandwidth within a few probes", () => {
    const run = course({ rate: RATE / 10 })
    run.until("cruise")
    run.bottleneck.path.rate = RATE
    run.bottleneck.run(run.bottleneck.now + 10_000)
    assert.isAbove(Model.maximumBandwidth(stateOf(run.flow)), 0.95 * RATE)
  })

  it("finds it also where losses had set a bound, in steps that double", () => {
    const run = course({ rate: RATE / 10, queue: PRODUCT / 25 })
    run.until("cruise")
    run.until("down")
    assert.isBelow(stateOf(run.flow).longTerm, PRODUCT / 2)
    run.bottleneck.path.rate = RATE
    run.bottleneck.path.queue = 2 * PRODUCT
    const steps = new Set<number>()
    run.until("up")
    for (let step = 0; step < 12_000; step++) {
      run.bottleneck.run(run.bottleneck.now + 1)
      steps.add(stateOf(run.flow).probe.upRounds)
    }
    assert.isAbove(Model.maximumBandwidth(stateOf(run.flow)), 0.95 * RATE)
    assert.isAbove(stateOf(run.flow).longTerm, PRODUCT)
    assert.isAtLeast(Math.max(...steps), 5)
  })

  it("follows when the path has a tenth of the bandwidth left, at once by losses, and for good after two cycles", () => {
    const run = course({ queue: PRODUCT })
    run.until("cruise")
    run.bottleneck.path.rate = RATE / 10
    run.bottleneck.run(run.bottleneck.now + 1800)
    assert.isBelow(Model.bandwidth(stateOf(run.flow)), 0.5 * RATE)
    run.bottleneck.run(run.bottleneck.now + 20_000)
    assert.isBelow(Model.maximumBandwidth(stateOf(run.flow)), 0.11 * RATE)
    const before = run.flow.lost
    const sent = run.flow.sent
    run.bottleneck.run(run.bottleneck.now + 10_000)
    assert.isBelow((run.flow.lost - before) / (run.flow.sent - sent), 0.02)
  })

  it("bounds the flight where probing lost more than 2 %, and leaves others room below", () => {
    const run = course({ queue: PRODUCT / 5 })
    run.until("refill")
    const down = run.until("down")!
    const { longTerm, probe } = down.state
    assert.isTrue(probe.tooHigh)
    assert.isAtLeast(longTerm, PRODUCT * 0.7)
    assert.isAtMost(longTerm, 1.3 * PRODUCT)
    run.until("cruise")
    for (let step = 0; step < 500; step++) {
      run.bottleneck.run(run.bottleneck.now + 1)
      if (stateOf(run.flow).phase === "cruise") assert.isAtMost(run.flow.window, 0.85 * stateOf(run.flow).longTerm)
    }
  })

  it("is careful in the probe after that one: it stops at the bound, and goes on at once if all was well (§5.3.3.6)", () => {
    const run = course({ queue: PRODUCT / 5 })
    run.until("refill")
    run.until("down")
    run.until("up")
    const careful = run.until("down")!
    assert.isTrue(careful.state.probe.precautionary)
    const again = run.until("refill")!
    assert.isBelow(again.at - careful.at, 200)
  })

  it("keeps the bandwidth that it knows while the program has little to send", () => {
    const start = 3000
    let sent = 0
    const run = course({}, {
      written: (now) => now < start ? Infinity : (sent ||= run.flow.sent) + (now - start) * 0.05 * RATE
    })
    run.bottleneck.run(start)
    const known = Model.maximumBandwidth(stateOf(run.flow))
    run.bottleneck.run(30_000)
    assert.isAtLeast(Model.maximumBandwidth(stateOf(run.flow)), 0.99 * known)
    assert.isBelow(run.flow.sent - sent, 28_000 * 0.05 * RATE)
  })

  it("copes with a path that holds less than a segment", () => {
    const run = course({ rate: megabits(0.5), rtt: 10, queue: 30_000 })
    run.bottleneck.run(20_000)
    assert.isAtLeast(run.flow.window, 4 * MSS)
    assert.isAbove(run.flow.delivered, 0.9 * 20_000 * megabits(0.5))
    assert.strictEqual(run.flow.timeouts, 0)
  })
})
