import { assert, describe, it } from "@effect/vitest"
import * as Sequence from "@strata/core/tcp/Sequence"
import { Schema } from "effect"

const Number32 = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))
/** Less than half of the circle, in either direction. */
const Step = Schema.Int.check(Schema.isBetween({ minimum: -0x7fff_ffff, maximum: 0x7fff_ffff }))

const properties = { arbitrary: { runs: 1000 } }

describe("sequence numbers", () => {
  it.prop("stay unsigned 32-bit integers", { a: Number32, step: Step }, ({ a, step }) => {
    const b = Sequence.add(a, step)
    return Number.isInteger(b) && b >= 0 && b <= 0xffff_ffff
  }, properties)

  it.prop(
    "difference undoes add, also across the end",
    { a: Number32, step: Step },
    ({ a, step }) => Sequence.difference(a, Sequence.add(a, step)) === step,
    properties
  )

  it.prop("compare by the way that is shorter", { a: Number32, step: Step }, ({ a, step }) => {
    const b = Sequence.add(a, step)
    return Sequence.lessThan(a, b) === step > 0 &&
      Sequence.lessOrEqual(a, b) === step >= 0 &&
      Sequence.greaterThan(a, b) === step < 0 &&
      Sequence.greaterOrEqual(a, b) === step <= 0 &&
      Sequence.latest(a, b) === (step > 0 ? b : a)
  }, properties)

  it.prop("the order does not depend on where the circle begins", { a: Number32, step: Step, turn: Number32 }, (
    { a, step, turn }
  ) => {
    const b = Sequence.add(a, step)
    return Sequence.lessThan(a, b) === Sequence.lessThan(Sequence.add(a, turn), Sequence.add(b, turn))
  }, properties)

  it("0 follows 4,294,967,295", () => {
    assert.strictEqual(Sequence.add(0xffff_ffff, 1), 0)
    assert.isTrue(Sequence.lessThan(0xffff_ffff, 0))
    assert.isTrue(Sequence.greaterThan(5, 0xffff_fff0))
    assert.strictEqual(Sequence.difference(0xffff_fff0, 16), 32)
    assert.strictEqual(Sequence.difference(16, 0xffff_fff0), -32)
    assert.strictEqual(Sequence.latest(0xffff_ffff, 3), 3)
  })
})
