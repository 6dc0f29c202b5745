/**
 * Segments without text: acknowledgements and resets.
 */
import {
  type ControlBlock,
  copy,
  type Deadlines,
  draftDeadlines,
  isOpening,
  type ReceiveSpace
} from "./ControlBlock.ts"
import { count } from "./Counts.ts"
import * as Ecn from "./Ecn.ts"
import * as Options from "./Options.ts"
import * as ReceiveWindow from "./ReceiveWindow.ts"
import { NO_OPTIONS, type Segment, sequenceLength, TcpFlag } from "./Segment.ts"
import * as Sequence from "./Sequence.ts"
import type { Emission } from "./TcpMachine.ts"

/** Challenges, and answers to segments without text and FIN, are at least that far apart, in milliseconds (RFC 5961 §7). */
const CHALLENGE_INTERVAL = 500

/** The control block once a segment with the ACK bit has left. */
export const acknowledged = (tcb: ControlBlock): ControlBlock => {
  const rcv = ReceiveWindow.settled(tcb.rcv)
  return rcv === tcb.rcv
    ? tcb
    : copy(tcb, tcb.snd, rcv, tcb.transmissions, tcb.congestion, carried(tcb.deadlines))
}

/** The deadlines once a segment with the ACK bit has left. */
export const carried = (deadlines: Deadlines): Deadlines => {
  if (deadlines.acknowledge === Infinity) return deadlines
  const next = draftDeadlines(deadlines)
  next.acknowledge = Infinity
  return next
}

/** A segment with the ACK bit, or several of `segmentSize` octets; `rcv` is as `settled` has returned it, and what else the options say is in `tcb`. */
export const emission = (
  tcb: ControlBlock,
  rcv: ReceiveSpace,
  seq: number,
  flags: number,
  length: number,
  textOffset: number,
  now: number,
  segmentSize = 0
): Emission => ({
  seq,
  ack: rcv.nxt,
  flags: flags | Ecn.echo(tcb),
  wnd: ReceiveWindow.field(rcv),
  up: 0,
  length,
  segmentSize,
  options: Options.established(tcb, rcv, length, now),
  textOffset
})

/**
 * The sequence number of a segment without text: SND.NXT as it was before any timeout, or else the right edge of the
 * peer's window, since beyond it the peer would not look at the acknowledgement.
 */
export const emptySequence = (tcb: ControlBlock): number => {
  const { max, una, wnd } = tcb.snd
  const right = Sequence.add(una, wnd)
  return isOpening(tcb) || Sequence.lessOrEqual(max, right) ? max : right
}

/** `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`, and the control block once it has left. */
export const acknowledge = (
  tcb: ControlBlock,
  now: number
): { readonly tcb: ControlBlock; readonly segment: Emission } => {
  const next = acknowledged(tcb)
  return { tcb: next, segment: emission(tcb, next.rcv, emptySequence(tcb), TcpFlag.ack, 0, 0, now) }
}

/** Text and FIN come again only when a timer says so; an answer to anything else may provoke the next. */
const isRepetition = (segment: Segment): boolean => segment.length > 0 || (segment.flags & TcpFlag.fin) !== 0

const mayAnswer = (tcb: ControlBlock, now: number): boolean => now - tcb.challengedAt >= CHALLENGE_INTERVAL

interface Answered {
  readonly tcb: ControlBlock
  readonly segment: Emission | undefined
}

/**
 * An acknowledgement in return for a segment that is out of place, or none where two hosts might go on answering each
 * other.
 */
export const answer = (tcb: ControlBlock, segment: Segment, now: number): Answered => {
  if (isRepetition(segment)) return acknowledge(tcb, now)
  return mayAnswer(tcb, now) ? limited(tcb, now) : { tcb, segment: undefined }
}

/** The challenge acknowledgement of RFC 5961, or none when there was one lately (§7). */
export const challenge = (tcb: ControlBlock, now: number): Answered =>
  mayAnswer(tcb, now)
    ? limited({ ...tcb, counts: count(tcb.counts, "challenges") }, now)
    : { tcb, segment: undefined }

const limited = (tcb: ControlBlock, now: number): Answered => {
  const answered = acknowledge(tcb, now)
  return { ...answered, tcb: { ...answered.tcb, challengedAt: now } }
}

const empty = (seq: number, ack: number, flags: number): Emission => ({
  seq,
  ack,
  flags,
  wnd: 0,
  up: 0,
  length: 0,
  segmentSize: 0,
  options: NO_OPTIONS,
  textOffset: 0
})

/** `<SEQ=seq><CTL=RST>` */
export const reset = (seq: number): Emission => empty(seq, 0, TcpFlag.rst)

/** RFC 9293 §3.10.7.1: the answer to a segment that belongs to no connection. */
export const reject = (segment: Segment): Emission | undefined => {
  if ((segment.flags & TcpFlag.rst) !== 0) return undefined
  if ((segment.flags & TcpFlag.ack) !== 0) return reset(segment.ack)
  return empty(0, Sequence.add(segment.seq, sequenceLength(segment)), TcpFlag.rst | TcpFlag.ack)
}

/** A reset that ends `tcb` at the peer (RFC 9293 §3.10.5), inside its window, where it is believed; RFC 7323 §3.2: with timestamps. */
export const abortion = (tcb: ControlBlock, now: number): Emission => ({
  ...reset(emptySequence(tcb)),
  options: Options.stamped(tcb, now)
})
