/**
 * Tail loss probes (RFC 8985 §7): when nothing comes back any more, a little more makes the peer tell what it is missing, long before the
 * retransmission timer would.
 *
 * Two things are other than there. A probe is two segments where there is so much to send, since a peer may keep back the acknowledgement
 * of one (RFC 5681 §4.2). And it comes in fast recovery, too, since that ends in a timeout when what was sent again, or the one acknowledgement
 * of it, is lost; RFC 9002 §6.2 probes there as well. Still, a phase has one probe, and a timeout follows when it does not help.
 */
import { type ControlBlock, isOpening } from "./ControlBlock.ts"
import type { Arrived } from "./Recovery.ts"
import * as Sequence from "./Sequence.ts"
import * as Transmissions from "./Transmissions.ts"

/** TLP.end_seq and TLP.is_retrans (§7.1). */
export interface TailProbe {
  /** To be sent, or sent. */
  readonly state: "due" | "sent"
  /** SND.NXT when the probe was sent. */
  readonly end: number
  readonly isRepetition: boolean
  readonly sentAt: number
  /** Segments that are still to be sent. */
  readonly due: number
}

/** Segments of a probe. */
export const SEGMENTS = 2

/** WCDelAckT: how long a peer may keep back the acknowledgement of a single segment; milliseconds. */
const WORST_DELAY = 200
/** Milliseconds by which a probe is later than two round trips, for the sake of coarse clocks. */
const MARGIN = 2
/** PTO without a round-trip time. */
const BLIND = 1000

/**
 * Whether a probe may be scheduled (§7.2): none is out, nothing is waiting to be sent again, and what RACK is about to find lost is left to its
 * timer.
 */
const isDue = ({ attempts, options, recovery, settings, transmissions }: ControlBlock): boolean =>
  settings.tailLossProbe && options.sack && attempts === 0 && recovery.tail === undefined &&
  (recovery.phase === "open"
    ? transmissions.sacked === 0
    : recovery.phase === "recovery" && transmissions.lost === 0) &&
  Transmissions.inFlight(transmissions) > 0

/**
 * When the probe is due if nothing comes back, or `Infinity`. It goes before a timeout (§7.2, TLP_calc_PTO); `retransmit` is when that is
 * due.
 */
export const deadline = (tcb: ControlBlock, retransmit: number, now: number): number => {
  if (!isDue(tcb) || isOpening(tcb)) return Infinity
  const { rtt, snd, transmissions } = tcb
  const isSingle = Transmissions.outstanding(transmissions) <= snd.mss
  const wait = rtt.smoothed === undefined ? BLIND : 2 * rtt.smoothed + (isSingle ? WORST_DELAY : MARGIN)
  return Math.min(now + wait, retransmit)
}

/** What an acknowledgement means for the probe that is out (§7.4.2): that it is over, that it repaired a loss, or nothing yet. */
export const acknowledged = (
  tail: TailProbe,
  una: number,
  { duplicated, echo }: Arrived
): "open" | "over" | "repaired" => {
  // What was repeated had arrived before: the peer says so, or, knowing nothing of D-SACK, repeats itself.
  if (tail.isRepetition && duplicated?.right === tail.end) return "over"
  if (Sequence.lessThan(una, tail.end)) return "open"
  if (tail.state === "due" || !tail.isRepetition) return "over"
  // The timestamp tells which of the two brought SND.UNA there.
  if (echo !== undefined) return echo < Math.floor(tail.sentAt) ? "over" : "repaired"
  return Sequence.greaterThan(una, tail.end) ? "repaired" : "open"
}
