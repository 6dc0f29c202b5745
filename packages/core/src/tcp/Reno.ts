/**
 * Reno: slow start and congestion avoidance (RFC 5681) with appropriate byte counting (RFC 3465) and the initial window
 * of RFC 6928.
 *
 * The window grows only while it, and not the program or the peer, limits what is sent, and stays between one segment
 * and what a peer can announce.
 */
import type { CongestionAlgorithm, CongestionState, CongestionView, Delivery, InPlace } from "./Congestion.ts"
import type { Writable } from "./ControlBlock.ts"

interface RenoState extends CongestionState {
  /** Octets acknowledged towards the next increase in congestion avoidance (RFC 3465 §2.1). */
  readonly credit: number
}

/** What a peer can announce at most (RFC 7323 §2.3): a larger window has no effect. */
export const LARGEST_WINDOW = 65_535 * 2 ** 14

/** L of RFC 3465 §2.3: how many segments one acknowledgement counts for in slow start. */
const LIMIT = 2

/** RFC 6928 §2 */
export const initialWindow = (mss: number): number => Math.min(10 * mss, Math.max(2 * mss, 14_600))

/** Whether an acknowledgement may open the window; in recovery it follows RFC 9937. */
export const mayGrow = (delivery: Delivery): boolean => delivery.windowLimited && !delivery.recovering

/**
 * The window after an acknowledgement in slow start, which ends at the threshold. While the repair of a timeout lasts, much
 * of what is acknowledged left the network long ago, and L is one segment (RFC 3465 §2.3).
 */
export const slowStart = (state: CongestionState, delivery: Delivery, mss: number): number => {
  const limit = delivery.afterTimeout ? 1 : LIMIT
  return Math.min(
    state.window + Math.min(delivery.acknowledged, limit * mss),
    state.slowStartThreshold,
    LARGEST_WINDOW
  )
}

/**
 * The window after a time in which nothing was sent is that of a new connection (RFC 5681 §4.1), but slow start goes to
 * three quarters of what it was (RFC 7661 §4.4.3).
 */
export const restart = <S extends CongestionState>(state: S, mss: number): S => ({
  ...state,
  window: Math.min(state.window, initialWindow(mss)),
  slowStartThreshold: Math.max(state.slowStartThreshold, 0.75 * state.window)
})

/** RFC 5681 §3.1, equation (4) */
const halved = (view: CongestionView): number => Math.max(Math.floor(view.inFlight / 2), 2 * view.mss)

const of = (state: CongestionState): RenoState => state as RenoState

/** RFC 3465 §2.1 */
const avoidCongestion = (reno: Writable<RenoState>, acknowledged: number, mss: number): void => {
  const { window } = reno
  reno.credit += acknowledged
  if (reno.credit < window) return
  reno.credit = Math.min(reno.credit - window, window)
  reno.window = Math.min(window + mss, LARGEST_WINDOW)
}

/** To a record that nobody else holds. */
const acknowledge: InPlace["acknowledge"] = (mine, delivery, { mss }) => {
  const reno: Writable<RenoState> = of(mine)
  if (!mayGrow(delivery)) return
  if (reno.window < reno.slowStartThreshold) {
    reno.window = slowStart(reno, delivery, mss)
    reno.credit = 0
  } else avoidCongestion(reno, delivery.acknowledged, mss)
}

const onAck: CongestionAlgorithm["onAck"] = (state, delivery, view) => {
  if (!mayGrow(delivery)) return state
  const next = { ...state }
  acknowledge(next, delivery, view)
  return next
}

const onCongestion = (reno: RenoState, cause: "loss" | "echo", view: CongestionView): RenoState => {
  const slowStartThreshold = halved(view)
  // RFC 3168 §6.1.2 halves the window down to a single segment; nothing is to be repaired.
  const window = cause === "loss" ? reno.window : Math.max(Math.min(reno.window / 2, slowStartThreshold), view.mss)
  return { ...reno, window, slowStartThreshold, credit: 0 }
}

const keep = (mine: RenoState | undefined, state: RenoState): RenoState => {
  if (mine === undefined) return { ...state }
  const to = mine as Writable<RenoState>
  to.window = state.window
  to.slowStartThreshold = state.slowStartThreshold
  to.credit = state.credit
  return mine
}

export const Reno: CongestionAlgorithm = {
  name: "reno",
  initial: (mss): RenoState => ({
    window: initialWindow(mss),
    slowStartThreshold: Infinity,
    credit: 0
  }),
  onAck,
  inPlace: { onAck, acknowledge },
  onCongestion: (state, cause, view) => onCongestion(of(state), cause, view),
  // RFC 9937 §4: wherever recovery has left the window, it is the threshold now.
  keep: (mine, state) => keep(mine && of(mine), of(state)),
  onRecovered: (state): RenoState => ({
    ...of(state),
    window: Number.isFinite(state.slowStartThreshold) ? state.slowStartThreshold : state.window
  }),
  onTimeout: (state, first, view): RenoState => ({
    ...of(state),
    window: view.mss,
    slowStartThreshold: first ? halved(view) : state.slowStartThreshold,
    credit: 0
  }),
  onSpurious: (state, before): RenoState => ({ ...of(before), window: Math.max(state.window, before.window) }),
  onIdle: (state, _, view): RenoState => ({ ...restart(of(state), view.mss), credit: 0 })
}
