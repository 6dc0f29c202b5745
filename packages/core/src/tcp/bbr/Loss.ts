/**
 * What losses say of the volume that the path bears in the long run, and what is kept in case they were none
 * (draft-ietf-ccwg-bbr-06 §5.5.10.2, §5.5.11).
 */
import * as Sequence from "../Sequence.ts"
import type { Ack } from "./Ack.ts"
import * as Cycle from "./Cycle.ts"
import * as FullPipe from "./FullPipe.ts"
import * as Model from "./Model.ts"
import { BETA, LOSS_THRESHOLD } from "./Parameters.ts"
import { type BbrState, restoredWindow, savedWindow } from "./State.ts"

/** IsInflightTooHigh(): more of the flight was lost than probing may cost; a peer that does not acknowledge selectively shows one loss at most. */
export const isTooHigh = ({ inFlightAtSend, lostSince, selective }: Ack): boolean =>
  lostSince > (selective ? inFlightAtSend * LOSS_THRESHOLD : 0)

/** NoteLoss(): a round of losses begins with the first one. */
export const noted = (state: BbrState, recovering: boolean): BbrState => {
  const { signals } = state
  if (signals.lost) return state
  return { ...saved(state, recovering), signals: { ...signals, lost: true, end: state.delivered } }
}

/** Congestion beyond doubt: a timeout, or an echo. */
export const certain = (state: BbrState): BbrState => ({ ...state, signals: { ...state.signals, certain: true } })

/** SaveStateUponLoss() */
export const saved = (state: BbrState, recovering: boolean): BbrState => ({
  ...state,
  priorWindow: savedWindow(state, recovering),
  undo: { phase: undefined, shortTerm: state.shortTerm, longTerm: state.longTerm }
})

/** HandleLostPacket(), for all that this acknowledgement shows to be lost. */
export const note = (state: BbrState, ack: Ack): BbrState => {
  if (ack.lost === 0) return state
  const next = noted({ ...state, delivered: ack.total }, ack.recovering)
  const { signals } = next
  const counted = { ...signals, volume: signals.volume + ack.lost, ranges: signals.ranges + ack.lostRanges }
  return answered({ ...next, signals: counted }, ack)
}

/** Lowers the long-term bound, once for each probe, when the losses are due to it. */
export const answered = (state: BbrState, ack: Ack): BbrState => {
  if (!state.probe.sampling || !isTooHigh(ack)) return state
  const next = ack.limited ? state : lowered(state, ack.inFlightAtSend, ack.mss)
  return stopped(next, ack.now, ack.mss)
}

/** The path does not bear a flight of `volume` octets; but one congestion is no reason to go below `BETA`. */
export const lowered = (state: BbrState, volume: number, mss: number): BbrState => ({
  ...state,
  longTerm: Math.max(volume, BETA * Model.targetInFlight(state, mss), Model.minimumWindow(mss))
})

/** HandleInflightTooHigh(), but for the bound: the probe is over. */
export const stopped = (state: BbrState, now: number, mss: number): BbrState => {
  const next: BbrState = { ...state, probe: { ...state.probe, tooHigh: true, sampling: false } }
  return state.phase === "up" ? Cycle.startDown({ ...next, undo: { ...next.undo, phase: "up" } }, now, mss) : next
}

/** RestoreCwnd() once everything is acknowledged that was under way when the retransmission timer expired (§5.6.4.4). */
export const restored = (state: BbrState, ack: Ack): BbrState => {
  if (state.restoredAt === undefined) return state
  if (state.restoredAt === "unknown") return { ...state, restoredAt: ack.nxt }
  return Sequence.greaterOrEqual(ack.una, state.restoredAt)
    ? { ...state, window: restoredWindow(state), restoredAt: undefined }
    : state
}

/** HandleSpuriousLossDetection(): nothing was lost, and the model is as it was. */
export const undone = (state: BbrState): BbrState => {
  const { fullPipe, longTerm, shortTerm, signals, undo } = state
  const next: BbrState = {
    ...state,
    window: restoredWindow(state),
    restoredAt: undefined,
    signals: { ...signals, lost: false },
    fullPipe: FullPipe.sought(fullPipe, 0),
    shortTerm: {
      bandwidth: Math.max(shortTerm.bandwidth, undo.shortTerm.bandwidth),
      inFlight: Math.max(shortTerm.inFlight, undo.shortTerm.inFlight)
    },
    longTerm: Math.max(longTerm, undo.longTerm),
    undo: { ...undo, phase: undefined }
  }
  return resumed(next, undo.phase)
}

/** Back to where the losses ended an acceleration. */
const resumed = (state: BbrState, phase: "startup" | "up" | undefined): BbrState => {
  if (phase === undefined || phase === state.phase) return state
  const isBusy = state.phase === "probeRtt"
  if (phase === "up") return isBusy ? state : Cycle.startRefill(state)
  return {
    ...state,
    phase: isBusy ? state.phase : "startup",
    fullPipe: { ...state.fullPipe, reached: false }
  }
}
