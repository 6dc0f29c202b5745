/**
 * When text is acknowledged (RFC 9293 §3.8.6.3, RFC 5681 §4.2).
 *
 * At once: more than a full-sized segment, whatever fills a gap, a FIN, what leaves the peer less than a segment of window. The rest waits
 * for text of ours, for 40 ms at most. A sender in slow start grows by what it is told, so the first segments of a connection, and those
 * after a pause or a duplicate, are acknowledged one by one ("quick"), as Linux does. A program that answers what it reads is let answer first.
 *
 * Acknowledgements leave at the end of the turn, one for all that it brought, since an answer may carry them. But a sender that is told once
 * for a whole flight waits for its timers when that one acknowledgement is lost: so where something was missing lately, or came twice, every
 * second segment is acknowledged at once (RFC 5681 §4.2), and of a long batch some segments always are.
 */
import { type ControlBlock, DEFAULT_MSS, type ReceiveDraft, type ReceiveSpace } from "./ControlBlock.ts"
import { type Segment, TcpFlag } from "./Segment.ts"

/** Full-sized segments that may wait for the end of the turn; and where something was missing lately. */
const BATCH = 32
const PAIR = 2
/** Segments for which it is remembered that one was missing, or came twice: some round trips' worth. */
const CAUTION = 1000

/**
 * What counts as a full-sized segment: the most text one ever brought; or less, when two of the same size follow each other that do not
 * end what the peer's program wrote, since the path may have become smaller. Those that came together show how long the peer makes them.
 */
const sizeOf = (
  { fullSize, latestSize, mss }: ReceiveSpace,
  size: number,
  segments: number,
  isPushed: boolean
): number =>
  size >= DEFAULT_MSS && (segments > 1 || (size === latestSize && !isPushed))
    ? Math.min(size, mss)
    : Math.min(Math.max(fullSize, size), mss)

/**
 * A segment has moved RCV.NXT by `advanced` octets, or not, and `length` octets of its text are kept. `next` is as it was before, but for
 * the window that is left to the peer.
 */
export const received = (
  next: ReceiveDraft,
  { rtt, settings }: ControlBlock,
  { flags, segmentSize = 0 }: Segment,
  advanced: number,
  length: number,
  isFinished: boolean,
  now: number
): void => {
  const isPushed = (flags & TcpFlag.psh) !== 0
  const size = segmentSize === 0 ? length : Math.min(segmentSize, length)
  const segments = size === length ? 1 : Math.ceil(length / size)
  const last = length - (segments - 1) * size
  next.fullSize = sizeOf(next, size, segments, isPushed)
  if (length > 0) next.latestSize = last
  if (advanced > 0) {
    next.unacknowledged += advanced
    if (now - next.textAt > rtt.timeout) next.quick = settings.quickAcknowledgements
    next.textAt = now
    next.pushed = next.pushed || isPushed || last < next.fullSize
  }
  if (isFinished || (advanced > 0 && isDue(next))) next.acknowledge = "now"
  else if (advanced > 0 && next.acknowledge === "none") next.acknowledge = "delayed"
  if (advanced > 0 && next.quick > 0) next.quick = Math.max(0, next.quick - segments)
  if (advanced > 0 ? next.ranges.length > 0 : length > 0) next.cautious = CAUTION
  else if (next.cautious > 0) next.cautious = Math.max(0, next.cautious - segments)
}

const isDue = ({ fullSize, interactive, quick, ranges, unacknowledged, wnd }: ReceiveSpace): boolean =>
  unacknowledged > fullSize || ranges.length > 0 || wnd < fullSize || (quick > 0 && !interactive)

/** Something is missing, or came twice. */
export const warned = (rcv: ReceiveSpace): ReceiveSpace =>
  rcv.cautious === CAUTION ? rcv : { ...rcv, cautious: CAUTION }

/**
 * Whether the acknowledgement of what has moved `before` to `after` leaves at once (RFC 5681 §4.2): of a gap that was filled, or of so much
 * that it is not for one acknowledgement to tell.
 */
export const isUrgent = (before: ReceiveSpace, after: ReceiveSpace): boolean =>
  after.acknowledge === "now" && after.nxt !== before.nxt && (isMuch(after) || before.ranges.length > 0)

/** Whether more has come since the last acknowledgement than one should tell. */
export const isMuch = ({ cautious, fullSize, unacknowledged }: ReceiveSpace): boolean =>
  unacknowledged >= (cautious > 0 ? PAIR : BATCH) * fullSize

/** The peer repeats itself, maybe after a timeout: it starts slowly again. */
export const restarted = (rcv: ReceiveSpace, quick: number): ReceiveSpace =>
  rcv.quick === quick && rcv.cautious === CAUTION && !rcv.interactive
    ? rcv
    : { ...rcv, quick, cautious: CAUTION, interactive: false }

/** `length` octets of ours leave: an answer, when they follow text of the peer within the delay. */
export const answered = (rcv: ReceiveSpace, length: number, delay: number, now: number): ReceiveSpace =>
  !rcv.interactive && isAnswer(rcv, length, delay, now) ? { ...rcv, interactive: true } : rcv

/** Whether they are one. */
export const isAnswer = ({ textAt }: ReceiveSpace, length: number, delay: number, now: number): boolean =>
  length > 0 && now - textAt < delay

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
