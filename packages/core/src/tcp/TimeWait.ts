/**
 * What may follow a connection in TIME-WAIT before its time is over (RFC 9293 §3.6.1, RFC 6191).
 *
 * The peer's SYN may open the next connection of the same endpoints when it cannot be an old duplicate: its timestamp, or
 * else its sequence number, is beyond all that was received. A program may open it from this side after a second,
 * where both ends use timestamps, since nothing older passes PAWS then.
 *
 * RFC 1337 warns of resets that end TIME-WAIT. Here, as in other states, only a reset for exactly the next octet is
 * believed (RFC 5961 §3.2), which no duplicate of a segment from before the peer's FIN is; so RFC 9293 §3.10.7.4 is followed
 * and that reset ends it.
 */
import type { ControlBlock } from "./ControlBlock.ts"
import { type Segment, TcpFlag } from "./Segment.ts"
import * as Sequence from "./Sequence.ts"

/** How far beyond the last octet of the old connection the next one starts, in sequence numbers. */
const DISTANCE = 0x1_0000
/** Milliseconds until this side may open the next connection: a tick of the coarsest timestamps (RFC 7323 §5.4). */
const REUSE_AFTER = 1000

/** The ISS of the connection that comes next. */
export const nextIss = ({ snd }: ControlBlock): number => Sequence.add(snd.max, DISTANCE)

/** Whether the segment is a SYN that may open the next connection (RFC 6191 §2). One that PAWS rejects is not asked about. */
export const mayReopen = ({ options, rcv, settings, state, timestamps }: ControlBlock, segment: Segment): boolean => {
  if (state !== "TIME-WAIT") return false
  if ((segment.flags & (TcpFlag.syn | TcpFlag.ack | TcpFlag.rst)) !== TcpFlag.syn) return false
  const stamps = settings.timestamps ? segment.options.timestamps : undefined
  const isNewer = stamps !== undefined && (!options.timestamps || Sequence.greaterThan(stamps.value, timestamps.recent))
  return isNewer || Sequence.greaterThan(segment.seq, rcv.nxt)
}

/** Whether a program may open the next connection (RFC 6191 §3). */
export const mayReuse = ({ deadlines, options, settings, state }: ControlBlock, now: number): boolean => {
  const since = deadlines.timeWait - 2 * settings.maximumSegmentLifetime
  return state === "TIME-WAIT" && options.timestamps && now - since >= REUSE_AFTER
}
