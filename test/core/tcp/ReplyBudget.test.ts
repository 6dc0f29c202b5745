import { assert, describe, it } from "@effect/vitest"
import { Entropy } from "@strata/core"
import { ReplyBudget } from "@strata/core/tcp/ReplyBudget"
import { Effect } from "effect"

const budget = (perSecond: number) =>
  Effect.map(Entropy, (entropy) => new ReplyBudget(entropy, perSecond)).pipe(Effect.provide(Entropy.layerSeeded(1)))

/** How many of 10,000 that ask at `now` are answered. */
const answered = (from: ReplyBudget, now: number): number => {
  let count = 0
  for (let asked = 0; asked < 10_000; asked++) if (from.take(now)) count++
  return count
}

describe("ReplyBudget", () => {
  it.effect("allows about as many a second as it should, in the mean, and never says how many", () =>
    Effect.gen(function*() {
      const replies = yield* budget(100)
      const seconds = Array.from({ length: 1000 }, (_, second) => answered(replies, second * 1000))
      assert.isAtLeast(Math.min(...seconds), 50)
      assert.isBelow(Math.max(...seconds), 150)
      assert.isAbove(new Set(seconds).size, 80)
      assert.closeTo(seconds.reduce((sum, count) => sum + count, 0) / seconds.length, 100, 5)
    }))

  it.effect("begins a second with the first that asks", () =>
    Effect.gen(function*() {
      const replies = yield* budget(10)
      assert.isAbove(answered(replies, 5500), 0)
      assert.strictEqual(answered(replies, 6499), 0)
      assert.isAbove(answered(replies, 6500), 0)
    }))

  it.effect("allows none, or all", () =>
    Effect.gen(function*() {
      assert.strictEqual(answered(yield* budget(0), 0), 0)
      assert.strictEqual(answered(yield* budget(Infinity), 0), 10_000)
    }))
})
