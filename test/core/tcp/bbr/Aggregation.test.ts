import { assert, describe, it } from "@effect/vitest"
import * as Model from "@strata/core/tcp/bbr/Model"
import * as WindowedMaximum from "@strata/core/tcp/bbr/WindowedMaximum"
import { Schema } from "effect"
import { course, stateOf } from "../../../support/bbrCourse.ts"
import { MSS, PRODUCT, RATE } from "../../../support/bottleneck.ts"

describe("acknowledgements in heaps (§5.5.9)", () => {
  it("do not hide the bandwidth, and make it look little more", () => {
    const run = course({ heaps: 15 })
    const { state } = run.until("drain")!
    assert.isAbove(Model.maximumBandwidth(state), 0.98 * RATE)
    assert.isBelow(Model.maximumBandwidth(state), 1.2 * RATE)
    run.bottleneck.run(20_000)
    const before = run.flow.delivered
    run.bottleneck.run(30_000)
    assert.closeTo(Model.maximumBandwidth(stateOf(run.flow)), RATE, 0.15 * RATE)
    assert.isAbove((run.flow.delivered - before) / 10_000, 0.9 * RATE)
  })

  it("widen the window by what comes at once", () => {
    const smooth = course()
    const heaped = course({ heaps: 15 })
    smooth.bottleneck.run(4000)
    heaped.bottleneck.run(4000)
    const extra = stateOf(heaped.flow).aggregation.extra.best.value
    assert.isAbove(extra, 10 * RATE)
    assert.isBelow(stateOf(smooth.flow).aggregation.extra.best.value, 5 * MSS)
    assert.isAbove(heaped.flow.window, 2 * PRODUCT + extra / 2)
  })
})

/** The greatest of the samples of the last `span`, by looking at all of them. */
const greatest = (samples: ReadonlyArray<readonly [number, number]>, span: number): number => {
  const now = samples.at(-1)![0]
  return Math.max(...samples.filter(([time]) => now - time <= span).map(([, value]) => value))
}

describe("the windowed maximum", () => {
  it("keeps the greatest until it is too old, and then has the next", () => {
    let filter = WindowedMaximum.make(10, 0)
    filter = WindowedMaximum.update(filter, 8, 3, 10)
    filter = WindowedMaximum.update(filter, 5, 6, 10)
    assert.strictEqual(filter.best.value, 10)
    filter = WindowedMaximum.update(filter, 4, 10, 10)
    assert.strictEqual(filter.best.value, 10)
    filter = WindowedMaximum.update(filter, 4, 11, 10)
    assert.strictEqual(filter.best.value, 8)
    filter = WindowedMaximum.update(filter, 3, 14, 10)
    assert.isAtMost(filter.best.value, 5)
    assert.strictEqual(WindowedMaximum.update(filter, 9, 15, 10).best.value, 9)
  })

  it.prop(
    "is never more than the greatest of the window, nor less than the latest",
    [Schema.Array(Schema.Tuple([
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))
    ]))],
    ([steps]) => {
      const samples: Array<readonly [number, number]> = [[0, 7]]
      let filter = WindowedMaximum.make(7, 0)
      for (const [pause, value] of steps) {
        const time = samples.at(-1)![0] + pause
        samples.push([time, value])
        filter = WindowedMaximum.update(filter, value, time, 10)
        if (filter.best.value > greatest(samples, 10) || filter.best.value < value) return false
      }
      return true
    }
  )
})
