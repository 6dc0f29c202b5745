/**
 * The acknowledgement and the window of an acceptable segment: the fifth step of RFC 9293 §3.10.7.4.
 */
import {
  close,
  type ControlBlock,
  copy,
  type Deadlines,
  draft,
  draftDeadlines,
  draftSend,
  type SendSpace
} from "./ControlBlock.ts"
import * as News from "./News.ts"
import * as RateSampling from "./RateSampling.ts"
import * as Recovery from "./Recovery.ts"
import * as Rtt from "./Rtt.ts"
import * as Sack from "./Sack.ts"
import { type Segment, TcpFlag } from "./Segment.ts"
import * as SendWindow from "./SendWindow.ts"
import * as Sequence from "./Sequence.ts"
import * as TailLoss from "./TailLoss.ts"
import { timeWait } from "./Text.ts"
import * as Timestamps from "./Timestamps.ts"
import * as Transmissions from "./Transmissions.ts"

/** RFC 5961 §5.2: whether SEG.ACK can be of this connection: SND.UNA − MAX.SND.WND =< SEG.ACK =< SND.NXT. */
export const isPlausible = (snd: SendSpace, ack: number): boolean =>
  Sequence.lessOrEqual(ack, snd.max) &&
  Sequence.greaterOrEqual(ack, Sequence.add(snd.una, -snd.maxWnd))

/** Takes a plausible acknowledgement and the window that comes with it. */
export const take = (tcb: ControlBlock, segment: Segment, now: number): ControlBlock => {
  const octets = Sequence.difference(tcb.snd.una, segment.ack)
  // RFC 2018 §3: an old one says nothing that a newer one did not.
  if (octets < 0) return tcb
  const blocks = tcb.options.sack ? segment.options.sack : undefined
  if (octets === 0 && blocks === undefined && (tcb.options.sack || !isDuplicate(tcb, segment))) {
    return SendWindow.persisting(probeAnswered(offered(tailAnswered(tcb, segment), segment)), now)
  }
  return SendWindow.persisting(delivered(tcb, segment, octets, now), now)
}

/** RFC 5681 §2; `segment` acknowledges SND.UNA. A window update is none. */
const isDuplicate = (tcb: ControlBlock, segment: Segment): boolean =>
  isRepetition(tcb.snd, segment) && tcb.snd.nxt !== tcb.snd.una

/** Whether `segment`, which acknowledges SND.UNA, says nothing that was not said before. */
const isRepetition = (snd: SendSpace, segment: Segment): boolean =>
  segment.length === 0 &&
  (segment.flags & (TcpFlag.syn | TcpFlag.fin)) === 0 &&
  scaled(snd, segment) === snd.wnd

/** SEG.WND in octets (RFC 7323 §2.3). */
export const scaled = (snd: SendSpace, segment: Segment): number => segment.wnd << snd.scale

/** Whether the segment is newer than the one the window was taken from. */
export const isWindowUpdate = (snd: SendSpace, segment: Segment): boolean =>
  Sequence.lessThan(snd.wl1, segment.seq) ||
  (snd.wl1 === segment.seq && Sequence.lessOrEqual(snd.wl2, segment.ack))

/** SND.WND, SND.WL1 and SND.WL2, also from a segment that acknowledges nothing new: a window reopens so. */
const offered = (tcb: ControlBlock, segment: Segment): ControlBlock => {
  const { snd } = tcb
  if (!isWindowUpdate(snd, segment)) return tcb
  const wnd = scaled(snd, segment)
  if (snd.wnd === wnd && snd.wl1 === segment.seq && snd.wl2 === segment.ack) return tcb
  const offer = draftSend(snd)
  offer.wnd = wnd
  offer.wl1 = segment.seq
  offer.wl2 = segment.ack
  offer.maxWnd = Math.max(snd.maxWnd, wnd)
  return copy(tcb, offer, tcb.rcv, tcb.transmissions, tcb.congestion, tcb.deadlines)
}

/** The peer answers, though its window may stay closed: the connection is not given up (RFC 9293 §3.8.6.1). */
const probeAnswered = (tcb: ControlBlock): ControlBlock =>
  tcb.attempts > 0 && tcb.snd.nxt === tcb.snd.una ? { ...tcb, attempts: 0 } : tcb

/** RFC 8985 §7.4.2, case 2: a duplicate without SACK is the answer to a probe that repeated what had arrived. */
const tailAnswered = (tcb: ControlBlock, segment: Segment): ControlBlock => {
  const { recovery, snd } = tcb
  return recovery.tail?.state === "sent" && recovery.tail.end === snd.una && isRepetition(snd, segment)
    ? { ...tcb, recovery: { ...recovery, tail: undefined } }
    : tcb
}

/** When the segment left that the peer answers (RFC 7323 §3), in milliseconds. */
export const echoed = ({ options, timestamps }: ControlBlock, segment: Segment, now: number): number | undefined => {
  const stamps = options.timestamps ? segment.options.timestamps : undefined
  if (stamps === undefined) return undefined
  const time = Timestamps.timeOf(timestamps, stamps.echoReply, now)
  return time > now ? undefined : time
}

/** SND.UNA =< SEG.ACK =< SND.MAX, and something was delivered, or is missing. */
const delivered = (tcb: ControlBlock, segment: Segment, octets: number, now: number): ControlBlock => {
  const { options, recovery, settings, snd } = tcb
  // RFC 7323 §4.3: an acknowledgement that does not advance echoes what was sent long ago.
  const echo = octets > 0 ? echoed(tcb, segment, now) : undefined
  const news = News.none(tcb.transmissions, recovery.until, now, tcb.rtt.minimum, echo)
  const acknowledged = octets > 0
    ? Transmissions.acknowledge(tcb.transmissions, segment.ack, news)
    : tcb.transmissions
  const blocks = options.sack ? segment.options.sack : undefined
  const duplicated = blocks === undefined ? undefined : Sack.duplicate(snd, segment.ack, blocks)
  const transmissions = blocks === undefined
    ? acknowledged
    : Sack.update(acknowledged, snd.nxt, blocks, duplicated, news)
  const isRepeated = octets === 0 && isDuplicate(tcb, segment)
  if (!options.sack) guess(tcb, news, octets, isRepeated)

  const rtt = roundTrip(news, echo, now)
  const measured = rtt === undefined ? tcb.rtt : Rtt.measured(tcb.rtt, rtt, now, settings)
  const next = draft(tcb)
  next.snd = acknowledgedSend(snd, segment, octets)
  next.transmissions = transmissions
  next.rtt = measured
  next.delivery = RateSampling.delivered(tcb.delivery, news, measured.minimum, now)
  if (octets > 0) {
    next.attempts = 0
    next.softError = false
  }
  const arrived: Recovery.Arrived = {
    news,
    octets,
    rtt,
    isDuplicate: isRepeated,
    duplicated,
    echo,
    congestionEcho: options.ecn && (segment.flags & TcpFlag.ece) !== 0,
    inFlight: SendWindow.inFlight(tcb)
  }
  if (!Recovery.isUndisturbed(next, arrived)) {
    return rearmed(Recovery.acknowledged(next, arrived, now), isProgress(next, octets, news), now)
  }
  Recovery.grow(next, arrived, now)
  next.deadlines = deadlinesAfter(next, true, now)
  return next
}

/** The send space after an acknowledgement of `octets`, with the window that came with it. */
const acknowledgedSend = (snd: SendSpace, segment: Segment, octets: number): SendSpace => {
  const next = draftSend(snd)
  next.una = segment.ack
  next.nxt = Sequence.latest(snd.nxt, segment.ack)
  if (octets > 0) next.forced = false
  if (!isWindowUpdate(snd, segment)) return next
  next.wnd = scaled(snd, segment)
  next.wl1 = segment.seq
  next.wl2 = segment.ack
  next.maxWnd = Math.max(snd.maxWnd, next.wnd)
  return next
}

/** A measurement by what was sent once only, or else by the timestamps of what moved SND.UNA (RFC 7323 §4.1). */
export const roundTrip = (
  { ambiguous, timedAt }: News.News,
  echo: number | undefined,
  now: number
): number | undefined => {
  if (timedAt !== undefined && !ambiguous) return now - timedAt
  return echo === undefined ? undefined : now - echo
}

/** Without SACK, each duplicate stands for a segment that was delivered, and what it stood for is not delivered again later (RFC 9937 §6.1). */
const guess = (
  { recovery, snd, transmissions }: ControlBlock,
  news: News.News,
  octets: number,
  isRepeated: boolean
): void => {
  if (isRepeated) news.delivered += Math.min(snd.mss, Transmissions.inFlight(transmissions))
  else if (octets > 0) {
    news.delivered = Math.max(Math.min(octets, snd.mss), news.delivered - recovery.duplicates * snd.mss)
  }
}

/**
 * Whether the retransmission timer starts anew. Besides what RFC 6298 says, as in Linux, a selective acknowledgement does it of what was
 * sent before the first segment was sent last: of that one, nothing can have been heard yet.
 */
const isProgress = ({ transmissions }: ControlBlock, octets: number, { newest }: News.News): boolean =>
  octets > 0 ||
  (newest !== undefined && Transmissions.outstanding(transmissions) > 0 &&
    newest.sentAt < Transmissions.at(transmissions, 0).sentAt)

const rearmed = (tcb: ControlBlock, isAnew: boolean, now: number): ControlBlock => {
  const deadlines = deadlinesAfter(tcb, isAnew, now)
  return deadlines === tcb.deadlines ? tcb : { ...tcb, deadlines }
}

/** RFC 6298 §5.2 and 5.3, RFC 8985 §7.2 */
const deadlinesAfter = (tcb: ControlBlock, isAnew: boolean, now: number): Deadlines => {
  const { deadlines, rtt, transmissions } = tcb
  const isEmpty = Transmissions.outstanding(transmissions) === 0
  const retransmit = isEmpty ? Infinity : isAnew ? now + rtt.timeout : deadlines.retransmit
  const tail = TailLoss.deadline(tcb, retransmit, now)
  const reorder = isEmpty ? Infinity : deadlines.reorder
  if (retransmit === deadlines.retransmit && tail === deadlines.tail && reorder === deadlines.reorder) return deadlines
  const next = draftDeadlines(deadlines)
  next.retransmit = retransmit
  next.tail = tail
  next.reorder = reorder
  return next
}

/** Octets of text between `before` and SND.UNA: all but our FIN. */
export const textOctets = (snd: SendSpace, before: number): number =>
  Sequence.difference(before, snd.una) -
  (SendWindow.isFinAcknowledged(snd) && Sequence.lessOrEqual(before, snd.fin ?? before) ? 1 : 0)

/** The states that wait for it. */
export const finished = (tcb: ControlBlock, now: number): ControlBlock => {
  if (!SendWindow.isFinAcknowledged(tcb.snd)) return tcb
  switch (tcb.state) {
    case "FIN-WAIT-1":
      return { ...tcb, state: "FIN-WAIT-2" }
    case "CLOSING":
      return timeWait(tcb, now)
    case "LAST-ACK":
      return close(tcb, "finished")
    default:
      return tcb
  }
}
