/**
 * A connection as programs see it: Effects around the plain `LiveConnection`.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Turn } from "../time/Turn.ts"
import * as Address from "../wire/Address.ts"
import type { LiveConnection } from "./Connection.ts"
import type { ControlBlock } from "./ControlBlock.ts"
import { localOf, remoteOf } from "./InetAddress.ts"
import { infoChanges } from "./InfoChanges.ts"
import { atMost, isSettled, until } from "./Linger.ts"
import type { Connection, ConnectionStatus } from "./Tcp.ts"
import {
  ConnectionClosed,
  ConnectionRefused,
  ConnectionReset,
  ConnectionTimedOut,
  TcpError,
  Unreachable
} from "./TcpError.ts"
import { infoOf } from "./TcpInfo.ts"
import type { PendingWrite } from "./WriteQueue.ts"

export const closedHere = (): TcpError => new TcpError({ reason: new ConnectionClosed({}) })

/** Why a CLOSED connection is closed. */
const failureOf = ({ endpoints, reason, softError }: ControlBlock): TcpError => {
  const remote = `${Address.formatIpv4(endpoints.remoteAddress)}:${endpoints.remotePort}`
  switch (reason) {
    case "refused":
      return new TcpError({ reason: new ConnectionRefused({ remote }) })
    case "reset":
      return new TcpError({ reason: new ConnectionReset({ remote }) })
    case "unreachable":
      return new TcpError({ reason: new Unreachable({ remote }) })
    case "timedOut":
      return new TcpError({
        reason: softError ? new Unreachable({ remote }) : new ConnectionTimedOut({ remote })
      })
    default:
      return closedHere()
  }
}

export const statusOf = (connection: LiveConnection): ConnectionStatus => {
  const { tcb } = connection
  return {
    local: localOf(tcb.endpoints),
    remote: remoteOf(tcb.endpoints),
    state: tcb.state,
    sendWindow: tcb.snd.wnd,
    receiveWindow: tcb.rcv.wnd,
    sendQueue: connection.sending.queued,
    receiveQueue: connection.receiving.readable
  }
}

export const makeFace = (connection: LiveConnection, turn: Turn["Service"]): Connection => {
  const inTurn = (work: () => void) => Effect.sync(() => turn.run(work))

  /** Waits until `look` has an answer, which only a change of state can bring. */
  const watch = (look: () => Effect.Effect<void, TcpError> | undefined): Effect.Effect<void, TcpError> => {
    const ready = () => look() !== undefined
    return Effect.suspend(() => look() ?? Effect.flatMap(connection.watchers.waitUnless(ready), () => watch(look)))
  }

  const readable = () => connection.receiving.readable > 0 || connection.ended
  const read: Connection["read"] = Effect.suspend(() => {
    let chunks: [Uint8Array, ...Array<Uint8Array>] | undefined
    turn.run(() => {
      chunks = connection.take()
    })
    if (chunks !== undefined) return Effect.succeed(chunks)
    if (!connection.ended) return Effect.flatMap(connection.readers.waitUnless(readable), () => read)
    return connection.finished ? Cause.done() : Effect.fail(failureOf(connection.tcb))
  })

  /** Why nothing more can be written, or undefined. */
  const unwritable = (): TcpError | undefined => {
    if (connection.state === "CLOSED") return failureOf(connection.tcb)
    return connection.closing ? closedHere() : undefined
  }

  const write: Connection["write"] = (bytes) =>
    Effect.suspend(() => {
      const error = unwritable()
      if (error !== undefined) return Effect.fail(error)
      return Effect.callback<void, TcpError>((resume) => {
        const pending: PendingWrite = {
          bytes,
          at: 0,
          settle: () => resume(pending.at === bytes.length ? Effect.void : Effect.fail(unwritable() ?? closedHere()))
        }
        turn.run(() => {
          if (connection.write(pending)) resume(Effect.void)
        })
        return inTurn(() => connection.giveUp(pending))
      })
    })

  const closeWrite: Connection["closeWrite"] = Effect.suspend(() => {
    if (!connection.closing && connection.state === "CLOSED") return Effect.fail(failureOf(connection.tcb))
    return inTurn(() => connection.closeWrite())
  })

  const abort = inTurn(() => connection.abort())
  const close: Connection["close"] = Effect.suspend(() => {
    const { linger } = connection
    if (linger === 0) return abort
    const closing = inTurn(() => connection.close())
    if (linger === undefined) return closing
    const settled = () => isSettled(connection)
    return closing.pipe(
      Effect.andThen(atMost(linger, until(connection, settled))),
      Effect.andThen(Effect.suspend(() => settled() ? Effect.void : abort))
    )
  })

  return {
    get local() {
      return localOf(connection.endpoints)
    },
    get remote() {
      return remoteOf(connection.endpoints)
    },
    state: () => connection.state,
    status: () => statusOf(connection),
    controlBlock: () => connection.tcb,
    info: () => infoOf(connection),
    infoChanges: (interval) => infoChanges(connection, interval),
    read,
    write,
    closeWrite,
    close,
    abort,
    established: watch(() => {
      if (connection.established) return Effect.void
      return connection.state === "CLOSED" ? Effect.fail(failureOf(connection.tcb)) : undefined
    }),
    closed: watch(() => {
      const { reason, state } = connection.tcb
      if (state === "TIME-WAIT") return Effect.void
      if (state !== "CLOSED") return undefined
      return reason === "finished" ? Effect.void : Effect.fail(failureOf(connection.tcb))
    })
  }
}
