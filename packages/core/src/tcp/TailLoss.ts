/**
 * Tail loss probes (RFC 8985 §7): when nothing comes back any more, one more segment makes the peer tell what it is missing, long before the
 * retransmission timer would.
 */
import { type ControlBlock, isOpening } from "./ControlBlock.ts"
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
  recovery.tail === undefined &&
  transmissions.sacked === 0 && transmissions.last !== undefined

/** When the probe is due if nothing comes back, or `Infinity`. */
export const deadline = (tcb: ControlBlock, now: number): number => {
  if (!isDue(tcb) || isOpening(tcb)) return Infinity
  const { rtt, snd, transmissions } = tcb
  if (rtt.smoothed === undefined) return now + BLIND
  const isSingle = Transmissions.outstanding(transmissions) <= snd.mss
  return now + Math.min(rtt.timeout, 2 * rtt.smoothed + (isSingle ? WORST_DELAY : MARGIN))
}

/** What an acknowledgement means for the probe that is out (§7.4.2): that it is over, that it repaired a loss, or nothing yet. */
export const acknowledged = (
  tail: TailProbe,
  una: number,
  duplicated: boolean,
  echo: number | undefined
): "open" | "over" | "repaired" => {
  if (tail.state === "due") return Sequence.greaterOrEqual(una, tail.end) ? "over" : "open"
  if (tail.isRepetition && duplicated) return "over"
  if (Sequence.lessThan(una, tail.end)) return "open"
  const isOriginals = echo !== undefined && echo < Math.floor(tail.sentAt)
  return tail.isRepetition && !isOriginals ? "repaired" : "over"
}
