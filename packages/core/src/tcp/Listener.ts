/**
 * A port that lets connections in, up to its backlog.
 *
 * At most `backlog` connections are half-open: the SYN queue. SYNs beyond are
 * answered by cookies (RFC 4987 §3.6), so that peers who never answer do not keep
 * the port from others. Without cookies, a half-open connection whose SYN,ACK
 * had to be sent again gives way to a new SYN (§3.4).
 *
 * At most `backlog` connections are established and wait to be accepted: the
 * accept queue. While it is full, SYNs are dropped, and so is what would establish a
 * half-open connection; that is remembered, and counts as soon as there is
 * room. Those still here when the listener closes are reset; those that fail
 * before they are accepted vanish.
 */
import * as Packet from "../device/Packet.ts"
import { LinkedList } from "../LinkedList.ts"
import type { Acceptor, Refusal } from "./Acceptors.ts"
import type { LiveConnection } from "./Connection.ts"
import type { Endpoints } from "./ControlBlock.ts"
import type { Host } from "./Host.ts"
import { type Segment, TcpFlag } from "./Segment.ts"
import type { ListenOptions } from "./Tcp.ts"
import type { Defaults } from "./TcpDefaults.ts"
import { Waiters } from "./Waiters.ts"

/** Stands for the packet of a segment of which only the header was kept. */
const NO_PACKET = Packet.make(0)

/** What of a segment is to be kept: it acknowledges our SYN. Text and FIN will come again. */
const confirmation = ({ ack, options: { timestamps }, seq, wnd }: Segment): Segment => ({
  seq,
  ack,
  flags: TcpFlag.ack,
  wnd,
  up: 0,
  length: 0,
  options: timestamps === undefined ? {} : { timestamps: { ...timestamps } }
})

export class LiveListener implements Acceptor {
  readonly foreignAddress = 0
  readonly foreignPort = 0
  readonly address: number
  readonly port: number
  /** Fibers that wait for a connection, or for the listener's end. */
  readonly accepters = new Waiters()
  closed = false
  private readonly host: Host
  readonly options: ListenOptions
  private readonly backlog: number
  private readonly synCookies: Defaults["synCookies"]
  private readonly halfOpen = new LinkedList<LiveConnection>()
  private readonly waiting = new LinkedList<LiveConnection>()
  /** Half-open connections that would be established if there were room, and the segment that would do it. */
  private readonly held = new Map<LiveConnection, Segment>()
  private wakeDue = false

  constructor(host: Host, address: number, port: number, options: ListenOptions) {
    this.host = host
    this.address = address
    this.port = port
    this.options = options
    this.backlog = options.backlog ?? host.defaults.backlog
    this.synCookies = options.synCookies ?? host.defaults.synCookies
  }

  /** Connections that can be accepted. */
  get ready(): number {
    return this.waiting.size
  }

  admit(endpoints: Endpoints, iss: number): LiveConnection | Refusal {
    if (this.isFull) return "acceptQueueFull"
    if (this.synCookies === "always") return "cookie"
    if (this.halfOpen.size >= this.backlog) {
      if (this.synCookies === "whenFull") return "cookie"
      if (!this.forgetUnanswered()) return "synQueueFull"
    }
    return this.make(endpoints, iss)
  }

  resume(endpoints: Endpoints, iss: number): LiveConnection | undefined {
    return this.isFull ? undefined : this.make(endpoints, iss)
  }

  /** The connection that waits longest, which is the caller's from now on. */
  accept(): LiveConnection | undefined {
    const connection = this.waiting.first
    if (connection === undefined) return undefined
    this.waiting.delete(connection)
    connection.observer = undefined
    if (this.held.size > 0) this.host.turn.run(this.admitHeld)
    return connection
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.host.unbind(this)
    for (const connection of [...this.halfOpen, ...this.waiting]) connection.abort()
    this.wakeLater()
  }

  private get isFull(): boolean {
    return this.waiting.size >= this.backlog
  }

  private make(endpoints: Endpoints, iss: number): LiveConnection {
    const connection = this.host.listen(endpoints, iss, this.options)
    connection.observer = this.observe
    connection.gate = this.hold
    return connection
  }

  private readonly hold = (connection: LiveConnection, packet: Packet.Packet, segment: Segment): boolean => {
    if (!this.isFull || (segment.flags & (TcpFlag.ack | TcpFlag.rst | TcpFlag.syn)) !== TcpFlag.ack) return false
    this.host.drop("acceptQueueFull", packet)
    this.held.set(connection, confirmation(segment))
    return true
  }

  private readonly admitHeld = (): void => {
    for (const [connection, segment] of this.held) {
      if (this.isFull) return
      this.held.delete(connection)
      connection.arrives(NO_PACKET, segment)
    }
  }

  /** Lets the oldest half-open connection go if its peer had time to answer; false when it had not. */
  private forgetUnanswered(): boolean {
    const oldest = this.halfOpen.first
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
        this.held.delete(connection)
        this.halfOpen.delete(connection)
        this.waiting.delete(connection)
        // What the machine sends back to LISTEN was only ever a copy of the listener.
        if (connection.state === "LISTEN") this.host.discard(connection)
        return
      default:
        if (!this.halfOpen.delete(connection)) return
        connection.gate = undefined
        this.held.delete(connection)
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
