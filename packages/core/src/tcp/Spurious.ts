/**
 * Losses that were none: the windows are given back when it turns out that nothing was lost but time.
 *
 * - Eifel (RFC 3522, 4015): the acknowledgement echoes a timestamp from before the first retransmission.
 * - D-SACK (RFC 2883, 3708): everything that was sent again had arrived already.
 * - F-RTO (RFC 5682): after a timeout, something was delivered that was not sent again.
 */
import type { CongestionState } from "./Congestion.ts"
import { type ControlBlock, type Range } from "./ControlBlock.ts"
import { count, type Counts } from "./Counts.ts"
import * as Sequence from "./Sequence.ts"
import * as Transmissions from "./Transmissions.ts"

/** What is remembered of the time before a loss was assumed. */
export interface Undo {
  readonly congestion: CongestionState
  /** SND.UNA then. */
  readonly since: number
  /** Octets sent again that no D-SACK has reported yet; undefined before any was. */
  readonly pending: number | undefined
  /** When the first octet was sent again. */
  readonly resentAt: number | undefined
}

/** A loss is assumed; what an earlier recovery has sent again may still be on its way, and proves nothing when it arrives. */
export const remember = (congestion: CongestionState, transmissions: Transmissions.Transmissions): Undo => {
  const { octets, since } = Transmissions.repeated(transmissions)
  return {
    congestion,
    since: transmissions.una,
    pending: octets === 0 ? undefined : octets,
    resentAt: octets === 0 ? undefined : since
  }
}

/** `octets` were sent again. */
export const resent = (undo: Undo | undefined, octets: number, now: number): Undo | undefined =>
  undo === undefined ? undefined : { ...undo, pending: (undo.pending ?? 0) + octets, resentAt: undo.resentAt ?? now }

/** The peer reported `range` as a duplicate. */
export const duplicated = (undo: Undo | undefined, range: Range): Undo | undefined =>
  undo?.pending === undefined || Sequence.lessThan(range.left, undo.since)
    ? undo
    : { ...undo, pending: undo.pending - Sequence.difference(range.left, range.right) }

export type Proof = "timestampUndos" | "duplicateUndos" | "spuriousTimeouts"

/** What proves that nothing was lost, or undefined. `echo` is when the segment left that the peer answers, if SND.UNA advanced. */
export const proof = (
  { recovery: { forward, phase, undo } }: ControlBlock,
  news: Transmissions.News,
  echo: number | undefined
): Proof | undefined => {
  if (undo === undefined || phase === "open") return undefined
  if (phase === "loss" && forward !== "none" && news.original) return "spuriousTimeouts"
  if (undo.pending !== undefined && undo.pending <= 0) return "duplicateUndos"
  return undo.resentAt !== undefined && echo !== undefined && echo < Math.floor(undo.resentAt)
    ? "timestampUndos"
    : undefined
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
  const counts: Counts = count(tcb.counts, by)
  return {
    ...tcb,
    transmissions: Transmissions.unlose(tcb.transmissions),
    congestion: restored,
    recovery: { ...recovery, phase: "open" as const, forward: "none" as const, undo: undefined },
    counts,
    attempts: 0
  }
}
