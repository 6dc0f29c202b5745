/**
 * How large the receive buffer is: room for what the program takes in two round trips (dynamic right-sizing: Fisk and Feng, 2001).
 *
 * A window of what was taken within a round trip would keep the sender at that rate, so there is twice as much. Where more was taken than
 * ever before, the sender doubles its rate with each round trip, and the window has to be ahead of the round trip in which it learns of it.
 * A program that does not read gets no more buffer, and what was given is not taken back: the right edge never moves left.
 */
import type { ControlBlock, ReceiveSpace } from "./ControlBlock.ts"
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

/** A segment with text has moved RCV.NXT. */
export const arrived = (tcb: ControlBlock, segment: Segment, now: number): ControlBlock => {
  const { options, rcv, timestamps, tuning } = tcb
  if (rcv.capacity === rcv.maximum) return tcb
  if (!options.timestamps) return Sequence.lessThan(rcv.nxt, tuning.edge) ? tcb : windowArrived(tcb, now)
  const echo = segment.options.timestamps?.echoReply
  if (echo === undefined || echo === tuning.echo || segment.length < rcv.fullSize) return tcb
  const sample = Math.floor(now) - Timestamps.timeOf(timestamps, echo, now)
  return sample < 0 ? tcb : { ...tcb, tuning: { ...tuning, echo, rtt: smoothed(tuning.rtt, Math.max(1, sample)) } }
}

const windowArrived = (tcb: ControlBlock, now: number): ControlBlock => {
  const { rcv, tuning } = tcb
  const rtt = tuning.edgeAt === -Infinity
    ? tuning.rtt
    : Math.min(tuning.rtt ?? Infinity, Math.max(1, now - tuning.edgeAt))
  return { ...tcb, tuning: { ...tuning, rtt, edge: rcv.edge, edgeAt: now } }
}

/** The octets of text up to RCV.NXT that the program has taken, as a sequence number. */
const position = ({ nxt, unread }: ReceiveSpace): number => Sequence.add(nxt, -unread)

/** Octets of buffer for a program that took `taken` in a round trip, and never more than `most` before. */
const wanted = (taken: number, most: number): number => 2 * taken * (1 + 2 * (Math.min(taken / most, 2) - 1))

/** The program has read, and `rcv` is the receive space after that; undefined while the round trip is not over. */
export const consumed = (
  { rtt: { smoothed: measured }, tuning }: ControlBlock,
  rcv: ReceiveSpace,
  now: number
): { readonly tuning: TuningState; readonly capacity: number } | undefined => {
  const rtt = tuning.rtt ?? measured
  if (rcv.capacity === rcv.maximum || rtt === undefined || now - tuning.since < rtt) return undefined
  const mark = position(rcv)
  const taken = tuning.since === -Infinity ? 0 : Sequence.difference(tuning.mark, mark)
  if (taken <= tuning.most) return { tuning: begun(tuning, mark, now, tuning.most), capacity: rcv.capacity }
  return {
    tuning: begun(tuning, mark, now, taken),
    capacity: Math.min(rcv.maximum, Math.max(rcv.capacity, Math.ceil(wanted(taken, tuning.most))))
  }
}

/** Another round trip begins; written out, as it is made for each segment of a program that reads at once. */
const begun = ({ echo, edge, edgeAt, rtt }: TuningState, mark: number, since: number, most: number): TuningState => ({
  rtt,
  echo,
  edge,
  edgeAt,
  mark,
  since,
  most
})
