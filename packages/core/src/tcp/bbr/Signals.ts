/**
 * The delivery process of late: round trips, the greatest bandwidth, and the short-term model that losses draw near to
 * it (draft-ietf-ccwg-bbr-06 §5.5.1 to §5.5.6, §5.5.10.3).
 */
import type { Ack } from "./Ack.ts"
import * as Model from "./Model.ts"
import { BETA } from "./Parameters.ts"
import { type BbrState, isAccelerating, type Rounds, type ShortTerm, type Signals } from "./State.ts"

/** UpdateLatestDeliverySignals(): the best that this round of losses has delivered so far. */
export const latest = (state: BbrState, ack: Ack): BbrState => {
  const { signals } = state
  const started = ack.prior >= signals.end
  return {
    ...state,
    delivered: ack.total,
    signals: {
      bandwidth: Math.max(signals.bandwidth, ack.rate),
      inFlight: Math.max(signals.inFlight, ack.flight),
      lost: signals.lost,
      certain: signals.certain,
      end: started ? ack.total : signals.end,
      started,
      volume: started ? 0 : signals.volume,
      share: started ? lostShare(signals, ack) : signals.share,
      ranges: signals.ranges
    }
  }
}

/** What was lost of a round. It began with a loss; were that counted, all rounds would seem worse than they are. */
const lostShare = ({ end, volume }: Signals, { mss, total }: Ack): number =>
  volume === 0 ? -1 : Math.max(0, volume - mss) / (total - end + volume)

/** UpdateRound(), and whether the window was full in it. */
const advanced = (rounds: Rounds, ack: Ack, window: number): Rounds => {
  const started = ack.prior >= rounds.end
  const count = started ? rounds.count + 1 : rounds.count
  const filled = ack.inFlightBefore + ack.mss > window ? count : rounds.filled
  return started || rounds.started || filled !== rounds.filled
    ? { count, started, end: started ? ack.total : rounds.end, filled }
    : rounds
}

/** UpdateRound(), with what is counted in rounds. */
export const round = (state: BbrState, ack: Ack): BbrState => {
  const rounds = advanced(state.rounds, ack, state.window)
  if (rounds === state.rounds) return state
  if (!rounds.started) return { ...state, rounds }
  return { ...state, rounds, probe: { ...state.probe, roundsSinceUp: state.probe.roundsSinceUp + 1 } }
}

/** UpdateMaxBw(): a sample that the program limited counts only if it shows more than was known. */
export const maximum = (state: BbrState, ack: Ack): BbrState => {
  if (ack.rate <= state.maximum.current) return state
  if (ack.limited && ack.rate < Model.maximumBandwidth(state)) return state
  return { ...state, maximum: { previous: state.maximum.previous, current: ack.rate } }
}

/** AdvanceMaxBwFilter(): the next cycle begins. One without samples is none. */
export const nextCycle = (state: BbrState): BbrState =>
  state.maximum.current === 0 ? state : { ...state, maximum: { previous: state.maximum.current, current: 0 } }

/**
 * UpdateCongestionSignals() without UpdateMaxBw(): once a round, the model gives way to losses, if they are more than the
 * `tolerated` share.
 */
export const adapt = (tolerated: number) => (state: BbrState, ack: Ack): BbrState => {
  const { certain, lost, share, started } = state.signals
  if (!started || !lost) return state
  const signals: Signals = { ...state.signals, lost: false, certain: false }
  const isHigh = certain || !ack.selective || tolerated === 0 || share > tolerated
  const isAnswered = isHigh && !isAccelerating(state)
  return { ...state, signals, shortTerm: isAnswered ? lowered(state) : state.shortTerm }
}

/** InitLowerBounds() and LossLowerBounds(): down to what was delivered, but slowly. */
const lowered = (state: BbrState): ShortTerm => {
  const { shortTerm, signals, window } = state
  const bandwidth = shortTerm.bandwidth === Infinity ? Model.maximumBandwidth(state) : shortTerm.bandwidth
  const inFlight = shortTerm.inFlight === Infinity ? window : shortTerm.inFlight
  return {
    bandwidth: Math.max(signals.bandwidth, BETA * bandwidth),
    inFlight: Math.max(signals.inFlight, BETA * inFlight)
  }
}

/** AdvanceLatestDeliverySignals(): a new round of losses begins with this acknowledgement. */
export const advance = (state: BbrState, ack: Ack): BbrState =>
  state.signals.started
    ? { ...state, signals: { ...state.signals, bandwidth: ack.rate, inFlight: ack.flight } }
    : state

/** ResetCongestionSignals() */
export const reset = (state: BbrState): BbrState => ({
  ...state,
  signals: { ...state.signals, lost: false, certain: false, bandwidth: 0, inFlight: 0 }
})
