/**
 * Proportional rate reduction (RFC 9937): during recovery the window goes down to the slow-start threshold smoothly, as the acknowledgements
 * arrive, and no lower than losses have already brought it.
 */
import type { ControlBlock } from "./ControlBlock.ts"

/** Octets since recovery began. */
export interface ReductionState {
  /** RecoverFS: in flight when it did. */
  readonly flight: number
  /** prr_delivered */
  readonly delivered: number
  /** prr_out */
  readonly out: number
}

export const begin = (flight: number): ReductionState => ({ flight: Math.max(flight, 1), delivered: 0, out: 0 })

/** What an acknowledgement in recovery allows (§6.2). `inFlight` is after it, `safe` whether SND.UNA advanced and nothing more was lost. */
export const reduce = (
  tcb: ControlBlock,
  delivered: number,
  inFlight: number,
  safe: boolean
): { readonly state: ReductionState; readonly window: number } => {
  const { mss } = tcb.snd
  const { slowStartThreshold } = tcb.congestion
  const before = tcb.recovery.reduction
  const state: ReductionState = { ...before, delivered: before.delivered + delivered }
  const proportional = inFlight > slowStartThreshold
    ? Math.ceil((state.delivered * slowStartThreshold) / state.flight) - state.out
    : Math.min(
      Math.max(state.delivered - state.out, delivered) + (safe ? mss : 0),
      slowStartThreshold - inFlight
    )
  // The first retransmission goes at once.
  const allowed = Math.max(proportional, state.out === 0 ? mss : 0, 0)
  return { state, window: inFlight + allowed }
}
