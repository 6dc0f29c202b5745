import { assert, describe, it } from "@effect/vitest"
import * as Rtt from "@strata/core/tcp/Rtt"
import { defaultSettings } from "@strata/core/tcp/TcpSettings"
import { Schema } from "effect"

const settings = { ...defaultSettings, minimumRetransmissionTimeout: 1, maximumRetransmissionTimeout: 60_000 }

describe("the retransmission timeout (RFC 6298)", () => {
  it("2.1: is one second before the first measurement", () => {
    assert.strictEqual(Rtt.initial(settings).timeout, 1000)
  })

  it("2.2: is three times the first measurement", () => {
    const rtt = Rtt.measured(Rtt.initial(settings), 80, 0, settings)
    assert.deepStrictEqual([rtt.smoothed, rtt.variance, rtt.timeout], [80, 40, 240])
  })

  it("2.3: follows later measurements by an eighth, and their spread by a quarter", () => {
    const first = Rtt.measured(Rtt.initial(settings), 80, 0, settings)
    const second = Rtt.measured(first, 160, 0, settings)
    assert.deepStrictEqual([second.smoothed, second.variance], [90, 50])
    assert.strictEqual(second.timeout, 90 + 4 * 50)
  })

  it("2.4, 2.5: keeps within its bounds", () => {
    const quick = Rtt.measured(Rtt.initial(defaultSettings), 1, 0, defaultSettings)
    assert.strictEqual(quick.timeout, 201)
    const slow = Rtt.measured(Rtt.initial(defaultSettings), 50_000, 0, defaultSettings)
    assert.strictEqual(slow.timeout, 60_000)
  })

  it("allows for the clock's granularity when the spread is nothing", () => {
    let rtt = Rtt.initial(settings)
    for (let count = 0; count < 200; count++) rtt = Rtt.measured(rtt, 50, 0, settings)
    assert.closeTo(rtt.timeout, 51, 0.001)
  })

  it("leaves room for an acknowledgement that is delayed, however alike the samples were", () => {
    let rtt = Rtt.initial(defaultSettings)
    for (let count = 0; count < 200; count++) rtt = Rtt.measured(rtt, 300, 0, defaultSettings)
    assert.closeTo(rtt.timeout, 500, 0.001)
  })

  it("5.5: doubles up to its bound, until something is measured", () => {
    let rtt = Rtt.measured(Rtt.initial(settings), 100, 0, settings)
    rtt = Rtt.backedOff(rtt, settings)
    assert.strictEqual(rtt.timeout, 600)
    for (let count = 0; count < 10; count++) rtt = Rtt.backedOff(rtt, settings)
    assert.strictEqual(rtt.timeout, 60_000)
    assert.isBelow(Rtt.measured(rtt, 100, 0, settings).timeout, 600)
  })

  it("remembers the least measurement, and forgets it when the path has had time to change", () => {
    let rtt = Rtt.measured(Rtt.initial(settings), 80, 0, settings)
    rtt = Rtt.measured(rtt, 20, 1000, settings)
    rtt = Rtt.measured(rtt, 50, 2000, settings)
    assert.deepStrictEqual([rtt.minimum, rtt.minimumAt, rtt.latest], [20, 1000, 50])
    rtt = Rtt.measured(rtt, 60, 301_001, settings)
    assert.deepStrictEqual([rtt.minimum, rtt.minimumAt], [60, 301_001])
  })

  const Samples = Schema.NonEmptyArray(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 })))

  it.prop("stays within the bounds and at or above the smoothed time, whatever is measured", { samples: Samples }, (
    { samples }
  ) =>
    samples.reduce(
      ({ holds, rtt }, sample) => {
        const next = Rtt.measured(rtt, sample, 0, defaultSettings)
        const expected = Math.min(next.smoothed ?? Infinity, 60_000)
        return { rtt: next, holds: holds && next.timeout >= 200 && next.timeout <= 60_000 && next.timeout >= expected }
      },
      { rtt: Rtt.initial(defaultSettings), holds: true }
    ).holds)
})
