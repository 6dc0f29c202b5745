/**
 * The timestamps option (RFC 7323 §3): a clock of milliseconds, shifted by an offset of each connection's own (§5.4).
 */
import type { ControlBlock, TimestampState } from "./ControlBlock.ts"
import type { Segment } from "./Segment.ts"
import * as Sequence from "./Sequence.ts"

/** TSval for a segment that leaves at `now`. */
export const value = ({ offset }: TimestampState, now: number): number => (Math.floor(now) + offset) >>> 0

/** When a segment left whose TSval was `echoReply`, in whole milliseconds of `now`. */
export const timeOf = (state: TimestampState, echoReply: number, now: number): number =>
  Math.floor(now) - ((value(state, now) - echoReply) | 0)

/**
 * TS.Recent after an acceptable segment (§4.3): what is echoed is the time of the earliest one that was not acknowledged yet, so that
 * a delayed acknowledgement is measured in full, and of what fills a gap, so that its repetition can be told from the original.
 */
export const heard = (tcb: ControlBlock, segment: Segment, now: number): ControlBlock => {
  const told = tcb.options.timestamps ? segment.options.timestamps?.value : undefined
  if (told === undefined || told === tcb.timestamps.recent) return tcb
  const { rcv, timestamps } = tcb
  return Sequence.lessThan(timestamps.recent, told) && Sequence.lessOrEqual(segment.seq, rcv.acknowledged)
    ? { ...tcb, timestamps: { ...timestamps, recent: told, recentAt: now } }
    : tcb
}
