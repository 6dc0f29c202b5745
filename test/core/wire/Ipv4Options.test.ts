import { assert, describe, it } from "@effect/vitest"
import * as Ipv4Options from "@strata/core/wire/Ipv4Options"
import { Arbitrary, Effect, Exit, Schema } from "effect"
import { NetAddress } from "effect/net"
import { fromHex, laws, octets, refusal, toHex } from "./codec.ts"

const { Ipv4OptionsFound: Found } = Ipv4Options
const decode = Schema.decodeEffect(Ipv4Options.schema)

const parse = (bytes: Uint8Array) => {
  const slab = Uint8Array.of(9, 9, 9, ...bytes, 131, 3, 4)
  return Ipv4Options.parse(new DataView(slab.buffer), 3, 3 + bytes.length)
}

/** Options areas that are often valid, of known and unknown kinds. */
const piece = Arbitrary.map(
  Arbitrary.all([Arbitrary.schema(Schema.Literals([1, 7, 68, 131, 137, 148, 130])), octets(16, 16), octets(1, 1)]),
  ([kind, body, [chance]]) => {
    if (kind === 1) return [kind]
    const items = 4 * (chance! & 3)
    const sizes: Record<number, number> = {
      7: 1 + items,
      131: 1 + items,
      137: 1 + items,
      68: 2 + items,
      148: 2,
      130: items
    }
    const size = sizes[kind]! + (chance! >= 0xf0 ? 1 : 0)
    return [kind, size + 2, ...body.subarray(0, size)]
  }
)
const areas = Arbitrary.map(Arbitrary.array(piece, { maxLength: 4 }), (pieces) => {
  const bytes = pieces.flat().slice(0, 40)
  while (bytes.length % 4 !== 0) bytes.push(1)
  return Uint8Array.from(bytes)
})

describe("Ipv4Options.schema", () => {
  laws(Ipv4Options.schema, areas)

  it.effect("reads routes, timestamps, router alerts, and keeps the rest", () =>
    Effect.gen(function*() {
      const [a, b] = [NetAddress.ipFromStringUnsafe("192.0.2.1"), NetAddress.ipFromStringUnsafe("192.0.2.2")]
      assert.deepStrictEqual(
        yield* decode(fromHex("830b04 c0000201 c0000202 01 9404 0000 440c0d21 c0000201 00000005")),
        [
          { _tag: "LooseSourceRoute", pointer: 4, route: [{ address: a }, { address: b }] },
          { _tag: "NoOperation" },
          { _tag: "RouterAlert", value: 0 },
          { _tag: "Timestamp", pointer: 13, overflow: 2, flag: 1, entries: [{ value: 0xc000_0201 }, { value: 5 }] }
        ] as never
      )
      assert.deepStrictEqual(yield* decode(fromHex("070304 8804 1234 00")), [
        { _tag: "RecordRoute", pointer: 4, route: [] },
        { _tag: "Unknown", kind: 136, data: Uint8Array.of(0x12, 0x34) },
        { _tag: "End", padding: Uint8Array.of() }
      ])
    }))
})

describe("Ipv4Options.parse", () => {
  it.effect.prop(
    "accepts what the codec accepts, and finds the same",
    { bytes: areas },
    ({ bytes }) =>
      Effect.gen(function*() {
        const decoded = yield* Effect.exit(decode(bytes))
        const found = parse(bytes)
        assert.strictEqual(found !== Found.malformed, Exit.isSuccess(decoded), toHex(bytes))
        if (!Exit.isSuccess(decoded)) return
        const has = (...tags: ReadonlyArray<string>) => decoded.value.some((option) => tags.includes(option._tag))
        const expected = (has("LooseSourceRoute", "StrictSourceRoute") ? Found.sourceRoute : 0) |
          (has("RecordRoute") ? Found.recordRoute : 0) |
          (has("Timestamp") ? Found.timestamp : 0) |
          (has("RouterAlert") ? Found.routerAlert : 0)
        assert.strictEqual(found, expected)
      }),
    { arbitrary: { runs: 500 } }
  )

  it.prop("never reads past its end and never throws", { bytes: octets(0, 44) }, ({ bytes }) => {
    assert.strictEqual(Ipv4Options.parse(new DataView(bytes.slice().buffer), 0, bytes.length), parse(bytes))
  }, { arbitrary: { runs: 500 } })

  it("finds both source routes, also behind other options, and not behind the end", () => {
    assert.strictEqual(parse(fromHex("830704 c0000201 00")), Found.sourceRoute)
    assert.strictEqual(parse(fromHex("0101 9404 0000 890704 c0000201 01")), Found.sourceRoute | Found.routerAlert)
    assert.strictEqual(parse(fromHex("00 830704 c0000201")), Found.none)
    assert.strictEqual(parse(fromHex("")), Found.none)
  })

  for (const hex of ["83000000", "83010000", "01010183", "83080400", "83040400", "44030000", "94030000", "82050000"]) {
    it.effect(`refuses ${hex}, as the codec does`, () =>
      Effect.gen(function*() {
        assert.strictEqual(parse(fromHex(hex)), Found.malformed)
        assert.match(yield* refusal(Ipv4Options.schema, fromHex(hex)), /Ipv4 .*option/)
      }))
  }
})
