/**
 * One direction of a link.
 *
 * A packet is counted, may be lost, corrupted or duplicated, suffers the faults
 * that are meant for it alone, waits for bandwidth, travels, and arrives. One
 * that stands for several (`Packet.segmentSize`) is cut first, where there is
 * more to happen to it than to travel.
 * Chance is drawn only for faults that are switched on, in that order, so that
 * a seed means the same packets whatever else is configured.
 */
import type { Framing } from "@strata/core/device/Device"
import { ChecksumState, type Packet } from "@strata/core/device/Packet"
import type { Entropy } from "@strata/core/Entropy"
import { DeadlineHeap, type Placed, unplaced } from "@strata/core/time/DeadlineHeap"
import type { Timer, Timers } from "@strata/core/time/Timers"
import type { Turn } from "@strata/core/time/Turn"
import { cut } from "../internal/cut.ts"
import { check, type Conditions, ideal, looksAtPackets } from "./Conditions.ts"
import { decode } from "./Decoded.ts"
import { happens, sample } from "./Distribution.ts"
import type { Fault } from "./Faults.ts"
import { Loser } from "./Loss.ts"
import { markCongestion } from "./Marking.ts"

/**
 * What became of the packets of one path; `offered + cut + duplicated` is the sum of the others but `corrupted`, `reordered` and `marked`.
 */
export interface PathCounters {
  readonly offered: number
  /** Packets more, as one that stood for several was cut. */
  readonly cut: number
  readonly delivered: number
  readonly inFlight: number
  readonly duplicated: number
  readonly corrupted: number
  readonly reordered: number
  readonly lost: number
  readonly blackholed: number
  readonly overflowed: number
  readonly tooBig: number
  /** As having met congestion. */
  readonly marked: number
}

export interface PathServices {
  readonly turn: Turn["Service"]
  readonly timers: Timers["Service"]
  readonly entropy: Entropy["Service"]
}

export const NO_COUNTERS: PathCounters = {
  offered: 0,
  cut: 0,
  delivered: 0,
  inFlight: 0,
  duplicated: 0,
  corrupted: 0,
  reordered: 0,
  lost: 0,
  blackholed: 0,
  overflowed: 0,
  tooBig: 0,
  marked: 0
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

interface Travelling extends Placed {
  readonly packet: Packet
  /** Its place among all packets that ever left. */
  readonly departure: number
}

/** A packet taken out of the line until others that left after it have passed it. */
interface Held {
  readonly packet: Packet
  readonly departure: number
  passing: number
  readonly until: number
}

const HEADER = 14
/** Packets that have left the line before they are taken out of the array. */
const LEFT = 64

export class Path {
  private current: Conditions
  private cuts: boolean
  private readonly framing: Framing
  private readonly services: PathServices
  private readonly deliver: (packet: Packet) => void
  private readonly timer: Timer
  private readonly loser = new Loser()
  private readonly travelling = new DeadlineHeap<Travelling>()
  private held: Array<Held> = []
  /** When the last octet of the line so far will have left, in milliseconds. */
  private free = -Infinity
  /** When each waiting packet leaves, and its octets, in order; those before `first` have left. */
  private line: Array<{ readonly leaves: number; readonly octets: number }> = []
  private first = 0
  /** Octets in the line. */
  private waiting = 0
  /** How many packets have left. */
  private left = 0
  /** The latest arrival among packets that keep their place. */
  private latest = -Infinity
  /** How many packets have come in, as they are on a wire. */
  private entered = 0
  private readonly counted: Mutable<PathCounters> = { ...NO_COUNTERS }

  /** `deliver` is called in a turn, and owns the packet. */
  constructor(
    services: PathServices,
    framing: Framing,
    conditions: Partial<Conditions>,
    deliver: (packet: Packet) => void
  ) {
    this.services = services
    this.framing = framing
    this.current = check({ ...ideal, ...conditions })
    this.cuts = looksAtPackets(this.current)
    this.deliver = deliver
    this.timer = services.timers.make(() => this.arrive())
  }

  get conditions(): Conditions {
    return this.current
  }

  set(changes: Partial<Conditions>): void {
    this.current = check({ ...this.current, ...changes })
    this.cuts = looksAtPackets(this.current)
  }

  counters(): PathCounters {
    return { ...this.counted }
  }

  /** Takes a packet that nobody else uses, or one that says it is shared. What an ideal path does not delay arrives before this returns. */
  send(packet: Packet): void {
    this.counted.offered++
    if (packet.segmentSize === 0 || !this.cuts) return this.enter(packet)
    this.counted.cut--
    cut(packet, this.framing, (part) => {
      this.counted.cut++
      this.enter(part)
    })
  }

  private enter(packet: Packet): void {
    const { conditions } = this
    const { entropy } = this.services
    const number = ++this.entered
    let carried = packet
    if (conditions.blackhole) return void this.counted.blackholed++
    if (packet.length - (this.framing === "ethernet" ? HEADER : 0) > conditions.mtu) return void this.counted.tooBig++
    const decoded = () => decode(carried, this.framing)
    if (this.loser.loses(conditions.loss, number, decoded, entropy)) return void this.counted.lost++
    if (happens(conditions.corruption, entropy)) {
      carried = owned(packet)
      this.corrupt(carried, (bits) => entropy.below(bits))
    }
    const duplicates = happens(conditions.duplication, entropy)
    const faults = conditions.faults(number, decoded)
    if (faults.length > 0) return this.suffer(owned(carried), duplicates, faults)
    this.pass(carried, duplicates, 0)
  }

  /** Sends a packet on, twice if it is duplicated, and `delay` milliseconds late. */
  private pass(packet: Packet, duplicates: boolean, delay: number): void {
    if (duplicates) {
      this.counted.duplicated++
      this.leave(packet.clone(), delay)
    }
    this.leave(packet, delay)
  }

  private suffer(packet: Packet, duplicated: boolean, faults: ReadonlyArray<Fault>): void {
    let duplicates = duplicated
    let delay = 0
    for (const fault of faults) {
      switch (fault._tag) {
        case "Lose":
          return void this.counted.lost++
        case "Duplicate":
          duplicates = true
          break
        case "Corrupt":
          this.corrupt(packet, (bits) => fault.bit % bits)
          break
        case "Delay":
          delay += fault.milliseconds
          break
      }
    }
    this.pass(packet, duplicates, delay)
  }

  /** Loses all that is under way, as a cable does that is cut. */
  cut(): void {
    this.counted.lost += this.counted.inFlight
    this.counted.inFlight = 0
    while (this.travelling.pop() !== undefined);
    this.held = []
    this.line = []
    this.first = 0
    this.waiting = 0
    this.free = -Infinity
    this.timer.clear()
  }

  /** Flips a bit behind the Ethernet header; `choose` gets their number. */
  private corrupt(packet: Packet, choose: (bits: number) => number): void {
    const first = packet.start + (this.framing === "ethernet" ? HEADER : 0)
    if (first >= packet.end) return
    this.counted.corrupted++
    packet.completeChecksum()
    packet.checksum = ChecksumState.unverified
    const bit = choose((packet.end - first) * 8)
    packet.bytes[first + (bit >>> 3)]! ^= 1 << (bit & 7)
  }

  /** Waits for bandwidth: a token bucket, seen as the time at which the packet's last bit leaves. */
  private leave(packet: Packet, delay: number): void {
    const now = this.services.turn.now()
    const { bandwidth, burst, marking, queue } = this.conditions
    if (bandwidth === Infinity) return this.travel(packet, now, now, delay)
    this.advance(now)
    const octets = packet.length
    if (this.line.length - this.first >= queue.packets || this.waiting + octets > queue.octets) {
      return void this.counted.overflowed++
    }
    const isMarked = this.line.length - this.first >= marking
    const carried = isMarked ? owned(packet) : packet
    if (isMarked && markCongestion(carried, this.framing)) this.counted.marked++
    const perOctet = 8000 / bandwidth
    this.free = Math.max(this.free, now - burst * perOctet) + octets * perOctet
    this.line.push({ leaves: this.free, octets })
    this.waiting += octets
    this.travel(carried, now, Math.max(now, this.free), delay)
  }

  /** Forgets the packets that have left. */
  private advance(now: number): void {
    const { line } = this
    while (this.first < line.length && line[this.first]!.leaves <= now) this.waiting -= line[this.first++]!.octets
    // Now and then: to shift a long array costs as much as it is long.
    if (this.first < LEFT || this.first * 2 < line.length) return
    line.splice(0, this.first)
    this.first = 0
  }

  private travel(packet: Packet, now: number, leaves: number, delay: number): void {
    const { entropy } = this.services
    const { latency, reordering } = this.conditions
    const arrives = leaves + sample(latency, entropy) + delay
    const departure = ++this.left
    if (happens(reordering.probability, entropy)) {
      this.counted.reordered++
      if (reordering.packets !== undefined) {
        return this.hold(packet, departure, reordering.packets, arrives + (reordering.atMost ?? 100))
      }
      return this.schedule(packet, departure, arrives + (reordering.delay ?? 0))
    }
    if (delay > 0) {
      this.counted.reordered++
      return this.schedule(packet, departure, arrives)
    }
    this.latest = Math.max(this.latest, arrives)
    if (this.latest <= now && this.travelling.size === 0) {
      this.hand(packet)
      this.passed(departure)
    } else {
      this.schedule(packet, departure, this.latest)
    }
  }

  private schedule(packet: Packet, departure: number, arrives: number): void {
    this.counted.inFlight++
    this.travelling.push({ ...unplaced, packet, departure }, arrives)
    this.wakeAt(arrives)
  }

  private hold(packet: Packet, departure: number, passing: number, until: number): void {
    this.counted.inFlight++
    this.held.push({ packet, departure, passing, until })
    this.wakeAt(until)
  }

  private wakeAt(time: number): void {
    if (time < this.timer.deadline()) this.timer.set(time)
  }

  private arrive(): void {
    const now = this.services.turn.now()
    for (let next = this.travelling.peek(); next !== undefined && next.place <= now; next = this.travelling.peek()) {
      this.travelling.pop()
      this.counted.inFlight--
      this.hand(next.packet)
      this.passed(next.departure)
    }
    this.release((held) => held.until <= now)
    const next = Math.min(this.travelling.peek()?.place ?? Infinity, ...this.held.map((held) => held.until))
    if (next !== Infinity) this.timer.set(next)
  }

  /** A packet went by those that are held and had left before it. */
  private passed(departure: number): void {
    if (this.held.length === 0) return
    for (const held of this.held) if (held.departure < departure) held.passing--
    this.release((held) => held.passing <= 0)
  }

  private release(due: (held: Held) => boolean): void {
    if (this.held.length === 0) return
    const released = this.held.filter(due)
    this.held = this.held.filter((held) => !released.includes(held))
    for (const { packet } of released) {
      this.counted.inFlight--
      this.hand(packet)
    }
  }

  private hand(packet: Packet): void {
    this.counted.delivered++
    this.deliver(packet)
  }
}

/** A packet that may be changed. */
const owned = (packet: Packet): Packet => packet.shared ? packet.clone() : packet
