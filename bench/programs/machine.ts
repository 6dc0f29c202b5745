/**
 * What TCP costs per segment, without buffers, checksums and packets: the machine, which makes new values, and the steady path, on which a
 * connection changes its own.
 *
 * In nanoseconds of processor time for one segment, garbage collection included.
 */
import type { ControlBlock, Writable } from "@strata/core/tcp/ControlBlock"
import { own, type Owned, takeOver } from "@strata/core/tcp/Ownership"
import { Reno } from "@strata/core/tcp/Reno"
import { NO_OPTIONS, type Segment, TcpFlag } from "@strata/core/tcp/Segment"
import * as Sequence from "@strata/core/tcp/Sequence"
import { isSteady, SteadyPath } from "@strata/core/tcp/steady/SteadyPath"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { defaultSettings } from "@strata/core/tcp/TcpSettings"
import { costOf, main } from "../support/program.ts"

const SEGMENTS = 100_000
const MSS = 1460

/** What arrives, written over the last one, as the stack does. */
const arriving: Writable<Segment> = { seq: 0, ack: 0, flags: 0, wnd: 65_535, up: 0, length: 0, options: NO_OPTIONS }

const segment = (seq: number, ack: number, flags: number, length: number): Segment => {
  arriving.seq = seq
  arriving.ack = ack
  arriving.flags = flags
  arriving.length = length
  return arriving
}

const established = (iss: number, irs: number): ControlBlock => {
  const listening = rfc9293.listen({
    endpoints: { localAddress: 1, localPort: 1, remoteAddress: 2, remotePort: 2 },
    iss,
    receiveMaximumSegmentSize: MSS,
    receiveCapacity: 262_144,
    congestion: Reno,
    settings: defaultSettings,
    timestampOffset: 0
  })
  const synReceived = rfc9293.arrives(
    listening,
    { ...segment(irs, 0, TcpFlag.syn, 0), options: { maximumSegmentSize: MSS } },
    0
  ).tcb
  const sent = rfc9293.output(synReceived, 0, 0)!.tcb
  return rfc9293.arrives(sent, segment(Sequence.add(irs, 1), Sequence.add(iss, 1), TcpFlag.ack, 0), 0).tcb
}

/** One end of a connection. */
interface End {
  readonly tcb: ControlBlock
  readonly arrives: (segment: Segment, now: number) => void
  readonly consumed: (octets: number, now: number) => void
  /** Whether there was anything to send. */
  readonly output: (queued: number, now: number) => boolean
}

class Values implements End {
  tcb: ControlBlock

  constructor(tcb: ControlBlock) {
    this.tcb = tcb
  }

  arrives(arrived: Segment, now: number): void {
    this.tcb = rfc9293.arrives(this.tcb, arrived, now).tcb
  }

  consumed(octets: number, now: number): void {
    this.tcb = rfc9293.consumed(this.tcb, octets, now)
  }

  output(queued: number, now: number): boolean {
    const next = rfc9293.output(this.tcb, queued, now)
    if (next !== undefined) this.tcb = next.tcb
    return next !== undefined
  }
}

class InPlace implements End {
  readonly tcb: Owned
  private readonly steady = new SteadyPath()

  constructor(tcb: ControlBlock) {
    this.tcb = own(tcb)
  }

  arrives(arrived: Segment, now: number): void {
    if (this.steady.arrives(this.tcb, arrived, now) === undefined) throw new Error("a segment was not expected")
  }

  consumed(octets: number, now: number): void {
    this.steady.consumed(this.tcb, octets, now)
  }

  output(queued: number, now: number): boolean {
    if (isSteady(this.tcb, queued, now)) return this.steady.output(this.tcb, queued, now, MSS) !== undefined
    const next = rfc9293.output(this.tcb, queued, now, MSS)
    if (next !== undefined) takeOver(this.tcb, next.tcb)
    return next !== undefined
  }
}

/** Segments in order, read at once; an acknowledgement for every second. */
const receive = (end: End): void => {
  for (let count = 0; count < SEGMENTS; count++) {
    end.arrives(segment(end.tcb.rcv.nxt, end.tcb.snd.una, TcpFlag.ack, MSS), count)
    end.consumed(MSS, count)
    end.output(0, count)
  }
}

/** Segments in order in batches of 32, read and acknowledged once a batch. */
const receiveBatches = (end: End): void => {
  for (let count = 0; count < SEGMENTS;) {
    for (let batch = 0; batch < 32; batch++, count++) {
      end.arrives(segment(end.tcb.rcv.nxt, end.tcb.snd.una, TcpFlag.ack, MSS), count)
    }
    end.consumed(end.tcb.rcv.unread, count)
    end.output(0, count)
  }
}

/** An acknowledgement of two segments in, two segments out: counted by segments out. */
const send = (end: End): void => {
  for (let count = 0; count < SEGMENTS;) {
    while (end.output(1_000_000, count)) count++
    const { nxt, una } = end.tcb.snd
    const ack = Sequence.add(una, Math.min(2 * MSS, Sequence.difference(una, nxt)))
    end.arrives(segment(end.tcb.rcv.nxt, ack, TcpFlag.ack, 0), count)
  }
}

/** A request of 64 octets in, an answer of 64 octets out that acknowledges it. */
const exchange = (end: End): void => {
  for (let count = 0; count < SEGMENTS; count++) {
    end.arrives(segment(end.tcb.rcv.nxt, end.tcb.snd.nxt, TcpFlag.ack | TcpFlag.psh, 64), count)
    end.consumed(64, count)
    end.output(64, count)
  }
}

/** Keeps the connection from one round to the next, as in life; sequence numbers start beyond 2^31. */
const keeping = (work: (end: End) => void, make: (tcb: ControlBlock) => End) => (seconds: number) => {
  const end = make(established(0x9000_0000, 0xa000_0000))
  return costOf(SEGMENTS, () => work(end), seconds)
}

const works = { receive, "receive in batches": receiveBatches, send, exchange }

await main(Object.fromEntries(
  Object.entries(works).flatMap(([name, work]) => [
    [name, keeping(work, (tcb) => new Values(tcb))],
    [`${name} in place`, keeping(work, (tcb) => new InPlace(tcb))]
  ])
))
