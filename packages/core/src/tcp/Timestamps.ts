/**
 * Timestamps (RFC 7323 §3 to §5): what we put into the option, what we keep of the peer's, and PAWS, the protection against segments of
 * earlier turns of the sequence space.
 *
 * Ours come from a clock of milliseconds, shifted by an offset of each connection's own (§5.4).
 *
 * A segment without the option where it was agreed on is dropped in silence, as §3.2 asks; Linux takes it, and so gives up PAWS for
 * whoever leaves the option out. A SYN is let through to where it is answered: a peer that lost the connection may want it without options.
 */
import { type ControlBlock, draft, type TimestampState } from "./ControlBlock.ts"
import { type Segment, TcpFlag } from "./Segment.ts"
import * as Sequence from "./Sequence.ts"

/** §5.5: how long TS.Recent is worth something, in milliseconds: 24 days, in which a clock of milliseconds goes nearly half round. */
export const OUTDATED = 24 * 24 * 60 * 60 * 1000

/** TSval for a segment that leaves at `now`. */
export const value = ({ offset }: TimestampState, now: number): number => (Math.floor(now) + offset) >>> 0

/** When a segment left whose TSval was `echoReply`, in whole milliseconds of `now`. */
export const timeOf = (state: TimestampState, echoReply: number, now: number): number =>
  Math.floor(now) - ((value(state, now) - echoReply) | 0)

/** §3.2: whether the option is missing that each segment but a reset must have. */
export const isMissing = ({ options }: ControlBlock, segment: Segment): boolean =>
  options.timestamps && segment.options.timestamps === undefined && (segment.flags & (TcpFlag.rst | TcpFlag.syn)) === 0

/** §5.3, R1: whether the segment is older than what we have. A TS.Recent of 0 says nothing: some hosts leave it so in their SYN. */
export const isOld = ({ options, timestamps }: ControlBlock, segment: Segment, now: number): boolean => {
  const stamps = options.timestamps ? segment.options.timestamps : undefined
  return stamps !== undefined && (segment.flags & TcpFlag.rst) === 0 &&
    Sequence.lessThan(stamps.value, timestamps.recent) &&
    timestamps.recent !== 0 && now - timestamps.recentAt <= OUTDATED
}

/**
 * §4.3 and §5.3, R3: TS.Recent after an acceptable segment that is not old. What is echoed is the time of the earliest one that was not
 * acknowledged yet, so that a delayed acknowledgement is measured in full, and of what fills a gap, so that its repetition can be told
 * from the original.
 */
export const kept = (tcb: ControlBlock, segment: Segment, now: number): ControlBlock => {
  const { options, rcv, timestamps } = tcb
  const stamps = options.timestamps ? segment.options.timestamps : undefined
  if (stamps === undefined || stamps.value === timestamps.recent) return tcb
  if (Sequence.greaterThan(segment.seq, rcv.acknowledged)) return tcb
  const next = draft(tcb)
  next.timestamps = { recent: stamps.value, recentAt: now, offset: timestamps.offset }
  return next
}
