/**
 * What sockets in the shape of Node's are told, and what they tell.
 */
import type { ConnectionOptions } from "@strata/core/tcp/Tcp"
import type { TcpSettings } from "@strata/core/tcp/TcpSettings"
import type { EventEmitter } from "node:events"
import type { BlockList, LookupFunction, OnReadOpts } from "node:net"

/** What `new Socket` takes. */
export interface NetSocketOptions extends Pick<ConnectionOptions, "sendBuffer" | "receiveBuffer" | "congestion"> {
  /** Whether this side may go on writing when the peer has ended; false by default. */
  readonly allowHalfOpen?: boolean | undefined
  /** Octets in the stream's buffers up to which reading and writing go on; that of Node's streams by default. */
  readonly highWaterMark?: number | undefined
  readonly readableHighWaterMark?: number | undefined
  readonly writableHighWaterMark?: number | undefined
  /** Destroys the socket when it is aborted. */
  readonly signal?: AbortSignal | undefined
  /** What arrives is put into one buffer, again and again, instead of being emitted. */
  readonly onread?: OnReadOpts | null | undefined
  /** Turns Nagle's algorithm off; false by default. */
  readonly noDelay?: boolean | undefined
  readonly keepAlive?: boolean | undefined
  /** Milliseconds, as for `setKeepAlive`. */
  readonly keepAliveInitialDelay?: number | undefined
  /**
   * Whether what is written is copied, so that its memory may be used again when the write is done; true by default. Without, chunks of
   * 4 KiB and more must not be changed until the peer has acknowledged them, of which nothing tells.
   */
  readonly copyWrites?: boolean | undefined
  readonly settings?: Partial<TcpSettings> | undefined
  /** Whom not to connect to, or, for a server, whom not to let in. */
  readonly blockList?: BlockList | undefined
}

/** What `connect` takes. */
export interface NetConnectOptions {
  readonly port: number | string
  /** An address, or a name; `"localhost"` by default. */
  readonly host?: string | undefined
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  /** Asked for names before all others. */
  readonly lookup?: LookupFunction | undefined
  readonly family?: number | string | undefined
  readonly hints?: number | undefined
  /** Whether further addresses of a name are tried when one fails; true by default. */
  readonly autoSelectFamily?: boolean | undefined
  /** Milliseconds until the next address is tried; 250 by default. */
  readonly autoSelectFamilyAttemptTimeout?: number | undefined
}

/** What `createConnection` takes: both, and a timeout as `setTimeout` sets it. */
export interface NetDialOptions extends NetSocketOptions, NetConnectOptions {
  readonly timeout?: number | undefined
}

/** What a socket emits, with what its listeners are called with. */
export interface NetSocketEvents {
  readonly close: [hadError: boolean]
  readonly connect: []
  readonly connectionAttempt: [address: string, port: number, family: number]
  readonly connectionAttemptFailed: [address: string, port: number, family: number, error: Error]
  readonly connectionAttemptTimeout: [address: string, port: number, family: number]
  readonly data: [chunk: Buffer]
  readonly drain: []
  readonly end: []
  readonly error: [error: Error]
  readonly finish: []
  readonly lookup: [error: Error | null, address: string, family: number, host: string]
  readonly ready: []
  readonly timeout: []
}

type AnyListener = Parameters<EventEmitter["on"]>[1]

/** As every emitter has it, and with the arguments of those events. */
export interface Listen<Self, Events extends { readonly [Name in keyof Events]: ReadonlyArray<unknown> }> {
  <Name extends keyof Events>(event: Name, listener: (...values: Extract<Events[Name], Array<unknown>>) => void): Self
  (event: string | symbol, listener: AnyListener): Self
}
