/**
 * Loss without SACK: duplicate acknowledgements (RFC 5681 §3.2) and partial ones (RFC 6582).
 *
 * Each duplicate says that one segment has left the network, though not which one; that is what the first two let out another one for
 * (RFC 3042), and what keeps the flight going in recovery.
 */
import { type ControlBlock, fitting } from "./ControlBlock.ts"
import * as RateSampling from "./RateSampling.ts"
import type { Arrived } from "./Recovery.ts"
import * as Sequence from "./Sequence.ts"
import * as Transmissions from "./Transmissions.ts"

/** Duplicates that prove a loss. */
const THRESHOLD = 3

/** Octets that duplicates say have left the network; while no loss is proven, no more than two segments (RFC 3042 §2). */
export const departed = ({ options, recovery, snd, transmissions }: ControlBlock): number => {
  if (options.sack || recovery.duplicates === 0 || recovery.phase === "loss") return 0
  const segments = recovery.phase === "open" ? Math.min(recovery.duplicates, 2) : recovery.duplicates
  return Math.min(segments * snd.mss, Transmissions.inFlight(transmissions))
}

/** Counts duplicates, and marks the first segment lost when they, or a partial acknowledgement, say so. */
export const counted = (tcb: ControlBlock, { isDuplicate, octets }: Arrived): ControlBlock => {
  const { recovery } = tcb
  if (octets > 0) {
    // RFC 6582 §3.2, step 3: what follows a partial acknowledgement is missing, too.
    const partial = recovery.phase === "recovery" && recovery.cause !== "echo" ? withHeadLost(tcb) : tcb
    const segments = Math.ceil(octets / tcb.snd.mss)
    const duplicates = recovery.phase === "open" ? 0 : Math.max(0, recovery.duplicates - segments + 1)
    return duplicates === recovery.duplicates ? partial : { ...partial, recovery: { ...partial.recovery, duplicates } }
  }
  if (!isDuplicate || recovery.phase === "loss") return tcb
  const next = { ...tcb, recovery: { ...recovery, duplicates: recovery.duplicates + 1 } }
  // §3.2, step 2: duplicates up to there stem from what was sent again; but after an echo of congestion, nothing was.
  const isNew = recovery.phase === "open"
    ? Sequence.greaterThan(tcb.snd.una, recovery.until)
    : recovery.cause === "echo"
  return isNew && recovery.duplicates + 1 >= THRESHOLD ? withHeadLost(next) : next
}

const withHeadLost = (tcb: ControlBlock): ControlBlock => {
  const { snd, transmissions } = tcb
  const length = Math.min(fitting(snd, snd.una), Transmissions.outstanding(transmissions))
  if (length === 0) return tcb
  const marked = Transmissions.lose(transmissions, snd.una, Sequence.add(snd.una, length))
  const lost = marked.lost - transmissions.lost
  return {
    ...tcb,
    // It goes at once, whatever the window (RFC 5681 §3.2, step 3).
    snd: { ...snd, forced: true },
    recovery: { ...tcb.recovery, cause: "loss" },
    transmissions: marked,
    delivery: RateSampling.lost(tcb.delivery, lost, 1),
    counts: { ...tcb.counts, lostOctets: tcb.counts.lostOctets + lost }
  }
}
