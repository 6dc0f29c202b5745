/**
 * Losses that were none: the windows are given back when it turns out that nothing was lost but time.
 *
 * - Eifel (RFC 3522, 4015): what filled the first gap that was repaired was sent before it was sent again, as its timestamp tells; or, without
 *   timestamps, it came sooner than an answer to what was sent again can.
 * - D-SACK (RFC 2883, 3708): everything that was sent again had arrived already.
 * - F-RTO (RFC 5682): after a timeout, new text went first, and something was delivered that was not sent again.
 */
import type { CongestionState } from "./Congestion.ts"
import { type ControlBlock, type Range } from "./ControlBlock.ts"
import { count, type Counts } from "./Counts.ts"
import * as Rack from "./Rack.ts"
import type { Arrived } from "./Recovery.ts"
import type { RecoveryState } from "./RecoveryState.ts"
import * as Sequence from "./Sequence.ts"
import * as Transmissions from "./Transmissions.ts"

/** What is remembered of the time before a loss was assumed. */
export interface Undo {
  readonly congestion: CongestionState
  /** SND.UNA then. */
  readonly since: number
  /** Octets sent again that no D-SACK has reported yet; undefined before any was. */
  readonly pending: number | undefined
  /** When the first octets were sent again, and which. */
  readonly resentAt: number | undefined
  readonly resentFrom: number
}

/** A loss is assumed; what an earlier recovery has sent again may still be on its way, and be reported as well. */
export const remember = ({ algorithm, congestion, transmissions }: ControlBlock): Undo => {
  const octets = Transmissions.repeated(transmissions)
  return {
    // The connection's own record changes.
    congestion: algorithm.keep?.(undefined, congestion) ?? congestion,
    since: transmissions.una,
    pending: octets === 0 ? undefined : octets,
    resentAt: undefined,
    resentFrom: transmissions.una
  }
}

/** `octets` from `left` on were sent again. */
export const resent = (undo: Undo | undefined, left: number, octets: number, now: number): Undo | undefined => {
  if (undo === undefined) return undefined
  const isFirst = undo.resentAt === undefined
  return {
    ...undo,
    pending: (undo.pending ?? 0) + octets,
    resentAt: isFirst ? now : undo.resentAt,
    resentFrom: isFirst ? left : undo.resentFrom
  }
}

/** The peer reported `range` as a duplicate. Once all is repaired, only what was sent before counts. */
export const reported = ({ phase, undo, until }: RecoveryState, range: Range): Undo | undefined => {
  if (undo?.pending === undefined || Sequence.lessThan(range.left, undo.since)) return undo
  if (phase === "open" && Sequence.greaterOrEqual(range.left, until)) return undo
  return { ...undo, pending: undo.pending - Sequence.difference(range.left, range.right) }
}

export type Proof = "timestampUndos" | "duplicateUndos" | "spuriousTimeouts"

/** What proves that nothing was lost, or undefined. Duplicates may be reported after all is repaired. */
export const proof = (
  { recovery: { forward, phase, undo }, rtt, snd }: ControlBlock,
  { duplicated, echo, news, octets }: Arrived
): Proof | undefined => {
  if (undo === undefined || (octets === 0 && duplicated === undefined && news.delivered === 0)) return undefined
  if (undo.pending !== undefined && undo.pending <= 0 && duplicated !== undefined) return "duplicateUndos"
  if (phase === "loss" && forward === "second" && news.original) return "spuriousTimeouts"
  if (phase === "open" || undo.resentAt === undefined) return undefined
  // RFC 3522 §3.2, step 4: the first acknowledgement of what was sent again.
  const before = Sequence.add(snd.una, -octets)
  const isFirst = Sequence.lessOrEqual(before, undo.resentFrom) && Sequence.greaterThan(snd.una, undo.resentFrom)
  const isOriginals = echo === undefined
    ? phase === "recovery" && news.now - undo.resentAt < rtt.minimum / 2
    : echo < Math.floor(undo.resentAt)
  return isFirst && isOriginals ? "timestampUndos" : undefined
}

/** Whatever proves that a timeout was one too many, it is counted as that; and by F-RTO, also by name. */
const countedAs = ({ counts, recovery }: ControlBlock, by: Proof): Counts => {
  if (recovery.phase !== "loss") return count(counts, by)
  const taken = count(counts, "timeoutUndos")
  return by === "spuriousTimeouts" ? count(taken, by) : taken
}

/** As if no loss had been assumed. */
export const undone = (
  tcb: ControlBlock,
  by: Proof,
  view: Parameters<NonNullable<ControlBlock["algorithm"]["onSpurious"]>>[2]
) => {
  const { algorithm, congestion, recovery } = tcb
  const before = recovery.undo!.congestion
  const restored: CongestionState = algorithm.onSpurious === undefined
    ? { ...before, window: Math.max(before.window, congestion.window) }
    : algorithm.onSpurious(congestion, before, view)
  return {
    ...tcb,
    transmissions: Transmissions.unlose(tcb.transmissions),
    // The original came after what had left later.
    rack: recovery.phase === "loss" ? tcb.rack : Rack.reordered(tcb.rack),
    congestion: restored,
    // What is lost after all counts anew.
    recovery: {
      ...recovery,
      phase: "open" as const,
      forward: "none" as const,
      undo: undefined,
      until: Sequence.add(tcb.snd.una, -1)
    },
    counts: countedAs(tcb, by),
    attempts: 0
  }
}
