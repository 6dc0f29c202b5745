/**
 * Sending again what is thought lost: the lowest octets first (RFC 6675 §4, NextSeg, rule 1), as far as the congestion window allows.
 */
import { TcpFlag } from "../wire/TcpHeader.ts"
import { type ControlBlock, copy, fitting } from "./ControlBlock.ts"
import { count } from "./Counts.ts"
import * as Pacing from "./Pacing.ts"
import * as RateSampling from "./RateSampling.ts"
import * as ReceiveWindow from "./ReceiveWindow.ts"
import * as Reply from "./Reply.ts"
import * as SendWindow from "./SendWindow.ts"
import * as Sequence from "./Sequence.ts"
import * as Spurious from "./Spurious.ts"
import * as TailLoss from "./TailLoss.ts"
import type { Emission } from "./TcpMachine.ts"
import * as Transmissions from "./Transmissions.ts"

interface Output {
  readonly tcb: ControlBlock
  readonly segment: Emission
}

/** The next lost segment, if it may go now; where the device cuts text of up to `limit` octets, adjoining ones with it. */
export const next = (tcb: ControlBlock, queued: number, now: number, limit: number): Output | undefined => {
  const { snd, transmissions } = tcb
  const lost = Transmissions.firstLost(transmissions)
  if (lost === undefined) return undefined
  const left = Sequence.latest(lost.left, snd.una)
  const offered = SendWindow.within(snd, left)
  const isHeld = offered === 0
  const allowance = SendWindow.allowance(tcb)
  const size = snd.forced ? snd.mss : together(tcb, limit, allowance, now)
  const length = Math.min(Sequence.difference(left, lost.right), fitting(snd, left, size), Math.max(offered, 1))
  if (!snd.forced && (isHeld || allowance < Math.min(length, snd.mss) || Pacing.isEarly(tcb, now))) return undefined
  const again = repeat(tcb, queued, now, left, length)
  return isHeld ? { tcb: asProbe(tcb, again.tcb, now), segment: again.segment } : again
}

/** Octets that may go again together: whole segments, as many as the congestion window and the pace let go, and one at least. */
const together = (tcb: ControlBlock, limit: number, allowance: number, now: number): number =>
  Math.max(tcb.snd.mss, Math.min(Pacing.together(tcb, limit, now), allowance - allowance % tcb.snd.mss))

/**
 * Before a closed window, it is a probe of that (RFC 9293 §3.8.6.1): the peer is expected to drop it, and it stays lost. The persist timer
 * takes over once nothing is on its way any more.
 */
const asProbe = (before: ControlBlock, after: ControlBlock, now: number): ControlBlock => {
  const { transmissions } = before
  if (Transmissions.inFlight(transmissions) > 0) return { ...after, transmissions }
  const probes = before.probes + 1
  const persist = now + SendWindow.probeInterval(before, probes)
  return {
    ...after,
    transmissions,
    probes,
    counts: count(before.counts, "windowProbes"),
    deadlines: { ...after.deadlines, retransmit: Infinity, persist }
  }
}

/** `length` sequence numbers from `left` on once more; the last one may be our FIN. */
export const repeat = (tcb: ControlBlock, queued: number, now: number, left: number, length: number): Output => {
  const { recovery, snd, transmissions } = tcb
  const right = Sequence.add(left, length)
  const { mss } = snd
  const hasFin = snd.fin !== undefined && Sequence.greaterThan(right, snd.fin)
  const octets = hasFin ? length - 1 : length
  const offset = Sequence.difference(snd.una, left)
  const rcv = ReceiveWindow.settled(tcb.rcv)
  const inFlight = SendWindow.inFlight(tcb)
  const delivery = RateSampling.sending(tcb.delivery, inFlight, now)
  const { deadlines } = tcb
  // RFC 6298 §5.1; and when the first segment goes again, the timer is about this one.
  const retransmit = left === snd.una ? now + tcb.rtt.timeout : Math.min(deadlines.retransmit, now + tcb.rtt.timeout)
  const paceAt = Pacing.after(tcb, octets, now)
  const after = copy(
    tcb,
    { ...snd, sentAt: now, forced: false, peak: inFlight + length, paceAt },
    rcv,
    Transmissions.resent(transmissions, left, right, now, RateSampling.markOf(delivery)),
    tcb.congestion,
    { ...Reply.carried(deadlines), retransmit, pace: paceAt > now ? paceAt : Infinity, persist: Infinity }
  )
  const flags = TcpFlag.ack | (offset + octets === queued ? TcpFlag.psh : 0) | (hasFin ? TcpFlag.fin : 0)
  const isFast = recovery.phase === "recovery"
  const segments = Math.max(1, Math.ceil(octets / mss))
  return {
    tcb: {
      ...after,
      delivery,
      deadlines: { ...after.deadlines, tail: TailLoss.deadline(after, retransmit, now) },
      recovery: {
        ...recovery,
        reduction: isFast ? { ...recovery.reduction, out: recovery.reduction.out + length } : recovery.reduction,
        undo: Spurious.resent(recovery.undo, left, length, now),
        // RFC 5682 §2.1, step 2b: no new text could go, so nothing can be told from what is delivered.
        forward: recovery.forward === "second" ? "none" : recovery.forward
      },
      counts: {
        ...tcb.counts,
        retransmitted: tcb.counts.retransmitted + segments,
        retransmittedOctets: tcb.counts.retransmittedOctets + octets,
        fastRetransmits: tcb.counts.fastRetransmits + (isFast ? segments : 0),
        slowRetransmits: tcb.counts.slowRetransmits + (recovery.phase === "loss" && !snd.forced ? segments : 0)
      }
    },
    segment: Reply.emission(tcb, rcv, left, flags, octets, offset, now, octets > mss ? mss : 0)
  }
}

/** The control block after a tail loss probe: only the retransmission timer is left to wait for (RFC 8985 §7.3). */
export const probed = (tcb: ControlBlock, tail: TailLoss.TailProbe, now: number): ControlBlock => ({
  ...tcb,
  recovery: { ...tcb.recovery, tail },
  deadlines: { ...tcb.deadlines, tail: Infinity, retransmit: now + tcb.rtt.timeout },
  counts: tail.state === "sent" ? count(tcb.counts, "tailProbes") : tcb.counts
})
