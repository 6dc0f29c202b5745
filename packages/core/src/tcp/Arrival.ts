/**
 * SEGMENT ARRIVES (RFC 9293 §3.10.7), a function per numbered step, to be read beside the RFC.
 *
 * Security and compartments (the third step) have no meaning here: every
 * segment passes that check. All other steps are there.
 */
import * as Acknowledgement from "./Acknowledgement.ts"
import {
  close,
  type ControlBlock,
  DEFAULT_MSS,
  type ReceiveSpace,
  type RttState,
  type SendSpace
} from "./ControlBlock.ts"
import { count } from "./Counts.ts"
import * as DuplicateSack from "./DuplicateSack.ts"
import * as Ecn from "./Ecn.ts"
import * as KeepAlive from "./KeepAlive.ts"
import * as MtuSearch from "./MtuSearch.ts"
import { make } from "./Opened.ts"
import * as Options from "./Options.ts"
import { synchronization, synchronizedAgain } from "./Output.ts"
import * as ReceiveWindow from "./ReceiveWindow.ts"
import * as RecoveryState from "./RecoveryState.ts"
import * as Reply from "./Reply.ts"
import * as Rtt from "./Rtt.ts"
import { type Segment, sequenceLength, TcpFlag } from "./Segment.ts"
import * as SendWindow from "./SendWindow.ts"
import * as Sequence from "./Sequence.ts"
import type { Outcome } from "./TcpMachine.ts"
import { outcome, receive, timeWait } from "./Text.ts"
import * as Timestamps from "./Timestamps.ts"
import * as TimeWait from "./TimeWait.ts"
import * as Transmissions from "./Transmissions.ts"

export const arrives = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  switch (tcb.state) {
    case "CLOSED":
      return outcome(tcb, 0, Reply.reject(segment))
    case "LISTEN":
      return listen(tcb, segment, now)
    case "SYN-SENT":
      return synSent(tcb, segment, now)
    default:
      return isPeersSynAgain(tcb, segment) ? synAgain(tcb, segment, now) : otherwise(tcb, segment, now)
  }
}

const has = (segment: Segment, flag: number): boolean => (segment.flags & flag) !== 0

// §3.10.7.2: LISTEN

const listen = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  // First, a reset
  if (has(segment, TcpFlag.rst)) return outcome(tcb)
  // Second, an acknowledgement: of nothing we ever sent
  if (has(segment, TcpFlag.ack)) return outcome(tcb, 0, Reply.reset(segment.ack))
  // Third, a SYN
  if (has(segment, TcpFlag.syn)) return receive(synReceived(tcb, segment, now), withoutSyn(segment), 0, now)
  // Fourth, anything else
  return outcome(tcb)
}

/** SYN-RECEIVED; the SYN,ACK is for `output` to send, as SND.NXT is ISS. */
const synReceived = (tcb: ControlBlock, segment: Segment, now: number): ControlBlock => {
  const next = synchronized(tcb, segment, now)
  return { ...next, state: "SYN-RECEIVED", snd: { ...next.snd, nxt: tcb.snd.iss } }
}

/** After the peer's SYN: its numbers, its window, its options, and the effective send MSS (§3.7.1). */
const synchronized = (before: ControlBlock, segment: Segment, now: number): ControlBlock => {
  const tcb = Options.agreed(before, segment, now)
  const nxt = Sequence.add(segment.seq, 1)
  const mss = Options.sendMss(tcb, segment.options.maximumSegmentSize ?? DEFAULT_MSS)
  return {
    ...tcb,
    path: MtuSearch.begun(mss),
    snd: {
      ...tcb.snd,
      wnd: segment.wnd,
      wl1: segment.seq,
      wl2: has(segment, TcpFlag.ack) ? segment.ack : tcb.snd.wl2,
      maxWnd: segment.wnd,
      mss
    },
    rcv: { ...tcb.rcv, nxt, up: nxt, irs: segment.seq, acknowledged: nxt, edge: Sequence.add(nxt, tcb.rcv.wnd) }
  }
}

/** What follows the SYN: text and urgent data. Its ECN bits were about the options. A FIN beside a SYN is for the peer to send again. */
const withoutSyn = (segment: Segment): Segment => ({
  ...segment,
  seq: Sequence.add(segment.seq, 1),
  flags: segment.flags & ~(TcpFlag.syn | TcpFlag.fin | TcpFlag.ece | TcpFlag.cwr)
})

// §3.10.7.3: SYN-SENT

const synSent = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  // First, the ACK bit
  if (has(segment, TcpFlag.ack) && !acknowledgesSyn(tcb, segment)) return outcome(tcb, 0, Reply.reject(segment))
  // Second, a reset: believed only when it acknowledges our SYN
  if (has(segment, TcpFlag.rst)) {
    return outcome(has(segment, TcpFlag.ack) ? close(tcb, "refused") : tcb)
  }
  // Fourth, a SYN; fifth, neither
  if (!has(segment, TcpFlag.syn)) return outcome(tcb)
  if (!has(segment, TcpFlag.ack)) return receive(synReceived(tcb, segment, now), withoutSyn(segment), 0, now)
  const heard = synchronized(tcb, segment, now)
  const next = established({ ...heard, rcv: { ...heard.rcv, acknowledge: "now" } }, segment, segment.wnd, now)
  return receive(next, withoutSyn(segment), 0, now)
}

/** SND.UNA < SEG.ACK =< SND.NXT */
const acknowledgesSyn = ({ snd }: ControlBlock, segment: Segment): boolean =>
  Sequence.greaterThan(segment.ack, snd.una) && Sequence.lessOrEqual(segment.ack, snd.max)

/** Our SYN was acknowledged, with a window of `wnd` octets. A CLOSE that was called in SYN-RECEIVED takes effect now. */
const established = (tcb: ControlBlock, segment: Segment, wnd: number, now: number): ControlBlock => {
  const wasRepeated = tcb.attempts > 0
  const rtt = wasRepeated ? Rtt.afterLostSyn(tcb.settings) : timedSyn(tcb, now)
  const initial = tcb.algorithm.initial(tcb.snd.mss, rtt.smoothed)
  const next: ControlBlock = {
    ...tcb,
    state: tcb.snd.closing ? "FIN-WAIT-1" : "ESTABLISHED",
    snd: {
      ...tcb.snd,
      una: segment.ack,
      nxt: segment.ack,
      wnd,
      wl1: segment.seq,
      wl2: segment.ack,
      maxWnd: Math.max(tcb.snd.maxWnd, wnd)
    },
    transmissions: Transmissions.empty(segment.ack),
    rtt,
    recovery: RecoveryState.initial(tcb.snd.iss),
    // RFC 5681 §3.1: one segment after a lost SYN
    congestion: wasRepeated ? { ...initial, window: Math.min(initial.window, tcb.snd.mss) } : initial,
    deadlines: { ...tcb.deadlines, retransmit: Infinity },
    attempts: 0
  }
  return KeepAlive.heard(SendWindow.persisting(next, now), now)
}

/** RFC 6298 §3: a SYN that was sent once only gives the first round-trip time. */
const timedSyn = ({ rtt, settings, snd }: ControlBlock, now: number): RttState =>
  Number.isFinite(snd.sentAt) ? Rtt.measured(rtt, Math.max(0, now - snd.sentAt), now, settings) : rtt

// §3.10.7.4: the other states

const otherwise = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  // RFC 7323 §3.2 and §5.3, R1: what is of another time is looked at no further
  if (Timestamps.isMissing(tcb, segment)) return outcome({ ...tcb, counts: count(tcb.counts, "timestampsMissing") })
  if (Timestamps.isOld(tcb, segment, now)) return old(tcb, segment, now)
  // First, the sequence number
  if (!isAcceptable(tcb.rcv, segment)) return unacceptable(tcb, segment, now)
  // Second, a reset
  if (has(segment, TcpFlag.rst)) return reset(tcb, segment, now)
  // Fourth, a SYN
  if (has(segment, TcpFlag.syn)) return synInWindow(tcb, segment, now)
  // Fifth, the ACK bit
  if (!has(segment, TcpFlag.ack)) return outcome(tcb)
  if (tcb.state === "SYN-RECEIVED") {
    if (!acknowledgesSyn(tcb, segment)) return outcome(tcb, 0, Reply.reset(segment.ack))
    const heard = Timestamps.kept(answerOwed(tcb), segment, now)
    return acknowledged(established(heard, segment, segment.wnd << tcb.snd.scale, now), segment, now)
  }
  if (!Acknowledgement.isPlausible(tcb.snd, segment.ack)) return challenge(tcb, now)
  // RFC 7323 §5.3, R3; not before, so that nobody puts TS.Recent wrong who does not know what we sent
  return acknowledged(KeepAlive.heard(Timestamps.kept(tcb, segment, now), now), segment, now)
}

/**
 * In a simultaneous open, the peer's SYN and its acknowledgement of ours may come so close together that the SYN,ACK has not left in between. It
 * never will then, and the peer's SYN is acknowledged otherwise.
 */
const answerOwed = (tcb: ControlBlock): ControlBlock =>
  tcb.snd.nxt === tcb.snd.iss ? { ...tcb, rcv: { ...tcb.rcv, acknowledge: "now" } } : tcb

/** RFC 7323 §5.3, R1: an acknowledgement in return, as for a segment outside of the window. */
const old = (before: ControlBlock, segment: Segment, now: number): Outcome => {
  const tcb = DuplicateSack.noted(before, segment)
  return answer({ ...tcb, counts: count(tcb.counts, "pawsRejected") }, segment, now)
}

/** First: whether the segment has a part in the window, of which a segment without text occupies only its place. */
const isAcceptable = (rcv: ReceiveSpace, segment: Segment): boolean => {
  const length = sequenceLength(segment)
  const start = Sequence.difference(rcv.nxt, segment.seq)
  const wnd = ReceiveWindow.understood(rcv)
  return length === 0
    ? start === 0 || (start > 0 && start < wnd)
    : start < wnd && start + length > 0
}

/** First: an acknowledgement in return, so that a peer that is out of step learns where we are. */
const unacceptable = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  if (has(segment, TcpFlag.rst)) return outcome(tcb)
  if (tcb.state === "TIME-WAIT") return lateInTimeWait(tcb, segment, now)
  if (isProbe(tcb, segment)) return closedWindow(tcb, segment, now)
  // RFC 5961 §4.2
  if (has(segment, TcpFlag.syn)) return challenge(tcb, now)
  return answer(DuplicateSack.noted(tcb, segment), segment, now)
}

/** Whether nothing but a closed window makes the segment unacceptable. */
const isProbe = (tcb: ControlBlock, segment: Segment): boolean =>
  segment.seq === tcb.rcv.nxt &&
  (segment.flags & (TcpFlag.syn | TcpFlag.ack)) === TcpFlag.ack &&
  tcb.state !== "SYN-RECEIVED" &&
  Acknowledgement.isPlausible(tcb.snd, segment.ack)

/** Before a closed window, the acknowledgement of a probe counts, though its text does not. */
const closedWindow = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  const before = tcb.snd.una
  const next = Acknowledgement.finished(Acknowledgement.take(tcb, segment, now), now)
  const octets = Acknowledgement.textOctets(next.snd, before)
  if (next.state === "CLOSED") return outcome(next, octets)
  const rejected = segment.length === 0 ? next : { ...next, counts: count(next.counts, "windowRejected") }
  const answered = Reply.acknowledge(rejected, now)
  return outcome(answered.tcb, octets, answered.segment)
}

/** Fifth, TIME-WAIT: the peer's FIN again starts the 2 MSL anew; a SYN may open the next connection (§3.6.1). */
const lateInTimeWait = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  const isFinAgain = has(segment, TcpFlag.fin) &&
    Sequence.add(segment.seq, sequenceLength(segment)) === tcb.rcv.nxt
  if (isFinAgain) return answer(timeWait(tcb, now), segment, now)
  const answered = answer(tcb, segment, now)
  return TimeWait.mayReopen(tcb, segment) ? { ...answered, reopens: true } : answered
}

/** An acknowledgement in return. */
const answer = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  const answered = Reply.answer(tcb, segment, now)
  return outcome(answered.tcb, 0, answered.segment)
}

/** The challenge acknowledgement of RFC 5961: whoever is not the peer cannot answer it. */
const challenge = (tcb: ControlBlock, now: number): Outcome => {
  const challenged = Reply.challenge(tcb, now)
  return outcome(challenged.tcb, 0, challenged.segment)
}

/** Second: a reset must name exactly the next octet (RFC 5961 §3.2). */
const reset = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  if (segment.seq !== tcb.rcv.nxt) return challenge(tcb, now)
  switch (tcb.state) {
    case "SYN-RECEIVED":
      return outcome(unanswered(tcb, "refused"))
    case "CLOSING":
    case "LAST-ACK":
    case "TIME-WAIT":
      return outcome(close(tcb, isTextAcknowledged(tcb.snd) ? "finished" : "reset"))
    default:
      return outcome(close(tcb, "reset"))
  }
}

/** All but perhaps the FIN. */
const isTextAcknowledged = (snd: SendSpace): boolean =>
  snd.fin !== undefined && Sequence.greaterOrEqual(snd.una, snd.fin)

/**
 * There will be no connection after all: back to LISTEN with a passive OPEN that nobody has closed meanwhile, closed for
 * that reason otherwise.
 */
export const unanswered = (tcb: ControlBlock, reason: "refused" | "unreachable"): ControlBlock =>
  tcb.passive && !tcb.snd.closing
    ? make("LISTEN", {
      endpoints: tcb.endpoints,
      iss: tcb.snd.iss,
      receiveMaximumSegmentSize: tcb.rcv.mss,
      receiveCapacity: tcb.rcv.capacity,
      receiveMaximum: tcb.rcv.maximum,
      congestion: tcb.algorithm,
      settings: tcb.settings,
      timestampOffset: tcb.timestamps.offset
    })
    : close(tcb, reason)

/** Fourth: a SYN where none can be. A peer that really lost the connection will answer the challenge by a reset. */
const synInWindow = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  if (tcb.state === "SYN-RECEIVED" && tcb.passive) return outcome(unanswered(tcb, "refused"))
  const answered = challenge(tcb, now)
  return TimeWait.mayReopen(tcb, segment) ? { ...answered, reopens: true } : answered
}

/** Fifth to eighth, for a synchronized connection and a plausible acknowledgement. */
const acknowledged = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  const before = tcb.snd.una
  const taken = MtuSearch.acknowledged(Acknowledgement.take(tcb, segment, now), now)
  const next = Acknowledgement.finished(taken, now)
  const octets = next.snd.una === before ? 0 : Acknowledgement.textOctets(next.snd, before)
  return next.state === "CLOSED" ? outcome(next, octets) : receive(Ecn.heard(next, segment), segment, octets, now)
}

/**
 * The SYN that brought us to SYN-RECEIVED, again. Beside an ACK, in a simultaneous open, only the rest of the segment
 * counts (figure 7); alone, our SYN,ACK was lost.
 */
const isPeersSynAgain = (tcb: ControlBlock, segment: Segment): boolean =>
  tcb.state === "SYN-RECEIVED" &&
  segment.seq === tcb.rcv.irs &&
  (segment.flags & (TcpFlag.syn | TcpFlag.rst)) === TcpFlag.syn

const synAgain = (tcb: ControlBlock, segment: Segment, now: number): Outcome => {
  if (has(segment, TcpFlag.ack)) return otherwise(tcb, withoutSyn(segment), now)
  if (Timestamps.isOld(tcb, segment, now)) return old(tcb, segment, now)
  // What is answered by the acknowledgement of it cannot be told any more.
  const next = Reply.acknowledged({
    ...Timestamps.kept(Ecn.askedAgain(tcb, segment), segment, now),
    snd: { ...tcb.snd, sentAt: Infinity },
    counts: synchronizedAgain(tcb.counts)
  })
  return outcome(next, 0, synchronization(next, now))
}
