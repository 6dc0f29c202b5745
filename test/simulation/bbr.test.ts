/**
 * BBR between whole stacks: it fills the path, through losses as well, and leaves its queue short.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Middleware } from "@strata/core/device/Middleware"
import { Bbr } from "@strata/core/tcp/Bbr"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import { Reno } from "@strata/core/tcp/Reno"
import { Loss } from "@strata/drivers"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { FRAME, SEGMENT } from "./matrix/Cell.ts"
import { type Bottleneck, share } from "./matrix/Sharing.ts"

/** Milliseconds that a test may take on a machine that has much else to do. */
const PATIENCE = 120_000

const path: Bottleneck = { rate: 100e6, roundTrip: 40, settle: 2, measure: 5, apart: 0, buffers: 4_000_000 }

/** An algorithm, and what it was told of the path. */
const watched = (algorithm: CongestionAlgorithm) => {
  const seen = { least: Infinity, sum: 0, count: 0, timeouts: 0, undone: 0 }
  const watching: CongestionAlgorithm = {
    ...algorithm,
    onAck: (state, delivery, view) => {
      if (delivery.rtt !== undefined) {
        seen.least = Math.min(seen.least, delivery.rtt)
        seen.sum += delivery.rtt
        seen.count++
      }
      return algorithm.onAck(state, delivery, view)
    },
    onTimeout: (state, first, view) => {
      seen.timeouts++
      return algorithm.onTimeout(state, first, view)
    },
    onSpurious: (state, before, view) => {
      seen.undone++
      return algorithm.onSpurious === undefined ? before : algorithm.onSpurious(state, before, view)
    }
  }
  /** Milliseconds that packets waited on average. */
  const queue = () => seen.sum / seen.count - seen.least
  return { algorithm: watching, seen, queue }
}

/** The share of what fits the link that one flow of BBR got. */
const used = (changes: Partial<Bottleneck>, seed?: number) => {
  const { algorithm, queue, seen } = watched(Bbr)
  const where = { ...path, ...changes }
  return Effect.map(share([algorithm], where, seed), ({ total }) => ({
    filled: total * FRAME / SEGMENT / where.rate,
    queue: queue(),
    ...seen
  }))
}

describe("one flow of BBR", () => {
  it.effect("fills 100 Mbit/s over 40 ms, and leaves a deep queue empty that Reno fills", () =>
    Effect.gen(function*() {
      const deep = { queue: 1320 }
      const bbr = yield* used(deep)
      assert.isAbove(bbr.filled, 0.95)
      assert.strictEqual(bbr.timeouts, 0)
      const reno = watched(Reno)
      yield* share([reno.algorithm], { ...path, ...deep })
      assert.isBelow(bbr.queue, reno.queue() / 10)
    }), PATIENCE)

  it.effect(
    "fills nine tenths of it when one percent is lost, and takes no loss for a mistake",
    () =>
      Effect.gen(function*() {
        const shares: Array<number> = []
        for (const seed of [1, 2, 3, 4, 5]) {
          const { filled, timeouts, undone } = yield* used({ loss: Loss.bernoulli(0.01) }, seed)
          shares.push(filled)
          assert.deepStrictEqual({ timeouts, undone }, { timeouts: 0, undone: 0 }, `seed ${seed}`)
        }
        // Losses that come together while it starts may end Startup early, and the rate is found again step by step.
        const [least, , median] = shares.toSorted((one, other) => one - other)
        assert.isAbove(median!, 0.9, shares.join(", "))
        assert.isAbove(least!, 0.5, shares.join(", "))
      }),
    PATIENCE
  )

  it.effect("fills 1 Gbit/s over 100 ms within two seconds", () =>
    Effect.gen(function*() {
      const { filled, timeouts } = yield* used({
        rate: 1e9,
        roundTrip: 100,
        settle: 2,
        measure: 0.5,
        buffers: 64_000_000
      })
      assert.isAbove(filled, 0.95)
      assert.strictEqual(timeouts, 0)
    }), PATIENCE)

  it.effect("fills a path of a tenth of a millisecond, through losses as well", () =>
    Effect.gen(function*() {
      for (const loss of [0, 0.01]) {
        const { filled, queue } = yield* used({
          roundTrip: 0.1,
          settle: 0.5,
          measure: 1.5,
          queue: 100,
          loss: Loss.bernoulli(loss)
        })
        assert.isAbove(filled, 0.97, `loss ${loss}`)
        // Room for bursts of a millisecond: three quanta.
        assert.isBelow(queue, 4, `loss ${loss}`)
      }
    }), PATIENCE)
})

describe("flows of BBR", () => {
  it.effect("share what there is", () =>
    Effect.gen(function*() {
      const slow = { ...path, rate: 20e6, roundTrip: 20, apart: 2, settle: 15, measure: 20 }
      for (const count of [2, 3]) {
        const { goodputs, jain, total } = yield* share(Array.from({ length: count }, () => Bbr), slow)
        assert.isAtLeast(jain, 0.95, goodputs.join(" "))
        assert.isAbove(total * FRAME / SEGMENT / slow.rate, 0.9)
      }
    }), PATIENCE)
})

/** Notes when packets leave, in milliseconds. */
const departures = (times: Array<number>): Middleware => (device) =>
  Effect.map(Clock.Clock, (clock) => ({
    device: {
      ...device,
      transmit: (packet) => {
        times.push(Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
        return device.transmit(packet)
      }
    },
    attached: (attachment) => attachment
  }))

describe("the segments of BBR", () => {
  it.effect("leave evenly where each takes longer than a timer", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      yield* share([Bbr], { ...path, rate: 4e6, settle: 3, measure: 1, middleware: departures(times) })
      const late = times.filter((time) => time > times.at(-1)! - 500)
      const gaps = late.slice(1).map((time, index) => time - late[index]!)
      const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
      assert.isAbove(gaps.length, 100)
      for (const gap of gaps) assert.closeTo(gap, mean, 0.5 * mean)
    }), PATIENCE)

  it.effect("leave in bursts of a millisecond where timers are no finer", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      yield* share([Bbr], { ...path, settle: 2, measure: 1, middleware: departures(times) })
      const late = times.filter((time) => time > times.at(-1)! - 500)
      let most = 0
      for (let from = 0, to = 0; to < late.length; to++) {
        while (late[to]! - late[from]! >= 1) from++
        most = Math.max(most, to - from + 1)
      }
      const gaps = late.slice(1).map((time, index) => time - late[index]!)
      const perMillisecond = path.rate / 8000 / FRAME
      assert.isBelow(most, 2.5 * perMillisecond)
      assert.isBelow(Math.max(...gaps), 2.5)
    }), PATIENCE)
})
