/**
 * What to send next: SYN, what was lost, text, FIN, or a bare acknowledgement.
 *
 * Text may leave as several segments at once where the device cuts them (`limit`): whole ones, of which only the last may be shorter. The
 * windows, the pace and Nagle's algorithm count octets, so they let go what they would have let go one by one.
 *
 * Nagle's algorithm in its modified form (RFC 9293 §3.7.4, appendix A.3): a small segment waits only while
 * another small one is unacknowledged. Silly windows are avoided as in §3.8.6.2.1.
 */
import { TcpFlag } from "../wire/TcpHeader.ts"
import type { CongestionState } from "./Congestion.ts"
import {
  type ControlBlock,
  type Deadlines,
  type Draft,
  draft,
  draftDeadlines,
  draftSend,
  type Writable
} from "./ControlBlock.ts"
import { count, type Counts } from "./Counts.ts"
import * as DelayedAcknowledgement from "./DelayedAcknowledgement.ts"
import * as Ecn from "./Ecn.ts"
import * as KeepAlive from "./KeepAlive.ts"
import * as MtuSearch from "./MtuSearch.ts"
import * as Options from "./Options.ts"
import * as Pacing from "./Pacing.ts"
import * as RateSampling from "./RateSampling.ts"
import * as ReceiveWindow from "./ReceiveWindow.ts"
import type { RecoveryState } from "./RecoveryState.ts"
import * as Repetition from "./Repetition.ts"
import * as Reply from "./Reply.ts"
import * as SendWindow from "./SendWindow.ts"
import * as Sequence from "./Sequence.ts"
import * as TailLoss from "./TailLoss.ts"
import type { Emission } from "./TcpMachine.ts"
import * as Transmissions from "./Transmissions.ts"

export interface Output {
  readonly tcb: ControlBlock
  readonly segment: Emission
}

export const output = (
  tcb: ControlBlock,
  queued: number,
  now: number,
  limit: number = tcb.snd.mss
): Output | undefined => {
  switch (tcb.state) {
    case "CLOSED":
    case "LISTEN":
      return undefined
    case "SYN-SENT":
      return synchronize(tcb, now)
    case "SYN-RECEIVED":
      return synchronize(tcb, now) ?? acknowledgement(tcb, now)
    case "FIN-WAIT-2":
    case "TIME-WAIT":
      return acknowledgement(tcb, now)
    default:
      return tailProbe(tcb, queued, now) ?? flow(tcb, queued, now, limit) ?? acknowledgement(tcb, now)
  }
}

/** What was lost comes before what is new; except when it is in question whether anything was (RFC 5682 §2.1, step 2b). */
const flow = (tcb: ControlBlock, queued: number, now: number, limit: number): Output | undefined => {
  if (tcb.transmissions.lost === 0) return text(tcb, queued, now, limit)
  return tcb.recovery.forward === "second" && !tcb.snd.forced
    ? text(tcb, queued, now, limit) ?? Repetition.next(tcb, queued, now, limit)
    : Repetition.next(tcb, queued, now, limit) ?? text(tcb, queued, now, limit)
}

/** The SYN, or the SYN,ACK, when SND.NXT stands before it. */
const synchronize = (tcb: ControlBlock, now: number): Output | undefined => {
  const { snd } = tcb
  if (snd.nxt !== snd.iss) return undefined
  const isFirst = snd.max === snd.iss
  const nxt = Sequence.add(snd.iss, 1)
  const next = tcb.state === "SYN-SENT" ? tcb : Reply.acknowledged(tcb)
  return {
    tcb: {
      ...next,
      snd: { ...snd, nxt, max: nxt, sentAt: isFirst ? now : Infinity },
      deadlines: { ...next.deadlines, retransmit: now + next.rtt.timeout },
      // In a simultaneous open, a SYN,ACK follows the SYN of its own accord.
      counts: tcb.attempts === 0 ? next.counts : synchronizedAgain(next.counts)
    },
    segment: synchronization(next, now)
  }
}

export const synchronizedAgain = (counts: Counts): Counts => ({
  ...counts,
  retransmitted: counts.retransmitted + 1,
  synRetransmits: counts.synRetransmits + 1
})

/** Our SYN with its options (RFC 9293 §3.7.1, RFC 7323); with an ACK once the peer's SYN is here. */
export const synchronization = (tcb: ControlBlock, now: number): Emission => {
  const flags = tcb.state === "SYN-SENT" ? TcpFlag.syn : TcpFlag.syn | TcpFlag.ack
  return {
    ...Reply.emission(tcb, tcb.rcv, tcb.snd.iss, flags, 0, 0, now),
    // RFC 7323 §2.2: never scaled here.
    wnd: ReceiveWindow.largest(tcb.rcv.wnd, 0),
    flags: flags | (tcb.state === "SYN-SENT" ? Ecn.offer(tcb) : Ecn.answer(tcb)),
    options: Options.synchronization(tcb, now)
  }
}

/** What is owed to the peer, when nothing else has carried it; or else a question whether it is there. */
const acknowledgement = (tcb: ControlBlock, now: number): Output | undefined =>
  tcb.rcv.acknowledge === "now" ? Reply.acknowledge(tcb, now) : KeepAlive.question(tcb, now)

/**
 * A tail loss probe (RFC 8985 §7.3): new text where there is some and the peer has room; otherwise the last segment again, or the first one
 * when later ones have arrived.
 */
const tailProbe = (tcb: ControlBlock, queued: number, now: number): Output | undefined => {
  const { recovery, snd, transmissions } = tcb
  const { tail } = recovery
  if (tail?.state !== "due" || Transmissions.outstanding(transmissions) === 0) return undefined
  const sent = SendWindow.flight(snd)
  const fresh = Math.min(queued - sent, snd.wnd - sent, snd.mss)
  if (fresh <= 0 && tail.due < TailLoss.SEGMENTS) return undefined
  const next = fresh > 0 ? segment(tcb, queued, now, fresh, false) : repeated(tcb, queued, now)
  const due = fresh > 0 && queued - sent > fresh ? tail.due - 1 : 0
  const end = next.tcb.snd.nxt
  const probe = { state: due > 0 ? "due" as const : "sent" as const, end, isRepetition: fresh <= 0, sentAt: now, due }
  return { tcb: Repetition.probed(next.tcb, probe, now), segment: next.segment }
}

/** What is missing first, or else what was sent last. */
const repeated = (tcb: ControlBlock, queued: number, now: number): Output => {
  const { snd, transmissions } = tcb
  const first = Transmissions.at(transmissions, 0)
  if (transmissions.sacked > 0) {
    const length = Math.min(snd.mss, Sequence.difference(snd.una, first.right))
    return Repetition.repeat(tcb, queued, now, snd.una, length)
  }
  const left = Sequence.latest(snd.una, Sequence.add(snd.fin ?? snd.nxt, -snd.mss))
  return Repetition.repeat(tcb, queued, now, left, Sequence.difference(left, snd.nxt))
}

/** Text and FIN from SND.NXT on, as the windows and the pace allow. */
const text = (tcb: ControlBlock, queued: number, now: number, limit: number): Output | undefined => {
  const { snd } = tcb
  const sent = SendWindow.flight(snd)
  const unsent = queued - sent
  // After the FIN, `unsent` is −1.
  if (unsent < 0 || (unsent === 0 && !snd.closing)) return undefined
  if (!snd.forced && Pacing.isEarly(tcb, now)) return undefined
  const probe = MtuSearch.probeLength(tcb, unsent, now)
  if (probe > 0) return sizeProbe(tcb, queued, now, probe)
  const length = textLength(tcb, unsent, Pacing.together(tcb, limit, now))
  const fin = snd.closing && length === unsent && (snd.wnd - sent > length || (snd.forced && length === 0))
  return length === 0 && !fin ? undefined : segment(tcb, queued, now, length, fin)
}

/** A segment of new text that is larger than the path is known to carry (RFC 8899). */
const sizeProbe = (tcb: ControlBlock, queued: number, now: number, length: number): Output => {
  const next = segment(tcb, queued, now, length, false, length)
  return { ...next, tcb: { ...next.tcb, path: MtuSearch.probed(tcb.path, tcb.snd.nxt, next.tcb.snd.nxt) } }
}

/** `length` octets from SND.NXT on, in segments of `size`, and a FIN if `fin`. */
const segment = (
  tcb: ControlBlock,
  queued: number,
  now: number,
  length: number,
  fin: boolean,
  size = tcb.snd.mss
): Output => {
  const { snd } = tcb
  const sent = SendWindow.flight(snd)
  const isLast = length === queued - sent
  // A probe beyond the window is not counted as sent: the peer is expected to drop it.
  const isProbe = snd.wnd <= sent
  const seq = snd.nxt
  const end = Sequence.add(seq, length + (fin ? 1 : 0))
  const rcv = DelayedAcknowledgement.answered(
    ReceiveWindow.settled(tcb.rcv),
    length,
    tcb.settings.delayedAcknowledgement,
    now
  )
  const inFlight = SendWindow.inFlight(tcb)
  const delivery = RateSampling.sending(tcb.delivery, inFlight, now)
  const peak = inFlight + length
  const next = draft(tcb)
  const space = draftSend(snd)
  if (!isProbe) space.nxt = end
  space.max = Sequence.latest(snd.max, end)
  if (fin) space.fin = Sequence.add(seq, length)
  if (length % size !== 0) space.small = Sequence.add(seq, length)
  space.sentAt = now
  space.forced = false
  space.peak = peak
  space.paceAt = Pacing.after(tcb, length, now)
  next.snd = space
  next.rcv = rcv
  next.congestion = restarted(tcb, now)
  const isLimited = isLast && peak + snd.mss <= next.congestion.window
  next.delivery = isLimited ? RateSampling.limited(delivery, peak) : delivery
  if (tcb.recovery.phase === "recovery") next.recovery = reduced(tcb.recovery, Sequence.difference(seq, end))
  if (isProbe) probing(next, tcb.probes + 1, now)
  else {
    next.probes = 0
    next.transmissions = Transmissions.sent(tcb.transmissions, seq, end, now, RateSampling.markOf(delivery))
    next.deadlines = transmitted(next, now)
  }
  const flags = TcpFlag.ack | (isLast ? TcpFlag.psh : 0) | (fin ? TcpFlag.fin : 0)
  const emission = Reply.emission(tcb, rcv, seq, flags, length, sent, now, length > size ? size : 0)
  const isNew = length > 0 && seq === snd.max && !isProbe
  return { tcb: next, segment: tcb.options.ecn && isNew ? Ecn.marked(next, emission) : emission }
}

/** What was sent in recovery counts for the reduction of the rate (RFC 9937). */
const reduced = (recovery: RecoveryState, octets: number): RecoveryState => ({
  ...recovery,
  reduction: { ...recovery.reduction, out: recovery.reduction.out + octets }
})

const probing = (next: Draft, probes: number, now: number): void => {
  next.probes = probes
  next.counts = count(next.counts, "windowProbes")
  next.deadlines = { ...Reply.carried(next.deadlines), persist: now + SendWindow.probeInterval(next, probes) }
}

/** The deadlines once text or a FIN has left. */
const transmitted = (tcb: ControlBlock, now: number): Deadlines => {
  const next = draftDeadlines(tcb.deadlines)
  transmit(tcb, next, now)
  return next
}

/**
 * RFC 6298 §5.1: the timer runs while anything is unacknowledged; RFC 8985 §7.2: a probe comes before it. Changes `deadlines`, which nobody
 * else holds, and which are equal to those of `tcb`.
 */
export const transmit = (tcb: ControlBlock, deadlines: Writable<Deadlines>, now: number): void => {
  const { rtt, snd } = tcb
  const retransmit = deadlines.persist === Infinity && deadlines.retransmit !== Infinity
    ? deadlines.retransmit
    : Math.min(deadlines.retransmit, now + rtt.timeout)
  const due = TailLoss.deadline(tcb, retransmit, now)
  // That it is later now is seen when its time comes: each segment would need other deadlines.
  deadlines.tail = due === Infinity ? due : Math.min(due, deadlines.tail)
  deadlines.retransmit = retransmit
  deadlines.pace = snd.paceAt > now ? snd.paceAt : Infinity
  deadlines.persist = Infinity
  deadlines.acknowledge = Infinity
}

/** How many of `unsent` octets the next segment carries; `limit` is at least the MSS, and all of them but a tail are whole segments. */
export const textLength = (tcb: ControlBlock, unsent: number, limit: number): number => {
  const { snd } = tcb
  const usable = SendWindow.usable(tcb)
  const ready = Math.min(unsent, usable, limit)
  if (snd.forced) return Math.min(unsent, Math.max(1, ready), snd.mss)
  const tail = ready % snd.mss
  return tail === 0 || maySendTail(tcb, ready, unsent) ? ready : ready - tail
}

/** Whether `ready` octets may go although they end with less than a full segment. */
const maySendTail = (tcb: ControlBlock, ready: number, unsent: number): boolean => {
  const { closing, maxWnd, nxt, small, una } = tcb.snd
  const isSmallOnItsWay = Sequence.greaterThan(small, una) && Sequence.lessOrEqual(small, nxt)
  if (ready < unsent && (ready >= tcb.snd.mss || ready < Math.max(1, maxWnd >>> 1))) return false
  return (closing && ready === unsent) || !tcb.settings.nagle || !isSmallOnItsWay
}

/** RFC 5681 §4.1: after a pause longer than the retransmission timeout, the congestion window starts from its initial size. */
const restarted = (tcb: ControlBlock, now: number): CongestionState => {
  const { algorithm, congestion, rtt, snd } = tcb
  const idle = now - snd.sentAt
  if (snd.max !== snd.una || !(idle > rtt.timeout)) return congestion
  if (algorithm.onIdle !== undefined) {
    return algorithm.onIdle(congestion, idle, {
      mss: snd.mss,
      inFlight: 0,
      smoothedRtt: rtt.smoothed,
      minimumRtt: rtt.minimum,
      now
    })
  }
  const { window } = algorithm.initial(snd.mss)
  return window < congestion.window ? { ...congestion, window } : congestion
}
