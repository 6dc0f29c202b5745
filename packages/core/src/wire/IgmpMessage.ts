/**
 * Whole IGMP messages as values.
 *
 * A query of eight octets is one of version 1 or 2, a longer one of version 3 (RFC 9776 §7.1). The checksum is a field like
 * the others: it is neither verified nor computed here. What stands behind a message, or in the auxiliary data of a record, is
 * kept as octets.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Field from "./Field.ts"
import * as Header from "./Header.ts"
import { IgmpHeader, IgmpQueryHeader, IgmpRecordHeader, IgmpReportHeader, IgmpType } from "./IgmpHeader.ts"
import { copyOf } from "./Octets.ts"

const ADDRESS = 4
/** What `sourceCount` and `recordCount` can count. */
const MAX_COUNT = 0xffff

const data = { data: Schema.Uint8Array }
const { type: _kind, ...shortFields } = IgmpHeader.fields
const short = { ...shortFields, ...data }

const addresses = Schema.Array(Field.ipv4.schema).check(Schema.isMaxLength(MAX_COUNT))
const words = Schema.Uint8Array.check(
  Schema.makeFilter((octets: Uint8Array) => octets.length % 4 === 0 && octets.length <= 4 * 0xff, {
    expected: "at most 255 words of four octets"
  })
)
const { auxiliaryWords: _words, sourceCount: _sources, ...recordFields } = IgmpRecordHeader.fields
const { recordCount: _records, type: _report, ...reportFields } = IgmpReportHeader.fields
const { sourceCount: _count, type: _query, ...queryFields } = IgmpQueryHeader.fields

const record = Schema.Struct({ ...recordFields, sources: addresses, auxiliary: words })

/** Between the value and one with addresses as unsigned integers. */
const message = Schema.Union([
  Schema.TaggedStruct("Query", shortFields),
  Schema.TaggedStruct("QueryV3", { ...queryFields, sources: addresses, ...data }),
  Schema.TaggedStruct("ReportV1", short),
  Schema.TaggedStruct("ReportV2", short),
  Schema.TaggedStruct("Leave", short),
  Schema.TaggedStruct("ReportV3", {
    ...reportFields,
    records: Schema.Array(record).check(Schema.isMaxLength(MAX_COUNT)),
    ...data
  }),
  Schema.TaggedStruct("Unknown", {
    ...IgmpHeader.fields,
    type: IgmpHeader.fields.type.check(
      Schema.makeFilter((type: number) => !(Object.values(IgmpType) as Array<number>).includes(type), {
        expected: "a type of IGMP message without a name"
      })
    ),
    ...data
  })
]).annotate({ identifier: "IgmpMessage" })

/** A query or a report of any version. */
export type IgmpMessage = typeof message.Type

type Encoded = typeof message.Encoded
type Raw = Readonly<Record<string, number>>

const SHORT: Readonly<Record<string, number>> = {
  ReportV1: IgmpType.reportV1,
  ReportV2: IgmpType.reportV2,
  Leave: IgmpType.leave
}
const shortTags = new Map(Object.entries(SHORT).map(([tag, type]) => [type, tag]))

const readAddresses = (view: DataView, at: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, index) => view.getUint32(at + ADDRESS * index))

const decode = (input: Uint8Array): Encoded | undefined => {
  const view = Header.viewOf(input)
  const type = IgmpHeader.get.type(view, 0)
  if (type === IgmpType.query && input.length > IgmpHeader.size) return decodeQuery(input, view)
  if (type === IgmpType.reportV3) return decodeReport(input, view)
  const tag = shortTags.get(type)
  const { type: _type, ...fields } = IgmpHeader.read(view, 0) as Raw
  if (type === IgmpType.query) return { _tag: "Query", ...fields } as never
  const rest = { ...fields, data: copyOf(input, IgmpHeader.size) }
  return (tag === undefined ? { _tag: "Unknown", type, ...rest } : { _tag: tag, ...rest }) as Encoded
}

const decodeQuery = (input: Uint8Array, view: DataView): Encoded | undefined => {
  if (input.length < IgmpQueryHeader.size) return undefined
  const { sourceCount = 0, type: _type, ...fields } = IgmpQueryHeader.read(view, 0) as Raw
  const end = IgmpQueryHeader.size + ADDRESS * sourceCount
  if (input.length < end) return undefined
  const sources = readAddresses(view, IgmpQueryHeader.size, sourceCount)
  return { _tag: "QueryV3", ...fields, sources, data: copyOf(input, end) } as never
}

const decodeReport = (input: Uint8Array, view: DataView): Encoded | undefined => {
  const { recordCount = 0, type: _type, ...fields } = IgmpReportHeader.read(view, 0) as Raw
  const records: Array<unknown> = []
  let at = IgmpReportHeader.size
  for (let index = 0; index < recordCount; index++) {
    if (at + IgmpRecordHeader.size > input.length) return undefined
    const { auxiliaryWords = 0, sourceCount = 0, ...rest } = IgmpRecordHeader.read(view, at) as Raw
    const sourcesAt = at + IgmpRecordHeader.size
    const auxiliaryAt = sourcesAt + ADDRESS * sourceCount
    const end = auxiliaryAt + 4 * auxiliaryWords
    if (end > input.length) return undefined
    const auxiliary = copyOf(input, auxiliaryAt, end)
    records.push({ ...rest, sources: readAddresses(view, sourcesAt, sourceCount), auxiliary })
    at = end
  }
  return { _tag: "ReportV3", ...fields, records, data: copyOf(input, at) } as never
}

const encode = (value: Encoded): Uint8Array => {
  switch (value._tag) {
    case "QueryV3": {
      const { data: rest, sources } = value
      const raw = { ...value, type: IgmpType.query, sourceCount: sources.length }
      return joined(headerBytes(IgmpQueryHeader, raw), addressBytes(sources), rest)
    }
    case "ReportV3": {
      const raw = { ...value, type: IgmpType.reportV3, recordCount: value.records.length }
      return joined(headerBytes(IgmpReportHeader, raw), ...value.records.flatMap(recordBytes), value.data)
    }
    case "Query":
      return headerBytes(IgmpHeader, { ...value, type: IgmpType.query })
    default:
      return joined(headerBytes(IgmpHeader, { type: SHORT[value._tag], ...value }), value.data)
  }
}

const recordBytes = (value: typeof record.Encoded): ReadonlyArray<Uint8Array> => {
  const { auxiliary, sources } = value
  const raw = { ...value, auxiliaryWords: auxiliary.length / 4, sourceCount: sources.length }
  return [headerBytes(IgmpRecordHeader, raw), addressBytes(sources), auxiliary]
}

const headerBytes = <F extends Header.Fields>(header: Header.Header<F>, raw: object): Uint8Array => {
  const output = new Uint8Array(header.size)
  header.write(Header.viewOf(output), 0, raw as never)
  return output
}

const addressBytes = (list: ReadonlyArray<number>): Uint8Array => {
  const output = new Uint8Array(ADDRESS * list.length)
  const view = Header.viewOf(output)
  list.forEach((address, index) => view.setUint32(ADDRESS * index, address))
  return output
}

const joined = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const output = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    output.set(part, at)
    at += part.length
  }
  return output
}

/** Between the bytes of an IGMP message and a value that says what they mean. */
export const schema: Schema.Codec<IgmpMessage, Uint8Array> = Header.bytes(IgmpHeader.name, IgmpHeader.size).pipe(
  Schema.decodeTo(
    message,
    SchemaTransformation.transformEffect({
      decode: (input) => {
        const value = decode(input)
        return value === undefined
          ? Effect.fail(Header.truncated("Igmp message", input.length + 1))
          : Effect.succeed(value)
      },
      encode: (value) => Effect.succeed(encode(value))
    })
  )
) as never
