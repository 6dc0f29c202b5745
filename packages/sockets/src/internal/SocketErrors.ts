/**
 * What goes wrong, in the words of `effect/socket/Socket`.
 */
import {
  SocketCloseError,
  SocketError,
  SocketOpenError,
  SocketReadError,
  SocketUpgradeError,
  SocketWriteError
} from "effect/socket/Socket"

/** A clean end. */
export const NORMAL = 1000
/** The reader's scope was closed under it. */
export const ABNORMAL = 1006

export const openFailed = (cause: unknown): SocketError =>
  new SocketError({ reason: new SocketOpenError({ kind: "Unknown", cause }) })

export const openTimedOut = (): SocketError =>
  new SocketError({ reason: new SocketOpenError({ kind: "Timeout", cause: new Error("Connection timed out") }) })

export const readFailed = (cause: unknown): SocketError => new SocketError({ reason: new SocketReadError({ cause }) })

export const writeFailed = (cause: unknown): SocketError => new SocketError({ reason: new SocketWriteError({ cause }) })

export const upgradeFailed = (cause: unknown): SocketError =>
  new SocketError({ reason: new SocketUpgradeError({ cause }) })

export const closedWith = (code: number): SocketError => new SocketError({ reason: new SocketCloseError({ code }) })
