import { assert, describe, it } from "@effect/vitest"
import { CongestionControl, type CongestionState, type CongestionView } from "@strata/core/tcp/Congestion"
import { Reno } from "@strata/core/tcp/Reno"
import { Effect } from "effect"

const view = (inFlight: number): CongestionView => ({ mss: 1000, inFlight, smoothedRtt: 100, now: 0 })
/** Congestion avoidance with a window of ten segments. */
const avoiding = (): CongestionState => Reno.onTimeout(Reno.initial(1000), true, view(20_000))

const open = (from: CongestionState, segments: number): CongestionState => {
  let state = from
  while (state.window < segments * 1000) state = Reno.onAck(state, 1000, view(state.window))
  return state
}

describe("Reno (RFC 5681)", () => {
  it("begins with the window of RFC 6928", () => {
    const windows = [536, 1000, 1460, 4000, 9000].map((mss) => Reno.initial(mss).window)
    assert.deepStrictEqual(windows, [5360, 10_000, 14_600, 14_600, 18_000])
  })

  it("slow start: grows by what was acknowledged, at most a segment each time", () => {
    const initial = Reno.initial(1000)
    assert.strictEqual(Reno.onAck(initial, 1000, view(10_000)).window, 11_000)
    assert.strictEqual(Reno.onAck(initial, 300, view(10_000)).window, 10_300)
    assert.strictEqual(Reno.onAck(initial, 5000, view(10_000)).window, 11_000)
  })

  it("congestion avoidance: grows by a segment when a whole window was acknowledged", () => {
    let state = open(avoiding(), 10)
    for (let count = 0; count < 10; count++) {
      assert.strictEqual(state.window, 10_000)
      state = Reno.onAck(state, 1000, view(10_000))
    }
    assert.strictEqual(state.window, 11_000)
  })

  it("does not grow while the window is not filled (RFC 7661)", () => {
    const initial = Reno.initial(1000)
    assert.strictEqual(Reno.onAck(initial, 1000, view(5000)), initial)
    const state = open(avoiding(), 10)
    assert.strictEqual(Reno.onAck(state, 1000, view(8000)), state)
  })

  it("loss: half of what is in flight, and three segments", () => {
    const state = Reno.onLoss(Reno.initial(1000), view(20_000))
    assert.deepStrictEqual([state.window, state.slowStartThreshold], [13_000, 10_000])
  })

  it("loss: never less than two segments", () => {
    assert.strictEqual(Reno.onLoss(Reno.initial(1000), view(1000)).slowStartThreshold, 2000)
  })

  it("recovery: inflated by duplicates, deflated by partial acknowledgements (RFC 6582)", () => {
    const lost = Reno.onLoss(Reno.initial(1000), view(20_000))
    const inflated = Reno.onDuplicate(lost, view(20_000))
    assert.strictEqual(inflated.window, 14_000)
    assert.strictEqual(Reno.onPartial(inflated, 3000, view(17_000)).window, 12_000)
    assert.strictEqual(Reno.onPartial(inflated, 300, view(17_000)).window, 13_700)
  })

  it("recovered: the threshold, or what is in flight and one segment when that is less", () => {
    const lost = Reno.onLoss(Reno.initial(1000), view(20_000))
    assert.strictEqual(Reno.onRecovered(lost, view(15_000)).window, 10_000)
    assert.strictEqual(Reno.onRecovered(lost, view(4000)).window, 5000)
    assert.strictEqual(Reno.onRecovered(lost, view(0)).window, 2000)
  })

  it("timeout: one segment; the threshold follows the first only", () => {
    const first = Reno.onTimeout(Reno.initial(1000), true, view(20_000))
    assert.deepStrictEqual([first.window, first.slowStartThreshold], [1000, 10_000])
    const second = Reno.onTimeout(first, false, view(1000))
    assert.deepStrictEqual([second.window, second.slowStartThreshold], [1000, 10_000])
  })

  it.effect("is what new connections use", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* CongestionControl).name, "reno")
    }).pipe(Effect.provide(CongestionControl.layer)))

  it.effect("can be replaced", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* CongestionControl).name, "mine")
    }).pipe(Effect.provide(CongestionControl.layerOf({ ...Reno, name: "mine" }))))
})
