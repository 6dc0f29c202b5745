import { assert, describe, it } from "@effect/vitest"
import { RouteTable } from "@strata/core/ip/RouteTable"
import { netmask } from "@strata/core/wire/Address"
import { Schema } from "effect"

/** Few distinct bits, so that networks nest and addresses meet them. */
const Bits = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 63 }))
const spread = (bits: number): number =>
  (((bits & 0b110000) << 26) | ((bits & 0b1100) << 14) | ((bits & 0b11) << 4)) >>> 0
const Length = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 32 }))
const Step = Schema.Struct({ bits: Bits, length: Length, remove: Schema.Boolean })

interface Entry {
  readonly network: number
  readonly prefixLength: number
  readonly value: number
}

const naive = (entries: ReadonlyArray<Entry>, address: number): number | undefined =>
  entries
    .filter(({ network, prefixLength }) => (address & netmask(prefixLength)) >>> 0 === network)
    .toSorted((a, b) => b.prefixLength - a.prefixLength)[0]?.value

describe("RouteTable", () => {
  it.prop(
    "finds what a linear search finds",
    { steps: Schema.Array(Step), probes: Schema.Array(Bits) },
    ({ probes, steps }) => {
      const table = new RouteTable<number>()
      let entries: Array<Entry> = []
      steps.forEach(({ bits, length: prefixLength, remove }, value) => {
        const network = (spread(bits) & netmask(prefixLength)) >>> 0
        const others = entries.filter((entry) => entry.network !== network || entry.prefixLength !== prefixLength)
        if (remove) assert.strictEqual(table.remove(network, prefixLength), others.length < entries.length)
        else table.insert(network, prefixLength, value)
        entries = remove ? others : [...others, { network, prefixLength, value }]
      })
      assert.strictEqual(table.size, entries.length)
      assert.sameDeepMembers([...table.entries()], entries)
      for (const bits of probes) {
        assert.strictEqual(table.lookup(spread(bits)), naive(entries, spread(bits)))
        assert.strictEqual(table.lookup(spread(bits) + 1), naive(entries, spread(bits) + 1))
      }
      for (const { network, prefixLength, value } of entries) {
        assert.strictEqual(table.get(network, prefixLength), value)
      }
    }
  )

  it("holds ten thousand networks, and the default one", () => {
    const table = new RouteTable<number>()
    for (let index = 0; index < 10_000; index++) table.insert((0x0a00_0000 + index * 256) >>> 0, 24, index)
    table.insert(0, 0, -1)
    assert.strictEqual(table.size, 10_001)
    for (let index = 0; index < 10_000; index++) {
      assert.strictEqual(table.lookup(0x0a00_0000 + index * 256 + 7), index)
    }
    assert.strictEqual(table.lookup(0xffff_fffe), -1)
    for (let index = 0; index < 10_000; index++) assert.isTrue(table.remove(0x0a00_0000 + index * 256, 24))
    assert.strictEqual(table.lookup(0x0a00_0007), -1)
    assert.isFalse(table.remove(0x0a00_0000, 24))
    assert.strictEqual(table.size, 1)
  })
})
