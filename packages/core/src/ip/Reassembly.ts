/**
 * Puts the fragments of IPv4 datagrams together again (RFC 791 §3.2, RFC 815, RFC 1122 §3.3.2).
 *
 * Fragments of a datagram never overlap: one that does takes the whole datagram
 * with it, as RFC 5722 demands for IPv6, so that nobody can smuggle other bytes
 * under a firewall's eyes. Only an exact copy of a fragment is tolerated. It
 * follows that a datagram is complete when the octets received add up to its
 * length, and no list of holes is kept.
 *
 * Bounds: what is kept counts towards `octets` with its bookkeeping, and there
 * are at most `datagrams`; beyond, the oldest datagram gives way. A datagram
 * lives `lifetime` milliseconds from its first arrival. It knows no clock: time
 * is an argument.
 */
import * as Packet from "../device/Packet.ts"
import * as Checksum from "../wire/Checksum.ts"
import { Ipv4Header } from "../wire/Ipv4Header.ts"
import { copyOf } from "../wire/Octets.ts"

/** Why a fragment, or a whole incomplete datagram, was given up. */
export type Discarded =
  /** A fragment without data, or of a length that is no multiple of eight and not the last. */
  | "fragmentMisaligned"
  /** It would end beyond octet 65,535 of its datagram. */
  | "fragmentTooLong"
  | "fragmentOverlap"
  /** Two last fragments that disagree, or one before others. */
  | "fragmentInconsistent"
  /** Some fragments met congestion, others were sent by somebody who ignores it (RFC 3168 §5.3). */
  | "fragmentEcnMismatch"
  | "reassemblyFull"
  | "reassemblyTimeout"

export interface Options {
  /** Memory for all incomplete datagrams, 4 MiB by default. */
  readonly octets?: number
  /** Incomplete datagrams, 1,024 by default. */
  readonly datagrams?: number
  /** Milliseconds, 30,000 by default. */
  readonly lifetime?: number
  /**
   * Called with the fragment that was refused, or with the first fragment of a datagram that was given up; `undefined`
   * when that one never arrived. The packet starts at its IPv4 header.
   */
  readonly discarded: (reason: Discarded, packet: Packet.Packet | undefined) => void
}

/** What an object costs besides its octets; an estimate on the safe side. */
const FRAGMENT_OVERHEAD = 160
const DATAGRAM_OVERHEAD = 512
const MAX_DATAGRAM = 0xffff

const header = Ipv4Header.get

/** Octets `[start, end)` of a datagram's payload. */
interface Fragment {
  readonly start: number
  readonly end: number
  readonly bytes: Uint8Array
}

interface Datagram {
  readonly key: string
  readonly deadline: number
  /** By where they start; never overlapping. */
  readonly fragments: Array<Fragment>
  /** The first fragment, from its IPv4 header on. */
  first: Packet.Packet | undefined
  /** Octets of payload received. */
  received: number
  /** Octets of payload in the whole datagram, or -1 until the last fragment is there. */
  total: number
  /** One bit for each value of the ECN field that was seen. */
  congestion: number
  /** Octets charged to this datagram. */
  cost: number
}

export class Reassembly {
  private readonly limits: { readonly octets: number; readonly datagrams: number; readonly lifetime: number }
  private readonly discarded: Options["discarded"]
  /** In the order of their deadlines. */
  private readonly incomplete = new Map<string, Datagram>()
  private used = 0

  constructor(options: Options) {
    this.limits = {
      octets: options.octets ?? 4 * 1024 * 1024,
      datagrams: options.datagrams ?? 1024,
      lifetime: options.lifetime ?? 30_000
    }
    this.discarded = options.discarded
  }

  /** Memory in use, octets. */
  get octets(): number {
    return this.used
  }

  get size(): number {
    return this.incomplete.size
  }

  /** When `expire` has something to do, or `Infinity`. */
  get deadline(): number {
    for (const datagram of this.incomplete.values()) return datagram.deadline
    return Infinity
  }

  /**
   * Adds a fragment whose header was validated: `networkStart` at it, `start` behind it. The result is the whole
   * datagram, when this was what it still lacked, in the same form.
   */
  add(packet: Packet.Packet, now: number): Packet.Packet | undefined {
    const at = packet.networkStart
    const start = header.fragmentOffset(packet.view, at) * 8
    const end = start + packet.length
    const last = header.moreFragments(packet.view, at) === 0
    if (end === start || (!last && (end & 7) !== 0)) return this.refuse("fragmentMisaligned", packet)
    if (packet.start - at + end > MAX_DATAGRAM) return this.refuse("fragmentTooLong", packet)

    const datagram = this.find(packet, now)
    if (datagram === undefined) return undefined
    const index = placeOf(datagram.fragments, start)
    const next = datagram.fragments[index]
    if (next !== undefined && isCopy(next, start, end, packet)) return undefined
    if (overlaps(datagram.fragments[index - 1], next, start, end)) return this.giveUp("fragmentOverlap", datagram)
    if (!fits(datagram, end, last)) return this.giveUp("fragmentInconsistent", datagram)

    datagram.fragments.splice(index, 0, { start, end, bytes: copyOf(packet.bytes, packet.start, packet.end) })
    datagram.received += end - start
    datagram.congestion |= 1 << (packet.typeOfService & 3)
    if (last) datagram.total = end
    if (start === 0) datagram.first = fromHeader(packet)
    const cost = end - start + FRAGMENT_OVERHEAD + (start === 0 ? packet.end - at + FRAGMENT_OVERHEAD : 0)
    if (!this.charge(datagram, cost)) return undefined
    return datagram.received === datagram.total ? this.complete(datagram) : undefined
  }

  /** Gives up the datagrams whose time is over. */
  expire(now: number): void {
    for (const datagram of this.incomplete.values()) {
      if (datagram.deadline > now) return
      this.giveUp("reassemblyTimeout", datagram)
    }
  }

  private find(packet: Packet.Packet, now: number): Datagram | undefined {
    const identification = header.identification(packet.view, packet.networkStart)
    const key = `${packet.source} ${packet.destination} ${packet.protocol} ${identification}`
    const known = this.incomplete.get(key)
    if (known !== undefined) return known
    const datagram: Datagram = {
      key,
      deadline: now + this.limits.lifetime,
      fragments: [],
      first: undefined,
      received: 0,
      total: -1,
      congestion: 0,
      cost: 0
    }
    if (this.incomplete.size >= this.limits.datagrams) this.giveUpOldest()
    this.incomplete.set(key, datagram)
    return this.charge(datagram, DATAGRAM_OVERHEAD) ? datagram : undefined
  }

  /** Whether the datagram is still there: when it is the oldest, it is itself what gives way. */
  private charge(datagram: Datagram, octets: number): boolean {
    datagram.cost += octets
    this.used += octets
    while (this.used > this.limits.octets) this.giveUpOldest()
    return this.incomplete.get(datagram.key) === datagram
  }

  private giveUpOldest(): void {
    for (const datagram of this.incomplete.values()) {
      this.giveUp("reassemblyFull", datagram)
      return
    }
  }

  private giveUp(reason: Discarded, datagram: Datagram): undefined {
    this.forget(datagram)
    this.discarded(reason, datagram.first)
  }

  private refuse(reason: Discarded, packet: Packet.Packet): undefined {
    this.discarded(reason, fromHeader(packet))
  }

  private forget(datagram: Datagram): void {
    if (this.incomplete.delete(datagram.key)) this.used -= datagram.cost
  }

  private complete(datagram: Datagram): Packet.Packet | undefined {
    this.forget(datagram)
    const first = datagram.first!
    const headerLength = 4 * header.headerWords(first.view, first.start)
    if (headerLength + datagram.total > MAX_DATAGRAM) {
      this.discarded("fragmentTooLong", first)
      return undefined
    }
    const congestion = combine(datagram.congestion)
    if (congestion === undefined) {
      this.discarded("fragmentEcnMismatch", first)
      return undefined
    }
    const whole = Packet.make(headerLength + datagram.total)
    whole.append(first.bytes.subarray(first.start, first.start + headerLength))
    for (const fragment of datagram.fragments) whole.append(fragment.bytes)
    describe(whole, first, headerLength, congestion)
    return whole
  }
}

/** The index of the first fragment that starts at or after `start`. */
const placeOf = (fragments: ReadonlyArray<Fragment>, start: number): number => {
  let low = 0
  let high = fragments.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (fragments[middle]!.start < start) low = middle + 1
    else high = middle
  }
  return low
}

const isCopy = (known: Fragment, start: number, end: number, packet: Packet.Packet): boolean => {
  if (known.start !== start || known.end !== end) return false
  for (let index = 0; index < known.bytes.length; index++) {
    if (known.bytes[index] !== packet.bytes[packet.start + index]) return false
  }
  return true
}

const overlaps = (before: Fragment | undefined, after: Fragment | undefined, start: number, end: number): boolean =>
  (before !== undefined && before.end > start) || (after !== undefined && after.start < end)

/** Whether what is known about the datagram's end agrees with a fragment that ends at `end`. */
const fits = (datagram: Datagram, end: number, last: boolean): boolean => {
  if (datagram.total >= 0) return !last && end < datagram.total
  const furthest = datagram.fragments.at(-1)
  return !last || furthest === undefined || furthest.end <= end
}

const NOT_CAPABLE = 1 << 0
const CONGESTED = 1 << 3

/** The ECN field of the whole, by those of its fragments; undefined when they contradict each other. */
const combine = (seen: number): number | undefined => {
  if ((seen & CONGESTED) !== 0) return (seen & NOT_CAPABLE) !== 0 ? undefined : 3
  return (seen & NOT_CAPABLE) !== 0 ? 0 : (seen & 0b10) !== 0 ? 1 : 2
}

/** A copy that starts at its IPv4 header. */
const fromHeader = (packet: Packet.Packet): Packet.Packet => {
  const start = packet.start
  packet.start = packet.networkStart
  const copy = packet.clone()
  packet.start = start
  return copy
}

/** Makes the header say that the datagram was never cut, as if it had arrived whole. */
const describe = (
  whole: Packet.Packet,
  first: Packet.Packet,
  headerLength: number,
  congestion: number
): void => {
  const at = whole.start
  Ipv4Header.set.totalLength(whole.view, at, whole.length)
  Ipv4Header.set.moreFragments(whole.view, at, 0)
  Ipv4Header.set.ecn(whole.view, at, congestion)
  Ipv4Header.set.checksum(whole.view, at, 0)
  const sum = Checksum.add(0, whole.bytes, at, at + headerLength)
  Ipv4Header.set.checksum(whole.view, at, Checksum.finish(sum))
  whole.networkStart = at
  whole.start = at + headerLength
  whole.source = first.source
  whole.destination = first.destination
  whole.protocol = first.protocol
  whole.timeToLive = first.timeToLive
  whole.typeOfService = (first.typeOfService & 0xfc) | congestion
  whole.linkDestination = first.linkDestination
}
