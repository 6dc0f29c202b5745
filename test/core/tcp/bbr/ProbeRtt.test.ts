import { assert, describe, it } from "@effect/vitest"
import { Bbr } from "@strata/core/tcp/Bbr"
import * as Model from "@strata/core/tcp/bbr/Model"
import type { BbrState } from "@strata/core/tcp/bbr/State"
import { course, delivery, stateOf, view } from "../../../support/bbrCourse.ts"
import { MSS, PRODUCT, RATE } from "../../../support/bottleneck.ts"

const viewAt = (now: number) => view({ now, inFlight: 4000 })
const sample = (total: number) =>
  delivery({ totalDelivered: total, rtt: 120 }, { priorDelivered: total - 2000, applicationLimited: true })

describe("ProbeRTT of BBR (§5.3.4)", () => {
  it("comes every five seconds or little more, for 200 ms and a round trip", () => {
    const run = course()
    run.bottleneck.run(30_000)
    const starts = run.all("probeRtt")
    assert.isAtLeast(starts.length, 4)
    for (let index = 1; index < starts.length; index++) {
      const pause = starts[index]!.at - starts[index - 1]!.at
      assert.isTrue(pause >= 5000 && pause < 7500, `${pause}`)
    }
    for (const start of starts) {
      const next = run.entries[run.entries.indexOf(start) + 1]!
      assert.isTrue(next.at - start.at >= 200 && next.at - start.at < 350, `${next.at - start.at}`)
      assert.strictEqual(next.phase, "cruise")
    }
  })

  it("holds half of what the path holds in flight, and gives the window back", () => {
    const run = course({ queue: 2 * PRODUCT })
    run.bottleneck.run(3000)
    const before = run.flow.window
    run.until("probeRtt")
    run.bottleneck.run(run.bottleneck.now + 150)
    assert.strictEqual(stateOf(run.flow).phase, "probeRtt")
    assert.closeTo(run.flow.window, PRODUCT / 2, 2 * MSS)
    assert.isAtMost(run.flow.inFlight, run.flow.window)
    assert.isBelow(run.bottleneck.backlog, 2 * MSS)
    const after = run.until("cruise")!
    assert.closeTo(after.state.window, before, 10 * MSS)
  })

  it("costs little: of the bandwidth, 94 % and more are used", () => {
    const run = course()
    run.bottleneck.run(10_000)
    const before = run.flow.delivered
    run.bottleneck.run(40_000)
    assert.isAbove((run.flow.delivered - before) / 30_000, 0.94 * RATE)
  })

  it("does not take its own low rates for those of the path", () => {
    const run = course()
    run.until("probeRtt")
    const known = Model.maximumBandwidth(stateOf(run.flow))
    run.until("refill")
    assert.isAtLeast(Model.maximumBandwidth(stateOf(run.flow)), 0.99 * known)
  })

  it("finds that the path has become shorter at once, and that it has become longer within ten seconds", () => {
    const run = course()
    run.until("cruise")
    run.bottleneck.path.rtt = 20
    run.bottleneck.run(run.bottleneck.now + 200)
    assert.closeTo(stateOf(run.flow).rtt.value, 20, 2)
    run.bottleneck.path.rtt = 80
    run.bottleneck.run(run.bottleneck.now + 12_000)
    assert.closeTo(stateOf(run.flow).rtt.value, 80, 5)
    run.bottleneck.run(run.bottleneck.now + 3000)
    const before = run.flow.delivered
    run.bottleneck.run(run.bottleneck.now + 5000)
    assert.isAbove((run.flow.delivered - before) / 5000, 0.9 * RATE)
  })

  it("is skipped when an idle time has emptied the queue", () => {
    let sent = 0
    // Eight seconds of silence from the fourth on.
    const run = course({}, {
      written: (now) => now < 4000 ? Infinity : (sent ||= run.flow.sent) + Math.max(0, now - 12_000) * 2 * RATE
    })
    run.bottleneck.at(12_100, () => run.flow.send())
    run.bottleneck.run(15_000)
    assert.deepStrictEqual(run.all("probeRtt").filter(({ at }) => at < 15_000), [])
    assert.isAbove(run.flow.sent, sent + 100_000)
  })

  it("leads back to Startup while the pipe was not full yet", () => {
    let state = Bbr.onAck(Bbr.initial(1000), delivery({ totalDelivered: 2000 }), viewAt(1000))
    const phases: Array<string> = []
    for (let now = 1100, total = 3000; now < 8000; now += 50, total += 1000) {
      state = Bbr.onAck(state, sample(total), viewAt(now))
      const { phase } = state as BbrState
      if (phases.at(-1) !== phase) phases.push(phase)
    }
    assert.deepStrictEqual(phases, ["startup", "probeRtt", "startup"])
  })
})
