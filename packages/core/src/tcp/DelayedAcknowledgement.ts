/**
 * When text is acknowledged (RFC 9293 §3.8.6.3, RFC 5681 §4.2).
 *
 * At once: more than a full-sized segment, whatever fills a gap, a FIN, what leaves the peer less than a segment of window. The rest waits
 * for text of ours, for 40 ms at most. A sender in slow start grows by what it is told, so the first segments of a connection, and those
 * after a pause or a duplicate, are acknowledged one by one ("quick"), as Linux does. A program that answers what it reads is let answer first.
 *
 * What the RFCs want to be acknowledged at once is: a sender that is told once for a whole flight waits for its timers when that one
 * acknowledgement is lost. Quick acknowledgements leave at the end of the turn, since an answer may carry them.
 */
import { type ControlBlock, DEFAULT_MSS, type ReceiveSpace } from "./ControlBlock.ts"

/** What came of a segment with text in order, or of what filled a gap. */
export interface Taken {
  /** Octets by which RCV.NXT moved on. */
  readonly advanced: number
  /** Octets of the segment's text. */
  readonly length: number
  readonly isPushed: boolean
  readonly isFinished: boolean
  /** The window that is left to the peer. */
  readonly wnd: number
}

/** The parts of the receive space that this file is about. */
export type Policy = Pick<
  ReceiveSpace,
  "fullSize" | "latestSize" | "unacknowledged" | "acknowledge" | "quick" | "interactive" | "pushed" | "textAt"
>

/**
 * What counts as a full-sized segment: the most text one ever brought; or less, when two of the same size follow each other that do not
 * end what the peer's program wrote, since the path may have become smaller.
 */
const sizeOf = ({ fullSize, latestSize, mss }: ReceiveSpace, { isPushed, length }: Taken): number =>
  length >= DEFAULT_MSS && length === latestSize && !isPushed
    ? Math.min(length, mss)
    : Math.min(Math.max(fullSize, length), mss)

/** After a segment that moved RCV.NXT, or not. */
export const received = ({ rcv, rtt, settings }: ControlBlock, taken: Taken, now: number): Policy => {
  const { advanced, isFinished, isPushed, length, wnd } = taken
  const size = sizeOf(rcv, taken)
  const unacknowledged = rcv.unacknowledged + advanced
  const isIdle = now - rcv.textAt > rtt.timeout
  const quick = advanced > 0 && isIdle ? settings.quickAcknowledgements : rcv.quick
  const isDue = isFinished || rcv.acknowledge === "now" ||
    (advanced > 0 &&
      (unacknowledged > size || rcv.ranges.length > 0 || wnd < size || (quick > 0 && !rcv.interactive)))
  return {
    fullSize: size,
    latestSize: length > 0 ? length : rcv.latestSize,
    unacknowledged,
    acknowledge: isDue ? "now" : advanced > 0 ? "delayed" : rcv.acknowledge,
    quick: advanced > 0 ? Math.max(0, quick - 1) : quick,
    interactive: rcv.interactive,
    pushed: rcv.pushed || (advanced > 0 && (isPushed || length < size)),
    textAt: advanced > 0 ? now : rcv.textAt
  }
}

/** Whether the acknowledgement of what has moved `before` to `after` leaves at once (RFC 5681 §4.2): of two full-sized segments, or of a gap that was filled. */
export const isUrgent = (before: ReceiveSpace, after: ReceiveSpace): boolean =>
  after.acknowledge === "now" && after.nxt !== before.nxt &&
  (after.unacknowledged >= 2 * after.fullSize || before.ranges.length > 0)

/** The peer repeats itself, maybe after a timeout: it starts slowly again. */
export const restarted = (rcv: ReceiveSpace, quick: number): ReceiveSpace =>
  rcv.quick === quick && !rcv.interactive ? rcv : { ...rcv, quick, interactive: false }

/** `length` octets of ours leave: an answer, when they follow text of the peer within the delay. */
export const answered = (rcv: ReceiveSpace, length: number, delay: number, now: number): ReceiveSpace =>
  rcv.interactive || length === 0 || now - rcv.textAt >= delay ? rcv : { ...rcv, interactive: true }

/** The delay is over, and nobody has answered. */
export const elapsed = (rcv: ReceiveSpace): ReceiveSpace => ({
  ...rcv,
  acknowledge: rcv.acknowledge === "delayed" ? "now" : rcv.acknowledge,
  interactive: false
})

/**
 * The program has read; `announced` is the window that could be told. The peer is told of it when it is twice what it has, or when it has
 * less than a segment; otherwise it has something to send that will be answered. And when everything is read that the peer's program
 * wrote, the peer may wait for nothing but our acknowledgement.
 */
export const isDueAfterRead = (rcv: ReceiveSpace, announced: number): boolean => {
  const { acknowledge, interactive, mss, pushed, unread, wnd } = rcv
  return (announced > wnd && (announced >= 2 * wnd || wnd < mss)) ||
    (acknowledge === "delayed" && pushed && unread === 0 && !interactive)
}
