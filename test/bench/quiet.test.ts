import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { make, parseTicks } from "../../bench/support/quiet.ts"

/** A machine that is that busy in one look after the other, and then as in the last. */
const machine = (...shares: ReadonlyArray<number>) => {
  let looks = 0
  let busy = 0
  return Effect.sync(() => {
    const look = looks++
    // Two readings make one look.
    if (look % 2 === 1) busy += (shares[look >> 1] ?? shares.at(-1)!) * 100
    return { busy, total: 100 * Math.ceil(look / 2) }
  })
}

const waited = Effect.fnUntraced(function*(wait: Effect.Effect<boolean>) {
  const fiber = yield* Effect.forkChild(wait)
  yield* TestClock.adjust("10 seconds")
  return yield* Fiber.join(fiber)
})

const options = { bound: 0.1, interval: 100, patience: 1000 }

describe("Waiting for quiet", () => {
  it.effect("goes on at once on a quiet machine", () =>
    Effect.gen(function*() {
      const quiet = make(options, machine(0.05))
      expect(yield* waited(quiet.wait)).toBe(true)
      expect(quiet.waits()).toEqual({ times: 1, inVain: 0, milliseconds: 0 })
    }))

  it.effect("waits until others are done", () =>
    Effect.gen(function*() {
      const quiet = make(options, machine(1, 0.5, 0.2, 0))
      expect(yield* waited(quiet.wait)).toBe(true)
      expect(quiet.waits()).toEqual({ times: 1, inVain: 0, milliseconds: 300 })
    }))

  it.effect("has so much patience in all, and no more", () =>
    Effect.gen(function*() {
      const quiet = make(options, machine(1))
      expect(yield* waited(quiet.wait)).toBe(false)
      expect(quiet.waits()).toEqual({ times: 1, inVain: 1, milliseconds: 900 })
      expect(yield* waited(quiet.wait)).toBe(false)
      expect(quiet.waits()).toEqual({ times: 2, inVain: 2, milliseconds: 900 })
    }))

  it("reads what the kernel counts", () => {
    const text = "cpu  10 20 30 400 50 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
    expect(parseTicks(text)).toEqual({ busy: 81, total: 531 })
  })
})
