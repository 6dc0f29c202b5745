/**
 * A connection as programs see it: Effects around the plain `LiveConnection`.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Turn } from "../time/Turn.ts"
import type { Adjustable } from "./Configure.ts"
import type { LiveConnection } from "./Connection.ts"
import { closedHere, failureOf } from "./Failure.ts"
import { localOf, remoteOf } from "./InetAddress.ts"
import { infoChanges } from "./InfoChanges.ts"
import { atMost, isSettled, until } from "./Linger.ts"
import { own } from "./Ownership.ts"
import { behind, makePlain, offer, type PlainConnection, take } from "./PlainConnection.ts"
import type { Connection, ConnectionStatus } from "./Tcp.ts"
import type { TcpError } from "./TcpError.ts"
import { infoOf } from "./TcpInfo.ts"
import type { Waiter } from "./Waiters.ts"
import type { PendingWrite } from "./WriteQueue.ts"

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

/**
 * What `read` does. Once it has told the end it lets go of the connection: a Stream outlives its run by up to a full garbage
 * collection, since V8 takes closures that are assigned to a property for long-lived, as those of `Channel` are.
 *
 * A fiber that is woken looks itself, and only then is anything taken: so one that was interrupted need not say so, which would be more to
 * make for each read that waits than all the rest. Its place stays until it is woken, in vain, and there is one such place: who reads
 * meanwhile has another.
 */
class Reading implements Waiter {
  readonly read: Connection["read"] = Effect.callback((resume) => this.register(resume))
  private readonly again: Connection["read"] = Effect.suspend(() => this.look() ?? this.read)
  private connection: LiveConnection | undefined
  private readonly turn: Turn["Service"]
  private resume: ((again: Connection["read"]) => void) | undefined = undefined
  private end: Connection["read"] | undefined = undefined

  constructor(connection: LiveConnection, turn: Turn["Service"]) {
    this.connection = connection
    this.turn = turn
  }

  wake(): void {
    const { resume } = this
    this.resume = undefined
    resume?.(this.again)
  }

  private register(resume: (found: Connection["read"]) => void): void {
    const found = this.look()
    if (found !== undefined) return resume(found)
    const { readers } = this.connection!
    if (this.resume !== undefined) return resume(readers.waitFor(() => this.look()))
    this.resume = resume
    readers.wait(this)
  }

  private look(): Connection["read"] | undefined {
    const { connection } = this
    if (connection === undefined) return this.end
    const taken = take(connection, this.turn)
    if (taken !== undefined) return Effect.succeed(taken)
    const rest = behind(connection)
    if (rest === "more") return undefined
    this.end = rest === "end" ? Cause.done() : Effect.fail(failureOf(connection.tcb))
    this.connection = undefined
    return this.end
  }
}

/**
 * There may be very many connections, and each has one: so it holds nothing but the connection, and makes what is asked for
 * when it is asked for; and keeps what reads and writes, which a program may ask for each time that it does.
 */
class Face implements Connection {
  private readonly connection: LiveConnection
  private readonly turn: Turn["Service"]
  private reading: Reading | undefined = undefined
  private writing: Connection["write"] | undefined = undefined

  constructor(connection: LiveConnection, turn: Turn["Service"]) {
    this.connection = connection
    this.turn = turn
  }

  get local() {
    return localOf(this.connection.endpoints)
  }

  get remote() {
    return remoteOf(this.connection.endpoints)
  }

  get state(): Connection["state"] {
    return () => this.connection.state
  }

  get status(): Connection["status"] {
    return () => statusOf(this.connection)
  }

  get controlBlock(): Connection["controlBlock"] {
    return () => own(this.connection.tcb)
  }

  get info(): Connection["info"] {
    return () => infoOf(this.connection)
  }

  get infoChanges(): Connection["infoChanges"] {
    return (interval) => infoChanges(this.connection, interval)
  }

  get read(): Connection["read"] {
    this.reading ??= new Reading(this.connection, this.turn)
    return this.reading.read
  }

  get write(): Connection["write"] {
    return this.writing ??= (bytes) => Effect.suspend(() => this.written(bytes))
  }

  get closeWrite(): Connection["closeWrite"] {
    const { connection } = this
    return Effect.suspend(() =>
      !connection.closing && connection.state === "CLOSED"
        ? Effect.fail(failureOf(connection.tcb))
        : this.inTurn(() => connection.closeWrite())
    )
  }

  get abort(): Connection["abort"] {
    return this.inTurn(() => this.connection.abort())
  }

  get close(): Connection["close"] {
    const { connection } = this
    return Effect.suspend(() => {
      const { linger } = connection
      if (linger === 0) return this.abort
      const closing = this.inTurn(() => connection.close())
      if (linger === undefined) return closing
      const settled = () => isSettled(connection)
      return closing.pipe(
        Effect.andThen(atMost(linger, until(connection, settled))),
        Effect.andThen(Effect.suspend(() => settled() ? Effect.void : this.abort))
      )
    })
  }

  get established(): Connection["established"] {
    const { connection } = this
    return this.watch(() => {
      if (connection.established) return Effect.void
      return connection.state === "CLOSED" ? Effect.fail(failureOf(connection.tcb)) : undefined
    })
  }

  get closed(): Connection["closed"] {
    const { connection } = this
    return this.watch(() => {
      const { reason, state } = connection.tcb
      if (state === "TIME-WAIT") return Effect.void
      if (state !== "CLOSED") return undefined
      return reason === "finished" ? Effect.void : Effect.fail(failureOf(connection.tcb))
    })
  }

  get whenClosed(): Connection["whenClosed"] {
    return (listener) => this.connection.whenClosed(listener)
  }

  get plain(): PlainConnection {
    return makePlain(this.connection, this.turn)
  }

  get configure(): Connection["configure"] {
    return (settings: Partial<Adjustable>) => this.inTurn(() => this.connection.configure(settings))
  }

  private inTurn(work: () => void): Effect.Effect<void> {
    return Effect.sync(() => this.turn.run(work))
  }

  /** Waits until `look` has an answer, which only a change of state can bring. */
  private watch(look: () => Effect.Effect<void, TcpError> | undefined): Effect.Effect<void, TcpError> {
    return Effect.suspend(() => look() ?? this.connection.watchers.waitFor(look))
  }

  /** Why nothing more can be written, or undefined. */
  private get unwritable(): TcpError | undefined {
    const { connection } = this
    if (connection.state === "CLOSED") return failureOf(connection.tcb)
    return connection.closing ? closedHere() : undefined
  }

  /** Writes at once what fits, and waits only where not all of it does. */
  private written(bytes: Uint8Array): Effect.Effect<void, TcpError> {
    const { connection, turn } = this
    const error = this.unwritable
    if (error !== undefined) return Effect.fail(error)
    if (offer(connection, turn, bytes)) return Effect.void
    return Effect.callback<void, TcpError>((resume) => {
      const pending: PendingWrite = {
        bytes,
        at: 0,
        settle: () => resume(pending.at === bytes.length ? Effect.void : Effect.fail(this.unwritable ?? closedHere()))
      }
      turn.run(() => {
        if (connection.write(pending)) resume(Effect.void)
      })
      return this.inTurn(() => connection.giveUp(pending))
    })
  }
}

export const makeFace = (connection: LiveConnection, turn: Turn["Service"]): Connection => new Face(connection, turn)
