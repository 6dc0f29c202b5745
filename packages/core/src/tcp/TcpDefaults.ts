/**
 * What a stack does for all its connections where a program says nothing else,
 * and the bounds that keep strangers from using it up.
 *
 * A `Context.Reference`: give a stack its own by providing a value to its Layer,
 *
 * ```ts
 * NetworkStack.layer.pipe(Layer.provide(Layer.succeed(TcpDefaults, { settings: { keepAlive: true } })))
 * ```
 *
 * What a call such as `Tcp.connect` says goes before it; `settings` are taken one by one.
 */
import * as Context from "effect/Context"
import type { BufferBounds, ConnectionOptions, ListenOptions } from "./Tcp.ts"
import { defaultSettings, type TcpSettings } from "./TcpSettings.ts"

/** What holds for a whole stack. */
export interface TcpDefaultOptions extends ConnectionOptions, Pick<ListenOptions, "backlog" | "synCookies"> {
  /** Connections in TIME-WAIT; one more, and the oldest is forgotten. 16,384 by default. */
  readonly timeWaits?: number | undefined
  /**
   * Connections that programs have let go of and whose peer has not acknowledged everything, or closed; one more, and
   * the one that was let go of first is reset. 4,096 by default.
   */
  readonly orphans?: number | undefined
  /** The same for all octets that they have not delivered yet. 256 MiB by default. */
  readonly orphanOctets?: number | undefined
  /**
   * About how many challenge acknowledgements (RFC 5961 §7) leave in a second, besides at most two for each connection;
   * more segments that ask for one are not answered. 1,000 by default.
   */
  readonly challengesPerSecond?: number | undefined
  /**
   * About how many resets answer segments in a second that belong to no connection, or cannot; more are dropped without
   * an answer. 1,000 by default.
   */
  readonly resetsPerSecond?: number | undefined
}

/** The options of connections and listeners that do not say otherwise. */
export const TcpDefaults: Context.Reference<TcpDefaultOptions> = Context.Reference<TcpDefaultOptions>(
  "@strata/core/TcpDefaults",
  { defaultValue: () => ({}) }
)

/** Room for 100 milliseconds at a gigabit per second, and as much again for what a loss holds up; it is memory only once it is used. */
const LARGEST_BUFFER = 33_554_432
const SEND_BUFFER: BufferBounds = { initial: 262_144, maximum: LARGEST_BUFFER }
const RECEIVE_BUFFER: BufferBounds = { initial: 131_072, maximum: LARGEST_BUFFER }
const BACKLOG = 128
const TIME_WAITS = 16_384
const ORPHANS = 4096
const ORPHAN_OCTETS = 268_435_456
/** Challenges, and resets, in a second. */
const REPLIES = 1000

/** The defaults of one stack, complete. */
export interface Defaults {
  readonly settings: TcpSettings
  readonly sendBuffer: BufferBounds
  readonly receiveBuffer: BufferBounds
  readonly backlog: number
  readonly synCookies: NonNullable<ListenOptions["synCookies"]>
  readonly linger: number | undefined
  readonly copyWrites: boolean
  readonly timeWaits: number
  readonly orphans: number
  readonly orphanOctets: number
  readonly challengesPerSecond: number
  readonly resetsPerSecond: number
  readonly congestion: ConnectionOptions["congestion"]
}

export const complete = (options: TcpDefaultOptions): Defaults => ({
  settings: { ...defaultSettings, ...options.settings },
  sendBuffer: boundsOf(options.sendBuffer, SEND_BUFFER),
  receiveBuffer: boundsOf(options.receiveBuffer, RECEIVE_BUFFER),
  backlog: options.backlog ?? BACKLOG,
  synCookies: options.synCookies ?? "whenFull",
  linger: options.linger,
  copyWrites: options.copyWrites ?? false,
  timeWaits: options.timeWaits ?? TIME_WAITS,
  orphans: options.orphans ?? ORPHANS,
  orphanOctets: options.orphanOctets ?? ORPHAN_OCTETS,
  challengesPerSecond: options.challengesPerSecond ?? REPLIES,
  resetsPerSecond: options.resetsPerSecond ?? REPLIES,
  congestion: options.congestion
})

/** A number alone is a buffer of that size for good. */
export const boundsOf = (wanted: number | BufferBounds | undefined, otherwise: BufferBounds): BufferBounds => {
  if (wanted === undefined) return otherwise
  return typeof wanted === "number" ? { initial: wanted, maximum: wanted } : wanted
}

/** The settings of a connection whose program wants some of them otherwise. */
export const settingsOf = ({ settings }: Defaults, wanted: Partial<TcpSettings> | undefined): TcpSettings =>
  wanted === undefined ? settings : { ...settings, ...wanted }
