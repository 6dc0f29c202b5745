import { assert, describe, it } from "@effect/vitest"
import { decodeTime, encodeTime } from "@strata/core/wire/IgmpHeader"
import * as IgmpMessage from "@strata/core/wire/IgmpMessage"
import { Arbitrary, Effect, Schema } from "effect"
import { NetAddress } from "effect/net"
import { fromHex, laws, octets, refusal } from "./codec.ts"

const decode = Schema.decodeEffect(IgmpMessage.schema)
const encode = Schema.encodeEffect(IgmpMessage.schema)
const address = NetAddress.ipFromStringUnsafe
const bytes = fromHex

const examples: ReadonlyArray<readonly [string, Record<string, unknown>]> = [
  ["11 00 1234 00000000", { _tag: "Query", maxResponse: 0, group: address("0.0.0.0") }],
  ["11 64 1234 ef010203", { _tag: "Query", maxResponse: 100, group: address("239.1.2.3") }],
  ["11 8a 1234 ef010203 0a 7d 0002 c0000201 c0000202 aabb", {
    _tag: "QueryV3",
    maxResponse: 0x8a,
    group: address("239.1.2.3"),
    flags: 0,
    suppress: true,
    robustness: 2,
    interval: 125,
    sources: [address("192.0.2.1"), address("192.0.2.2")],
    data: bytes("aabb")
  }],
  ["12 00 1234 ef010203", { _tag: "ReportV1", maxResponse: 0, group: address("239.1.2.3"), data: bytes("") }],
  ["16 00 1234 ef010203", { _tag: "ReportV2", maxResponse: 0, group: address("239.1.2.3"), data: bytes("") }],
  ["17 00 1234 ef010203 cc", { _tag: "Leave", maxResponse: 0, group: address("239.1.2.3"), data: bytes("cc") }],
  ["22 00 1234 0000 0002 04 00 0000 ef010203 06 01 0001 e8010203 c0000201 deadbeef", {
    _tag: "ReportV3",
    reserved: 0,
    flags: 0,
    records: [
      { type: 4, group: address("239.1.2.3"), sources: [], auxiliary: bytes("") },
      { type: 6, group: address("232.1.2.3"), sources: [address("192.0.2.1")], auxiliary: bytes("deadbeef") }
    ],
    data: bytes("")
  }],
  ["13 05 1234 ef010203", {
    _tag: "Unknown",
    type: 0x13,
    maxResponse: 5,
    group: address("239.1.2.3"),
    data: bytes("")
  }]
]

/** Messages of all types with few sources and records, so that they often fit. */
const messages = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.schema(Schema.Literals([0x11, 0x12, 0x16, 0x17, 0x22, 0x33])),
    Arbitrary.schema(Schema.Literals([0, 1, 2])),
    octets(0, 40)
  ]),
  ([type, count, rest]) => {
    const message = Uint8Array.of(type, 0, 0x12, 0x34, 0, 0, 0, count, ...rest)
    if (type === 0x11 && rest.length >= 4) message.set([0, count], 10)
    return message
  }
)

describe("IgmpMessage", () => {
  laws(IgmpMessage.schema, messages)

  it.effect.each(examples)("reads and writes %s", ([hex, value]) =>
    Effect.gen(function*() {
      const decoded = yield* decode(bytes(hex))
      for (const [key, expected] of Object.entries({ checksum: 0x1234, ...value })) {
        assert.deepStrictEqual((decoded as Record<string, unknown>)[key], expected, key)
      }
      assert.deepStrictEqual(yield* encode(decoded), bytes(hex))
    }))

  it.effect.each([
    ["a message without its group", "11 00 1234 0000"],
    ["a query between two versions", "11 00 1234 00000000 020000"],
    ["a query without its second source", "11 00 1234 ef010203 027d 0002 c0000201"],
    ["a report without its record", "22 00 1234 0000 0001"],
    ["a record without its source", "22 00 1234 0000 0001 0400 0001 ef010203"],
    ["a record without its auxiliary data", "22 00 1234 0000 0001 0401 0000 ef010203 aabb"]
  ])("refuses %s", ([, hex]) =>
    Effect.gen(function*() {
      assert.include(yield* refusal(IgmpMessage.schema, bytes(hex!)), "at least")
    }))
})

describe("time codes", () => {
  it("are themselves below 128, and a mantissa with an exponent from there on (RFC 9776 §4.1.1)", () => {
    assert.deepStrictEqual([0, 1, 100, 127].map(decodeTime), [0, 1, 100, 127])
    assert.deepStrictEqual([0x80, 0x8f, 0x90, 0xff].map(decodeTime), [128, 248, 256, 31_744])
  })

  it("stand for the greatest time that is not longer", () => {
    for (let code = 0; code < 256; code++) {
      assert.strictEqual(encodeTime(decodeTime(code)), code)
      assert.strictEqual(encodeTime(decodeTime(code) + 0.5), code)
    }
    assert.strictEqual(encodeTime(129), 0x80)
    assert.strictEqual(encodeTime(1_000_000), 0xff)
  })
})
