/**
 * Whole ICMP messages as values: the header of the message's type and the data behind it.
 *
 * Types the stack has no name for are kept as `Unknown`. The checksum is a field like the others: it is neither
 * verified nor computed here.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Header from "./Header.ts"
import {
  IcmpAddressMaskHeader,
  IcmpEchoHeader,
  IcmpHeader,
  IcmpParameterProblemHeader,
  IcmpRedirectHeader,
  IcmpTimeExceededHeader,
  IcmpTimestampHeader,
  IcmpType,
  IcmpUnreachableHeader
} from "./IcmpHeader.ts"
import { copyOf } from "./Octets.ts"

const bodies = {
  EchoReply: [IcmpType.echoReply, IcmpEchoHeader],
  DestinationUnreachable: [IcmpType.destinationUnreachable, IcmpUnreachableHeader],
  SourceQuench: [IcmpType.sourceQuench, IcmpHeader],
  Redirect: [IcmpType.redirect, IcmpRedirectHeader],
  EchoRequest: [IcmpType.echoRequest, IcmpEchoHeader],
  TimeExceeded: [IcmpType.timeExceeded, IcmpTimeExceededHeader],
  ParameterProblem: [IcmpType.parameterProblem, IcmpParameterProblemHeader],
  TimestampRequest: [IcmpType.timestampRequest, IcmpTimestampHeader],
  TimestampReply: [IcmpType.timestampReply, IcmpTimestampHeader],
  InformationRequest: [IcmpType.informationRequest, IcmpEchoHeader],
  InformationReply: [IcmpType.informationReply, IcmpEchoHeader],
  AddressMaskRequest: [IcmpType.addressMaskRequest, IcmpAddressMaskHeader],
  AddressMaskReply: [IcmpType.addressMaskReply, IcmpAddressMaskHeader]
} as const

type Bodies = typeof bodies

/** The fields of a header but its type, which the tag says. */
type Fields<H> = H extends { readonly schema: { readonly Type: infer A } } ? Omit<A, "type"> : never

/** A message of a known type, with its fields, or any other. */
export type IcmpMessage =
  | { [Tag in keyof Bodies]: { readonly _tag: Tag; readonly data: Uint8Array } & Fields<Bodies[Tag][1]> }[keyof Bodies]
  | { readonly _tag: "Unknown"; readonly data: Uint8Array } & typeof IcmpHeader.schema.Type

type Raw = { readonly _tag: string; readonly data: Uint8Array; readonly [field: string]: any }

interface Layout {
  readonly tag: string
  readonly type: number | undefined
  readonly header: Header.Header<Header.Fields>
}

const unknown: Layout = { tag: "Unknown", type: undefined, header: IcmpHeader as never }
const layouts: ReadonlyArray<Layout> = Object.entries(bodies).map(([tag, [type, header]]) => ({
  tag,
  type,
  header: header as never
}))
const byType = new Map(layouts.map((layout) => [layout.type, layout]))
const byTag = new Map([unknown, ...layouts].map((layout) => [layout.tag, layout]))

const unknownType = IcmpHeader.fields.type.check(
  Schema.makeFilter((type: number) => !byType.has(type), { expected: "a type of ICMP message without a name" })
)

const message = Schema.Union([
  ...layouts.map(({ header, tag }) => {
    const { type: _, ...fields } = header.fields
    return Schema.TaggedStruct(tag, { ...fields, data: Schema.Uint8Array })
  }),
  Schema.TaggedStruct("Unknown", { ...IcmpHeader.fields, type: unknownType, data: Schema.Uint8Array })
]).annotate({ identifier: "IcmpMessage" }) as Schema.Codec<Raw, Raw>

/** The name of a type, `Unknown` where it has none. */
export const tagOf = (type: number): IcmpMessage["_tag"] => (byType.get(type) ?? unknown).tag as IcmpMessage["_tag"]

/** Between the bytes of an ICMP message and a value that says what they mean. */
export const schema: Schema.Codec<IcmpMessage, Uint8Array> = Header.bytes(IcmpHeader.name, IcmpHeader.size).pipe(
  Schema.decodeTo(
    message,
    SchemaTransformation.transformEffect({
      decode: (input) => {
        const view = Header.viewOf(input)
        const { header, tag } = byType.get(IcmpHeader.get.type(view, 0)) ?? unknown
        if (input.length < header.size) return Effect.fail(Header.truncated(header.name, header.size))
        return Effect.succeed<Raw>({ _tag: tag, ...header.read(view, 0), data: copyOf(input, header.size) })
      },
      encode: (value) => {
        const { header, type } = byTag.get(value._tag)!
        const output = new Uint8Array(header.size + value.data.length)
        header.write(Header.viewOf(output), 0, { ...value, type: type ?? value["type"] } as never)
        output.set(value.data, header.size)
        return Effect.succeed(output)
      }
    })
  )
) as never
