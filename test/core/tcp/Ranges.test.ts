import { assert, describe, it } from "@effect/vitest"
import type { Range } from "@strata/core/tcp/ControlBlock"
import * as Ranges from "@strata/core/tcp/Ranges"
import * as Sequence from "@strata/core/tcp/Sequence"
import { Schema } from "effect"

const range = (left: number, right: number): Range => ({ left, right })

describe("ranges of octets after gaps", () => {
  it("join what overlaps or touches", () => {
    const two = Ranges.insert(Ranges.insert(Ranges.EMPTY, 100, 200), 300, 400)
    assert.deepStrictEqual(two, [range(100, 200), range(300, 400)])
    assert.deepStrictEqual(Ranges.insert(two, 200, 300), [range(100, 400)])
    assert.deepStrictEqual(Ranges.insert(two, 150, 250), [range(100, 250), range(300, 400)])
    assert.deepStrictEqual(Ranges.insert(two, 50, 500), [range(50, 500)])
    assert.deepStrictEqual(Ranges.insert(two, 120, 130), two)
    assert.deepStrictEqual(Ranges.insert(two, 220, 230), [range(100, 200), range(220, 230), range(300, 400)])
  })

  it("have room for what joins one of them, however many there are", () => {
    const few = [range(100, 200)]
    assert.isTrue(Ranges.hasRoom(few, 300, 400))
    const many = Array.from({ length: Ranges.LIMIT }, (_, index) => range(1000 + 20 * index, 1010 + 20 * index))
    assert.isFalse(Ranges.hasRoom(many, 500, 600))
    assert.isFalse(Ranges.hasRoom(many, 1011, 1019))
    assert.isFalse(Ranges.hasRoom(many, 1_000_000, 1_000_100))
    assert.isTrue(Ranges.hasRoom(many, 1010, 1015))
    assert.isTrue(Ranges.hasRoom(many, 1015, 1020))
    assert.isTrue(Ranges.hasRoom(many, 500, 1500))
  })

  it("end where the next gap begins", () => {
    const ranges = [range(100, 200), range(300, 400)]
    assert.strictEqual(Ranges.reach(ranges, 50), 50)
    assert.strictEqual(Ranges.reach(ranges, 100), 200)
    assert.strictEqual(Ranges.reach(ranges, 250), 250)
    assert.strictEqual(Ranges.reach(ranges, 350), 400)
    assert.deepStrictEqual(Ranges.beyond(ranges, 200), [range(300, 400)])
    assert.deepStrictEqual(Ranges.beyond(ranges, 400), [])
  })

  const Octet = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 }))
  const Inserts = Schema.Array(Schema.Struct({ from: Octet, length: Octet }))
  const Start = Schema.Literals([0, 1000, 0xffff_ffe0, 0x7fff_ffe0])

  it.prop("hold exactly the octets that were inserted", { inserts: Inserts, start: Start }, ({ inserts, start }) => {
    const octets = new Set<number>()
    let ranges = Ranges.EMPTY
    for (const { from, length } of inserts.filter((insert) => insert.length > 0)) {
      ranges = Ranges.insert(ranges, Sequence.add(start, from), Sequence.add(start, from + length))
      for (let index = from; index < from + length; index++) octets.add(index)
    }
    for (let index = 0; index < 130; index++) {
      const seq = Sequence.add(start, index)
      const isIn = ranges.some(({ left, right }) => Sequence.lessOrEqual(left, seq) && Sequence.lessThan(seq, right))
      if (isIn !== octets.has(index)) return false
    }
    return ranges.every(({ left, right }, index) =>
      Sequence.lessThan(left, right) && (index === 0 || Sequence.lessThan(ranges[index - 1]!.right, left))
    )
  }, { arbitrary: { runs: 300 } })
})
