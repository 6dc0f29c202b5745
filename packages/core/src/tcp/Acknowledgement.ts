/**
 * The acknowledgement and the window of an acceptable segment: the fifth step of RFC 9293 §3.10.7.4.
 */
import { close, type ControlBlock, copy, type SendSpace } from "./ControlBlock.ts"
import * as Recovery from "./Recovery.ts"
import * as Rtt from "./Rtt.ts"
import type { Segment } from "./Segment.ts"
import * as SendWindow from "./SendWindow.ts"
import * as Sequence from "./Sequence.ts"
import { timeWait } from "./Text.ts"

/** RFC 5961 §5.2: whether SEG.ACK can be of this connection: SND.UNA − MAX.SND.WND =< SEG.ACK =< SND.NXT. */
export const isPlausible = (snd: SendSpace, ack: number): boolean =>
  Sequence.lessOrEqual(ack, snd.max) &&
  Sequence.greaterOrEqual(ack, Sequence.add(snd.una, -snd.maxWnd))

/** Takes a plausible acknowledgement and the window that comes with it. */
export const take = (tcb: ControlBlock, segment: Segment, now: number): ControlBlock => {
  const { snd } = tcb
  const octets = Sequence.difference(snd.una, segment.ack)
  if (octets < 0) return tcb
  const next = octets > 0
    ? advance(tcb, segment, octets, now)
    : Recovery.isDuplicate(tcb, segment)
    ? Recovery.duplicate(offered(tcb, segment), now)
    : answered(offered(tcb, segment))
  return SendWindow.persisting(next, now)
}

/** Whether the segment is newer than the one the window was taken from. */
const isWindowUpdate = (snd: SendSpace, segment: Segment): boolean =>
  Sequence.lessThan(snd.wl1, segment.seq) ||
  (snd.wl1 === segment.seq && Sequence.lessOrEqual(snd.wl2, segment.ack))

/** SND.WND, SND.WL1 and SND.WL2, also from a segment that acknowledges nothing new: a window reopens so. */
const offered = (tcb: ControlBlock, segment: Segment): ControlBlock => {
  const { snd } = tcb
  if (!isWindowUpdate(snd, segment)) return tcb
  if (snd.wnd === segment.wnd && snd.wl1 === segment.seq && snd.wl2 === segment.ack) return tcb
  const offer: SendSpace = {
    ...snd,
    wnd: segment.wnd,
    wl1: segment.seq,
    wl2: segment.ack,
    maxWnd: Math.max(snd.maxWnd, segment.wnd)
  }
  return copy(tcb, offer, tcb.rcv, tcb.rtt, tcb.congestion, tcb.deadlines)
}

/** The peer answers, though its window may stay closed: the connection is not given up (RFC 9293 §3.8.6.1). */
const answered = (tcb: ControlBlock): ControlBlock =>
  tcb.attempts > 0 && tcb.snd.nxt === tcb.snd.una ? { ...tcb, attempts: 0 } : tcb

/** SND.UNA < SEG.ACK =< SND.MAX: SND.UNA moves on. */
const advance = (tcb: ControlBlock, segment: Segment, octets: number, now: number): ControlBlock => {
  const { deadlines, rtt, settings, snd } = tcb
  const isNewer = isWindowUpdate(snd, segment)
  const wnd = isNewer ? segment.wnd : snd.wnd
  const timed = Rtt.acknowledged(rtt, segment.ack, now, settings)
  const nxt = Sequence.latest(snd.nxt, segment.ack)
  // RFC 6298 §5.2 and 5.3
  const retransmit = segment.ack === nxt ? Infinity : now + timed.timeout
  const next = copy(
    tcb,
    {
      ...snd,
      una: segment.ack,
      nxt,
      wnd,
      wl1: isNewer ? segment.seq : snd.wl1,
      wl2: isNewer ? segment.ack : snd.wl2,
      maxWnd: Math.max(snd.maxWnd, wnd),
      resend: false,
      forced: false
    },
    tcb.rcv,
    timed,
    Recovery.grown(tcb, octets, now),
    retransmit === deadlines.retransmit ? deadlines : { ...deadlines, retransmit }
  )
  return Recovery.isQuiet(tcb) ? next : Recovery.acknowledged(next, octets, now)
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
