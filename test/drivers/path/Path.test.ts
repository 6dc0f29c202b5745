import { assert, describe, it } from "@effect/vitest"
import { Packet } from "@strata/core/device/Packet"
import { Entropy } from "@strata/core/Entropy"
import { Timers } from "@strata/core/time/Timers"
import { Turn } from "@strata/core/time/Turn"
import type { Conditions } from "@strata/drivers/path/Conditions"
import * as Distribution from "@strata/drivers/path/Distribution"
import * as Loss from "@strata/drivers/path/Loss"
import { Path, type PathCounters } from "@strata/drivers/path/Path"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"

const services = (seed: number) =>
  Layer.mergeAll(Timers.layer.pipe(Layer.provideMerge(Turn.layer)), Entropy.layerSeeded(seed))

/** A frame of `size` octets that carries its number behind the Ethernet header. */
const frame = (number: number, size: number): Packet => {
  const packet = new Packet(new Uint8Array(size))
  packet.view.setUint32(14, number)
  return packet
}

interface Arrival {
  readonly number: number
  readonly at: number
}

/** Sends frames 1 to `count` at intervals, and waits until nothing is under way. */
const send = (conditions: Partial<Conditions>, options: {
  readonly count: number
  readonly interval?: number
  readonly size?: number
  readonly seed?: number
}) =>
  Effect.gen(function*() {
    const turn = yield* Turn
    const started = turn.now()
    const arrivals: Array<Arrival> = []
    const path = new Path(
      { turn, timers: yield* Timers, entropy: yield* Entropy },
      "ethernet",
      conditions,
      (packet) => arrivals.push({ number: packet.view.getUint32(packet.start + 14), at: turn.now() - started })
    )
    for (let number = 1; number <= options.count; number++) {
      turn.run(() => path.send(frame(number, options.size ?? 64)))
      yield* TestClock.adjust(options.interval ?? 0)
    }
    yield* TestClock.adjust("1 minute")
    return { arrivals, counters: path.counters(), numbers: arrivals.map(({ number }) => number) }
  }).pipe(Effect.provide(services(options.seed ?? 1)))

const accounted = (counters: PathCounters): boolean =>
  counters.offered + counters.duplicated ===
    counters.delivered + counters.inFlight + counters.lost + counters.blackholed + counters.overflowed + counters.tooBig

const firstNumbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

describe("Path", () => {
  it.effect("passes everything on at once when it is ideal", () =>
    Effect.gen(function*() {
      const { arrivals } = yield* send({}, { count: 3, interval: 10 })
      assert.deepStrictEqual(arrivals, [{ number: 1, at: 0 }, { number: 2, at: 10 }, { number: 3, at: 20 }])
    }))

  it.effect("delays, and keeps the order however much the delay varies", () =>
    Effect.gen(function*() {
      const constant = yield* send({ latency: Distribution.constant(25) }, { count: 2, interval: 10 })
      assert.deepStrictEqual(constant.arrivals, [{ number: 1, at: 25 }, { number: 2, at: 35 }])
      const varied = yield* send({ latency: Distribution.pareto(1, 1.1) }, { count: 500, interval: 1 })
      assert.deepStrictEqual(varied.numbers, firstNumbers(500))
    }))

  it.effect("loses a share of packets", () =>
    Effect.gen(function*() {
      const { counters } = yield* send({ loss: Loss.bernoulli(0.1) }, { count: 5000 })
      // Five standard deviations of a binomial distribution.
      assert.closeTo(counters.lost, 500, 5 * Math.sqrt(5000 * 0.1 * 0.9))
      assert.isTrue(accounted(counters))
    }))

  it.effect("loses in bursts as long as the states of Gilbert and Elliott last", () =>
    Effect.gen(function*() {
      const loss = Loss.gilbertElliott({ goodToBad: 0.02, badToGood: 0.25 })
      const { counters, numbers } = yield* send({ loss }, { count: 20_000 })
      const arrived = new Set(numbers)
      const bursts = firstNumbers(20_000).filter((n) => !arrived.has(n) && (n === 1 || arrived.has(n - 1))).length
      assert.closeTo(counters.lost / bursts, 4, 0.6)
      assert.closeTo(counters.lost / 20_000, 0.02 / (0.02 + 0.25), 0.02)
    }))

  it.effect("loses the packets it is told to", () =>
    Effect.gen(function*() {
      const byNumber = yield* send({ loss: Loss.numbers(2, 4) }, { count: 5 })
      assert.deepStrictEqual(byNumber.numbers, [1, 3, 5])
      const seen: Array<number> = []
      const matching = Loss.matching((packet) => {
        seen.push(packet.length)
        return packet.ethernet?.etherType === 0
      })
      const byContent = yield* send({ loss: matching }, { count: 2, size: 70 })
      assert.deepStrictEqual(byContent.numbers, [])
      assert.deepStrictEqual(seen, [70, 70])
    }))

  it.effect("duplicates", () =>
    Effect.gen(function*() {
      const { counters, numbers } = yield* send({ duplication: 1 }, { count: 2 })
      assert.deepStrictEqual(numbers, [1, 1, 2, 2])
      assert.isTrue(accounted(counters))
    }))

  it.effect("flips one bit behind the Ethernet header", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      for (let round = 0; round < 200; round++) {
        let bits = 0
        const path = new Path(
          { turn, timers: yield* Timers, entropy: yield* Entropy },
          "ethernet",
          { corruption: 1 },
          (packet) => {
            assert.isTrue(packet.bytes.subarray(0, 14).every((byte) => byte === 0))
            for (const byte of packet.bytes) bits += byte.toString(2).replaceAll("0", "").length
          }
        )
        turn.run(() => path.send(new Packet(new Uint8Array(40))))
        assert.strictEqual(bits, 1)
      }
    }).pipe(Effect.provide(services(7))))

  it.effect("lets a delayed packet be overtaken", () =>
    Effect.gen(function*() {
      const { arrivals } = yield* send({ reordering: { probability: 1, delay: 30 } }, { count: 1 })
      assert.deepStrictEqual(arrivals, [{ number: 1, at: 30 }])
      const some = yield* send({ reordering: { probability: 0.2, delay: 25 } }, { count: 300, interval: 10 })
      assert.notDeepEqual(some.numbers, firstNumbers(300))
      assert.deepStrictEqual(some.numbers.toSorted((a, b) => a - b), firstNumbers(300))
      for (const [index, number] of some.numbers.entries()) assert.isAtMost(Math.abs(index + 1 - number), 3)
    }))

  it.effect("holds a packet back until as many others have passed, or for a while", () =>
    Effect.gen(function*() {
      const { counters, numbers } = yield* send({ reordering: { probability: 0.1, packets: 3 } }, {
        count: 400,
        interval: 1
      })
      assert.isAbove(counters.reordered, 10)
      assert.deepStrictEqual(numbers.toSorted((a, b) => a - b), firstNumbers(400))
      for (const number of firstNumbers(390)) {
        const overtakers = numbers.slice(0, numbers.indexOf(number)).filter((other) => other > number).length
        assert.isAtMost(overtakers, 3)
      }
      // On a long path, those that are under way already do not pass it, and it travels no less than they do.
      const latency = Distribution.constant(50)
      const far = yield* send({ latency, reordering: { probability: 0.1, packets: 3 } }, { count: 400, interval: 1 })
      assert.isAbove(far.counters.reordered, 10)
      assert.deepStrictEqual(far.numbers, numbers)
      for (const { at, number } of far.arrivals) assert.isAtLeast(at, number - 1 + 50)
      const alone = yield* send({ reordering: { probability: 1, packets: 3, atMost: 40 } }, { count: 1 })
      assert.deepStrictEqual(alone.arrivals, [{ number: 1, at: 40 }])
    }))

  it.effect("sends as fast as its bandwidth, after a burst", () =>
    Effect.gen(function*() {
      // 1,000 octets at 8 Mbit/s take one millisecond.
      const steady = yield* send({ bandwidth: 8e6 }, { count: 4, size: 1000 })
      assert.deepStrictEqual(steady.arrivals.map(({ at }) => at), [1, 2, 3, 4])
      const burst = yield* send({ bandwidth: 8e6, burst: 2000 }, { count: 4, size: 1000 })
      assert.deepStrictEqual(burst.arrivals.map(({ at }) => at), [0, 0, 1, 2])
    }))

  it.effect("drops the newest when its queue is full, by packets and by octets", () =>
    Effect.gen(function*() {
      const packets = yield* send({ bandwidth: 8e6, queue: { packets: 2, octets: Infinity } }, { count: 5, size: 1000 })
      assert.deepStrictEqual(packets.numbers, [1, 2])
      assert.strictEqual(packets.counters.overflowed, 3)
      const octets = yield* send({ bandwidth: 8e6, queue: { packets: 100, octets: 3500 } }, { count: 5, size: 1000 })
      assert.deepStrictEqual(octets.numbers, [1, 2, 3])
      assert.isTrue(accounted(octets.counters))
    }))

  it.effect("drops what is larger than its MTU", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* send({ mtu: 50 }, { count: 1, size: 64 })).numbers, [1])
      assert.strictEqual((yield* send({ mtu: 49 }, { count: 1, size: 64 })).counters.tooBig, 1)
    }))

  it.effect("changes while packets are under way", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const arrived: Array<number> = []
      const path = new Path(
        { turn, timers: yield* Timers, entropy: yield* Entropy },
        "ethernet",
        { latency: Distribution.constant(10) },
        (packet) => arrived.push(packet.view.getUint32(14))
      )
      const offer = (number: number) => turn.run(() => path.send(frame(number, 64)))
      offer(1)
      path.set({ blackhole: true })
      offer(2)
      yield* TestClock.adjust(20)
      path.set({ blackhole: false, latency: Distribution.constant(0) })
      offer(3)
      path.set({ latency: Distribution.constant(5) })
      offer(4)
      path.cut()
      yield* TestClock.adjust(20)
      assert.deepStrictEqual(arrived, [1, 3])
      const counters = path.counters()
      assert.deepInclude(counters, { offered: 4, delivered: 2, blackholed: 1, lost: 1, inFlight: 0 })
    }).pipe(Effect.provide(services(1))))

  it.effect("refuses conditions that make no sense, in one line", () =>
    Effect.gen(function*() {
      const given = { turn: yield* Turn, timers: yield* Timers, entropy: yield* Entropy }
      const refusal = (conditions: Partial<Conditions>): string => {
        try {
          new Path(given, "ethernet", {}, () => {}).set(conditions)
          return "taken"
        } catch (error) {
          return (error as Error).message
        }
      }
      assert.strictEqual(
        refusal({ loss: Loss.bernoulli(5) }),
        "the condition loss.probability of a link is 5, and must be a probability from 0 to 1"
      )
      assert.match(refusal({ loss: Loss.gilbertElliott({ goodToBad: 0.1, badToGood: -1 }) }), /loss\.badToGood .* -1/)
      assert.match(refusal({ duplication: NaN }), /duplication .* NaN/)
      assert.match(refusal({ corruption: 1.5 }), /corruption/)
      assert.match(refusal({ reordering: { probability: 2 } }), /reordering\.probability/)
      assert.match(refusal({ reordering: { probability: 0, delay: -1 } }), /reordering\.delay .* 0 or more/)
      assert.match(refusal({ latency: Distribution.constant(NaN) }), /latency\.value .* a number/)
      assert.match(refusal({ bandwidth: 0 }), /bandwidth .* above 0/)
      assert.match(refusal({ queue: { packets: NaN, octets: 1 } }), /queue\.packets/)
      assert.match(refusal({ mtu: NaN }), /mtu/)
      assert.strictEqual(refusal({ latency: Distribution.around(1, 5), bandwidth: 1e9, mtu: 0, burst: 10 }), "taken")
    }).pipe(Effect.provide(services(1))))

  const probability = Schema.Literals([0, 0.1, 0.5, 1])
  it.effect.prop(
    "accounts for every packet, and does the same for the same seed",
    {
      seed: Schema.Int,
      loss: probability,
      duplication: probability,
      reordering: probability,
      bandwidth: Schema.Literals([1e5, 1e7, 1e12]),
      packets: Schema.Literals([1, 10])
    },
    (drawn) =>
      Effect.gen(function*() {
        const run = send({
          latency: Distribution.normal(20, 10),
          loss: Loss.bernoulli(drawn.loss),
          duplication: drawn.duplication,
          reordering: { probability: drawn.reordering, packets: 2 },
          bandwidth: drawn.bandwidth,
          queue: { packets: drawn.packets, octets: Infinity }
        }, { count: 30, interval: 3, seed: drawn.seed })
        const first = yield* run
        assert.isTrue(accounted(first.counters))
        assert.strictEqual(first.counters.inFlight, 0)
        assert.strictEqual(first.counters.delivered, first.arrivals.length)
        const second = yield* run
        assert.deepStrictEqual(second.numbers, first.numbers)
      }),
    { arbitrary: { runs: 40 } }
  )
})

const draw = (distribution: Distribution.Distribution, count: number) =>
  Effect.map(Entropy, (entropy) => Array.from({ length: count }, () => Distribution.sample(distribution, entropy)))
    .pipe(Effect.provide(Entropy.layerSeeded(3)))
const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

describe("Distribution", () => {
  it.effect("has the moments its name promises", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* draw(Distribution.constant(3), 2), [3, 3])
      const uniform = yield* draw(Distribution.uniform(2, 6), 20_000)
      assert.isTrue(uniform.every((value) => value >= 2 && value < 6))
      assert.closeTo(mean(uniform), 4, 0.05)
      const normal = yield* draw(Distribution.normal(50, 10), 20_000)
      assert.closeTo(mean(normal), 50, 0.4)
      assert.closeTo(Math.sqrt(mean(normal.map((value) => (value - 50) ** 2))), 10, 0.4)
      const pareto = yield* draw(Distribution.pareto(10, 3), 20_000)
      assert.isTrue(pareto.every((value) => value >= 10))
      assert.closeTo(mean(pareto), 15, 0.5)
    }))

  it.effect("is never negative", () =>
    Effect.gen(function*() {
      assert.isTrue((yield* draw(Distribution.normal(1, 10), 1000)).every((value) => value >= 0))
    }))
})
