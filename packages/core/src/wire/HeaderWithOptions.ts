/**
 * A header whose length stands in its `headerWords`, as in IPv4 and TCP: the fixed part, the options, and what follows.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Header from "./Header.ts"
import { copyOf } from "./Octets.ts"

/** The fields of the fixed part but `headerWords`, which goes with the options; the options; all octets behind them. */
export type WithOptions<F extends Header.Fields, O> =
  & Omit<Header.Values<F>, "headerWords">
  & { readonly options: O; readonly payload: Uint8Array }

type Raw = { readonly options: Uint8Array; readonly payload: Uint8Array; readonly [field: string]: any }

const WORD = 4

export const make = <F extends Header.Fields, O>(
  header: Header.Header<F>,
  options: Schema.Codec<O, Uint8Array>
): Schema.Codec<WithOptions<F, O>, Uint8Array> => {
  const { headerWords: _, ...fields } = header.fields
  const struct = Schema.Struct({ ...fields, options, payload: Schema.Uint8Array }).annotate({
    identifier: `${header.name} with options`
  }) as unknown as Schema.Codec<WithOptions<F, O>, Raw>
  return Header.bytes(header.name, header.size).pipe(Schema.decodeTo(
    struct,
    SchemaTransformation.transformEffect({
      decode: (input) => {
        const raw = header.read(Header.viewOf(input), 0)
        const size = raw["headerWords"]! * WORD
        if (size < header.size) return Effect.fail(tooShort(header.name, header.size))
        if (size > input.length) return Effect.fail(Header.truncated(header.name, size))
        return Effect.succeed<Raw>({
          ...raw,
          options: copyOf(input, header.size, size),
          payload: copyOf(input, size)
        })
      },
      encode: (raw) => {
        const size = header.size + raw.options.length
        const output = new Uint8Array(size + raw.payload.length)
        header.write(Header.viewOf(output), 0, { ...raw, headerWords: size / WORD } as never)
        output.set(raw.options, header.size)
        output.set(raw.payload, size)
        return Effect.succeed(output)
      }
    })
  )) as never
}

const tooShort = (name: string, size: number) =>
  new SchemaIssue.InvalidValue({ expected: `headerWords of at least ${size / WORD} in the ${name} header` })
