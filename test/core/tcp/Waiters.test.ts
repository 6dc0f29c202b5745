import { describe, expect, it } from "@effect/vitest"
import { Waiters } from "@strata/core/tcp/Waiters"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

const never = () => false

describe("Waiters", () => {
  it.effect("are woken one by one, in the order in which they came, or all at once", () =>
    Effect.gen(function*() {
      const waiters = new Waiters()
      const woken: Array<number> = []
      yield* Effect.forEach(
        [1, 2, 3, 4],
        (each) => Effect.forkChild(Effect.map(waiters.waitUnless(never), () => woken.push(each)))
      )
      yield* Effect.yieldNow
      waiters.wakeOne()
      expect(woken).toEqual([1])
      waiters.wakeOne()
      expect(woken).toEqual([1, 2])
      waiters.wakeAll()
      expect(woken).toEqual([1, 2, 3, 4])
      waiters.wakeOne()
    }))

  it.effect("are forgotten when they are interrupted", () =>
    Effect.gen(function*() {
      const waiters = new Waiters()
      const first = yield* Effect.forkChild(waiters.waitUnless(never))
      const second = yield* Effect.forkChild(waiters.waitUnless(never))
      yield* Effect.yieldNow
      expect(waiters.size).toBe(2)
      yield* Fiber.interrupt(first)
      expect(waiters.size).toBe(1)
      waiters.wakeOne()
      yield* Fiber.join(second)
      expect(waiters.size).toBe(0)
    }))

  it.effect("do not wait for what is there already", () =>
    Effect.gen(function*() {
      const waiters = new Waiters()
      yield* waiters.waitUnless(() => true)
      expect(waiters.size).toBe(0)
    }))

  it.effect("each have a place of their own where they run the same Effect", () =>
    Effect.gen(function*() {
      const waiters = new Waiters()
      const there: Array<number> = []
      const wait = waiters.waitFor(() => {
        const next = there.shift()
        return next === undefined ? undefined : Effect.succeed(next)
      })
      const fibers = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.forkChild(wait, { startImmediately: true })
      )
      yield* Fiber.interrupt(fibers[1]!)
      expect(waiters.size).toBe(2)
      there.push(7, 8)
      waiters.wakeAll()
      expect(yield* Fiber.join(fibers[0]!)).toBe(7)
      expect(yield* Fiber.join(fibers[2]!)).toBe(8)
      expect(waiters.size).toBe(0)
      const again = yield* Effect.forkChild(wait, { startImmediately: true })
      there.push(9)
      waiters.wakeOne()
      expect(yield* Fiber.join(again)).toBe(9)
    }))

  it.effect("get what is found for them when they are woken, and wait on where there is nothing", () =>
    Effect.gen(function*() {
      const waiters = new Waiters()
      const there: Array<number> = []
      const look = () => {
        const next = there.shift()
        return next === undefined ? undefined : Effect.succeed(next)
      }
      const first = yield* Effect.forkChild(waiters.waitFor(look), { startImmediately: true })
      const second = yield* Effect.forkChild(waiters.waitFor(look), { startImmediately: true })
      waiters.wakeOne()
      expect(waiters.size).toBe(2)
      there.push(7)
      waiters.wakeOne()
      expect(yield* Fiber.join(second)).toBe(7)
      expect(waiters.size).toBe(1)
      there.push(8)
      yield* Fiber.interrupt(first)
      waiters.wakeAll()
      expect(there).toEqual([8])
      expect(yield* waiters.waitFor(look)).toBe(8)
    }))
})
