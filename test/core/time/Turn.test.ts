import { assert, layer } from "@effect/vitest"
import { Turn } from "@strata/core/time/Turn"
import { Clock, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"

const fail = (message: string) => () => {
  throw new Error(message)
}

layer(Turn.layer)("a turn", (it) => {
  it.effect("ends with waking, then output, then flushing, whatever the order of the requests", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const done: Array<string> = []
      turn.run(() => {
        turn.defer("flush", () => done.push("flush"))
        turn.defer("output", () => done.push("output 1"))
        turn.defer("wake", () => done.push("wake"))
        turn.defer("output", () => done.push("output 2"))
        done.push("work")
      })
      assert.deepStrictEqual(done, ["work", "wake", "output 1", "output 2", "flush"])
    }))

  it.effect("starts over with the first phase when a later one asks for it", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const done: Array<string> = []
      turn.run(() => {
        turn.defer("flush", () => {
          done.push("flush 1")
          turn.defer("output", () => {
            done.push("output")
            turn.defer("flush", () => done.push("flush 3"))
            turn.defer("wake", () => done.push("wake"))
          })
        })
        turn.defer("flush", () => done.push("flush 2"))
      })
      assert.deepStrictEqual(done, ["flush 1", "flush 2", "output", "wake", "flush 3"])
    }))

  it.effect("takes in what runs inside it", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const done: Array<string> = []
      turn.run(() => {
        turn.run(() => {
          turn.defer("wake", () => done.push("wake"))
          done.push("inner")
        })
        done.push("outer")
      })
      assert.deepStrictEqual(done, ["inner", "outer", "wake"])
    }))

  it.effect("is made for what is deferred outside of one", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const done: Array<string> = []
      turn.defer("output", () => {
        turn.defer("flush", () => done.push("flush"))
        done.push("output")
      })
      assert.deepStrictEqual(done, ["output", "flush"])
    }))

  it.effect("that is corked keeps what is for the wire until it is uncorked as often; the rest goes on", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const done: Array<string> = []
      const send = (name: string) =>
        turn.run(() => {
          turn.defer("output", () => done.push(`output ${name}`))
          turn.defer("flush", () => done.push(`flush ${name}`))
        })
      turn.cork()
      turn.cork()
      send("1")
      turn.uncork()
      send("2")
      assert.deepStrictEqual(done.splice(0), ["output 1", "output 2"])
      turn.uncork()
      assert.deepStrictEqual(done.splice(0), ["flush 1", "flush 2"])
      send("3")
      assert.deepStrictEqual(done.splice(0), ["output 3", "flush 3"])
    }))

  it.effect("that is uncorked while it runs hands to the wire at its end", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const done: Array<string> = []
      turn.cork()
      turn.run(() => {
        turn.defer("flush", () => done.push("flush"))
        turn.uncork()
        done.push("work")
      })
      assert.deepStrictEqual(done, ["work", "flush"])
    }))

  it.effect("passes on once that a program waits for a tick", () =>
    Effect.gen(function*() {
      const { requestTick, takeTickRequest } = yield* Turn
      assert.isFalse(takeTickRequest())
      requestTick()
      requestTick()
      assert.deepStrictEqual([takeTickRequest(), takeTickRequest()], [true, false])
    }))

  it.effect("stands still in time", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const outside = turn.now()
      yield* TestClock.adjust(250)
      assert.strictEqual(turn.now(), outside + 250)
      let inside: ReadonlyArray<number> = []
      turn.run(() => {
        const first = turn.now()
        turn.defer("flush", () => {
          inside = [first, turn.now()]
        })
      })
      assert.deepStrictEqual(inside, [outside + 250, outside + 250])
    }))

  it.effect("looks at the clock again when those it has woken were busy", () =>
    Effect.gen(function*() {
      let now = 1000n
      const clock = { ...(yield* Clock.Clock), monotonicTimeNanosUnsafe: () => now * 1_000_000n }
      const turn = yield* Turn.pipe(
        Effect.provide(Layer.fresh(Turn.layer), { local: true }),
        Effect.provideService(Clock.Clock, clock)
      )
      const seen: Array<number> = []
      turn.run(() => {
        turn.defer("output", () => seen.push(turn.now()))
        turn.defer("wake", () => {
          now += 400n
          seen.push(turn.now())
        })
        now += 1n
        seen.push(turn.now())
      })
      assert.deepStrictEqual(seen, [1000, 1000, 1401])
    }))

  it.effect("does the rest when something throws, and throws the first error when it is over", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const done: Array<string> = []
      assert.throws(
        () =>
          turn.run(() => {
            turn.defer("wake", fail("second"))
            turn.defer("wake", () => done.push("wake"))
            turn.defer("flush", fail("third"))
            turn.defer("flush", () => done.push("flush"))
            fail("first")()
          }),
        "first"
      )
      assert.deepStrictEqual(done, ["wake", "flush"])
      turn.run(() => turn.defer("flush", () => done.push("the next turn")))
      assert.deepStrictEqual(done, ["wake", "flush", "the next turn"])
    }))
})
