/**
 * A transfer between two TCP machines over a path that does exactly what it is told to single packets. Nothing is random, and a transfer
 * costs about a millisecond, so that every place can be tried at which something may go wrong.
 *
 * The path takes `latency` in each direction and a full segment occupies it for `gap`. Packets of the sender with text or a FIN are
 * numbered from 0 on, repetitions as well; so are all packets of the receiver after its SYN,ACK.
 */
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { Reno } from "@strata/core/tcp/Reno"
import { type Segment, TcpFlag } from "@strata/core/tcp/Segment"
import * as Sequence from "@strata/core/tcp/Sequence"
import { type Emission, type OpenParameters, rfc9293 } from "@strata/core/tcp/TcpMachine"
import { defaultSettings, type TcpSettings } from "@strata/core/tcp/TcpSettings"
import { checkSpaces } from "./tcpChannel.ts"

/** What happens to a packet: it is lost, doubled, or comes after as many that left later. */
export type Fate = "lost" | "doubled" | { readonly after: number }

export interface PipeOptions {
  /** Segments of 1,000 octets. */
  readonly segments: number
  /** Milliseconds; 50 and 1 by default. */
  readonly latency?: number
  readonly gap?: number
  /** By number. */
  readonly faults?: ReadonlyMap<number, Fate>
  readonly acknowledgementFaults?: ReadonlyMap<number, Fate>
  readonly settings?: Partial<TcpSettings>
  readonly congestion?: CongestionAlgorithm
  /** Octets of the receive buffer. */
  readonly capacity?: number
  /** Largest text of one segment handed to a device that cuts, in octets. */
  readonly limit?: number
  /** Called after each step of the sender. */
  readonly watch?: (before: ControlBlock, after: ControlBlock) => void
}

export interface Transfer {
  /** Milliseconds from the first segment of text until the last acknowledgement. */
  readonly time: number
  /** Octets of text that arrived though they had arrived before. */
  readonly duplicates: number
  /** Segments with text or a FIN. */
  readonly sent: number
  readonly acknowledgements: number
  readonly sender: ControlBlock
  readonly receiver: ControlBlock
}

export const MSS = 1000

const parameters = (iss: number, options: PipeOptions): OpenParameters => ({
  endpoints: { localAddress: 1, localPort: 1, remoteAddress: 2, remotePort: 2 },
  iss,
  // Timestamps take twelve octets of each segment.
  receiveMaximumSegmentSize: MSS + (options.settings?.timestamps === false ? 0 : 12),
  receiveCapacity: options.capacity ?? 262_144,
  congestion: options.congestion ?? Reno,
  settings: { ...defaultSettings, ...options.settings },
  timestampOffset: 0xffff_ff00
})

/** One direction: what is on its way, in the order in which it arrives. */
class Lane {
  private readonly waiting: Array<{ at: number; readonly segment: Segment; passed: number }> = []
  private held: Array<{ readonly segment: Segment; left: number }> = []
  private free = 0
  private readonly latency: number
  private readonly gap: number

  constructor(latency: number, gap: number) {
    this.latency = latency
    this.gap = gap
  }

  get next(): number {
    return this.waiting[0]?.at ?? Infinity
  }

  carry(segment: Segment, now: number, fate: Fate | undefined): void {
    this.free = Math.max(this.free, now) + this.gap * (segment.length + 40) / (MSS + 40)
    if (fate === "lost") return
    if (typeof fate === "object") {
      this.held.push({ segment, left: fate.after })
      // When nothing follows, it comes late, but it comes.
      this.waiting.push({ at: this.free + this.latency + 3 * fate.after * this.gap, segment, passed: this.held.length })
      this.waiting.sort((a, b) => a.at - b.at)
      return
    }
    const copies = fate === "doubled" ? 2 : 1
    for (let copy = 0; copy < copies; copy++) this.arrive(segment)
  }

  private arrive(segment: Segment): void {
    const at = this.free + this.latency
    this.waiting.push({ at, segment, passed: 0 })
    for (const held of this.held) {
      held.left--
      if (held.left > 0) continue
      const waits = this.waiting.find((entry) => entry.segment === held.segment)
      if (waits !== undefined) waits.at = Math.min(waits.at, at)
    }
    this.held = this.held.filter(({ left }) => left > 0)
    // Stable: what was sent later comes first where times are alike, if it is to be overtaken.
    this.waiting.sort((a, b) => a.at - b.at || a.passed - b.passed)
  }

  take(): Segment {
    return this.waiting.shift()!.segment
  }
}

/** Text of `options.segments` from one end to the other, and both close. */
export const transfer = (options: PipeOptions): Transfer => {
  const { gap = 1, latency = 50 } = options
  const there = new Lane(latency, gap)
  const back = new Lane(latency, gap)
  let now = 0
  let sender = rfc9293.connect(parameters(2 ** 32 - 5500, options), now)
  let receiver = rfc9293.listen(parameters(2 ** 31 - 2000, options))
  const total = options.segments * MSS
  let queued = 0
  let sent = 0
  let acknowledgements = 0
  let duplicates = 0
  let began = Infinity
  const end = { at: Infinity }

  const becomeSender = (next: ControlBlock): void => {
    checkSpaces(next)
    options.watch?.(sender, next)
    sender = next
  }
  const dispatch = (segment: Emission): void => {
    const isText = segment.length > 0 || (segment.flags & TcpFlag.fin) !== 0
    if (isText && began === Infinity) began = now
    // A device cuts what is too long for the path.
    for (let at = 0; at < Math.max(1, segment.length); at += MSS) {
      const isLast = at + MSS >= segment.length
      const cut: Segment = {
        ...segment,
        seq: Sequence.add(segment.seq, at),
        length: Math.min(MSS, segment.length - at),
        flags: isLast ? segment.flags : segment.flags & ~(TcpFlag.fin | TcpFlag.psh)
      }
      const fate = isText ? options.faults?.get(sent) : undefined
      if (isText) sent++
      there.carry(cut, now, fate)
    }
  }
  const answer = (segment: Emission): void => {
    const isSyn = (segment.flags & TcpFlag.syn) !== 0
    const fate = isSyn ? undefined : options.acknowledgementFaults?.get(acknowledgements)
    if (!isSyn) acknowledgements++
    back.carry(segment, now, fate)
  }
  const flush = (): void => {
    for (;;) {
      const next = rfc9293.output(sender, queued, now, options.limit)
      if (next === undefined) break
      becomeSender(next.tcb)
      dispatch(next.segment)
    }
    for (let next = rfc9293.output(receiver, 0, now); next !== undefined; next = rfc9293.output(receiver, 0, now)) {
      receiver = next.tcb
      answer(next.segment)
    }
  }
  const received = (segment: Segment): void => {
    const before = receiver
    const outcome = rfc9293.arrives(before, segment, now)
    receiver = outcome.tcb
    if (segment.length > 0 && before.state !== "LISTEN" && before.state !== "SYN-RECEIVED") {
      duplicates += segment.length - outcome.textLength
    }
    const readable = receiver.rcv.unread
    if (readable > 0) receiver = rfc9293.consumed(receiver, readable, now)
    if (receiver.state === "CLOSE-WAIT") receiver = rfc9293.close(receiver, now)
    if (outcome.reply !== undefined) answer(outcome.reply)
  }
  const acknowledged = (segment: Segment): void => {
    const outcome = rfc9293.arrives(sender, segment, now)
    becomeSender(outcome.tcb)
    queued -= outcome.acknowledged
    if (outcome.reply !== undefined) dispatch(outcome.reply)
    if (sender.state === "ESTABLISHED" && !sender.snd.closing) {
      queued = total
      becomeSender(rfc9293.close(sender, now))
    }
    const { fin, una } = sender.snd
    if (end.at === Infinity && fin !== undefined && Sequence.greaterThan(una, fin)) end.at = now
  }

  flush()
  for (let step = 0; step < 100_000 && end.at === Infinity; step++) {
    const timers = Math.min(rfc9293.deadline(sender), rfc9293.deadline(receiver))
    now = Math.max(now, Math.min(there.next, back.next, timers))
    if (now === Infinity || sender.state === "CLOSED") break
    if (there.next <= now) received(there.take())
    else if (back.next <= now) acknowledged(back.take())
    else {
      becomeSender(rfc9293.elapse(sender, queued, now))
      receiver = rfc9293.elapse(receiver, 0, now)
    }
    flush()
  }
  if (end.at === Infinity) throw new Error(`no end: ${sender.state}, ${receiver.state}, ${JSON.stringify(sender.snd)}`)
  return { time: end.at - began, duplicates, sent, acknowledgements, sender, receiver }
}
