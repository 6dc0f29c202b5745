import { assert, describe, it } from "@effect/vitest"
import * as SourceFilter from "@strata/core/ip/SourceFilter"
import { Arbitrary, Schema } from "effect"

/** A few sources, so that lists overlap, and one that stands for all others. */
const SOURCES = [1, 2, 3, 4, 5]
const STRANGER = 99

const sources = Arbitrary.array(Arbitrary.schema(Schema.Literals(SOURCES)), { maxLength: 5 })
const filter = Arbitrary.map(
  Arbitrary.all([Arbitrary.schema(Schema.Literals(["include", "exclude"])), sources]),
  ([mode, list]): SourceFilter.SourceFilter => ({ mode, sources: new Set(list) })
)
const lists = Arbitrary.array(filter, { maxLength: 6 })

/** What a filter is for: the sources it lets through. */
const meaning = (one: SourceFilter.SourceFilter): ReadonlyArray<number> =>
  [...SOURCES, STRANGER].filter((source) => SourceFilter.admits(one, source))

describe("SourceFilter", () => {
  it.prop("merged, lets through what any of the filters does", { filters: lists }, ({ filters }) => {
    const expected = [...SOURCES, STRANGER].filter((source) => filters.some((one) => SourceFilter.admits(one, source)))
    assert.deepStrictEqual(meaning(SourceFilter.merge(filters)), expected)
  })

  it.prop("merged, is a member where any is, and of nothing where nobody is", { filters: lists }, ({ filters }) => {
    const merged = SourceFilter.merge(filters)
    assert.strictEqual(SourceFilter.isNothing(merged), filters.every(SourceFilter.isNothing))
    assert.strictEqual(merged.mode === "exclude", filters.some(({ mode }) => mode === "exclude"))
  })

  it.prop("merged, depends on no order and no repetition", { filters: lists }, ({ filters }) => {
    const again = SourceFilter.merge([...filters, ...filters.toReversed()])
    assert.isTrue(SourceFilter.equals(SourceFilter.merge(filters), again))
  })

  it.prop("two are equal when they mean the same, as far as strangers tell", { one: filter, other: filter }, ({
    one,
    other
  }) => {
    const same = meaning(one).join() === meaning(other).join()
    assert.strictEqual(SourceFilter.equals(one, other), same)
  })

  it("gains and loses sources", () => {
    const one = SourceFilter.withSource(SourceFilter.include([1]), 2)
    assert.deepStrictEqual(meaning(one), [1, 2])
    assert.deepStrictEqual(meaning(SourceFilter.withoutSource(one, 1)), [2])
    const blocking = SourceFilter.withSource(SourceFilter.EVERYTHING, 3)
    assert.deepStrictEqual(meaning(blocking), [1, 2, 4, 5, STRANGER])
    assert.isTrue(SourceFilter.equals(SourceFilter.withoutSource(blocking, 3), SourceFilter.EVERYTHING))
    assert.deepStrictEqual(meaning(SourceFilter.NOTHING), [])
  })
})
