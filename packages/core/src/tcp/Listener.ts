/**
 * A port that lets connections in, up to its backlog.
 *
 * At most `backlog` connections are half-open, and as many are established and
 * wait to be accepted before SYNs are dropped. A half-open connection whose
 * SYN,ACK had to be sent again gives way to a new SYN (RFC 4987 §3.4): a peer
 * that never answers does not keep the port from others. Those still here when
 * the listener closes are reset; those that fail before they are accepted vanish.
 */
import type { Acceptor } from "./Acceptors.ts"
import type { LiveConnection } from "./Connection.ts"
import type { Endpoints } from "./ControlBlock.ts"
import type { Host } from "./Host.ts"
import type { ListenOptions } from "./Tcp.ts"
import { Waiters } from "./Waiters.ts"

export class LiveListener implements Acceptor {
  readonly foreignAddress = 0
  readonly foreignPort = 0
  readonly address: number
  readonly port: number
  /** Fibers that wait for a connection, or for the listener's end. */
  readonly accepters = new Waiters()
  closed = false
  private readonly host: Host
  private readonly options: ListenOptions
  private readonly backlog: number
  private readonly halfOpen = new Set<LiveConnection>()
  private readonly waiting = new Set<LiveConnection>()
  private wakeDue = false

  constructor(host: Host, address: number, port: number, options: ListenOptions) {
    this.host = host
    this.address = address
    this.port = port
    this.options = options
    this.backlog = options.backlog ?? host.defaults.backlog
  }

  /** Connections that can be accepted. */
  get ready(): number {
    return this.waiting.size
  }

  admit(endpoints: Endpoints, iss: number): LiveConnection | string {
    if (this.waiting.size >= this.backlog) return "backlogFull"
    if (this.halfOpen.size >= this.backlog && !this.forgetUnanswered()) return "backlogFull"
    const connection = this.host.listen(endpoints, iss, this.options)
    connection.observer = this.observe
    return connection
  }

  /** The connection that waits longest, which is the caller's from now on. */
  accept(): LiveConnection | undefined {
    const [connection] = this.waiting
    if (connection === undefined) return undefined
    this.waiting.delete(connection)
    connection.observer = undefined
    return connection
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.host.unbind(this)
    for (const connection of [...this.halfOpen, ...this.waiting]) connection.abort()
    this.wakeLater()
  }

  /** Lets the oldest half-open connection go if its peer had time to answer; false when it had not. */
  private forgetUnanswered(): boolean {
    const [oldest] = this.halfOpen
    if (oldest === undefined || oldest.tcb.attempts === 0) return false
    oldest.forget()
    return true
  }

  private readonly observe = (connection: LiveConnection): void => {
    switch (connection.state) {
      case "SYN-RECEIVED":
        this.halfOpen.add(connection)
        return
      case "LISTEN":
      case "CLOSED":
        this.halfOpen.delete(connection)
        this.waiting.delete(connection)
        // What the machine sends back to LISTEN was only ever a copy of the listener.
        if (connection.state === "LISTEN") this.host.discard(connection)
        return
      default:
        if (!this.halfOpen.delete(connection)) return
        this.waiting.add(connection)
        this.wakeLater()
    }
  }

  private wakeLater(): void {
    if (this.wakeDue) return
    this.wakeDue = true
    this.host.turn.defer("wake", this.wake)
  }

  private readonly wake = (): void => {
    this.wakeDue = false
    while (this.accepters.size > 0 && (this.waiting.size > 0 || this.closed)) this.accepters.wakeOne()
  }
}
