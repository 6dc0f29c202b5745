/**
 * Tail loss probes (RFC 8985 §7): when nothing comes back any more, one more segment makes the peer tell what it is missing, long before the
 * retransmission timer would.
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
}

/** WCDelAckT: how long a peer may keep back the acknowledgement of a single segment; milliseconds. */
const WORST_DELAY = 200
/** Milliseconds by which a probe is later than two round trips, for the sake of coarse clocks. */
const MARGIN = 2
/** PTO without a round-trip time. */
const BLIND = 1000

/** Whether a probe may be scheduled (§7.2): nothing is known to be missing, and no probe is out. */
const isDue = ({ attempts, options, recovery, settings, transmissions }: ControlBlock): boolean =>
  settings.tailLossProbe && options.sack && attempts === 0 && recovery.phase === "open" &&
  recovery.tail === undefined && transmissions.sacked === 0 && Transmissions.outstanding(transmissions) > 0

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
