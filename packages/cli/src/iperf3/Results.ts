/**
 * What each side tells the other at the end: how much it sent and received, and what that cost.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { type Iperf3Error, malformed } from "./Iperf3Error.ts"

/** A number; what was divided by nothing is null in JSON. */
const number = Schema.NullOr(Schema.Finite).pipe(
  Schema.decodeTo(
    Schema.Finite,
    SchemaTransformation.transform({ decode: (value) => value ?? 0, encode: (value) => value })
  )
)

/**
 * One stream. Retransmits are -1 where nobody counts them (and 2⁶⁴-1 in JSON that thinks it unsigned); errors are lost datagrams,
 * packets those that were sent, as far as this side knows; jitter and times are seconds.
 */
const StreamResults = Schema.Struct({
  id: number,
  bytes: number,
  retransmits: number,
  jitter: number,
  errors: number,
  packets: number,
  /** What of `errors` and `packets` is from the time that does not count; later versions than 3.12 have it. */
  omitted_errors: Schema.optionalKey(number),
  omitted_packets: Schema.optionalKey(number),
  start_time: Schema.optionalKey(number),
  end_time: Schema.optionalKey(number)
})
export type StreamResults = typeof StreamResults.Type

export const Results = Schema.Struct({
  /** Per cent of a processor. */
  cpu_util_total: number,
  cpu_util_user: number,
  cpu_util_system: number,
  /** 1 where `retransmits` counts. */
  sender_has_retransmits: number,
  congestion_used: Schema.optionalKey(Schema.String),
  server_output_text: Schema.optionalKey(Schema.String),
  server_output_json: Schema.optionalKey(Schema.Unknown),
  streams: Schema.Array(StreamResults)
})
export type Results = typeof Results.Type

/** The most that is taken of them, in octets: the output of a server may be among them. */
export const LIMIT = 16 * 1024 * 1024

export const decode = (json: unknown): Effect.Effect<Results, Iperf3Error> =>
  Effect.mapError(
    Schema.decodeUnknownEffect(Results)(json),
    (error) => malformed(`results that are none: ${error.message.replaceAll(/\s+/g, " ")}`)
  )

/** Those of one stream, without what was omitted; undefined when the other side does not tell of it. */
export const ofStream = (results: Results, id: number): StreamResults | undefined => {
  const found = results.streams.find((stream) => stream.id === id)
  return found && {
    ...found,
    errors: found.errors - (found.omitted_errors ?? 0),
    packets: found.packets - (found.omitted_packets ?? 0)
  }
}
