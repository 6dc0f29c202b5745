/**
 * The plain face of a connection: what adapters to streams of other kinds stand on, such as those of Node.
 *
 * There is no Effect in it and no fiber: everything happens at once, and whoever waits gives a function, which is called within
 * the turn in which it happens. Such a function must not throw. One program uses one face of a connection.
 */
import type { Turn } from "../time/Turn.ts"
import type { Adjustable } from "./Configure.ts"
import type { LiveConnection } from "./Connection.ts"
import { closedHere, failureOf } from "./Failure.ts"
import type { TcpError } from "./TcpError.ts"
import type { PendingWrite } from "./WriteQueue.ts"

/** Chunks that nobody else holds. */
export type Taken = readonly [Uint8Array, ...Array<Uint8Array>]

export interface PlainConnection {
  /** Calls `listener` once, at once where it is so already, when the connection is established, or closed without having been: see `failure`. */
  readonly whenOpened: (listener: () => void) => void
  /** All that arrived and was not taken, or undefined. */
  readonly take: () => Taken | undefined
  /** What is behind all that can be taken now: more perhaps, the peer's FIN, or a failure, which is `failure()`. */
  readonly behind: () => "more" | "end" | "failure"
  /** Calls `listener` once, when there is something to take, or nothing will be any more. For who has looked and found neither. */
  readonly whenReadable: (listener: () => void) => void
  /**
   * `Connection.write` of all `chunks`, one after the other. True when all of them were taken at once; otherwise `settle` is called
   * later, with the reason when some of them never will be; or at once where nothing can be written any more.
   */
  readonly write: (chunks: ReadonlyArray<Uint8Array>, settle: (error: TcpError | undefined) => void) => boolean
  /** `Connection.write` where all of `bytes` is taken at once; false where nothing is, since that has to wait or fails. */
  readonly offer: (bytes: Uint8Array) => boolean
  /** Why nothing more can be written, if so. */
  readonly unwritable: () => TcpError | undefined
  /** Why a connection that is CLOSED is so. */
  readonly failure: () => TcpError
  /** `Connection.configure`. */
  readonly configure: (settings: Partial<Adjustable>) => void
  /** `Connection.closeWrite`, `close` without its `linger`, and `abort`. */
  readonly closeWrite: () => void
  readonly close: () => void
  readonly abort: () => void
}

export const makePlain = (connection: LiveConnection, turn: Turn["Service"]): PlainConnection =>
  new Plain(connection, turn)

class Plain implements PlainConnection {
  private readonly connection: LiveConnection
  private readonly turn: Turn["Service"]

  constructor(connection: LiveConnection, turn: Turn["Service"]) {
    this.connection = connection
    this.turn = turn
  }

  whenOpened(listener: () => void): void {
    const { connection } = this
    const look = (): void => {
      if (connection.established || connection.state === "CLOSED") listener()
      else connection.watchers.listen(look)
    }
    look()
  }

  take(): Taken | undefined {
    return take(this.connection, this.turn)
  }

  behind(): "more" | "end" | "failure" {
    return behind(this.connection)
  }

  whenReadable(listener: () => void): void {
    this.connection.readers.listen(listener)
  }

  write(chunks: ReadonlyArray<Uint8Array>, settle: (error: TcpError | undefined) => void): boolean {
    if (chunks.length === 1 && this.offer(chunks[0]!)) return true
    const error = this.unwritable()
    if (error !== undefined) {
      settle(error)
      return false
    }
    const { connection } = this
    const last = chunks.length - 1
    const finish = ({ at, bytes }: PendingWrite) =>
      settle(at === bytes.length ? undefined : this.unwritable() ?? closedHere())
    let done = true
    this.turn.run(() => {
      for (let index = 0; index <= last; index++) {
        const bytes = chunks[index]!
        done = connection.offer(bytes)
        if (done) continue
        const write: PendingWrite = { bytes, at: 0, settle: index === last ? () => finish(write) : nothing }
        done = connection.write(write)
      }
    })
    return done
  }

  offer(bytes: Uint8Array): boolean {
    return offer(this.connection, this.turn, bytes)
  }

  unwritable(): TcpError | undefined {
    const { closing, state, tcb } = this.connection
    if (state === "CLOSED") return failureOf(tcb)
    return closing ? closedHere() : undefined
  }

  failure(): TcpError {
    return failureOf(this.connection.tcb)
  }

  configure(settings: Partial<Adjustable>): void {
    this.turn.run(() => this.connection.configure(settings))
  }

  closeWrite(): void {
    this.turn.run(() => this.connection.closeWrite())
  }

  close(): void {
    this.turn.run(() => this.connection.close())
  }

  abort(): void {
    this.turn.run(() => this.connection.abort())
  }
}

/** `PlainConnection.take`. Who is woken is in a turn already, which needs no function then. */
export const take = (connection: LiveConnection, turn: Turn["Service"]): Taken | undefined => {
  if (connection.receiving.readable === 0) return undefined
  if (turn.running()) return connection.take()
  let taken: Taken | undefined
  turn.run(() => {
    taken = connection.take()
  })
  return taken
}

/** `PlainConnection.behind`. */
export const behind = ({ ended, finished }: LiveConnection): "more" | "end" | "failure" =>
  finished ? "end" : ended ? "failure" : "more"

/** `PlainConnection.offer`, and the same of turns. */
export const offer = (connection: LiveConnection, turn: Turn["Service"], bytes: Uint8Array): boolean => {
  if (connection.closing || connection.state === "CLOSED") return false
  if (turn.running()) return connection.offer(bytes)
  let taken = false
  turn.run(() => {
    taken = connection.offer(bytes)
  })
  return taken
}

const nothing = (): void => {}
