import { assert, describe, it } from "@effect/vitest"
import { ALL, CAPACITY, EACH, ErrorLimiter } from "@strata/core/ip/ErrorLimiter"
import * as RateLimit from "@strata/core/ip/RateLimit"
import { Schema } from "effect"

const limit = { perSecond: 10, burst: 3 }

/** How many of `attempts` at those times are let through. */
const passed = (times: ReadonlyArray<number>): number => {
  let bucket = RateLimit.make(limit, 0)
  let count = 0
  for (const time of times) {
    bucket = RateLimit.refill(bucket, limit, time)
    const left = RateLimit.take(bucket)
    if (left === undefined) continue
    bucket = left
    count++
  }
  return count
}

const permitted = (limiter: ErrorLimiter, destinations: ReadonlyArray<number>, now: number): number =>
  destinations.filter((destination) => limiter.permits(destination, now)).length

describe("RateLimit", () => {
  it("lets a burst through, then as many as come back", () => {
    assert.strictEqual(passed([0, 0, 0, 0]), 3)
    assert.strictEqual(passed([0, 0, 0, 99, 100, 150, 200]), 5)
    assert.strictEqual(passed([0, 0, 0, 10_000, 10_000, 10_000, 10_000]), 6)
  })

  it.prop(
    "never lets more through than the burst and the rate",
    { gaps: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 500 }))) },
    ({ gaps }) => {
      let now = 0
      const times = gaps.map((gap) => now += gap)
      assert.isAtMost(passed(times), limit.burst + now * limit.perSecond / 1000 + 1e-6)
    }
  )
})

describe("ErrorLimiter", () => {
  it("limits the errors to one destination", () => {
    const limiter = new ErrorLimiter()
    const same = Array.from({ length: 20 }, () => 1)
    assert.strictEqual(permitted(limiter, same, 0), EACH.burst)
    assert.strictEqual(permitted(limiter, same, 999), 0)
    assert.strictEqual(permitted(limiter, same, 1000), 1)
    assert.strictEqual(permitted(limiter, [2], 1000), 1)
  })

  it("limits the errors to all together", () => {
    const limiter = new ErrorLimiter()
    const many = Array.from({ length: 200 }, (_, index) => index)
    assert.strictEqual(permitted(limiter, many, 0), ALL.burst)
    assert.strictEqual(permitted(limiter, many, 10), 10)
  })

  it("remembers a bounded number of destinations", () => {
    const limiter = new ErrorLimiter()
    for (let index = 0; index < 3 * CAPACITY; index++) assert.isTrue(limiter.permits(index, index))
    assert.strictEqual(limiter.size, CAPACITY)
  })
})
