import { assert, describe, it } from "@effect/vitest"
import * as TcpOptions from "@strata/core/wire/TcpOptions"
import { Arbitrary, Effect, Exit, Schema } from "effect"
import { fromHex, laws, octets, refusal, toHex } from "./codec.ts"

const { ParsedOptions } = TcpOptions
const decode = Schema.decodeEffect(TcpOptions.schema)
const encode = Schema.encodeEffect(TcpOptions.schema)

const integer = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const u32 = integer(0, 0xffff_ffff)

/** Options areas that are often valid: options with right and wrong lengths, filled up to whole words with no-ops. */
const piece = Arbitrary.map(
  Arbitrary.all([Arbitrary.schema(Schema.Literals([1, 2, 3, 4, 5, 8, 8, 30, 254])), octets(8, 16), octets(1, 1)]),
  ([kind, body, [chance]]) => {
    const sizes: Record<number, number> = { 2: 2, 3: 1, 4: 0, 5: chance! & 1 ? 8 : 16, 8: 8, 30: chance! & 7, 254: 2 }
    if (kind === 1) return [kind]
    const size = sizes[kind]! + (chance! >= 0xf0 ? 1 : 0)
    return [kind, size + 2, ...body.subarray(0, size)]
  }
)
const areas = Arbitrary.map(
  Arbitrary.all([Arbitrary.array(piece, { maxLength: 5 }), octets(1, 1)]),
  ([pieces, [chance]]) => {
    const bytes = pieces.flat().slice(0, 39)
    if (chance! < 0x40) bytes.push(0)
    while (bytes.length % 4 !== 0) bytes.push(1)
    return Uint8Array.from(bytes)
  }
)

const parse = (bytes: Uint8Array, into = new ParsedOptions()) => {
  const slab = Uint8Array.of(9, 9, 9, ...bytes, 2, 4, 9, 9)
  return { accepted: TcpOptions.parse(new DataView(slab.buffer), 3, 3 + bytes.length, into), options: into }
}
/** What a record says, as a plain value. */
const values = ({ maximumSegmentSize, sack, sackPermitted, timestamps, windowScale }: TcpOptions.TcpOptionValues) => ({
  maximumSegmentSize,
  windowScale,
  sackPermitted: sackPermitted ?? false,
  sack: sack === undefined ? undefined : [...sack],
  timestamps: timestamps === undefined ? undefined : { ...timestamps }
})

const write = (options: TcpOptions.TcpOptionValues) => {
  const slab = new Uint8Array(60).fill(0xee)
  const length = TcpOptions.write(new DataView(slab.buffer), 7, options)
  assert.strictEqual(length, TcpOptions.encodedLength(options))
  assert.isTrue(slab.subarray(0, 7).every((octet) => octet === 0xee))
  assert.isTrue(slab.subarray(7 + length).every((octet) => octet === 0xee))
  return slab.slice(7, 7 + length)
}

/** What a parser reads of what is written. */
const written = (options: TcpOptions.TcpOptionValues) => parse(write(options)).options

const optionValues = Schema.Struct({
  maximumSegmentSize: Schema.UndefinedOr(integer(0, 0xffff)),
  windowScale: Schema.UndefinedOr(integer(0, 255)),
  sackPermitted: Schema.Boolean,
  sack: Schema.UndefinedOr(Schema.NonEmptyArray(Schema.Struct({ left: u32, right: u32 }))),
  timestamps: Schema.UndefinedOr(Schema.Struct({ value: u32, echoReply: u32 }))
})

describe("TcpOptions.schema", () => {
  laws(TcpOptions.schema, areas)

  it.effect("reads what Linux sends in a SYN", () =>
    Effect.gen(function*() {
      const options = yield* decode(fromHex("020405b4 0402080a 0a0b0c0d 00000000 01030307"))
      assert.deepStrictEqual(options, [
        { _tag: "MaximumSegmentSize", size: 1460 },
        { _tag: "SackPermitted" },
        { _tag: "Timestamps", value: 0x0a0b_0c0d, echoReply: 0 },
        { _tag: "NoOperation" },
        { _tag: "WindowScale", shift: 7 }
      ])
    }))

  it.effect("keeps unknown kinds, and what stands behind the end", () =>
    Effect.gen(function*() {
      const bytes = fromHex("fe04 f989 1d02 00 07")
      const options = yield* decode(bytes)
      assert.deepStrictEqual(options, [
        { _tag: "Unknown", kind: 254, data: Uint8Array.of(0xf9, 0x89) },
        { _tag: "Unknown", kind: 29, data: Uint8Array.of() },
        { _tag: "End", padding: Uint8Array.of(7) }
      ])
      assert.deepStrictEqual(yield* encode(options), bytes)
    }))

  it.effect("refuses lists that are no options area: not whole words, too long, going on behind the end", () =>
    Effect.gen(function*() {
      const end = { _tag: "End", padding: new Uint8Array(0) } as const
      const noOperation = { _tag: "NoOperation" } as const
      for (
        const list of [
          [noOperation],
          [end, noOperation, noOperation, noOperation],
          Array.from({ length: 44 }, () => noOperation)
        ]
      ) {
        yield* Effect.flip(encode(list))
      }
      yield* encode([noOperation, noOperation, noOperation, end])
    }))
})

const malformed: ReadonlyArray<readonly [hex: string, because: string]> = [
  ["02000000", "the Tcp option at octet 0 to be at least two octets long"],
  ["01010201", "the Tcp option at octet 2 to be at least two octets long"],
  ["01010108", "the Tcp option at octet 3 to be at least two octets long"],
  ["01010208", "the Tcp option at octet 2 to end within the 4 octets of options"],
  ["fe050000", "the Tcp option at octet 0 to end within the 4 octets of options"],
  ["02030500", "the length of the Tcp MaximumSegmentSize option to be another than 3"],
  ["03040700", "the length of the Tcp WindowScale option to be another than 4"],
  ["04030000", "the length of the Tcp SackPermitted option to be another than 3"],
  ["05020101", "the length of the Tcp Sack option to be another than 2"],
  ["050b 00000001 00000002 00 01", "the length of the Tcp Sack option to be another than 11"],
  ["0809 00000001 000000 010101", "the length of the Tcp Timestamps option to be another than 9"],
  ["080c 00000001 00000002 0000", "the length of the Tcp Timestamps option to be another than 12"]
]

describe("malformed TCP options", () => {
  for (const [hex, because] of malformed) {
    it.effect(`are refused by codec and parser: ${hex}`, () =>
      Effect.gen(function*() {
        assert.include(yield* refusal(TcpOptions.schema, fromHex(hex)), because)
        assert.isFalse(parse(fromHex(hex)).accepted)
      }))
  }

  it.effect("no area is longer than a header has room for", () =>
    Effect.gen(function*() {
      assert.include(yield* refusal(TcpOptions.schema, new Uint8Array(44)), "Tcp options of at most 40 octets")
      assert.include(yield* refusal(TcpOptions.schema, new Uint8Array(3)), "a multiple of four")
    }))
})

describe("TcpOptions.parse", () => {
  it.effect.prop(
    "accepts what the codec accepts, and reads the same",
    { bytes: areas },
    ({ bytes }) =>
      Effect.gen(function*() {
        const decoded = yield* Effect.exit(decode(bytes))
        const { accepted, options } = parse(bytes)
        assert.strictEqual(accepted, Exit.isSuccess(decoded), toHex(bytes))
        if (!Exit.isSuccess(decoded)) return
        const last = <T extends string>(tag: T) =>
          decoded.value.findLast((option): option is Extract<typeof option, { readonly _tag: T }> =>
            option._tag === tag
          )
        const timestamps = last("Timestamps")
        assert.deepStrictEqual(values(options), {
          maximumSegmentSize: last("MaximumSegmentSize")?.size,
          windowScale: last("WindowScale")?.shift,
          sackPermitted: last("SackPermitted") !== undefined,
          sack: last("Sack")?.blocks.map((block) => ({ ...block })),
          timestamps: timestamps && { value: timestamps.value, echoReply: timestamps.echoReply }
        })
      }),
    { arbitrary: { runs: 500 } }
  )

  it.prop("never reads past its end and never throws", { bytes: octets(0, 44) }, ({ bytes }) => {
    const alone = new DataView(bytes.slice().buffer)
    assert.strictEqual(TcpOptions.parse(alone, 0, bytes.length, new ParsedOptions()), parse(bytes).accepted)
  }, { arbitrary: { runs: 500 } })

  it("forgets what it read before", () => {
    const { options } = parse(fromHex("020405b4 0402080a 0a0b0c0d 00000000 01030307"))
    assert.isTrue(parse(fromHex("0101050a 00000001 00000002"), options).accepted)
    const { sack } = options
    assert.deepStrictEqual(values(options), {
      maximumSegmentSize: undefined,
      windowScale: undefined,
      sackPermitted: false,
      sack: [{ left: 1, right: 2 }],
      timestamps: undefined
    })
    assert.isTrue(parse(fromHex("0101080a 00000003 00000004"), options).accepted)
    assert.deepStrictEqual(values(options).timestamps, { value: 3, echoReply: 4 })
    assert.deepStrictEqual(sack, [{ left: 1, right: 2 }])
  })

  it("reads nothing behind the end of the list", () => {
    const { accepted, options } = parse(fromHex("00 020405b4 ff00 02"))
    assert.isTrue(accepted)
    assert.isUndefined(options.maximumSegmentSize)
  })
})

describe("TcpOptions.write", () => {
  it.effect.prop(
    "writes what parser and codec read, in whole words",
    { options: optionValues },
    ({ options }) =>
      Effect.gen(function*() {
        const bytes = write(options)
        assert.strictEqual(bytes.length % 4, 0)
        assert.isAtMost(bytes.length, 40)
        const parsed = parse(bytes)
        assert.isTrue(parsed.accepted)
        const sack = values(parsed.options).sack
        assert.deepStrictEqual(values(parsed.options), { ...values(options), sack })
        assert.deepStrictEqual(sack ?? [], [...options.sack ?? []].slice(0, sack?.length ?? 0))
        assert.deepStrictEqual(yield* encode(yield* decode(bytes)), bytes)
      }),
    { arbitrary: { runs: 300 } }
  )

  it("writes what Linux writes", () => {
    const timestamps = { value: 0x0a0b_0c0d, echoReply: 1 }
    const syn = { maximumSegmentSize: 1460, sackPermitted: true, windowScale: 7 }
    const block = { left: 1, right: 2 }
    const cases: ReadonlyArray<readonly [TcpOptions.TcpOptionValues, string]> = [
      [{}, ""],
      [{ maximumSegmentSize: 1460 }, "020405b4"],
      [syn, "020405b4 01010402 01030307"],
      [{ ...syn, timestamps }, "020405b4 0402080a 0a0b0c0d 00000001 01030307"],
      [{ timestamps }, "0101080a 0a0b0c0d 00000001"],
      [{ timestamps, sack: [block] }, "0101080a 0a0b0c0d 00000001 0101050a 00000001 00000002"]
    ]
    for (const [options, hex] of cases) assert.strictEqual(toHex(write(options)), toHex(fromHex(hex)))
  })

  it("leaves out the SACK blocks that do not fit: four go alone, three beside timestamps", () => {
    const sack = Array.from({ length: 6 }, (_, index) => ({ left: index * 10, right: index * 10 + 5 }))
    assert.deepStrictEqual(written({ sack }).sack, sack.slice(0, 4))
    assert.deepStrictEqual(written({ sack, timestamps: { value: 1, echoReply: 2 } }).sack, sack.slice(0, 3))
    assert.isUndefined(written({ sack: [] }).sack)
  })
})
