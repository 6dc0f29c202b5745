/**
 * How large the receive buffer is: room for what the program takes in two round trips (dynamic right-sizing: Fisk and Feng, 2001).
 *
 * A window of what was taken within a round trip would keep the sender at that rate, so there is twice as much. Where more was taken than
 * ever before, the sender doubles its rate with each round trip, and the window has to be ahead of the round trip in which it learns of it.
 * A program that does not read gets no more buffer, and what was given is not taken back: the right edge never moves left.
 */
import type { ControlBlock, ReceiveDraft, ReceiveSpace, Writable } from "./ControlBlock.ts"
import type { Segment } from "./Segment.ts"
import * as Sequence from "./Sequence.ts"
import * as Timestamps from "./Timestamps.ts"

/** Times in milliseconds. */
export interface TuningState {
  /** From what we announce to what comes of it, undefined before the first measurement. */
  readonly rtt: number | undefined
  /** The last timestamp of ours that was measured by. */
  readonly echo: number | undefined
  /** Without timestamps: RCV.EDGE when the last measurement began, and that time. A window of text takes at least a round trip. */
  readonly edge: number
  readonly edgeAt: number
  /** What the program had taken when the current round trip began, as a sequence number, and that time. */
  readonly mark: number
  readonly since: number
  /** The most octets it has taken within a round trip. */
  readonly most: number
}

/** Segments that a sender may begin with (RFC 6928). */
const INITIAL_SEGMENTS = 10

export const initial = (mss: number): TuningState => ({
  rtt: undefined,
  echo: undefined,
  edge: 0,
  edgeAt: -Infinity,
  mark: 0,
  since: -Infinity,
  most: INITIAL_SEGMENTS * mss
})

/** A peer that has nothing to send answers late: what is shorter counts at once, what is longer by an eighth. */
const smoothed = (rtt: number | undefined, sample: number): number =>
  rtt === undefined || sample < rtt ? sample : rtt + (sample - rtt) / 8

/**
 * Whether a segment with text, which has moved RCV.NXT, gives a measurement: it echoes a timestamp that was not measured by, or ends a window
 * of text.
 */
export const isMeasured = ({ options, rcv, tuning }: ControlBlock, segment: Segment): boolean => {
  if (rcv.capacity === rcv.maximum) return false
  if (!options.timestamps) return Sequence.greaterOrEqual(rcv.nxt, tuning.edge)
  const echo = segment.options.timestamps?.echoReply
  return echo !== undefined && echo !== tuning.echo && segment.length >= rcv.fullSize
}

/** Takes that measurement, into the record of `tcb`, which nobody else holds. */
export const measure = (
  tuning: Writable<TuningState>,
  { options, rcv, timestamps }: ControlBlock,
  segment: Segment,
  now: number
): void => {
  if (!options.timestamps) return measureWindow(tuning, rcv, now)
  const echo = segment.options.timestamps!.echoReply
  const sample = Math.floor(now) - Timestamps.timeOf(timestamps, echo, now)
  if (sample < 0) return
  tuning.echo = echo
  tuning.rtt = smoothed(tuning.rtt, Math.max(1, sample))
}

const measureWindow = (tuning: Writable<TuningState>, { edge }: ReceiveSpace, now: number): void => {
  if (tuning.edgeAt !== -Infinity) tuning.rtt = Math.min(tuning.rtt ?? Infinity, Math.max(1, now - tuning.edgeAt))
  tuning.edge = edge
  tuning.edgeAt = now
}

/** A segment with text has moved RCV.NXT. */
export const arrived = (tcb: ControlBlock, segment: Segment, now: number): ControlBlock => {
  if (!isMeasured(tcb, segment)) return tcb
  const tuning = { ...tcb.tuning }
  measure(tuning, tcb, segment, now)
  return { ...tcb, tuning }
}

/** The octets of text up to RCV.NXT that the program has taken, as a sequence number. */
const position = ({ nxt, unread }: ReceiveSpace): number => Sequence.add(nxt, -unread)

/** Octets of buffer for a program that took `taken` in a round trip, and never more than `most` before. */
const wanted = (taken: number, most: number): number => 2 * taken * (1 + 2 * (Math.min(taken / most, 2) - 1))

/** Whether a round trip is over, and what the program has taken in it is to be looked at. */
export const isRoundOver = ({ rcv, rtt, tuning }: ControlBlock, now: number): boolean => {
  const roundTrip = tuning.rtt ?? rtt.smoothed
  return rcv.capacity !== rcv.maximum && roundTrip !== undefined && now - tuning.since >= roundTrip
}

/** Begins another round trip; the program has just read. Both records are changed, and nobody else holds them. */
export const nextRound = (tuning: Writable<TuningState>, rcv: ReceiveDraft, now: number): void => {
  const mark = position(rcv)
  const taken = tuning.since === -Infinity ? 0 : Sequence.difference(tuning.mark, mark)
  tuning.mark = mark
  tuning.since = now
  if (taken <= tuning.most) return
  rcv.capacity = Math.min(rcv.maximum, Math.max(rcv.capacity, Math.ceil(wanted(taken, tuning.most))))
  tuning.most = taken
}
