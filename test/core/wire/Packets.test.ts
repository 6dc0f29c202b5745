import { assert, describe, it } from "@effect/vitest"
import { Ipv4Header } from "@strata/core/wire/Ipv4Header"
import * as Ipv4Packet from "@strata/core/wire/Ipv4Packet"
import { TcpHeader } from "@strata/core/wire/TcpHeader"
import * as TcpSegment from "@strata/core/wire/TcpSegment"
import { Arbitrary, Effect, Schema } from "effect"
import { type AnyCodec, fromHex, laws, octets, refusal, toHex } from "./codec.ts"

interface Subject {
  readonly name: string
  readonly schema: AnyCodec
  readonly setHeaderWords: (view: DataView, at: number, words: number) => void
}

const subjects: ReadonlyArray<Subject> = [
  { name: Ipv4Header.name, schema: Ipv4Packet.schema, setHeaderWords: Ipv4Header.set.headerWords },
  { name: TcpHeader.name, schema: TcpSegment.schema, setHeaderWords: TcpHeader.set.headerWords }
]

for (const { name, schema, setHeaderWords } of subjects) {
  /** A header of `words` words whose options are no-ops. */
  const withOptions = (words: number): Uint8Array => {
    const bytes = new Uint8Array(words * 4)
    bytes.fill(1, 20)
    setHeaderWords(new DataView(bytes.buffer), 0, words)
    return bytes
  }
  const packets = Arbitrary.map(
    Arbitrary.all([octets(20, 20), octets(0, 8), octets(1, 1)]),
    ([fixed, rest, [words]]) => {
      const options = withOptions(5 + words! % 11).subarray(20)
      const bytes = Uint8Array.of(...fixed, ...options, ...rest)
      setHeaderWords(new DataView(bytes.buffer), 0, 5 + words! % 11)
      return bytes
    }
  )

  describe(`${name} header with options`, () => {
    laws(schema, packets)

    it.effect("refuses every truncation, naming header and length", () =>
      Effect.gen(function*() {
        for (const words of [5, 6, 15]) {
          const bytes = withOptions(words)
          for (let length = 0; length < bytes.length; length++) {
            const size = length < 20 ? 20 : bytes.length
            const message = yield* refusal(schema, bytes.subarray(0, length))
            assert.include(message, `at least ${size} bytes of ${name} header`)
          }
        }
      }))

    it.effect("refuses a header shorter than its fixed part", () =>
      Effect.gen(function*() {
        for (let words = 0; words < 5; words++) {
          const bytes = withOptions(15)
          setHeaderWords(new DataView(bytes.buffer), 0, words)
          assert.include(yield* refusal(schema, bytes), `headerWords of at least 5 in the ${name} header`)
        }
      }))
  })
}

describe("TcpSegment", () => {
  it.effect("reads a SYN with its options and text", () =>
    Effect.gen(function*() {
      const bytes = fromHex("c000 0007 00000001 00000000 7002 faf0 0000 0000 020405b4 01030307 6869")
      const segment = yield* Schema.decodeEffect(TcpSegment.schema)(bytes)
      assert.deepInclude(segment, {
        sourcePort: 49152,
        destinationPort: 7,
        sequence: 1,
        window: 0xfaf0,
        payload: Uint8Array.of(0x68, 0x69)
      })
      assert.deepStrictEqual(segment.options, [
        { _tag: "MaximumSegmentSize", size: 1460 },
        { _tag: "NoOperation" },
        { _tag: "WindowScale", shift: 7 }
      ])
      assert.isTrue(segment.flags.syn)
    }))

  it.effect("writes headerWords by the options", () =>
    Effect.gen(function*() {
      const empty = yield* Schema.decodeEffect(TcpSegment.schema)(
        fromHex("0001 0002 00000003 00000004 5010 ffff 0000 0000")
      )
      const bytes = yield* Schema.encodeEffect(TcpSegment.schema)({
        ...empty,
        options: [{ _tag: "MaximumSegmentSize", size: 536 }]
      })
      assert.strictEqual(toHex(bytes), toHex(fromHex("0001 0002 00000003 00000004 6010 ffff 0000 0000 02040218")))
    }))
})
