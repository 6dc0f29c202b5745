/**
 * D-SACK (RFC 2883): tells the peer, once, which octets came although they were here already.
 *
 * The report is the first block of the next acknowledgement, which leaves at once.
 */
import type { ControlBlock, Range, ReceiveSpace } from "./ControlBlock.ts"
import { count } from "./Counts.ts"
import * as DelayedAcknowledgement from "./DelayedAcknowledgement.ts"
import * as Ranges from "./Ranges.ts"
import { type Segment, sequenceLength, TcpFlag } from "./Segment.ts"
import * as Sequence from "./Sequence.ts"

/** §4: the first run of octets of the segment that came before, in order or behind a gap. */
const find = ({ nxt, ranges }: ReceiveSpace, segment: Segment): Range | undefined => {
  const left = segment.seq
  const right = Sequence.add(left, sequenceLength(segment))
  if (left === right) return undefined
  if (Sequence.lessThan(left, nxt)) return { left, right: Sequence.lessThan(right, nxt) ? right : nxt }
  const range = Ranges.from(ranges, left)
  if (range === undefined || Sequence.greaterOrEqual(range.left, right)) return undefined
  return {
    left: Sequence.latest(range.left, left),
    right: Sequence.lessThan(range.right, right) ? range.right : right
  }
}

/** The control block that will report what of the segment came before, if anything did. */
export const noted = (tcb: ControlBlock, segment: Segment): ControlBlock => {
  const { options, rcv, settings } = tcb
  if ((segment.flags & (TcpFlag.syn | TcpFlag.rst)) !== 0) return tcb
  if (rcv.ranges.length === 0 && Sequence.greaterOrEqual(segment.seq, rcv.nxt)) return tcb
  const duplicate = find(rcv, segment)
  if (duplicate === undefined) return tcb
  return !options.sack || !settings.duplicateSack
    ? { ...tcb, rcv: DelayedAcknowledgement.warned(rcv) }
    : {
      ...tcb,
      rcv: DelayedAcknowledgement.restarted({ ...rcv, duplicate }, settings.quickAcknowledgements),
      counts: count(tcb.counts, "duplicatesReceived")
    }
}
