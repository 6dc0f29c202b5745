import { assert, describe, it } from "@effect/vitest"
import { AlarmMaker, type MakeAlarm } from "@strata/core/time/Alarm"
import { TimerHeap } from "@strata/core/time/TimerHeap"
import { type Timer, Timers } from "@strata/core/time/Timers"
import { Turn } from "@strata/core/time/Turn"
import { Clock, Effect, Latch, Layer, Logger, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"

const time = Timers.layer.pipe(Layer.provideMerge(Turn.layer))

/** Timers that write their names and the time since the start. */
const bench = Effect.gen(function*() {
  const timers = yield* Timers
  const turn = yield* Turn
  const start = turn.now()
  const fired: Array<string> = []
  const after = (milliseconds: number) => turn.now() + milliseconds
  const named = (name: string, then: () => void = () => {}): Timer =>
    timers.make(() => {
      fired.push(`${name} at ${turn.now() - start}`)
      then()
    })
  return { fired, after, named, turn, start }
})

/** A clock that shows what `now` says, in milliseconds. */
const showing = (now: () => number): Omit<Clock.Clock, "sleep"> => {
  const nanos = () => BigInt(now()) * 1_000_000n
  return {
    currentTimeMillisUnsafe: now,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos)
  }
}

/** Enough turns of the event loop for all that happens without time. */
const turns = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

describe("Timers", () => {
  it.effect("run in the order of their deadlines, each when it is due", () =>
    Effect.gen(function*() {
      const { after, fired, named } = yield* bench
      named("late").set(after(300))
      named("early").set(after(100))
      named("middle").set(after(200))
      yield* TestClock.adjust(99)
      assert.deepStrictEqual(fired, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(fired, ["early at 100"])
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(fired, ["early at 100", "middle at 200", "late at 300"])
    }).pipe(Effect.provide(time)))

  it.effect("run once per setting, and not at an earlier setting", () =>
    Effect.gen(function*() {
      const { after, fired, named, start } = yield* bench
      const timer = named("a")
      timer.set(after(100))
      timer.set(after(300))
      assert.strictEqual(timer.deadline(), start + 300)
      yield* TestClock.adjust(200)
      assert.deepStrictEqual(fired, [])
      timer.set(after(50))
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(fired, ["a at 250"])
      assert.strictEqual(timer.deadline(), Infinity)
      timer.set(after(100))
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(fired, ["a at 250", "a at 1300"])
    }).pipe(Effect.provide(time)))

  it.effect("do not run when they are cleared, by `clear` or by `Infinity`", () =>
    Effect.gen(function*() {
      const { after, fired, named } = yield* bench
      const cleared = named("cleared")
      const never = named("never")
      const again = named("again")
      for (const timer of [cleared, never, again]) timer.set(after(100))
      cleared.clear()
      never.set(Infinity)
      again.clear()
      again.set(after(150))
      assert.strictEqual(never.deadline(), Infinity)
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(fired, ["again at 150"])
    }).pipe(Effect.provide(time)))

  it.effect("with one deadline run in the order in which they were set", () =>
    Effect.gen(function*() {
      const { after, fired, named } = yield* bench
      const moved = named("moved")
      const stayed = named("stayed")
      moved.set(after(50))
      stayed.set(after(100))
      moved.set(after(100))
      const repeated = named("repeated")
      repeated.set(after(100))
      named("last").set(after(100))
      repeated.set(after(100))
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(fired, ["stayed at 100", "moved at 100", "last at 100", "repeated at 100"])
    }).pipe(Effect.provide(time)))

  it.effect("run in order of deadline when the clock jumps over several", () => {
    const alarm = Latch.makeUnsafe(false)
    let now = 0
    const slow: Clock.Clock = { ...showing(() => now), sleep: () => alarm.await }
    return Effect.gen(function*() {
      const { after, fired, named } = yield* bench
      const postponed = named("postponed")
      postponed.set(after(10))
      postponed.set(after(30))
      named("between").set(after(20))
      yield* Effect.yieldNow
      now = 100
      yield* alarm.open
      // A late alarm lets devices read first.
      yield* turns
      assert.deepStrictEqual(fired, ["between at 100", "postponed at 100"])
    }).pipe(Effect.provide(time), Effect.provideService(Clock.Clock, slow))
  })

  it.effect("let devices read first, even when the alarm is punctual", () => {
    const alarm = Latch.makeUnsafe(false)
    let now = 0
    const slow: Clock.Clock = { ...showing(() => now), sleep: () => alarm.await }
    return Effect.gen(function*() {
      const { after, fired, named } = yield* bench
      const answered = named("answered")
      answered.set(after(10))
      named("unanswered").set(after(10))
      yield* Effect.yieldNow
      now = 11
      yield* alarm.open
      yield* Effect.yieldNow
      assert.deepStrictEqual(fired, [])
      answered.clear()
      yield* turns
      assert.deepStrictEqual(fired, ["unanswered at 11"])
    }).pipe(Effect.provide(time), Effect.provideService(Clock.Clock, slow))
  })

  it.effect("wait behind what had arrived when an alarm is late", () => {
    const bells: Array<(asOf: number) => void> = []
    const silent: MakeAlarm = ({ ring }) => {
      bells.push(ring)
      return Effect.succeed({ set: () => {} })
    }
    return Effect.gen(function*() {
      const { after, fired, named, start, turn } = yield* bench
      const answered = named("answered")
      named("early").set(after(10))
      answered.set(after(20))
      const told: Array<number> = []
      ;(yield* Timers).make((asOf) => told.push(asOf - start)).set(after(10))
      yield* TestClock.adjust(400)
      const [rung] = bells as [(asOf: number) => void]
      // The loop was busy. What it has read since tells of all that had arrived by then, and no more.
      rung(start + 15)
      assert.deepStrictEqual(fired, ["early at 400"])
      assert.deepStrictEqual(told, [15])
      turn.run(() => answered.clear())
      rung(start + 400)
      assert.deepStrictEqual(fired, ["early at 400"])
    }).pipe(Effect.provide(time), Effect.provideService(AlarmMaker, silent))
  })

  it.live("let a busy process read what had arrived, and believe no later deadline for that", () => {
    let now = 0
    let asleep = Latch.makeUnsafe(false)
    const slow: Clock.Clock = { ...showing(() => now), sleep: () => asleep.await }
    return Effect.gen(function*() {
      const { after, fired, named } = yield* bench
      named("due").set(after(10))
      named("due while it reads").set(after(220))
      yield* Effect.yieldNow
      now = 100
      // A device reads for three turns of the event loop, which take long.
      const read = (left: number) => {
        fired.push("read")
        now += 50
        if (left > 1) setImmediate(read, left - 1)
      }
      setImmediate(read, 3)
      const ended = asleep
      asleep = Latch.makeUnsafe(false)
      yield* ended.open
      yield* turns
      assert.deepStrictEqual(fired, ["read", "read", "read", "due at 250"])
    }).pipe(Effect.provide(time), Effect.provideService(Clock.Clock, slow))
  })

  it.effect("set from a timer run at their time, be it now", () =>
    Effect.gen(function*() {
      const { after, fired, named } = yield* bench
      const chained = named("chained")
      const again: Timer = named("again", () => {
        if (fired.length < 4) again.set(after(0))
        chained.set(after(5))
      })
      again.set(after(10))
      yield* TestClock.adjust(10)
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(fired, ["again at 10", "again at 10", "again at 10", "again at 10", "chained at 15"])
    }).pipe(Effect.provide(time)))

  it.effect("clear and postpone others that are due at the same moment", () =>
    Effect.gen(function*() {
      const { after, fired, named } = yield* bench
      const cleared = named("cleared")
      const postponed = named("postponed")
      named("first", () => {
        cleared.clear()
        postponed.set(after(40))
      }).set(after(10))
      cleared.set(after(10))
      postponed.set(after(10))
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(fired, ["first at 10", "postponed at 50"])
    }).pipe(Effect.provide(time)))

  it.effect("wake an earlier one although the fiber sleeps for a later one", () =>
    Effect.gen(function*() {
      const { after, fired, named } = yield* bench
      named("late").set(after(10_000))
      yield* TestClock.adjust(5_000)
      named("early").set(after(10))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(fired, ["early at 5010"])
    }).pipe(Effect.provide(time)))

  it.effect("share a turn when they are due together", () =>
    Effect.gen(function*() {
      const { after, fired, named, turn } = yield* bench
      const defer = () => turn.defer("flush", () => fired.push("flush"))
      named("a", defer).set(after(10))
      named("b", defer).set(after(10))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(fired, ["a at 10", "b at 10", "flush", "flush"])
    }).pipe(Effect.provide(time)))

  it.effect("go on when one throws, which is logged", () => {
    const logged: Array<unknown> = []
    const logger = Logger.make((options) => logged.push(options.message))
    return Effect.gen(function*() {
      const { after, fired, named } = yield* bench
      named("broken", () => {
        throw new Error("broken")
      }).set(after(10))
      named("behind").set(after(10))
      named("later").set(after(20))
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(fired, ["broken at 10", "behind at 10", "later at 20"])
      assert.strictEqual(logged.length, 1)
    }).pipe(Effect.provide(time), Effect.provide(Logger.layer([logger])))
  })

  it.effect("end with the scope of their Layer", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(time, scope)
      const { after, fired, named } = yield* bench.pipe(Effect.provide(services))
      named("a").set(after(10))
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(fired, [])
    }))

  const Step = Schema.Union([
    Schema.Struct({
      _tag: Schema.tag("Set"),
      timer: Schema.Literals([0, 1, 2, 3, 4]),
      after: Schema.Literals([0, 1, 5, 9, 30])
    }),
    Schema.Struct({ _tag: Schema.tag("Clear"), timer: Schema.Literals([0, 1, 2, 3, 4]) }),
    Schema.Struct({ _tag: Schema.tag("Pass"), milliseconds: Schema.Literals([1, 2, 4, 16]) })
  ])
  it.effect.prop("do what a list of deadlines would do", [Schema.Array(Step)], ([steps]) =>
    Effect.gen(function*() {
      const { fired, named, start, turn } = yield* bench
      const timers = [0, 1, 2, 3, 4].map((name) => named(String(name)))
      const expected: Array<string> = []
      let model: Array<{ readonly timer: number; readonly at: number }> = []
      let now = 0
      for (const step of steps) {
        if (step._tag === "Pass") {
          now += step.milliseconds
          const due = model.filter(({ at }) => at <= now).toSorted((a, b) => a.at - b.at)
          model = model.filter(({ at }) => at > now)
          expected.push(...due.map(({ at, timer }) => `${timer} at ${at}`))
          yield* TestClock.adjust(step.milliseconds)
        } else {
          model = model.filter(({ timer }) => timer !== step.timer)
          if (step._tag === "Clear") {
            timers[step.timer]!.clear()
          } else {
            timers[step.timer]!.set(turn.now() + step.after + 1)
            model.push({ timer: step.timer, at: now + step.after + 1 })
          }
        }
        assert.strictEqual(turn.now() - start, now)
      }
      assert.deepStrictEqual(fired, expected)
    }).pipe(Effect.provide(Layer.fresh(time))))
})

describe("TimerHeap", () => {
  it("does not keep what is cleared", () => {
    const heap = new TimerHeap()
    const entries = Array.from({ length: 10_000 }, (_, index) => ({
      deadline: 1_000_000 - index,
      asked: index,
      place: 0,
      order: 0,
      index: -1,
      run: () => {}
    }))
    for (const entry of entries) heap.push(entry)
    for (const entry of entries) if (entry.asked % 100 !== 0) heap.clear(entry)
    assert.isAtMost(heap.size, 264)
    const order: Array<number> = []
    for (let entry = heap.peek(); entry !== undefined; entry = heap.peek()) {
      heap.remove(entry)
      if (entry.deadline !== Infinity) order.push(entry.asked)
    }
    assert.deepStrictEqual(order, Array.from({ length: 100 }, (_, index) => 9_900 - 100 * index))
  })
})
