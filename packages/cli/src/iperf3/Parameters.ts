/**
 * What is to be measured: the JSON by which a client tells its server, and its bounds.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { type Iperf3Error, malformed, refused } from "./Iperf3Error.ts"
import { Problem } from "./Protocol.ts"

/** The most that a server does for a client, as elsewhere. */
export const Limit = {
  /** Seconds. */
  time: 86_400,
  omit: 600,
  streams: 128,
  /** Octets of a block, and of a datagram. */
  block: 1_048_576,
  datagram: 65_507,
  window: 536_870_912,
  segment: 9_216
} as const

/** The least that a datagram must carry: its number and time. */
export const LEAST_DATAGRAM = 16

/** Octets of a block over TCP where nothing else is said. */
export const DEFAULT_BLOCK = 131_072

/** Who sends. */
export type Direction = "forward" | "reverse" | "both"

export interface Parameters {
  readonly protocol: "tcp" | "udp"
  readonly direction: Direction
  /** Seconds; 0 where octets or blocks say when the test ends. */
  readonly time: number
  /** Octets, and blocks, after which the test ends; 0 for no such end. */
  readonly bytes: number
  readonly blocks: number
  /** Seconds at the beginning that do not count. */
  readonly omit: number
  /** Streams in each direction. */
  readonly parallel: number
  /** Octets of a block, or a datagram. */
  readonly length: number
  /** Bits per second for each stream; 0 for as many as possible. */
  readonly rate: number
  /** Blocks that may leave together, whatever the rate; 0 for one. */
  readonly burst: number
  /** Milliseconds between looks at the rate. */
  readonly pacingTimer: number
  /** Octets: MSS and buffers; undefined for what the stack does by itself. */
  readonly segmentSize: number | undefined
  readonly window: number | undefined
  readonly noDelay: boolean
  /** The name of a congestion control; undefined for the default one. */
  readonly congestion: string | undefined
  readonly getServerOutput: boolean
  readonly counters64: boolean
  readonly repeatingPayload: boolean
  readonly title: string | undefined
  readonly extraData: string | undefined
}

const count = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
/** Versions differ in which of their switches are numbers. */
const toggle = Schema.Union([Schema.Boolean, Schema.Finite])

const Wire = Schema.Struct({
  tcp: Schema.optionalKey(toggle),
  udp: Schema.optionalKey(toggle),
  sctp: Schema.optionalKey(toggle),
  omit: Schema.optionalKey(count),
  time: Schema.optionalKey(count),
  num: Schema.optionalKey(count),
  blockcount: Schema.optionalKey(count),
  MSS: Schema.optionalKey(count),
  nodelay: Schema.optionalKey(toggle),
  parallel: Schema.optionalKey(count),
  reverse: Schema.optionalKey(toggle),
  bidirectional: Schema.optionalKey(toggle),
  window: Schema.optionalKey(count),
  len: Schema.optionalKey(count),
  bandwidth: Schema.optionalKey(count),
  pacing_timer: Schema.optionalKey(count),
  burst: Schema.optionalKey(count),
  title: Schema.optionalKey(Schema.String),
  extra_data: Schema.optionalKey(Schema.String),
  congestion: Schema.optionalKey(Schema.String),
  get_server_output: Schema.optionalKey(toggle),
  udp_counters_64bit: Schema.optionalKey(toggle),
  repeating_payload: Schema.optionalKey(toggle),
  client_version: Schema.optionalKey(Schema.String)
})
type Wire = typeof Wire.Type

const isOn = (value: boolean | number | undefined): boolean => value !== undefined && Number(value) !== 0

const directionOf = (wire: Wire): Direction =>
  isOn(wire.bidirectional) ? "both" : isOn(wire.reverse) ? "reverse" : "forward"

const fromWire = (wire: Wire): Parameters => {
  const udp = isOn(wire.udp)
  return {
    protocol: udp ? "udp" : "tcp",
    direction: directionOf(wire),
    time: wire.time ?? 0,
    bytes: wire.num ?? 0,
    blocks: wire.blockcount ?? 0,
    omit: wire.omit ?? 0,
    parallel: wire.parallel ?? 1,
    length: wire.len === undefined || wire.len === 0 ? (udp ? 1460 : DEFAULT_BLOCK) : wire.len,
    rate: wire.bandwidth ?? 0,
    burst: wire.burst ?? 0,
    pacingTimer: (wire.pacing_timer ?? 1000) / 1000,
    segmentSize: wire.MSS === 0 ? undefined : wire.MSS,
    window: wire.window === 0 ? undefined : wire.window,
    noDelay: isOn(wire.nodelay),
    congestion: wire.congestion,
    getServerOutput: isOn(wire.get_server_output),
    counters64: isOn(wire.udp_counters_64bit),
    repeatingPayload: isOn(wire.repeating_payload),
    title: wire.title,
    extraData: wire.extra_data
  }
}

/** What is as by default is left out, in the order and with the types that version 3.12 has. */
const toWire = (parameters: Parameters): Wire => ({
  ...parameters.protocol === "udp" ? { udp: true } : { tcp: true },
  omit: parameters.omit,
  time: parameters.time,
  num: parameters.bytes,
  blockcount: parameters.blocks,
  ...parameters.segmentSize === undefined ? {} : { MSS: parameters.segmentSize },
  ...parameters.noDelay ? { nodelay: true } : {},
  parallel: parameters.parallel,
  ...parameters.direction === "reverse" ? { reverse: true } : {},
  ...parameters.direction === "both" ? { bidirectional: true } : {},
  ...parameters.window === undefined ? {} : { window: parameters.window },
  len: parameters.length,
  ...parameters.rate === 0 ? {} : { bandwidth: parameters.rate },
  pacing_timer: parameters.pacingTimer * 1000,
  ...parameters.burst === 0 ? {} : { burst: parameters.burst },
  ...parameters.title === undefined ? {} : { title: parameters.title },
  ...parameters.extraData === undefined ? {} : { extra_data: parameters.extraData },
  ...parameters.congestion === undefined ? {} : { congestion: parameters.congestion },
  ...parameters.getServerOutput ? { get_server_output: 1 } : {},
  ...parameters.counters64 ? { udp_counters_64bit: 1 } : {},
  ...parameters.repeatingPayload ? { repeating_payload: 1 } : {},
  client_version: "3.12"
})

/** From and to the JSON that a client sends; unknown names are left alone. */
export const Parameters: Schema.Codec<Parameters, Wire> = Wire.pipe(
  Schema.decodeTo(
    Schema.declare((value): value is Parameters => typeof value === "object" && value !== null),
    SchemaTransformation.transform({ decode: fromWire, encode: toWire })
  )
)

const isWhole = (value: number, least: number, most: number): boolean =>
  Number.isInteger(value) && value >= least && value <= most

/** What is wrong with parameters, as the sentence for the client and the number for the protocol. */
const problemOf = (parameters: Parameters): readonly [problem: number, why: string] | undefined => {
  const { blocks, bytes, length, omit, parallel, protocol, segmentSize, time, window } = parameters
  const ends = [time, bytes, blocks].filter((end) => end > 0)
  if (ends.length > 1) {
    return [Problem.endConditions, "a test ends by time, bytes or blocks, and not by several of them"]
  }
  if (time > Limit.time) return [Problem.duration, `a test takes at most ${Limit.time} seconds`]
  if (omit > Limit.omit) return [Problem.omit, `at most ${Limit.omit} seconds can be omitted`]
  if (!isWhole(parallel, 1, Limit.streams)) {
    return [Problem.streams, `there can be from 1 to ${Limit.streams} parallel streams`]
  }
  if (protocol === "udp" && !isWhole(length, LEAST_DATAGRAM, Limit.datagram)) {
    return [Problem.datagramSize, `datagrams have from ${LEAST_DATAGRAM} to ${Limit.datagram} bytes`]
  }
  if (!isWhole(length, 1, Limit.block)) return [Problem.blockSize, `blocks have from 1 to ${Limit.block} bytes`]
  if (window !== undefined && window > Limit.window) {
    return [Problem.bufferSize, `a window has at most ${Limit.window} bytes`]
  }
  if (segmentSize !== undefined && segmentSize > Limit.segment) {
    return [Problem.segmentSize, `segments have at most ${Limit.segment} bytes`]
  }
  return undefined
}

/** Refuses what is out of bounds. A test without any end goes on until somebody ends it. */
export const check = (parameters: Parameters): Effect.Effect<Parameters, Iperf3Error> => {
  const problem = problemOf(parameters)
  return problem === undefined ? Effect.succeed(parameters) : Effect.fail(refused(...problem))
}

/** The parameters that a client sent. */
export const decode = Effect.fnUntraced(function*(json: unknown): Effect.fn.Return<Parameters, Iperf3Error> {
  const wire = yield* Effect.mapError(
    Schema.decodeUnknownEffect(Wire)(json),
    (error) => malformed(`parameters that are none: ${error.message.replaceAll(/\s+/g, " ")}`)
  )
  if (isOn(wire.sctp)) return yield* refused(Problem.notImplemented, "SCTP is not supported")
  return yield* check(fromWire(wire))
})

export const encode: (parameters: Parameters) => Wire = Schema.encodeSync(Parameters)
