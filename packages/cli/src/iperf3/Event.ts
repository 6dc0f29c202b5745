/**
 * What happens in a test, as both sides tell it: what reports are made of.
 */
import type { InetAddressV4 } from "effect/net/NetAddress"
import type { Parameters } from "./Parameters.ts"
import type { Totals } from "./Tally.ts"

/** A stream, as reports name it. */
export interface StreamName {
  readonly socket: number
  readonly sends: boolean
  readonly local: InetAddressV4
  readonly remote: InetAddressV4
}

/** What TCP knows about the connection of a stream. Octets, and milliseconds. */
export interface PathSample {
  /** Since the sample before. */
  readonly retransmits: number
  readonly congestionWindow: number
  readonly sendWindow: number
  readonly roundTrip: number
  readonly roundTripVariance: number
  readonly pathMtu: number
}

/** One stream in one interval. */
export interface Sample {
  readonly stream: StreamName
  readonly totals: Totals
  /** Of TCP, where this side sends. */
  readonly path: PathSample | undefined
}

export interface Interval {
  readonly _tag: "Interval"
  /** Seconds since the test began, or since what counts did. */
  readonly start: number
  readonly end: number
  readonly omitted: boolean
  readonly samples: ReadonlyArray<Sample>
}

/** A stream at the end, from one side; seconds. */
export interface SideTotal {
  readonly seconds: number
  readonly bytes: number
  /** Undefined where nobody counts them. */
  readonly retransmits: number | undefined
  /** Datagrams that were sent, as far as this side knows, and of these lost; milliseconds of jitter. */
  readonly packets: number
  readonly lost: number
  readonly outOfOrder: number
  readonly jitter: number
}

export interface StreamTotal {
  readonly stream: StreamName
  /** Undefined where that side has not told. */
  readonly sender: SideTotal | undefined
  readonly receiver: SideTotal | undefined
  /** What was seen of the path in all intervals. */
  readonly path: {
    readonly congestionWindow: number
    readonly sendWindow: number
    readonly roundTrips: ReadonlyArray<number>
  }
}

/** Per cent of a processor. */
export interface Load {
  readonly total: number
  readonly user: number
  readonly system: number
}

export interface Ended {
  readonly _tag: "Ended"
  readonly streams: ReadonlyArray<StreamTotal>
  readonly load: Load
  readonly remoteLoad: Load
  readonly congestion: { readonly sender: string | undefined; readonly receiver: string | undefined }
  readonly serverOutput: { readonly text?: string | undefined; readonly json?: unknown } | undefined
}

export type Event =
  | { readonly _tag: "Listening"; readonly port: number; readonly test: number }
  | { readonly _tag: "Accepted"; readonly remote: InetAddressV4 }
  | { readonly _tag: "Connecting"; readonly remote: InetAddressV4 }
  /** All streams are there, and the test begins; `time` is milliseconds since 1970. */
  | {
    readonly _tag: "Started"
    readonly side: "client" | "server"
    readonly cookie: string
    readonly control: { readonly remote: InetAddressV4; readonly segmentSize: number }
    readonly parameters: Parameters
    readonly streams: ReadonlyArray<StreamName>
    readonly time: number
  }
  | Interval
  | Ended
  /** The test went as it should, to its end. */
  | { readonly _tag: "Done" }
  | { readonly _tag: "Failed"; readonly message: string }
