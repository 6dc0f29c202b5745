/**
 * One connection as the stack keeps it: the control block's current value, the
 * two buffers, one timer. This is the only place where TCP changes anything.
 *
 * Everything here is plain and runs within a turn. Events (a segment, a due
 * timer, a call of the program) go through the machine at once; what follows
 * from them is done once per turn: waiting fibers are woken in the "wake"
 * phase, segments leave in the "output" phase.
 */
import type { Packet } from "../device/Packet.ts"
import type { OutputResult } from "../ip/Ipv4.ts"
import type { Linked, LinkedList } from "../LinkedList.ts"
import type { Timer } from "../time/Timers.ts"
import { Chronograph, limitOf } from "./Chronograph.ts"
import { type Adjustable, configured } from "./Configure.ts"
import type { ConnectionHost } from "./ConnectionHost.ts"
import type { ControlBlock, Endpoints, State } from "./ControlBlock.ts"
import * as Options from "./Options.ts"
import { own, type Owned, takeOver } from "./Ownership.ts"
import { ReceiveBuffer } from "./ReceiveBuffer.ts"
import * as ReceiveWindow from "./ReceiveWindow.ts"
import { type Segment, TcpFlag } from "./Segment.ts"
import { textStart } from "./SegmentReader.ts"
import type { SendBuffer } from "./SendBuffer.ts"
import { isSteady, type Taken } from "./steady/SteadyPath.ts"
import type { BufferBounds } from "./Tcp.ts"
import type { Emission, Outcome } from "./TcpMachine.ts"
import { Traffic } from "./Traffic.ts"
import { Waiters } from "./Waiters.ts"
import { type PendingWrite, WriteQueue } from "./WriteQueue.ts"

/** How long a connection that no program holds may go without progress, and so how long FIN-WAIT-2 lasts then; milliseconds. */
export const ORPHAN_TIMEOUT = 60_000
/** Segments of one connection before others have their turn. */
const BURST = 32
/** Milliseconds until a device that was full is tried again. */
const DEVICE_RETRY = 2
/** Octets of the IPv4 and TCP headers without options. */
const HEADERS = 40

const NOBODY: ReadonlyArray<never> = []

export class LiveConnection implements Linked<LiveConnection> {
  next: LiveConnection | undefined = undefined
  // Of its listener's half-open or waiting ones, the stack's orphans, or those in TIME-WAIT.
  list: LinkedList<LiveConnection> | undefined = undefined
  before: LiveConnection | undefined = undefined
  behind: LiveConnection | undefined = undefined
  private readonly mine: Owned
  /** Another one whenever the control block has changed. */
  revision = 0
  readonly sending: SendBuffer
  readonly receiving: ReceiveBuffer
  /** How long its end may take when its program lets go of it, in milliseconds; undefined where nobody waits for that. */
  readonly linger: number | undefined
  /** Fibers that wait for octets, or for the end of them. */
  readonly readers = new Waiters()
  /** Fibers that wait for another state. */
  readonly watchers = new Waiters()
  /** Called at the end of each turn in which something happened, and when the state has changed. */
  onlookers: ReadonlyArray<() => void> = NOBODY
  traffic: Traffic
  readonly chronograph = new Chronograph()
  /** The peer's FIN was received in order. */
  finished = false
  /** It was established at some time. */
  established = false
  /** The program said CLOSE, or let go of it. */
  closing = false
  /** No program holds it. */
  orphan = false
  /** Octets in its send buffer when `Orphans` last looked. */
  orphanOctets = 0
  /** Whoever made it and has not given it away, such as its listener. */
  observer: ((connection: LiveConnection, from: State) => void) | undefined = undefined

  /** Takes a segment in SYN-RECEIVED that is not to be looked at now; false for one that is. */
  gate: ((connection: LiveConnection, packet: Packet, segment: Segment) => boolean) | undefined = undefined

  readonly host: ConnectionHost
  private readonly timer: Timer
  private readonly writes: WriteQueue
  private wakeDue = false
  private outputDue = false
  private stateChanged = false
  private mayFragment = false
  private orphanDeadline = Infinity
  private retryAt = Infinity
  private closeListener: (() => void) | undefined = undefined

  constructor(host: ConnectionHost, tcb: ControlBlock, sendBuffer: BufferBounds, linger?: number, copyWrites = false) {
    this.host = host
    this.traffic = new Traffic(host.counters)
    this.mine = own(tcb)
    this.linger = linger
    this.writes = new WriteQueue(sendBuffer, copyWrites)
    this.sending = this.writes.sending
    // The window on the wire is rounded up to its scale (RFC 7323 §2.3).
    this.receiving = new ReceiveBuffer(tcb.rcv.maximum + ReceiveWindow.slack(tcb.rcv.scale))
    this.timer = host.timers.make(this.elapse)
  }

  /** Changes with everything that happens; `own` makes a copy that does not. */
  get tcb(): ControlBlock {
    return this.mine
  }

  get endpoints(): Endpoints {
    return this.tcb.endpoints
  }

  get state(): State {
    return this.tcb.state
  }

  /** A segment for this connection; its text is copied. */
  arrives(packet: Packet, segment: Segment): void {
    const before = this.tcb
    const { counters, machine, mayReply, opens, reopen, steady, turn } = this.host
    const now = turn.now()
    this.traffic.received(segment, now)
    const taken = steady?.arrives(this.mine, segment, now)
    if (taken !== undefined) return this.arrived(packet, taken)
    if (this.gate !== undefined && before.state === "SYN-RECEIVED" && this.gate(this, packet, segment)) return
    if ((segment.flags & TcpFlag.syn) !== 0) opens(this, segment)
    const outcome = machine.arrives(before, segment, now)
    if (outcome.reopens && reopen(this, segment, packet)) return
    if (outcome.textLength > 0) {
      const text = textStart(packet) + outcome.textSkip
      this.receiving.write(outcome.textOffset, packet.bytes, text, text + outcome.textLength)
      if (outcome.textOffset > 0) counters.outOfOrder.value++
    }
    const received = outcome.tcb.rcv.unread - before.rcv.unread
    this.took(received, outcome.acknowledged)
    this.apply(mayReply(before, outcome) ? outcome : { ...outcome, reply: undefined })
    this.follow(received, outcome.acknowledged)
  }

  /** A segment that was expected. */
  private arrived(packet: Packet, { acknowledged, received, reply }: Taken): void {
    const { predictedAcknowledgements, predictedText } = this.host.counters
    this.revision++
    if (received > 0) {
      const text = textStart(packet)
      this.receiving.write(0, packet.bytes, text, text + received)
      predictedText.value++
    } else predictedAcknowledgements.value++
    this.took(received, acknowledged)
    if (reply !== undefined) this.emit(this.tcb.endpoints, reply, false)
    this.follow(received, acknowledged)
  }

  /** Of the receive buffer, so many octets more can be read; of the send buffer, so many were acknowledged. */
  private took(received: number, acknowledged: number): void {
    if (received > 0) {
      this.receiving.advance(received)
      this.wakeLater()
    }
    if (acknowledged > 0) this.sending.release(acknowledged)
    this.traffic.took(received, acknowledged)
  }

  /** What follows from that. */
  private follow(received: number, acknowledged: number): void {
    if (acknowledged > 0) {
      this.touch()
      this.writes.grow(this.tcb)
      if (!this.writes.isEmpty) this.pump()
    }
    // RFC 1122 §4.2.2.13: nobody will ever read this, and the peer shall know.
    if (received > 0 && this.orphan) {
      this.host.counters.heardAfterClose.value++
      return this.abort()
    }
    this.outputLater()
  }

  /** Everything that can be read, or undefined. */
  take(): [Uint8Array, ...Array<Uint8Array>] | undefined {
    const count = this.receiving.readable
    const chunks = this.receiving.take()
    if (chunks !== undefined && this.tcb.state !== "CLOSED") {
      const { machine, steady, turn } = this.host
      if (steady === undefined) this.become(machine.consumed(this.tcb, count, turn.now()))
      else {
        steady.consumed(this.mine, count, turn.now())
        this.revision++
      }
      this.outputLater()
    }
    return chunks
  }

  /** Copies `bytes` into the send buffer where all of it fits at once; otherwise nothing of it, and false. */
  offer(bytes: Uint8Array): boolean {
    if (!this.writes.offer(bytes, this.tcb)) return false
    this.outputLater()
    return true
  }

  /** Copies `bytes` into the send buffer, after all that waits already. True when all of it fitted at once. */
  write(write: PendingWrite): boolean {
    this.outputLater()
    return this.writes.add(write, this.tcb)
  }

  /** Gives up the rest of a write that waits; what was copied stays. */
  giveUp(write: PendingWrite): void {
    if (this.writes.remove(write)) this.pump()
  }

  /** CLOSE: a FIN follows all that was written, writes that still wait included. */
  closeWrite(): void {
    if (this.closing) return
    this.closing = true
    this.pump()
  }

  /** The program lets go: a FIN follows what is in the buffer, and nothing more is read. */
  close(): void {
    if (this.orphan) return
    this.orphan = true
    this.settleWrites()
    if (this.tcb.state === "CLOSED") return this.discard()
    // RFC 1122 §4.2.2.13: octets are lost that the peer believes delivered.
    if (this.receiving.readable > 0) {
      this.host.counters.closedUnread.value++
      return this.abort()
    }
    this.closing = true
    this.pump()
    this.touch()
    this.wakeLater()
    this.outputLater()
    if (this.state !== "TIME-WAIT" && this.state !== "CLOSED") this.host.orphaned(this)
  }

  /** ABORT: a reset for the peer, and everything is forgotten. */
  abort(): void {
    this.discard()
    if (this.tcb.state !== "CLOSED") this.apply(this.host.machine.abort(this.tcb, this.host.turn.now()))
  }

  /** Forgets what was not read; after that, readers must not take the peer's FIN for the end of all it wrote. */
  private discard(): void {
    if (this.receiving.readable > 0) this.finished = false
    this.receiving.clear()
  }

  /** An ICMP error about a segment that started at `seq`. */
  unreachable(seq: number, hard: boolean): void {
    this.become(this.host.machine.unreachable(this.tcb, seq, hard, this.host.turn.now()))
    this.outputLater()
  }

  /** The path's MTU is `mtu` octets now; a segment that started at `seq` was too big. */
  pathMtu(seq: number, mtu: number): void {
    this.become(this.host.machine.pathMtu(this.tcb, seq, mtu, this.host.turn.now()))
    // RFC 1191 §3: segments do not get arbitrarily small; below that, fragments it is.
    if (mtu < this.tcb.snd.mss + HEADERS + Options.overhead(this.tcb.options)) this.mayFragment = true
    this.outputLater()
  }

  /** Ends TIME-WAIT, or an opening nobody answers, early and in silence: a reset could hit the peer's next connection. */
  forget(): void {
    this.become({ ...this.tcb, state: "CLOSED", reason: "finished" })
  }

  /** What the program wants otherwise from now on; what Nagle's algorithm held back may leave. */
  configure(settings: Partial<Adjustable>): void {
    if (this.tcb.state === "CLOSED") return
    this.become(configured(this.tcb, settings, this.host.turn.now()))
    this.outputLater()
  }

  /** Takes on a new control block: a passive OPEN that found its peer, or lost it again. */
  restart(tcb: ControlBlock): void {
    this.become(tcb)
  }

  /** TIME-WAIT counts: nothing more happens to what programs see. */
  private get over(): boolean {
    return this.tcb.state === "CLOSED" || this.tcb.state === "TIME-WAIT"
  }

  /** Calls `listener` at the end of the turn in which the connection is closed, or now if it is. */
  whenClosed(listener: () => void): void {
    if (this.over) return listener()
    const before = this.closeListener
    this.closeListener = before === undefined ? listener : () => {
      before()
      listener()
    }
  }

  /** Asks for `machine.output` at the end of this turn. */
  outputLater(): void {
    if (this.outputDue || this.tcb.state === "CLOSED") return
    this.outputDue = true
    this.host.turn.defer("output", this.output)
  }

  private wakeLater(): void {
    if (this.wakeDue) return
    this.wakeDue = true
    this.host.turn.defer("wake", this.wake)
  }

  private apply(outcome: Outcome): void {
    this.become(outcome.tcb)
    if (outcome.reply !== undefined) this.emit(outcome.tcb.endpoints, outcome.reply, false)
  }

  private emit(endpoints: Endpoints, segment: Emission, mayFragment: boolean): OutputResult {
    this.traffic.sent(segment, this.host.turn.now())
    return this.host.writeSegment(endpoints, segment, this.sending, mayFragment)
  }

  private become(tcb: ControlBlock): void {
    if (tcb === this.tcb) return
    const { counts, state } = this.tcb
    takeOver(this.mine, tcb)
    this.revision++
    // A passive OPEN that lost its peer has a control block that has counted nothing.
    if (tcb.counts !== counts && tcb.state !== "LISTEN") this.host.counters.add(counts, tcb.counts)
    if (tcb.state !== state) this.moved(state)
  }

  private moved(from: State): void {
    switch (this.tcb.state) {
      case "ESTABLISHED":
        this.established = true
        break
      case "CLOSE-WAIT":
      case "CLOSING":
        this.established = true
        this.finished = true
        break
      case "LISTEN":
        this.receiving.clear()
        this.traffic = new Traffic(this.host.counters)
        break
      case "TIME-WAIT":
        this.finished = true
        this.sending.clear()
        break
      case "CLOSED":
        this.timer.clear()
        this.sending.clear()
        this.chronograph.note("idle", this.host.turn.now())
        if (this.orphan) this.discard()
        this.settleWrites()
        break
    }
    this.stateChanged = true
    this.touch()
    this.wakeLater()
    this.host.moved(this, from)
    this.observer?.(this, from)
  }

  /** An orphan made progress. */
  private touch(): void {
    if (!this.orphan) return
    this.orphanDeadline = this.tcb.state === "TIME-WAIT" ? Infinity : this.host.turn.now() + ORPHAN_TIMEOUT
  }

  /** Moves waiting writes into the send buffer, and lets the FIN follow the last one. */
  private pump(): void {
    if (this.writes.pump(this.tcb)) {
      this.wakeLater()
      this.outputLater()
    }
    if (!this.writes.isEmpty) return
    if (this.closing && !this.tcb.snd.closing && this.tcb.state !== "CLOSED") {
      this.become(this.host.machine.close(this.tcb, this.host.turn.now()))
      this.outputLater()
    }
  }

  private settleWrites(): void {
    if (this.writes.isEmpty) return
    this.writes.abandon()
    this.wakeLater()
  }

  private readonly wake = (): void => {
    this.wakeDue = false
    this.writes.settle()
    while (this.readers.size > 0 && (this.receiving.readable > 0 || this.ended)) this.readers.wakeOne()
    if (this.stateChanged) {
      this.stateChanged = false
      this.watchers.wakeAll()
      if (this.over) {
        this.closeListener?.()
        this.closeListener = undefined
      }
      for (const look of this.onlookers) look()
    }
  }

  /** Nothing more will be read than is in the buffer. */
  get ended(): boolean {
    return this.finished || this.orphan || this.tcb.state === "CLOSED"
  }

  private readonly output = (): void => {
    this.outputDue = false
    this.retryAt = Infinity
    const { endpoints } = this.tcb
    const now = this.host.turn.now()
    let limit = this.textLimit()
    for (let burst = 0; this.tcb.state !== "CLOSED"; burst++) {
      if (burst === BURST) return this.outputLater()
      const segment = this.nextSegment(now, limit)
      if (segment === undefined) break
      const result = this.emit(endpoints, segment, this.mayFragment)
      if (result === "tooBig") {
        this.pathMtu(segment.seq, this.host.mtuFor(endpoints.remoteAddress))
        limit = this.textLimit()
        // Of several segments in one packet, each goes again by itself.
        if (this.mayFragment && segment.segmentSize === 0) {
          this.host.writeSegment(endpoints, segment, this.sending, true)
        }
      } else if (result === "unreachable") {
        this.unreachable(segment.seq, true)
      } else if (result === "dropped") {
        this.retryAt = now + DEVICE_RETRY
        break
      }
    }
    this.setTimer()
    this.chronograph.note(limitOf(this.tcb, this.sending.queued, !this.writes.isEmpty), now)
    for (const look of this.onlookers) look()
    if (!this.writes.isEmpty) this.pump()
  }

  /** What is to be sent next, and counts as sent then. */
  private nextSegment(now: number, limit: number): Emission | undefined {
    const { machine, steady } = this.host
    const { queued } = this.sending
    if (steady !== undefined && isSteady(this.tcb, queued, now)) {
      const segment = steady.output(this.mine, queued, now, limit)
      if (segment !== undefined) this.revision++
      return segment
    }
    const next = machine.output(this.tcb, queued, now, limit)
    if (next === undefined) return undefined
    this.become(next.tcb)
    return next.segment
  }

  /** Octets of text that the device cuts into segments, options taken off; 0 where it does not. */
  private textLimit(): number {
    if (this.mayFragment) return 0
    const { endpoints, options } = this.tcb
    return Math.max(0, this.host.segmentationFor(endpoints) - HEADERS - Options.overhead(options))
  }

  private setTimer(): void {
    if (this.tcb.state === "CLOSED") return this.timer.clear()
    const deadline = Math.min(this.host.machine.deadline(this.tcb), this.orphanDeadline, this.retryAt)
    if (deadline === Infinity) this.timer.clear()
    else this.timer.set(deadline)
  }

  private readonly elapse = (asOf: number): void => {
    if (asOf >= this.orphanDeadline) return this.abort()
    this.become(this.host.machine.elapse(this.tcb, this.sending.queued, asOf))
    this.outputLater()
  }
}
