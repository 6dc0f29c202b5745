import { assert, describe, it } from "@effect/vitest"
import * as Rtt from "@strata/core/tcp/Rtt"
import { defaultSettings } from "@strata/core/tcp/TcpMachine"
import { Schema } from "effect"

const settings = { ...defaultSettings, minimumRetransmissionTimeout: 1, maximumRetransmissionTimeout: 60_000 }

describe("the retransmission timeout (RFC 6298)", () => {
  it("2.1: is one second before the first measurement", () => {
    assert.strictEqual(Rtt.initial(settings).timeout, 1000)
  })

  it("2.2: is three times the first measurement", () => {
    const rtt = Rtt.measured(Rtt.initial(settings), 80, settings)
    assert.deepStrictEqual([rtt.smoothed, rtt.variance, rtt.timeout], [80, 40, 240])
  })

  it("2.3: follows later measurements by an eighth, and their spread by a quarter", () => {
    const first = Rtt.measured(Rtt.initial(settings), 80, settings)
    const second = Rtt.measured(first, 160, settings)
    assert.deepStrictEqual([second.smoothed, second.variance], [90, 50])
    assert.strictEqual(second.timeout, 90 + 4 * 50)
  })

  it("2.4, 2.5: keeps within its bounds", () => {
    const quick = Rtt.measured(Rtt.initial(defaultSettings), 1, defaultSettings)
    assert.strictEqual(quick.timeout, 201)
    const slow = Rtt.measured(Rtt.initial(defaultSettings), 50_000, defaultSettings)
    assert.strictEqual(slow.timeout, 60_000)
  })

  it("allows for the clock's granularity when the spread is nothing", () => {
    let rtt = Rtt.initial(settings)
    for (let count = 0; count < 200; count++) rtt = Rtt.measured(rtt, 50, settings)
    assert.closeTo(rtt.timeout, 51, 0.001)
  })

  it("leaves room for an acknowledgement that is delayed, however alike the samples were", () => {
    let rtt = Rtt.initial(defaultSettings)
    for (let count = 0; count < 200; count++) rtt = Rtt.measured(rtt, 300, defaultSettings)
    assert.closeTo(rtt.timeout, 500, 0.001)
  })

  it("5.5: doubles up to its bound, until something is measured", () => {
    let rtt = Rtt.measured(Rtt.initial(settings), 100, settings)
    rtt = Rtt.backedOff(rtt, settings)
    assert.strictEqual(rtt.timeout, 600)
    for (let count = 0; count < 10; count++) rtt = Rtt.backedOff(rtt, settings)
    assert.strictEqual(rtt.timeout, 60_000)
    assert.isBelow(Rtt.measured(rtt, 100, settings).timeout, 600)
  })

  it("times one segment at a time, from its departure to its acknowledgement", () => {
    const first = Rtt.start(Rtt.initial(settings), 1000, 10)
    const both = Rtt.start(first, 2000, 20)
    assert.strictEqual(both, first)
    assert.strictEqual(Rtt.acknowledged(both, 999, 50, settings), both)
    assert.strictEqual(Rtt.acknowledged(both, 1000, 50, settings).smoothed, 40)
    assert.strictEqual(Rtt.acknowledged(both, 5000, 50, settings).timing, undefined)
  })

  it("Karn: does not time what may be sent twice", () => {
    const timed = Rtt.start(Rtt.initial(settings), 1000, 10)
    for (const stopped of [Rtt.stop(timed), Rtt.backedOff(timed, settings)]) {
      assert.strictEqual(Rtt.acknowledged(stopped, 1000, 50, settings).smoothed, undefined)
    }
  })

  it("a clock that stands still measures nothing less than zero", () => {
    const timed = Rtt.start(Rtt.initial(settings), 1000, 10)
    assert.strictEqual(Rtt.acknowledged(timed, 1000, 5, settings).smoothed, 0)
  })

  const Samples = Schema.NonEmptyArray(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 })))

  it.prop("stays within the bounds and at or above the smoothed time, whatever is measured", { samples: Samples }, (
    { samples }
  ) =>
    samples.reduce(
      ({ holds, rtt }, sample) => {
        const next = Rtt.measured(rtt, sample, defaultSettings)
        const expected = Math.min(next.smoothed ?? Infinity, 60_000)
        return { rtt: next, holds: holds && next.timeout >= 200 && next.timeout <= 60_000 && next.timeout >= expected }
      },
      { rtt: Rtt.initial(defaultSettings), holds: true }
    ).holds)
})
