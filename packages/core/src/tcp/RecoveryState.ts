/**
 * Where a connection stands in the repair of losses:
 *
 * - `open`: nothing is known to be missing;
 * - `recovery`: fast recovery, after a loss that acknowledgements told about, or an echo of congestion;
 * - `loss`: after a retransmission timeout.
 *
 * A phase ends when everything is acknowledged that was on its way when it began.
 */
import * as RateReduction from "./RateReduction.ts"
import type { Undo } from "./Spurious.ts"
import type { TailProbe } from "./TailLoss.ts"

export interface RecoveryState {
  readonly phase: "open" | "recovery" | "loss"
  /** What the phase began with: nothing is missing after an echo of congestion; the loss of a tail is one that a probe has repaired already. */
  readonly cause: "loss" | "tail" | "echo"
  /** RecoveryPoint (RFC 6675 §5): the phase ends when everything before it is acknowledged; afterwards, where the last one ended. */
  readonly until: number
  /** Duplicate acknowledgements, where there is no SACK (RFC 5681 §2). */
  readonly duplicates: number
  readonly reduction: RateReduction.ReductionState
  readonly undo: Undo | undefined
  readonly tail: TailProbe | undefined
  /** F-RTO (RFC 5682 §3.1): not in question; before the first acknowledgement after a timeout; after it, when new text goes first. */
  readonly forward: "none" | "first" | "second"
}

export const initial = (iss: number): RecoveryState => ({
  phase: "open",
  cause: "loss",
  until: iss,
  duplicates: 0,
  reduction: RateReduction.begin(1),
  undo: undefined,
  tail: undefined,
  forward: "none"
})
