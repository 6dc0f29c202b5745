/**
 * What to send next: SYN, text, FIN, or a bare acknowledgement.
 *
 * Nagle's algorithm in its modified form (RFC 9293 §3.7.4, appendix A.3): a small segment waits only while
 * another small one is unacknowledged. Silly windows are avoided as in §3.8.6.2.1.
 */
import type { CongestionState } from "./Congestion.ts"
import { type ControlBlock, copy, type Deadlines } from "./ControlBlock.ts"
import * as ReceiveWindow from "./ReceiveWindow.ts"
import * as Reply from "./Reply.ts"
import * as Rtt from "./Rtt.ts"
import { TcpFlag } from "./Segment.ts"
import * as SendWindow from "./SendWindow.ts"
import * as Sequence from "./Sequence.ts"
import type { Emission } from "./TcpMachine.ts"

export interface Output {
  readonly tcb: ControlBlock
  readonly segment: Emission
}

export const output = (
  tcb: ControlBlock,
  queued: number,
  now: number,
  limit: number = tcb.snd.mss
): Output | undefined => {
  switch (tcb.state) {
    case "CLOSED":
    case "LISTEN":
      return undefined
    case "SYN-SENT":
      return synchronize(tcb, now)
    case "SYN-RECEIVED":
      return synchronize(tcb, now) ?? acknowledgement(tcb)
    case "FIN-WAIT-2":
    case "TIME-WAIT":
      return acknowledgement(tcb)
    default:
      return again(tcb, queued, now) ?? text(tcb, queued, now, limit) ?? acknowledgement(tcb)
  }
}

/** The SYN, or the SYN,ACK, when SND.NXT stands before it. */
const synchronize = (tcb: ControlBlock, now: number): Output | undefined => {
  const { snd } = tcb
  if (snd.nxt !== snd.iss) return undefined
  const isFirst = snd.max === snd.iss
  const nxt = Sequence.add(snd.iss, 1)
  const next = tcb.state === "SYN-SENT" ? tcb : Reply.acknowledged(tcb)
  return {
    tcb: {
      ...next,
      snd: { ...snd, nxt, max: nxt },
      rtt: isFirst ? Rtt.start(next.rtt, nxt, now) : Rtt.stop(next.rtt),
      deadlines: { ...next.deadlines, retransmit: now + next.rtt.timeout }
    },
    segment: synchronization(next)
  }
}

/** Our SYN with the MSS option (RFC 9293 §3.7.1); with an ACK once the peer's SYN is here. */
export const synchronization = (tcb: ControlBlock): Emission => ({
  ...Reply.emission(
    tcb.rcv,
    tcb.snd.iss,
    tcb.state === "SYN-SENT" ? TcpFlag.syn : TcpFlag.syn | TcpFlag.ack,
    0,
    0
  ),
  options: { maximumSegmentSize: tcb.rcv.mss }
})

/** What is owed to the peer, when nothing else has carried it. */
const acknowledgement = (tcb: ControlBlock): Output | undefined => {
  if (tcb.rcv.acknowledge !== "now") return undefined
  const next = Reply.acknowledged(tcb)
  return { tcb: next, segment: Reply.acknowledgement(next) }
}

/** The segment at SND.UNA once more, apart from the course of SND.NXT. */
const again = (tcb: ControlBlock, queued: number, now: number): Output | undefined => {
  const { snd } = tcb
  if (!snd.resend) return undefined
  const outstanding = Sequence.difference(snd.una, snd.max)
  const finOffset = snd.fin === undefined ? Infinity : Sequence.difference(snd.una, snd.fin)
  const length = Math.min(outstanding, queued, snd.mss, finOffset)
  const fin = finOffset === length && outstanding > length
  const next = Reply.acknowledged(tcb)
  const retransmit = Math.min(next.deadlines.retransmit, now + next.rtt.timeout)
  const flags = TcpFlag.ack | (length === queued ? TcpFlag.psh : 0) | (fin ? TcpFlag.fin : 0)
  return {
    tcb: {
      ...next,
      snd: { ...snd, resend: false },
      deadlines: { ...next.deadlines, retransmit }
    },
    segment: Reply.emission(next.rcv, snd.una, flags, length, 0)
  }
}

/** Text and FIN from SND.NXT on, as the windows allow. */
const text = (tcb: ControlBlock, queued: number, now: number, limit: number): Output | undefined => {
  const { snd } = tcb
  const sent = SendWindow.flight(snd)
  const unsent = queued - sent
  // After the FIN, `unsent` is −1.
  if (unsent < 0 || (unsent === 0 && !snd.closing)) return undefined
  const length = textLength(tcb, unsent, Math.max(limit, snd.mss))
  const isLast = length === unsent
  const fin = snd.closing && isLast && (snd.wnd - sent > length || (snd.forced && length === 0))
  if (length === 0 && !fin) return undefined

  // A probe beyond the window is not counted as sent: the peer is expected to drop it.
  const isProbe = snd.wnd <= sent
  const seq = snd.nxt
  const end = Sequence.add(seq, length + (fin ? 1 : 0))
  const rcv = ReceiveWindow.settled(tcb.rcv)
  const next = copy(
    tcb,
    {
      ...snd,
      nxt: isProbe ? seq : end,
      max: Sequence.latest(snd.max, end),
      fin: fin ? Sequence.add(seq, length) : snd.fin,
      small: length % snd.mss === 0 ? snd.small : Sequence.add(seq, length),
      sentAt: now,
      forced: false
    },
    rcv,
    !isProbe && seq === snd.max ? Rtt.start(tcb.rtt, end, now) : tcb.rtt,
    restarted(tcb, now),
    isProbe ? probed(tcb, now) : transmitted(tcb, now)
  )
  const flags = TcpFlag.ack | (isLast ? TcpFlag.psh : 0) | (fin ? TcpFlag.fin : 0)
  const probes = isProbe ? tcb.probes + 1 : 0
  return {
    tcb: probes === tcb.probes ? next : { ...next, probes },
    segment: Reply.emission(rcv, seq, flags, length, sent)
  }
}

/** RFC 6298 §5.1: the timer runs while anything is unacknowledged. */
const transmitted = ({ deadlines, rtt }: ControlBlock, now: number): Deadlines =>
  deadlines.retransmit !== Infinity && deadlines.persist === Infinity
    ? Reply.carried(deadlines)
    : {
      retransmit: Math.min(deadlines.retransmit, now + rtt.timeout),
      persist: Infinity,
      acknowledge: Infinity,
      timeWait: deadlines.timeWait
    }

const probed = (tcb: ControlBlock, now: number): Deadlines => ({
  ...Reply.carried(tcb.deadlines),
  persist: now + SendWindow.probeInterval(tcb, tcb.probes + 1)
})

/** How many of `unsent` octets the next segment carries; `limit` is at least the MSS. */
const textLength = (tcb: ControlBlock, unsent: number, limit: number): number => {
  const { snd } = tcb
  const usable = SendWindow.usable(tcb)
  const ready = Math.min(unsent, usable, limit)
  if (snd.forced) return Math.min(unsent, Math.max(1, ready), snd.mss)
  const tail = ready % snd.mss
  return tail === 0 || maySendTail(tcb, ready, unsent) ? ready : ready - tail
}

/** Whether `ready` octets may go although they end with less than a full segment. */
const maySendTail = (tcb: ControlBlock, ready: number, unsent: number): boolean => {
  const { closing, maxWnd, nxt, small, una } = tcb.snd
  const isSmallOnItsWay = Sequence.greaterThan(small, una) && Sequence.lessOrEqual(small, nxt)
  if (ready < unsent && (ready >= tcb.snd.mss || ready < Math.max(1, maxWnd >>> 1))) return false
  return (closing && ready === unsent) || !tcb.settings.nagle || !isSmallOnItsWay
}

/** RFC 5681 §4.1: after a pause longer than the retransmission timeout, the congestion window starts from its initial size. */
const restarted = ({ algorithm, congestion, rtt, snd }: ControlBlock, now: number): CongestionState => {
  if (snd.max !== snd.una || now - snd.sentAt <= rtt.timeout) return congestion
  const { window } = algorithm.initial(snd.mss)
  return window < congestion.window ? { ...congestion, window } : congestion
}
