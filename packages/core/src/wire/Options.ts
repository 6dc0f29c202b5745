/**
 * Options as TCP and IPv4 share them (RFC 791 §3.1, RFC 9293 §3.1): a kind, then, for all but end-of-list (0) and
 * no-operation (1), a length that counts both of these octets, then a body.
 *
 * One declaration per option gives its codec; a protocol's options together give a codec between an options area and
 * a list of values, where nothing is lost: unknown kinds are kept, and the end of the list holds what stands behind it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Field from "./Field.ts"
import * as Header from "./Header.ts"
import { copyOf } from "./Octets.ts"

/** One kind of option: fields, then any number of equal items. */
export interface Declaration {
  readonly kind: number
  readonly fields: Header.Fields
  readonly items?: { readonly name: string; readonly fields: Header.Fields; readonly minimum: number }
}

export type Declarations = Readonly<Record<string, Declaration>>

type Items<D> = D extends { readonly items: { readonly name: infer N extends string; readonly fields: infer F } }
  ? { readonly [K in N]: ReadonlyArray<Header.Values<F & Header.Fields>> }
  : unknown

/** An option of a protocol. Only the last of a list can be `End`. */
export type Option<D extends Declarations> =
  | { [Tag in keyof D & string]: { readonly _tag: Tag } & Header.Values<D[Tag]["fields"]> & Items<D[Tag]> }[
    & keyof D
    & string
  ]
  | { readonly _tag: "NoOperation" }
  /** `padding` is what stands behind the end of the list. */
  | { readonly _tag: "End"; readonly padding: Uint8Array }
  | { readonly _tag: "Unknown"; readonly kind: number; readonly data: Uint8Array }

type AnyOption = { readonly _tag: string; readonly [key: string]: any }

/** The most a header leaves for its options, in octets: 15 words, 5 of them fixed. */
export const MAX_LENGTH = 40

const WORD = 4
const KIND_END = 0
const KIND_NO_OPERATION = 1
const head = Header.make("option", { kind: Field.u8, length: Field.u8 })

/** The codec of an options area: at most 40 octets, a multiple of four. */
export const make = <const D extends Declarations>(
  protocol: string,
  declarations: D
): Schema.Codec<ReadonlyArray<Option<D>>, Uint8Array> => {
  const kinds = kindsOf(protocol, declarations)
  const option = optionOf(kinds)
  return area(protocol).pipe(
    Schema.decodeTo(
      Schema.Array(option),
      SchemaTransformation.transformEffect({
        decode: (input) => decode(kinds, input),
        encode: (values) => Effect.succeed(encode(kinds, values))
      })
    ),
    Schema.decodeTo(listOf(kinds, option), SchemaTransformation.passthrough())
  ) as never
}

/** The options that a protocol knows. */
interface Kinds {
  readonly protocol: string
  readonly byKind: ReadonlyMap<number, Layout>
  readonly byTag: ReadonlyMap<string, Layout>
}

const kindsOf = (protocol: string, declarations: Declarations): Kinds => {
  const layouts = Object.entries(declarations).map(([tag, declaration]) => layoutOf(protocol, tag, declaration))
  return {
    protocol,
    byKind: new Map(layouts.map((layout) => [layout.kind, layout])),
    byTag: new Map(layouts.map((layout) => [layout.tag, layout]))
  }
}

/** One option, between the value people read and the same with unsigned integers. */
const optionOf = ({ byKind, protocol }: Kinds): Schema.Codec<AnyOption, AnyOption> => {
  const unknownKind = Field.u8.schema.check(
    Schema.makeFilter((kind: number) => kind > KIND_NO_OPERATION && !byKind.has(kind), {
      expected: `a kind of option that ${protocol} does not know`
    })
  )
  return Schema.Union([
    ...Array.from(byKind.values(), (layout) => layout.schema),
    Schema.TaggedStruct("NoOperation", {}),
    Schema.TaggedStruct("Unknown", { kind: unknownKind, data: Schema.Uint8Array }),
    Schema.TaggedStruct("End", { padding: Schema.Uint8Array })
  ]).annotate({ identifier: `${protocol} option` }) as never
}

const area = (protocol: string) =>
  Schema.Uint8Array.check(
    Schema.makeFilter((input: Uint8Array) => input.length <= MAX_LENGTH && input.length % WORD === 0, {
      expected: `${protocol} options of at most ${MAX_LENGTH} octets, a multiple of four`
    })
  )

/** Options that make up an options area. */
const listOf = (kinds: Kinds, option: Schema.Codec<AnyOption, AnyOption>) => {
  const isOption = Schema.is(option)
  const isList = (input: unknown): input is ReadonlyArray<AnyOption> => {
    if (!Array.isArray(input) || !input.every(isOption)) return false
    const length = total(kinds, input)
    return length <= MAX_LENGTH && length % WORD === 0 && !input.slice(0, -1).some((value) => value._tag === "End")
  }
  return Schema.declare(isList, {
    expected:
      `${kinds.protocol} options of at most ${MAX_LENGTH} octets, a multiple of four, with nothing behind an end`,
    toCodecArbitrary: () =>
      Schema.link<ReadonlyArray<AnyOption>>()(
        Schema.Array(option),
        SchemaTransformation.transform({ decode: (list) => fit(kinds, list), encode: (list) => list })
      )
  })
}

/** What of a list fits into an options area, up to the first end, filled up to a whole word. */
const fit = (kinds: Kinds, list: ReadonlyArray<AnyOption>): ReadonlyArray<AnyOption> => {
  const fitting: Array<AnyOption> = []
  let length = 0
  for (const value of list) {
    const size = sizeOf(kinds, value)
    if (length + size > MAX_LENGTH) continue
    if (value._tag === "End") return [...fitting, endAt(length, value["padding"])]
    fitting.push(value)
    length += size
  }
  for (; length % WORD !== 0; length++) fitting.push({ _tag: "NoOperation" })
  return fitting
}

/** An end of the list at that octet, its padding made longer until it ends a word. */
const endAt = (at: number, padding: Uint8Array): AnyOption => {
  const words = Math.ceil((at + 1 + padding.length) / WORD)
  const filled = new Uint8Array(words * WORD - at - 1)
  filled.set(padding)
  return { _tag: "End", padding: filled }
}

const sizeOf = ({ byTag }: Kinds, value: AnyOption): number => {
  switch (value._tag) {
    case "End":
      return 1 + value["padding"].length
    case "NoOperation":
      return 1
    case "Unknown":
      return head.size + value["data"].length
    default:
      return byTag.get(value._tag)!.sizeOf(value)
  }
}

const total = (kinds: Kinds, list: ReadonlyArray<AnyOption>): number =>
  list.reduce((length, value) => length + sizeOf(kinds, value), 0)

const refuse = (expected: string) => Effect.fail(new SchemaIssue.InvalidValue({ expected }))

const decode = (
  { byKind, protocol }: Kinds,
  input: Uint8Array
): Effect.Effect<ReadonlyArray<AnyOption>, SchemaIssue.Issue> => {
  const view = Header.viewOf(input)
  const values: Array<AnyOption> = []
  for (let at = 0; at < input.length;) {
    const kind = view.getUint8(at)
    if (kind === KIND_END) {
      values.push({ _tag: "End", padding: copyOf(input, at + 1) })
      break
    }
    if (kind === KIND_NO_OPERATION) {
      values.push({ _tag: "NoOperation" })
      at++
      continue
    }
    const length = at + head.size <= input.length ? head.get.length(view, at) : 0
    if (length < head.size) return refuse(`the ${protocol} option at octet ${at} to be at least two octets long`)
    if (at + length > input.length) {
      return refuse(`the ${protocol} option at octet ${at} to end within the ${input.length} octets of options`)
    }
    const layout = byKind.get(kind)
    if (layout === undefined) {
      values.push({ _tag: "Unknown", kind, data: copyOf(input, at + head.size, at + length) })
    } else if (layout.fits(length)) {
      values.push(layout.read(view, at, length))
    } else {
      return refuse(`the length of the ${layout.name} to be another than ${length}`)
    }
    at += length
  }
  return Effect.succeed(values)
}

const encode = (kinds: Kinds, values: ReadonlyArray<AnyOption>): Uint8Array => {
  const output = new Uint8Array(total(kinds, values))
  const view = Header.viewOf(output)
  let at = 0
  for (const value of values) {
    const size = sizeOf(kinds, value)
    switch (value._tag) {
      case "End":
        output.set(value["padding"], at + 1)
        break
      case "NoOperation":
        output[at] = KIND_NO_OPERATION
        break
      case "Unknown":
        head.write(view, at, { kind: value["kind"], length: size })
        output.set(value["data"], at + head.size)
        break
      default:
        kinds.byTag.get(value._tag)!.write(view, at, value)
    }
    at += size
  }
  return output
}

/** How an option of a known kind lies in the bytes. */
interface Layout {
  readonly tag: string
  readonly kind: number
  readonly name: string
  readonly schema: Schema.Struct<Schema.Struct.Fields>
  readonly sizeOf: (value: AnyOption) => number
  /** Whether an option of this kind can be so long, kind and length included. */
  readonly fits: (length: number) => boolean
  readonly read: (view: DataView, at: number, length: number) => AnyOption
  readonly write: (view: DataView, at: number, value: AnyOption) => void
}

const layoutOf = (protocol: string, tag: string, { fields, items, kind }: Declaration): Layout => {
  const name = `${protocol} ${tag} option`
  const fixed = Header.make(name, { kind: Field.u8, length: Field.u8, ...fields })
  const item = Header.make(name, items?.fields ?? {})
  const { kind: _, length: __, ...own } = fixed.fields
  const lengthOf = (value: AnyOption) => fixed.size + (items === undefined ? 0 : value[items.name].length * item.size)
  return {
    tag,
    kind,
    name,
    sizeOf: lengthOf,
    schema: Schema.TaggedStruct(tag, {
      ...own,
      ...(items === undefined
        ? {}
        : { [items.name]: Schema.Array(item.struct).check(Schema.isMinLength(items.minimum)) })
    }),
    fits: (length: number) =>
      items === undefined
        ? length === fixed.size
        : length >= fixed.size + items.minimum * item.size && (length - fixed.size) % item.size === 0,
    read: (view: DataView, at: number, length: number): AnyOption => {
      const raw = fixed.read(view, at)
      if (items === undefined) return { _tag: tag, ...raw }
      const list: Array<Header.Raw> = []
      for (let next = at + fixed.size; next < at + length; next += item.size) list.push(item.read(view, next))
      return { _tag: tag, ...raw, [items.name]: list }
    },
    write: (view: DataView, at: number, value: AnyOption): void => {
      fixed.write(view, at, { ...value, kind, length: lengthOf(value) } as never)
      if (items === undefined) return
      let next = at + fixed.size
      for (const raw of value[items.name]) {
        item.write(view, next, raw)
        next += item.size
      }
    }
  }
}
