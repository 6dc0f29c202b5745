/**
 * The timestamps option (RFC 7323 §3): a clock of milliseconds, shifted by an offset of each connection's own (§5.4).
 */
import type { TimestampState } from "./ControlBlock.ts"

/** TSval for a segment that leaves at `now`. */
export const value = ({ offset }: TimestampState, now: number): number => (Math.floor(now) + offset) >>> 0

/** When a segment left whose TSval was `echoReply`, in whole milliseconds of `now`. */
export const timeOf = (state: TimestampState, echoReply: number, now: number): number =>
  Math.floor(now) - ((value(state, now) - echoReply) | 0)
