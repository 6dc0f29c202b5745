import { assert, describe, it } from "@effect/vitest"
import { Packet } from "@strata/core/device/Packet"
import { Entropy } from "@strata/core/Entropy"
import { Timers } from "@strata/core/time/Timers"
import { Turn } from "@strata/core/time/Turn"
import type { Conditions } from "@strata/drivers/path/Conditions"
import * as Distribution from "@strata/drivers/path/Distribution"
import * as Faults from "@strata/drivers/path/Faults"
import { Path } from "@strata/drivers/path/Path"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"

const services = Layer.mergeAll(Timers.layer.pipe(Layer.provideMerge(Turn.layer)), Entropy.layerSeeded(1))

/** Sends five frames with their numbers behind the Ethernet header, 10 milliseconds apart; what arrives, and when. */
const send = (conditions: Partial<Conditions>) =>
  Effect.gen(function*() {
    const turn = yield* Turn
    const started = turn.now()
    const arrivals: Array<readonly [number: number, at: number]> = []
    const path = new Path(
      { turn, timers: yield* Timers, entropy: yield* Entropy },
      "ethernet",
      conditions,
      (packet) => arrivals.push([packet.view.getUint32(packet.start + 14), turn.now() - started])
    )
    for (let number = 1; number <= 5; number++) {
      const packet = new Packet(new Uint8Array(64))
      packet.view.setUint32(14, number)
      turn.run(() => path.send(packet))
      yield* TestClock.adjust(10)
    }
    yield* TestClock.adjust("1 minute")
    return { arrivals, counters: path.counters() }
  }).pipe(Effect.provide(services))

const numbers = (arrivals: ReadonlyArray<readonly [number: number, at: number]>) => arrivals.map(([number]) => number)

describe("Faults", () => {
  it.effect("loses and duplicates the packets with the numbers they are for", () =>
    Effect.gen(function*() {
      const { arrivals, counters } = yield* send({ faults: Faults.at([2, Faults.lose], [4, Faults.duplicate]) })
      assert.deepStrictEqual(numbers(arrivals), [1, 3, 4, 4, 5])
      assert.deepInclude(counters, { offered: 5, lost: 1, duplicated: 1, delivered: 5, inFlight: 0 })
    }))

  it.effect("delays one packet and lets the others overtake it", () =>
    Effect.gen(function*() {
      const { arrivals, counters } = yield* send({
        latency: Distribution.constant(5),
        faults: Faults.at([2, Faults.delay(25)])
      })
      assert.deepStrictEqual(arrivals, [[1, 5], [3, 25], [4, 35], [2, 40], [5, 45]])
      assert.strictEqual(counters.reordered, 1)
    }))

  it.effect("flips the bit it is told to, counted behind the Ethernet header and round again", () =>
    Effect.gen(function*() {
      const lowest = yield* send({ faults: Faults.at([3, Faults.corrupt(24)]) })
      assert.deepStrictEqual(numbers(lowest.arrivals), [1, 2, 3 ^ 1, 4, 5])
      const around = yield* send({ faults: Faults.at([3, Faults.corrupt(24 + (64 - 14) * 8)]) })
      assert.deepStrictEqual(numbers(around.arrivals), [1, 2, 3 ^ 1, 4, 5])
      assert.strictEqual(around.counters.corrupted, 1)
    }))

  it.effect("does several things to one packet, in order", () =>
    Effect.gen(function*() {
      const both = yield* send({
        faults: Faults.at([1, Faults.delay(12)], [1, Faults.duplicate], [1, Faults.delay(3)])
      })
      assert.deepStrictEqual(both.arrivals, [[2, 10], [1, 15], [1, 15], [3, 20], [4, 30], [5, 40]])
      const lost = yield* send({ faults: Faults.at([1, Faults.duplicate], [1, Faults.lose]) })
      assert.deepStrictEqual(numbers(lost.arrivals), [2, 3, 4, 5])
      assert.strictEqual(lost.counters.duplicated, 0)
    }))

  it.effect("asks a function about each packet", () =>
    Effect.gen(function*() {
      const { arrivals } = yield* send({
        faults: (number, decoded) => number > 3 && decoded().length === 64 ? [Faults.lose] : []
      })
      assert.deepStrictEqual(numbers(arrivals), [1, 2, 3])
    }))

  it.effect("draws no chance, so other faults stay where they were", () =>
    Effect.gen(function*() {
      const conditions = { reordering: { probability: 0.4, delay: 15 } }
      const without = yield* send(conditions)
      const faulty = yield* send({ ...conditions, faults: Faults.at([5, Faults.corrupt(0)]) })
      assert.deepStrictEqual(faulty.arrivals.map(([, at]) => at), without.arrivals.map(([, at]) => at))
    }))
})
