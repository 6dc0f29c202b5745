import { assert, describe, it } from "@effect/vitest"
import * as Packet from "@strata/core/device/Packet"
import { Statistics } from "@strata/core/Statistics"
import { makeDrop, Trace, type TraceDetail } from "@strata/core/Trace"
import { Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"

const layer = Layer.fresh(Layer.merge(Trace.layer, Statistics.layer))

const message = (text: string): TraceDetail => ({ _tag: "Message", level: "info", stage: "a.test", text })
const textOf = (detail: TraceDetail): string => detail._tag === "Message" ? detail.text : detail._tag

describe("the trace", () => {
  it.effect("is enabled while somebody wants to see packets", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      assert.isFalse(trace.enabled)
      const rare = trace.listen(() => {}, "rare")
      assert.isFalse(trace.enabled)
      const first = trace.listen(() => {})
      const second = trace.listen(() => {}, "packets")
      assert.isTrue(trace.enabled)
      first()
      first()
      assert.isTrue(trace.enabled)
      second()
      assert.isFalse(trace.enabled)
      rare()
    }).pipe(Effect.provide(layer)))

  it.effect("tells of drops and states without each packet to who wants that", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      const both = () => [trace.eventful, trace.enabled]
      assert.deepStrictEqual(both(), [false, false])
      trace.listen(() => {}, "rare")
      assert.deepStrictEqual(both(), [false, false])
      const events = trace.listen(() => {}, "events")
      assert.deepStrictEqual(both(), [true, false])
      const packets = trace.listen(() => {}, "packets")
      events()
      assert.deepStrictEqual(both(), [true, true])
      packets()
      assert.deepStrictEqual(both(), [false, false])
    }).pipe(Effect.provide(layer)))

  it.effect("tells every listener at once, in order, with the time of day", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      const told: Array<string> = []
      const name = (listener: string) => (event: { readonly time: number; readonly detail: TraceDetail }) => {
        told.push(`${listener} ${event.time} ${textOf(event.detail)}`)
      }
      yield* TestClock.setTime(1_000)
      trace.emit(message("nobody hears"))
      const stop = trace.listen(name("a"))
      trace.listen(name("b"), "rare")
      trace.emit(message("one"))
      yield* TestClock.adjust(5)
      trace.emit(message("two"))
      stop()
      trace.emit(message("three"))
      assert.deepStrictEqual(told, ["a 1000 one", "b 1000 one", "a 1005 two", "b 1005 two", "b 1005 three"])
    }).pipe(Effect.provide(layer)))

  it.effect("counts a listener that listens twice as two", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      let heard = 0
      const listener = () => heard++
      const stop = trace.listen(listener)
      trace.listen(listener)
      trace.emit(message(""))
      stop()
      trace.emit(message(""))
      assert.strictEqual(heard, 3)
    }).pipe(Effect.provide(layer)))

  it.effect("is a stream for who reads it, which loses the oldest when its reader falls behind", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      const reader = yield* trace.events.pipe(Stream.take(4_096), Stream.runCollect, Effect.forkChild)
      yield* Effect.yieldNow
      assert.isTrue(trace.enabled)
      for (let index = 0; index < 4_100; index++) trace.emit(message(String(index)))
      const events = yield* Fiber.join(reader)
      assert.strictEqual(events.length, 4_096)
      assert.strictEqual(textOf(events.at(-1)!.detail), "4099")
      assert.isFalse(trace.enabled)
    }).pipe(Effect.provide(layer)))
})

describe("a drop", () => {
  it.effect("is counted by layer and reason, and told about with its octets to who wants packets", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      const statistics = yield* Statistics
      const drop = yield* makeDrop("ipv4")
      const told: Array<TraceDetail> = []
      const packet = new Packet.Packet(Uint8Array.of(1, 2, 3, 4), 1, 3)
      trace.listen(({ detail }) => told.push(detail), "rare")
      drop("badChecksum", packet)
      assert.deepStrictEqual(told, [])
      trace.listen(() => {}, "events")
      drop("badChecksum", packet)
      drop("truncated", packet)
      assert.deepStrictEqual(told, [
        { _tag: "Dropped", layer: "ipv4", reason: "badChecksum", bytes: Uint8Array.of(2, 3) },
        { _tag: "Dropped", layer: "ipv4", reason: "truncated", bytes: Uint8Array.of(2, 3) }
      ])
      assert.deepStrictEqual(yield* statistics.snapshot, {
        "ipv4.dropped.badChecksum": 2,
        "ipv4.dropped.truncated": 1
      })
    }).pipe(Effect.provide(layer)))
})

describe("counters", () => {
  it.effect("are one for each name, and shown by name when they have counted", () =>
    Effect.gen(function*() {
      const statistics = yield* Statistics
      const sent = statistics.counter("udp.sent")
      assert.strictEqual(statistics.counter("udp.sent"), sent)
      statistics.counter("tcp.sent")
      statistics.counter("ipv4.sent").value = 3
      sent.value++
      const snapshot = yield* statistics.snapshot
      sent.value++
      assert.deepStrictEqual(Object.entries(snapshot), [["ipv4.sent", 3], ["udp.sent", 1]])
    }).pipe(Effect.provide(layer)))

  it.effect("of two stacks are apart", () =>
    Effect.gen(function*() {
      const count = Effect.gen(function*() {
        const statistics = yield* Statistics
        statistics.counter("a").value++
        return (yield* statistics.snapshot)["a"]
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual([yield* count, yield* count], [1, 1])
    }))
})
