/**
 * CUBIC (RFC 9438): in congestion avoidance the window is a cubic function of the time since the last reduction, flat
 * around the window at which congestion was met, so that it does not depend on the round-trip time. Where Reno would be
 * faster, it is as fast as Reno.
 *
 * The RFC counts in segments and seconds, this file in octets and milliseconds; the state has the RFC's variables, and
 * `elapsed` for the RFC's t. Time in which the window did not limit what was sent is no part of it (§5.8). The
 * first slow start is HyStart++ (RFC 9406).
 */
import type { CongestionAlgorithm, CongestionState, CongestionView, Delivery, InPlace } from "./Congestion.ts"
import type { Writable } from "./ControlBlock.ts"
import * as HyStart from "./HyStart.ts"
import { initialWindow, LARGEST_WINDOW, mayGrow, restart, slowStart } from "./Reno.ts"

export interface CubicOptions {
  /** Whether a connection that meets congestion early gives way to others (RFC 9438 §4.7). Default true. */
  readonly fastConvergence?: boolean | undefined
  /** Whether the first slow start is HyStart++; otherwise it is that of Reno. Default true. */
  readonly hyStart?: boolean | undefined
}

/** Windows in octets, times in milliseconds. */
export interface CubicState extends CongestionState {
  /** W_max; 0 when there is none: at first, and after a timeout. */
  readonly maximum: number
  /** cwnd_prior: the window before the threshold was set. */
  readonly prior: number
  /** K: when the function reaches W_max. */
  readonly k: number
  /** t: how long this stage of congestion avoidance lasts, as far as it counts. */
  readonly elapsed: number
  /** Up to when `elapsed` was counted; undefined while there is no stage. */
  readonly counted: number | undefined
  /** W_est: the window that Reno would have. */
  readonly estimate: number
  /** Undefined when the first slow start is over. */
  readonly hyStart: HyStart.HyStart | undefined
}

/** §4.6 */
const BETA = 0.7
/** §5.1: segments per second³ */
const C = 0.4
/** §4.3 */
const ALPHA = 3 * (1 - BETA) / (1 + BETA)

/** C in octets per millisecond³ */
const scale = (mss: number): number => C * mss / 1e9

/** Milliseconds in which the function grows from `window` to `maximum` (§4.2, equation 2). */
export const timeToMaximum = (window: number, maximum: number, mss: number): number =>
  Math.cbrt((maximum - window) / scale(mss))

/** W_cubic(t), in octets (§4.2, equation 1). */
export const windowAt = (state: CubicState, t: number, mss: number): number => {
  const since = t - state.k
  return scale(mss) * since * since * since + state.maximum
}

const of = (state: CongestionState): CubicState => state as CubicState

/** A copy to be changed before it is given away; written out, since there is one for each acknowledgement. */
const draft = (cubic: CubicState): Writable<CubicState> => ({
  window: cubic.window,
  slowStartThreshold: cubic.slowStartThreshold,
  maximum: cubic.maximum,
  prior: cubic.prior,
  k: cubic.k,
  elapsed: cubic.elapsed,
  counted: cubic.counted,
  estimate: cubic.estimate,
  hyStart: cubic.hyStart
})

/** The beginning of a stage of congestion avoidance. Without a W_max it is flat first (§4.8, §4.10). */
const begin = (cubic: Writable<CubicState>, view: CongestionView): void => {
  cubic.maximum = Math.max(cubic.maximum, cubic.window)
  cubic.k = timeToMaximum(cubic.window, cubic.maximum, view.mss)
  cubic.elapsed = 0
  cubic.counted = view.now
  cubic.estimate = cubic.window
}

/** Time passes; what a program was idle meanwhile does not count: a full window is answered every round trip. */
const elapsed = (cubic: CubicState, view: CongestionView): number => {
  const passed = view.now - (cubic.counted ?? view.now)
  return cubic.elapsed + Math.min(passed, 2 * (view.smoothedRtt ?? passed))
}

/** §4.2 to 4.5 */
const avoidCongestion = (cubic: Writable<CubicState>, delivery: Delivery, view: CongestionView): void => {
  if (cubic.counted === undefined) begin(cubic, view)
  const { window } = cubic
  const t = elapsed(cubic, view)
  const share = Math.min(delivery.acknowledged / window, 1)
  const alpha = cubic.estimate < cubic.prior ? ALPHA : 1
  const estimate = Math.min(cubic.estimate + alpha * view.mss * share, LARGEST_WINDOW)
  const target = Math.min(Math.max(windowAt(cubic, t + (view.smoothedRtt ?? 0), view.mss), window), 1.5 * window)
  const next = windowAt(cubic, t, view.mss) < estimate
    ? Math.max(window, estimate)
    : window + (target - window) * share
  cubic.window = Math.min(next, LARGEST_WINDOW)
  cubic.elapsed = t
  cubic.counted = view.now
  cubic.estimate = estimate
}

/** The first slow start; when HyStart++ says that it is over, without a loss (§4.10). */
const startCarefully = (
  cubic: Writable<CubicState>,
  hyStart: Writable<HyStart.HyStart>,
  delivery: Delivery,
  mss: number
): void => {
  const { cssRounds } = hyStart
  const increase = HyStart.increase(hyStart, delivery.acknowledged, mss)
  HyStart.acknowledge(hyStart, delivery.rtt, delivery.una, delivery.nxt)
  // Round trips can be measured all the same, but what a small flight proves is no end of slow start.
  if (!mayGrow(delivery)) {
    hyStart.cssRounds = cssRounds
    return
  }
  cubic.window = Math.min(cubic.window + increase, LARGEST_WINDOW)
  if (HyStart.isOver(hyStart)) {
    cubic.slowStartThreshold = cubic.window
    cubic.prior = cubic.window
    cubic.hyStart = undefined
  }
}

/** To a record that nobody else holds, nor what is in it. */
const acknowledge: InPlace["acknowledge"] = (mine, delivery, view) => {
  const cubic: Writable<CubicState> = of(mine)
  if (cubic.hyStart !== undefined) startCarefully(cubic, cubic.hyStart, delivery, view.mss)
  else if (!mayGrow(delivery)) {
    // Time does not count while the window is not what limits.
    if (cubic.counted !== undefined) cubic.counted = view.now
  } else if (cubic.window < cubic.slowStartThreshold) cubic.window = slowStart(cubic, delivery, view.mss)
  else avoidCongestion(cubic, delivery, view)
}

const onAck: CongestionAlgorithm["onAck"] = (state, delivery, view) => {
  const cubic = of(state)
  if (cubic.hyStart === undefined && cubic.counted === undefined && !mayGrow(delivery)) return cubic
  const next = draft(cubic)
  if (cubic.hyStart !== undefined) next.hyStart = HyStart.draft(cubic.hyStart)
  acknowledge(next, delivery, view)
  return next
}

/** §4.6. The window is what was in flight, since it grows only when it is filled. */
const reduced = (cubic: CubicState, view: CongestionView): number => Math.max(cubic.window * BETA, 2 * view.mss)

/** W_max after congestion (§4.7) */
const maximumOf = ({ maximum, window }: CubicState, fastConvergence: boolean): number =>
  fastConvergence && window < maximum ? window * (1 + BETA) / 2 : window

const onCongestion = (
  cubic: CubicState,
  cause: "loss" | "echo",
  view: CongestionView,
  fastConvergence: boolean
): CubicState => ({
  ...cubic,
  // Nothing is to be repaired after an echo, and only then may the window be a single segment.
  window: cause === "loss" ? cubic.window : Math.max(cubic.window * BETA, view.mss),
  slowStartThreshold: reduced(cubic, view),
  maximum: maximumOf(cubic, fastConvergence),
  prior: cubic.window,
  counted: undefined,
  hyStart: undefined
})

/** §4.8 */
const onTimeout = (cubic: CubicState, first: boolean, view: CongestionView): CubicState => ({
  ...cubic,
  window: view.mss,
  slowStartThreshold: first ? reduced(cubic, view) : cubic.slowStartThreshold,
  maximum: 0,
  prior: first ? cubic.window : cubic.prior,
  counted: undefined,
  hyStart: undefined
})

/** §4.9: everything is as before, unless the window has grown beyond that meanwhile; the time between does not count. */
const onSpurious = (cubic: CubicState, before: CubicState, now: number): CubicState =>
  cubic.window < before.window
    ? { ...before, counted: before.counted === undefined ? undefined : now }
    : cubic

/** After the slow start that follows, the function leads to the window that was reached before. */
const onIdle = (cubic: CubicState, mss: number): CubicState => ({
  ...restart(cubic, mss),
  maximum: cubic.counted === undefined ? cubic.maximum : Math.max(cubic.maximum, cubic.window),
  counted: undefined
})

const keep = (mine: CubicState | undefined, state: CubicState): CubicState => {
  const hyStart = state.hyStart === undefined ? undefined : HyStart.keep(mine?.hyStart, state.hyStart)
  if (mine === undefined) return { ...state, hyStart }
  const to = mine as Writable<CubicState>
  to.window = state.window
  to.slowStartThreshold = state.slowStartThreshold
  to.maximum = state.maximum
  to.prior = state.prior
  to.k = state.k
  to.elapsed = state.elapsed
  to.counted = state.counted
  to.estimate = state.estimate
  to.hyStart = hyStart
  return mine
}

const isConservative = ({ hyStart }: CubicState): boolean => hyStart !== undefined && HyStart.isConservative(hyStart)

/** CUBIC with other options than the default. */
export const make = (options: CubicOptions = {}): CongestionAlgorithm => {
  const { fastConvergence = true, hyStart = true } = options
  return {
    name: "cubic",
    stage: (state) => isConservative(of(state)) ? "conservative slow start" : undefined,
    initial: (mss): CubicState => ({
      window: initialWindow(mss),
      slowStartThreshold: Infinity,
      maximum: 0,
      prior: 0,
      k: 0,
      elapsed: 0,
      counted: undefined,
      estimate: 0,
      hyStart: hyStart ? HyStart.initial : undefined
    }),
    onAck,
    inPlace: { onAck, acknowledge },
    onCongestion: (state, cause, view) => onCongestion(of(state), cause, view, fastConvergence),
    // RFC 9937 §4: wherever recovery has left the window, it is the threshold now.
    onRecovered: (state): CubicState => ({
      ...of(state),
      window: Number.isFinite(state.slowStartThreshold) ? state.slowStartThreshold : state.window
    }),
    onTimeout: (state, first, view) => onTimeout(of(state), first, view),
    keep: (mine, state) => keep(mine && of(mine), of(state)),
    onSpurious: (state, before, view) => onSpurious(of(state), of(before), view.now),
    onIdle: (state, _, view) => onIdle(of(state), view.mss)
  }
}

export const Cubic: CongestionAlgorithm = make()
