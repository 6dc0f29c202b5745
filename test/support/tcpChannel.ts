/**
 * Two TCP machines at the ends of an adversarial channel: it loses, duplicates, delays and reorders segments, while both
 * programs write, read and close at random. Everything follows from a seed. After each step the invariants of RFC 9293
 * are checked, and every octet that is delivered is compared with what was written.
 */
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { Cubic } from "@strata/core/tcp/Cubic"
import { Reno } from "@strata/core/tcp/Reno"
import { type Segment, type SegmentOptions, TcpFlag } from "@strata/core/tcp/Segment"
import * as Sequence from "@strata/core/tcp/Sequence"
import { type Emission, type OpenParameters, type Outcome, rfc9293 } from "@strata/core/tcp/TcpMachine"
import { defaultSettings } from "@strata/core/tcp/TcpSettings"
import { AssertionError } from "node:assert"
import { machine } from "./shadow.ts"

/** Checked after every step, so without the assertion library's ceremony. */
const must: (condition: boolean, what: string) => asserts condition = (condition, what) => {
  if (!condition) throw new AssertionError({ message: what })
}

/** A generator of numbers that depends on nothing but its seed (Mulberry32). */
export const chance = (seed: number): Chance => {
  let state = seed >>> 0
  const unit = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 15), z | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return ((z ^ (z >>> 14)) >>> 0) / 0x1_0000_0000
  }
  return {
    unit,
    below: (bound) => Math.floor(unit() * bound),
    one: (choices) => choices[Math.floor(unit() * choices.length)]!
  }
}

export interface Chance {
  /** In `[0, 1)`. */
  readonly unit: () => number
  readonly below: (bound: number) => number
  readonly one: <A>(choices: ReadonlyArray<A>) => A
}

export interface ChannelOptions {
  /** Fractions of segments. */
  readonly loss: number
  readonly duplication: number
  /** Segments take from 1 to this many milliseconds, each for itself. */
  readonly delay: number
  /** Octets each program writes, at most. */
  readonly text: number
  readonly open: "passive" | "simultaneous"
}

/** The octet at `position` of what the peer called `name` writes. */
const octet = (name: string, position: number): number => (position * 31 + (position >>> 8) + name.charCodeAt(0)) & 0xff

interface Carried {
  readonly segment: Segment & Pick<Emission, "congestionCapable">
  readonly text: Uint8Array
}

/** What holds of every control block. */
export const checkSpaces = (tcb: ControlBlock): void => {
  const { rcv, snd } = tcb
  must(Sequence.lessOrEqual(snd.una, snd.nxt), "SND.UNA =< SND.NXT")
  must(Sequence.lessOrEqual(snd.nxt, snd.max), "SND.NXT =< SND.MAX")
  must(rcv.unread >= 0 && rcv.unread + rcv.wnd <= rcv.capacity, "what is offered fits the buffer")
  must(tcb.congestion.window > 0, "the congestion window is open")
  for (const [index, range] of rcv.ranges.entries()) {
    const left = index === 0 ? rcv.nxt : rcv.ranges[index - 1]!.right
    must(Sequence.lessThan(left, range.left), "ranges are ascending and apart")
    must(Sequence.lessThan(range.left, range.right), "ranges are not empty")
  }
}

/** A host with one connection: its buffers, and a program that writes `toWrite` octets, reads, and closes. */
class Host {
  readonly name: string
  readonly peer: string
  tcb: ControlBlock
  toWrite: number
  /** Octets written and acknowledged; `queued` is what lies between. */
  written = 0
  acknowledged = 0
  delivered = 0
  closed = false
  private readonly buffer: Uint8Array
  private rightEdge: number | undefined

  constructor(name: string, peer: string, tcb: ControlBlock, toWrite: number) {
    this.name = name
    this.peer = peer
    this.tcb = tcb
    this.toWrite = toWrite
    this.buffer = new Uint8Array(tcb.rcv.capacity)
  }

  get queued(): number {
    return this.written - this.acknowledged
  }

  write(octets: number): void {
    const count = Math.min(octets, this.toWrite)
    this.toWrite -= count
    this.written += count
  }

  /** Takes octets out of the receive buffer and compares them with what the peer wrote. */
  read(octets: number, now: number): void {
    const count = Math.min(octets, this.tcb.rcv.unread)
    if (count === 0) return
    for (let index = 0; index < count; index++) {
      const expected = octet(this.peer, this.delivered + index)
      if (this.buffer[index] !== expected) {
        throw new AssertionError({ message: `octet ${this.delivered + index} for ${this.name} is wrong` })
      }
    }
    this.buffer.copyWithin(0, count)
    this.delivered += count
    this.become(machine.consumed(this.tcb, count, now))
  }

  arrives({ segment, text }: Carried, now: number): Emission | undefined {
    const before = this.tcb
    const outcome = machine.arrives(before, segment, now)
    this.keep(before, outcome, text)
    this.apply(outcome)
    return outcome.reply
  }

  private keep(before: ControlBlock, outcome: Outcome, text: Uint8Array): void {
    const { textLength, textOffset, textSkip } = outcome
    if (textLength === 0) return
    must(textSkip + textLength <= text.length, "text kept is text that came")
    const at = before.rcv.unread + textOffset
    must(at + textLength <= this.buffer.length, "the receive buffer does not overflow")
    this.buffer.set(text.subarray(textSkip, textSkip + textLength), at)
  }

  apply(outcome: Outcome): void {
    this.acknowledged += outcome.acknowledged
    must(this.acknowledged <= this.written, "only what was written is acknowledged")
    this.become(outcome.tcb)
  }

  output(now: number): Carried | undefined {
    const next = machine.output(this.tcb, this.queued, now)
    if (next === undefined) return undefined
    this.become(next.tcb)
    const { segment } = next
    must(segment.textOffset + segment.length <= this.queued, "only what is queued is sent")
    return this.carry(segment)
  }

  carry(segment: Emission): Carried {
    const text = Uint8Array.from(
      { length: segment.length },
      (_, index) => octet(this.name, this.acknowledged + segment.textOffset + index)
    )
    return { segment, text }
  }

  become(tcb: ControlBlock): void {
    this.checkInvariants(tcb)
    this.tcb = tcb
  }

  private checkInvariants(tcb: ControlBlock): void {
    const { rcv, snd, state } = tcb
    checkSpaces(tcb)
    must(Sequence.greaterOrEqual(snd.una, this.tcb.snd.una), "SND.UNA never goes back")
    if (state === "LISTEN" || state === "SYN-SENT" || state === "CLOSED") {
      this.rightEdge = undefined
      return
    }
    // The FIN takes a sequence number but no room.
    const edge = Sequence.add(rcv.nxt, rcv.wnd)
    if (this.rightEdge !== undefined) {
      must(Sequence.greaterOrEqual(edge, this.rightEdge), "the right edge never moves left")
    }
    this.rightEdge = edge
  }

  /** After output: what is queued has a timer that will see to it. */
  checkProgress(): void {
    const { deadlines, snd, state } = this.tcb
    if (state === "CLOSED" || state === "LISTEN" || state === "TIME-WAIT") return
    const isPending = this.queued > 0 || (snd.closing && (snd.fin === undefined || snd.una === snd.fin))
    if (!isPending) return
    if (Math.min(deadlines.retransmit, deadlines.persist) === Infinity) {
      throw new AssertionError({ message: `${this.name} waits for nothing in ${state}: ${JSON.stringify(snd)}` })
    }
  }
}

interface Event {
  readonly at: number
  readonly run: () => void
}

/** Runs the two until both are closed; fails the test when an invariant does not hold or they do not come to an end. */
export const converse = (seed: number, options: ChannelOptions): { readonly a: Host; readonly b: Host } => {
  const random = chance(seed)
  let now = 0
  /** The earliest last. */
  const events: Array<Event> = []
  const schedule = (delay: number, run: () => void) => {
    const at = now + delay
    events.splice(events.findLastIndex((event) => event.at > at) + 1, 0, { at, run })
  }
  const parameters = (): OpenParameters => ({
    endpoints: { localAddress: 1, localPort: 1, remoteAddress: 2, remotePort: 2 },
    iss: random.one([0, 0xffff_ffff, 0xffff_f000, 0x7fff_fff0, random.below(0x1_0000_0000)]),
    receiveMaximumSegmentSize: random.one([100, 536, 1460]),
    receiveCapacity: random.one([1, 100, 1000, 5000, 65_535, 200_000]),
    congestion: random.one([Reno, Cubic]),
    settings: {
      ...defaultSettings,
      retransmissions: 60,
      synRetransmissions: 60,
      maximumRetransmissionTimeout: 2000,
      nagle: random.unit() < 0.7,
      windowScaling: random.unit() < 0.7,
      timestamps: random.unit() < 0.7,
      explicitCongestionNotification: random.one(["off", "passive", "active"] as const),
      selectiveAcknowledgement: random.unit() < 0.7
    },
    timestampOffset: random.below(0x1_0000_0000)
  })
  const ofA = parameters()
  const ofB = parameters()
  // An octet at a time takes long.
  const text = (receiver: OpenParameters) => Math.min(random.below(options.text), 200 * receiver.receiveCapacity)
  const a = new Host("a", "b", rfc9293.connect(ofA, now), text(ofB))
  const b = new Host(
    "b",
    "a",
    options.open === "passive" ? rfc9293.listen(ofB) : rfc9293.connect(ofB, now),
    text(ofA)
  )
  const other = (host: Host): Host => host === a ? b : a

  const transmit = (from: Host, carried: Carried) => {
    const copies = random.unit() < options.loss ? 0 : random.unit() < options.duplication ? 2 : 1
    const isMarked = carried.segment.congestionCapable === true && random.unit() < 0.1
    const arriving = { ...carried, segment: { ...carried.segment, congestionExperienced: isMarked } }
    for (let copy = 0; copy < copies; copy++) {
      schedule(1 + random.unit() * options.delay, () => {
        const to = other(from)
        const reply = to.arrives(arriving, now)
        if (reply !== undefined) transmit(to, to.carry(reply))
        flush(to)
      })
    }
  }
  const flush = (host: Host) => {
    for (let next = host.output(now); next !== undefined; next = host.output(now)) transmit(host, next)
    host.checkProgress()
  }
  const program = (host: Host) => {
    const isOpen = host.tcb.state !== "CLOSED" && host.tcb.state !== "TIME-WAIT"
    if (random.unit() < 0.7) host.write(random.one([1, 10, 500, 3000, 20_000]))
    if (random.unit() < 0.7) host.read(random.one([1, 50, 1000, 100_000]), now)
    const isDone = host.toWrite === 0 && host.tcb.state !== "LISTEN" && host.tcb.state !== "SYN-SENT"
    if (isDone && !host.closed && random.unit() < 0.3) {
      host.closed = true
      host.become(rfc9293.close(host.tcb, now))
    }
    flush(host)
    if (isOpen || host.tcb.rcv.unread > 0) schedule(random.unit() * 40, () => program(host))
  }

  for (const host of [a, b]) {
    flush(host)
    schedule(0, () => program(host))
  }
  for (let step = 0; step < 60_000; step++) {
    const event = events.at(-1)
    const timer = Math.min(rfc9293.deadline(a.tcb), rfc9293.deadline(b.tcb))
    if (event === undefined && timer === Infinity) return { a, b }
    if (event !== undefined && event.at <= timer) {
      now = Math.max(now, event.at)
      events.pop()
      event.run()
    } else {
      now = Math.max(now, timer)
      for (const host of [a, b]) {
        if (rfc9293.deadline(host.tcb) > now) continue
        host.become(machine.elapse(host.tcb, host.queued, now))
        flush(host)
      }
    }
  }
  throw new AssertionError({ message: `no end: ${describe(a)}; ${describe(b)}` })
}

const describe = (host: Host): string =>
  `${host.name} ${host.tcb.state} delivered ${host.delivered} queued ${host.queued} ${
    JSON.stringify({ snd: host.tcb.snd, rcv: host.tcb.rcv, deadlines: host.tcb.deadlines })
  }`

/** A segment out of thin air, near the connection's numbers. */
export const noise = (random: Chance, { rcv, snd }: ControlBlock): Segment => {
  const near = (seq: number) => Sequence.add(seq, random.one([-70_000, -1, 0, 1, 1000, 70_000, random.below(2 ** 32)]))
  return {
    seq: near(rcv.nxt),
    ack: near(snd.una),
    flags: random.one([TcpFlag.ack, TcpFlag.ack, TcpFlag.ack | TcpFlag.fin, random.below(256)]) &
      (random.unit() < 0.01 ? 0xff : ~TcpFlag.rst),
    wnd: random.one([0, 1, 1000, 65_535]),
    up: random.below(65_536),
    length: random.one([0, 0, 1, 1460, 65_535]),
    options: random.one<SegmentOptions>([{}, {}, { maximumSegmentSize: random.below(65_536) }, { windowScale: 255 }])
  }
}
