/**
 * The model that the matrix is judged by agrees with the formulas of the
 * literature, where those say something.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Laws from "./Laws.ts"
import * as Rounds from "./Rounds.ts"
import * as Theory from "./Theory.ts"

/** A long path on which nothing is short of room; the average window of a long transfer on it, in segments. */
const averageWindow = (law: Laws.Law, loss: number, roundTrip: number): number => {
  const segments = Math.min(4_000_000, 4000 / loss)
  const loses = Rounds.independent(loss, Rounds.makeChance(3))
  const { time } = Rounds.transfer(
    law,
    { roundTrip, frameTime: 1e-6, queue: Infinity, loses, buffers: Infinity },
    segments
  )
  return segments * roundTrip / time
}

const LOSSES = [0.0001, 0.001, 0.01, 0.05]
const ROUND_TRIPS = [10, 100, 300]

const paths = LOSSES.flatMap((loss) => ROUND_TRIPS.map((roundTrip) => ({ loss, roundTrip })))

describe("the model of a transfer", () => {
  it.each(paths)(
    "has the window of Mathis et al. for Reno at a loss of $loss and $roundTrip ms",
    ({ loss, roundTrip }) => {
      const ratio = averageWindow(Laws.reno(), loss, roundTrip) / Theory.mathisWindow(loss)
      assert.isAtLeast(ratio, 0.85)
      assert.isAtMost(ratio, 1.2)
    }
  )

  it.each(paths)("has the window of RFC 9438 for CUBIC at a loss of $loss and $roundTrip ms", ({ loss, roundTrip }) => {
    const ratio = averageWindow(Laws.cubic(), loss, roundTrip) / Theory.cubicOrRenoWindow(loss, roundTrip)
    // The formula is for losses at regular intervals; chance makes the average larger.
    assert.isAtLeast(ratio, 0.9)
    assert.isAtMost(ratio, 1.3)
  })

  const path = { roundTrip: 100, frameTime: 0.1, queue: 1000, buffers: Infinity, loses: () => false }

  it("doubles its window each round trip from ten segments on", () => {
    // 10, 20, 40 and 80 segments
    assert.closeTo(Rounds.transfer(Laws.reno(), path, 150).time, 3.5 * 100, 1)
  })

  it("fills the link and no more", () => {
    for (const law of [Laws.reno(), Laws.cubic(), Laws.bbr(1001)]) {
      const { time } = Rounds.transfer(law, path, 1_000_000)
      assert.isAtLeast(time, 1_000_000 * path.frameTime)
      assert.isAtMost(time, 1.1 * 1_000_000 * path.frameTime)
    }
  })

  it("loses nothing in the slow start of HyStart++, and half a window in Reno's", () => {
    const reno = Rounds.transfer(Laws.reno(), path, 6000)
    assert.isAbove(reno.lost, 100)
    assert.strictEqual(Rounds.transfer(Laws.cubic(), path, 6000).lost, 0)
  })

  it("is held to what the buffers of the ends let be under way", () => {
    const { time } = Rounds.transfer(Laws.reno(), { ...path, buffers: 50 }, 10_000)
    assert.closeTo(time, 200 * path.roundTrip, 5 * path.roundTrip)
  })

  it("waits for the retransmission timer when all is lost, the probe included", () => {
    let sent = 0
    const loses = () => ++sent <= 11
    const { time, timeouts } = Rounds.transfer(Laws.reno(), { ...path, loses }, 10)
    assert.strictEqual(timeouts, 1)
    assert.isAbove(time, 2 * 100 + 300)
  })
})
