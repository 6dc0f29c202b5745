import { assert, describe, it } from "@effect/vitest"
import { Timers } from "@strata/core/time/Timers"
import { Turn } from "@strata/core/time/Turn"
import * as VirtualTime from "@strata/simulation/VirtualTime"
import { Clock, Effect, Exit, Fiber, Layer, Queue } from "effect"

const run = async <A, E>(program: Effect.Effect<A, E>) => {
  const time = VirtualTime.make()
  const fiber = Effect.runForkWith(time.context)(program)
  const finished = await time.drive(() => fiber.pollUnsafe() !== undefined)
  return { finished, exit: fiber.pollUnsafe(), now: time.now(), sleeping: time.sleeping() }
}

describe("VirtualTime", () => {
  it("ends an hour of sleep at once", async () => {
    const { exit, now } = await run(Effect.gen(function*() {
      const before = yield* Clock.currentTimeMillis
      yield* Effect.sleep("1 hour")
      return (yield* Clock.currentTimeMillis) - before
    }))
    assert.deepStrictEqual(exit, Exit.succeed(3_600_000))
    assert.strictEqual(now, 3_600_000)
  })

  it("wakes sleepers by deadline, then in the order in which they lay down", async () => {
    const order: Array<string> = []
    const note = (name: string, milliseconds: number) =>
      Effect.sleep(milliseconds).pipe(Effect.andThen(Effect.sync(() => order.push(name))))
    await run(Effect.all([note("c", 20), note("a", 10), note("b", 10), note("d", 20)], { concurrency: "unbounded" }))
    assert.deepStrictEqual(order, ["a", "b", "c", "d"])
  })

  it("does not jump to the deadline of a sleeper that was interrupted", async () => {
    const { now } = await run(Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.sleep("1 hour"))
      yield* Effect.sleep(5)
      yield* Fiber.interrupt(fiber)
      yield* Effect.sleep(5)
    }))
    assert.strictEqual(now, 10)
  })

  it("waits for promises before it moves", async () => {
    const { exit } = await run(Effect.gen(function*() {
      const late = yield* Effect.forkChild(Effect.sleep(1).pipe(Effect.as("sleep")))
      const promise = yield* Effect.forkChild(Effect.promise(async () => {
        for (let i = 0; i < 20; i++) await Promise.resolve()
        return "promise"
      }))
      return yield* Effect.raceFirst(Fiber.join(late), Fiber.join(promise))
    }))
    assert.deepStrictEqual(exit, Exit.succeed("promise"))
  })

  it("waits for promises that ticks of the event loop settle", async () => {
    const { exit } = await run(Effect.gen(function*() {
      const late = yield* Effect.forkChild(Effect.sleep(1).pipe(Effect.as("sleep")))
      const promise = yield* Effect.forkChild(Effect.promise(async () => {
        await new Promise<void>((resolve) => process.nextTick(resolve))
        for (let i = 0; i < 20; i++) await Promise.resolve()
        return "promise"
      }))
      return yield* Effect.raceFirst(Fiber.join(late), Fiber.join(promise))
    }))
    assert.deepStrictEqual(exit, Exit.succeed("promise"))
  })

  it("lets the world go on now and then, and before it gives up", async () => {
    let immediates = 0
    const count = () => {
      immediates++
      if (immediates < 10) setImmediate(count)
    }
    setImmediate(count)
    const { exit, now } = await run(Effect.gen(function*() {
      for (let i = 0; i < 1000; i++) yield* Effect.sleep(1)
      const during = immediates
      return [
        during,
        yield* Effect.promise(() => new Promise<string>((resolve) => setImmediate(() => resolve("late"))))
      ]
    }))
    assert.isTrue(Exit.isSuccess(exit!))
    assert.deepStrictEqual([immediates > 5, now], [true, 1000])
  })

  it("gives up when more and more is done at one instant", async () => {
    const time = VirtualTime.make()
    const fiber = Effect.runForkWith(time.context)(Effect.forever(Effect.yieldNow))
    assert.isFalse(await time.drive(() => fiber.pollUnsafe() !== undefined))
    assert.isTrue(time.standsStill())
    assert.strictEqual(time.now(), 0)
    fiber.interruptUnsafe()
    assert.isTrue(await time.drive(() => fiber.pollUnsafe() !== undefined))
    assert.isFalse(time.standsStill())
  })

  it("stops within an instant when it is asked to", async () => {
    const time = VirtualTime.make()
    const order: Array<string> = []
    const note = (name: string) => Effect.sync(() => void order.push(name))
    Effect.runForkWith(time.context)(note("a"))
    Effect.runForkWith(time.context)(Effect.andThen(Effect.yieldNow, Effect.sync(() => time.interrupt())))
    Effect.runForkWith(time.context)(Effect.andThen(Effect.yieldNow, note("b")))
    assert.isTrue(await time.drive(() => order.length > 0))
    assert.deepStrictEqual(order, ["a"])
    assert.isFalse(await time.drive(() => order.length > 2), "the rest is not lost")
    assert.deepStrictEqual(order, ["a", "b"])
  })

  it("says so when everybody waits and no deadline is left", async () => {
    const { exit, finished } = await run(Effect.flatMap(Queue.unbounded<number>(), Queue.take))
    assert.isFalse(finished)
    assert.isUndefined(exit)
  })

  it("wakes timers at deadlines between nanoseconds, each once", async () => {
    const { exit } = await run(
      Effect.gen(function*() {
        const turn = yield* Turn
        const timers = yield* Timers
        // A little after a whole nanosecond, by less than a multiplication can tell.
        const deadlines = Array.from({ length: 1000 }, (_, index) => (index * 104_729) / 1e6 * (1 + Number.EPSILON))
          .filter((deadline) => Math.ceil(deadline * 1e6) / 1e6 < deadline)
        assert.isAbove(deadlines.length, 0)
        for (let index = 0; index < 1000; index++) deadlines.push(index * Math.PI)
        const early: Array<number> = []
        let fired = 0
        for (const deadline of deadlines) {
          timers.make(() => {
            fired++
            if (turn.now() < deadline) early.push(deadline)
          }).set(deadline)
        }
        yield* Effect.sleep("20 days")
        return [fired - deadlines.length, ...early]
      }).pipe(Effect.provide(Timers.layer.pipe(Layer.provideMerge(Turn.layer))))
    )
    assert.deepStrictEqual(exit, Exit.succeed([0]))
  })

  it("forgets alarms of stacks that are gone", async () => {
    const { exit, sleeping } = await run(Effect.gen(function*() {
      const stack = Timers.layer.pipe(Layer.provideMerge(Turn.layer))
      const use = Effect.map(Timers, (timers) => timers.make(() => {}).set(1_000_000))
      yield* Effect.provide(Effect.andThen(use, Effect.sleep(1)), stack)
    }))
    assert.isTrue(Exit.isSuccess(exit!))
    assert.strictEqual(sleeping, 0)
  })

  it("moves the timers of a stack", async () => {
    const { exit } = await run(
      Effect.gen(function*() {
        const turn = yield* Turn
        const timers = yield* Timers
        const fired: Array<number> = []
        for (const deadline of [30.25, 0.1 + 0.2, 1000]) {
          timers.make(() => fired.push(turn.now())).set(deadline)
        }
        yield* Effect.sleep("2 seconds")
        return fired
      }).pipe(Effect.provide(Timers.layer.pipe(Layer.provideMerge(Turn.layer))))
    )
    assert.deepStrictEqual(exit, Exit.succeed([0.300001, 30.25, 1000]))
  })
})
