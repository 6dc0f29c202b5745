/**
 * What a socket of Effect stands on: a connection of TCP, or TLS over one.
 */
import type { Connection } from "@strata/core/tcp/Tcp"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { TlsUpgradeOptions } from "effect/socket/Socket"

export type Chunks = readonly [Uint8Array, ...Array<Uint8Array>]

export interface Transport {
  /** What has arrived; ends after the peer's last octet, fails with a cause for `SocketReadError`. */
  readonly read: Effect.Effect<Chunks, unknown>
  /** Fails with a cause for `SocketWriteError`. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, unknown>
  /** Writes `bytes` where all of them are taken at once, and says whether they were; nothing of them was otherwise. */
  readonly offer?: ((bytes: Uint8Array) => boolean) | undefined
  /** Nothing more is written; reading goes on. */
  readonly end: Effect.Effect<void>
  /** Nothing more is read or written; what was written still arrives. A read that waits ends. */
  readonly close: Effect.Effect<void>
}

/** Which side of TLS it is. The client knows whom it called, by address or by name. */
export type Role =
  | { readonly _tag: "client"; readonly host?: string | undefined }
  | { readonly _tag: "server" }

/** Speaks TLS over a transport; fails with what went wrong, after which the transport is of no use. */
export type Upgrade = (
  transport: Transport,
  role: Role,
  options: TlsUpgradeOptions
) => Effect.Effect<Transport, unknown>

/** How sockets upgrade to TLS; without it they do not. `StrataTls.layer` brings it where there is Node. */
export const TlsUpgrade = Context.Reference<Upgrade | undefined>("@strata/sockets/TlsUpgrade", {
  defaultValue: () => undefined
})

export const ofConnection = (connection: Connection): Transport => {
  const { close, closeWrite, plain, read, write } = connection
  return { read, write, offer: (bytes) => plain.offer(bytes), end: Effect.ignore(closeWrite), close }
}

/** Whether a read failed only because the peer has written all. */
export const isEnd = (failure: unknown): boolean => Cause.isDone(failure)
