/**
 * Text and FIN of an acceptable segment: the sixth to eighth steps of RFC 9293 §3.10.7.4.
 *
 * Positions are octets from RCV.NXT here, and so ordinary numbers. Nothing is
 * kept outside of the window or behind a FIN.
 */
import {
  type ControlBlock,
  type Deadlines,
  draft,
  draftDeadlines,
  draftReceive,
  NEVER,
  type ReceiveSpace,
  type State
} from "./ControlBlock.ts"
import { count } from "./Counts.ts"
import * as DelayedAcknowledgement from "./DelayedAcknowledgement.ts"
import * as DuplicateSack from "./DuplicateSack.ts"
import * as Options from "./Options.ts"
import * as Ranges from "./Ranges.ts"
import * as ReceiveTuning from "./ReceiveTuning.ts"
import * as ReceiveWindow from "./ReceiveWindow.ts"
import * as Reply from "./Reply.ts"
import { type Segment, TcpFlag } from "./Segment.ts"
import * as Sequence from "./Sequence.ts"
import type { Emission, Outcome } from "./TcpMachine.ts"

/** An outcome without text. */
export const outcome = (tcb: ControlBlock, acknowledged = 0, reply?: Emission): Outcome => ({
  tcb,
  acknowledged,
  textSkip: 0,
  textLength: 0,
  textOffset: 0,
  reply,
  reopens: false
})

/** Whether the state takes text: the peer's FIN has not been reached. */
const isReceiving = (state: State): boolean =>
  state === "ESTABLISHED" || state === "FIN-WAIT-1" || state === "FIN-WAIT-2" || state === "SYN-RECEIVED"

/** Takes what `segment` brings; `acknowledged` is passed on to the outcome. */
export const receive = (before: ControlBlock, segment: Segment, acknowledged: number, now: number): Outcome => {
  const hasFin = (segment.flags & TcpFlag.fin) !== 0
  const hasUrgent = (segment.flags & TcpFlag.urg) !== 0
  if ((segment.length === 0 && !hasFin && !hasUrgent) || !isReceiving(before.state)) {
    return outcome(before, acknowledged)
  }

  const tcb = DuplicateSack.noted(before, segment)
  const rcv = hasUrgent ? urgent(tcb.rcv, segment) : tcb.rcv
  const start = Sequence.difference(rcv.nxt, segment.seq)
  const fin = finPosition(rcv, segment, start)
  const from = Math.max(start, 0)
  const to = Math.min(start + segment.length, ReceiveWindow.understood(rcv), fin)
  const isKept = from === 0 || Ranges.hasRoom(rcv.ranges, Sequence.add(rcv.nxt, from), Sequence.add(rcv.nxt, to))
  const length = isKept ? Math.max(to - from, 0) : 0

  const noticed = isKept ? tcb : { ...tcb, counts: count(tcb.counts, "gapsRejected") }
  const taken = take(noticed, rcv, from, length, fin, segment, now)
  const isAhead = start > 0 && (segment.length > 0 || hasFin)
  // RFC 5681 §3.2: one immediate duplicate for each segment after a gap; RFC 2883 §4: each that came twice has a report of its own.
  const isUrgent = isAhead || taken.rcv.duplicate !== undefined || DelayedAcknowledgement.isUrgent(rcv, taken.rcv)
  const answered = isUrgent && taken.state !== "TIME-WAIT" ? Reply.acknowledge(taken, now) : undefined
  return {
    tcb: answered?.tcb ?? taken,
    acknowledged,
    textSkip: length > 0 ? from - start : 0,
    textLength: length,
    textOffset: length > 0 ? from : 0,
    reply: answered?.segment,
    reopens: false
  }
}

/** Sixth: the urgent pointer names the octet after the urgent ones (RFC 6093); they stay in line. */
const urgent = (rcv: ReceiveSpace, segment: Segment): ReceiveSpace => ({
  ...rcv,
  up: Sequence.latest(rcv.up, Sequence.add(segment.seq, segment.up))
})

/** Where the peer's FIN stands, `Infinity` while unknown. One that contradicts what is already here is ignored. */
const finPosition = (rcv: ReceiveSpace, segment: Segment, start: number): number => {
  if (rcv.fin !== undefined) return Sequence.difference(rcv.nxt, rcv.fin)
  if ((segment.flags & TcpFlag.fin) === 0) return Infinity
  const position = start + segment.length
  return position < ReceiveWindow.understood(rcv) && !Ranges.passes(rcv.ranges, Sequence.add(rcv.nxt, position))
    ? position
    : Infinity
}

/** Seventh: RCV.NXT passes what is there without a gap, and eighth: the FIN when it is reached. */
const take = (
  tcb: ControlBlock,
  rcv: ReceiveSpace,
  from: number,
  length: number,
  fin: number,
  segment: Segment,
  now: number
): ControlBlock => {
  const ranges = from > 0 && length > 0
    ? Ranges.insert(rcv.ranges, Sequence.add(rcv.nxt, from), Sequence.add(rcv.nxt, from + length))
    : rcv.ranges
  const end = Sequence.add(rcv.nxt, from > 0 ? 0 : length)
  const reached = ranges.length === 0 ? end : Ranges.reach(ranges, end)
  const advanced = Sequence.difference(rcv.nxt, reached)
  const isFinished = advanced === fin
  const nxt = isFinished ? Sequence.add(reached, 1) : reached
  const space = draftReceive(rcv)
  space.nxt = nxt
  space.wnd = Math.max(0, rcv.wnd - advanced - (isFinished ? 1 : 0))
  space.up = Sequence.latest(rcv.up, nxt)
  space.unread += advanced
  if (fin !== Infinity) space.fin = Sequence.add(rcv.nxt, fin)
  DelayedAcknowledgement.received(space, tcb, segment, advanced, length, isFinished, now)
  if (ranges !== rcv.ranges) space.recent = Options.recent(rcv, ranges, Sequence.add(rcv.nxt, from))
  if (ranges.length > 0) space.ranges = Ranges.beyond(ranges, reached)
  const next = draft(tcb)
  next.rcv = space
  if (space.acknowledge === "delayed" && tcb.deadlines.acknowledge === Infinity) {
    const deadlines = draftDeadlines(tcb.deadlines)
    deadlines.acknowledge = now + tcb.settings.delayedAcknowledgement
    next.deadlines = deadlines
  }
  if (isFinished) return finished(next, now)
  return advanced > 0 ? ReceiveTuning.arrived(next, segment, now) : next
}

/** Eighth: the peer has nothing more to send. */
const finished = (tcb: ControlBlock, now: number): ControlBlock => {
  switch (tcb.state) {
    case "FIN-WAIT-1":
      return { ...tcb, state: "CLOSING" }
    case "FIN-WAIT-2":
      return timeWait(tcb, now)
    default:
      return { ...tcb, state: "CLOSE-WAIT" }
  }
}

/** TIME-WAIT for 2 MSL from now, with the other timers off. */
export const timeWait = (tcb: ControlBlock, now: number): ControlBlock => {
  const deadlines: Deadlines = {
    ...NEVER,
    acknowledge: tcb.deadlines.acknowledge,
    timeWait: now + 2 * tcb.settings.maximumSegmentLifetime
  }
  return { ...tcb, state: "TIME-WAIT", deadlines }
}
