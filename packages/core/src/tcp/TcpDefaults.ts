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
import type { ConnectionOptions, ListenOptions } from "./Tcp.ts"
import { defaultSettings, type TcpSettings } from "./TcpSettings.ts"

export interface TcpDefaultOptions extends ConnectionOptions, Pick<ListenOptions, "backlog" | "synCookies"> {
  /** Connections in TIME-WAIT; one more, and the oldest is forgotten. 16,384 by default. */
  readonly timeWaits?: number | undefined
}

export const TcpDefaults: Context.Reference<TcpDefaultOptions> = Context.Reference<TcpDefaultOptions>(
  "@strata/core/TcpDefaults",
  { defaultValue: () => ({}) }
)

/** Octets of a connection's send and receive buffer. */
const BUFFER = 262_144
const BACKLOG = 128
export const TIME_WAITS = 16_384

/** The defaults of one stack, complete. */
export interface Defaults {
  readonly settings: TcpSettings
  readonly sendBuffer: number
  readonly receiveBuffer: number
  readonly backlog: number
  readonly synCookies: NonNullable<ListenOptions["synCookies"]>
  readonly timeWaits: number
  readonly congestion: ConnectionOptions["congestion"]
}

export const complete = (options: TcpDefaultOptions): Defaults => ({
  settings: { ...defaultSettings, ...options.settings },
  sendBuffer: options.sendBuffer ?? BUFFER,
  receiveBuffer: options.receiveBuffer ?? BUFFER,
  backlog: options.backlog ?? BACKLOG,
  synCookies: options.synCookies ?? "whenFull",
  timeWaits: options.timeWaits ?? TIME_WAITS,
  congestion: options.congestion
})

/** The settings of a connection whose program wants some of them otherwise. */
export const settingsOf = ({ settings }: Defaults, wanted: Partial<TcpSettings> | undefined): TcpSettings =>
  wanted === undefined ? settings : { ...settings, ...wanted }
