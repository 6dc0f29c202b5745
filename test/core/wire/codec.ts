/**
 * What every codec between bytes and values must do.
 */
import { assert, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Schema } from "effect"

/** A codec whose values' type does not matter. */
export type AnyCodec = Schema.Codec<any, Uint8Array>

const octet = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))

/** Between `minLength` and `maxLength` octets of any value. */
export const octets = (minLength: number, maxLength: number): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(Arbitrary.array(octet, { minLength, maxLength }), (values) => Uint8Array.from(values))

export const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (pair) => parseInt(pair, 16))

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (value) => value.toString(16).padStart(2, "0")).join(" ")

/** The message with which bytes are refused. */
export const refusal = (schema: AnyCodec, bytes: Uint8Array): Effect.Effect<string, unknown> =>
  Effect.map(Effect.flip(Schema.decodeEffect(schema)(bytes)), (error) => error.message)

/** The laws of a codec; `likely` makes bytes that are often, not always, valid. */
export const laws = (schema: AnyCodec, likely: Arbitrary.Arbitrary<Uint8Array>): void => {
  const decode = Schema.decodeEffect(schema)
  const encode = Schema.encodeEffect(schema)

  it.effect.prop("reads back what it wrote", { value: schema }, ({ value }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* decode(yield* encode(value)), value)
    }))

  it.effect.prop("writes back what it read", { bytes: likely }, ({ bytes }) =>
    Effect.gen(function*() {
      const decoded = yield* Effect.exit(decode(bytes))
      if (Exit.isSuccess(decoded)) assert.deepStrictEqual(yield* encode(decoded.value), bytes)
    }), { arbitrary: { runs: 300 } })

  it.effect.prop("keeps nothing of the memory that it read", { bytes: likely }, ({ bytes }) =>
    Effect.gen(function*() {
      const read = Buffer.from(bytes)
      const decoded = yield* Effect.exit(decode(read))
      read.fill(0xaa)
      if (Exit.isSuccess(decoded)) assert.deepStrictEqual(yield* encode(decoded.value), bytes)
    }), { arbitrary: { runs: 300 } })

  it.effect.prop(
    "accepts or refuses, but never throws",
    { bytes: octets(0, 80) },
    ({ bytes }) =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(decode(bytes))
        assert.isFalse(Exit.hasDies(exit))
      }),
    { arbitrary: { runs: 300 } }
  )
}
