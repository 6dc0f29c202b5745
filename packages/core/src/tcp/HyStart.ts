/**
 * HyStart++ (RFC 9406): a first slow start that ends when round trips take longer, before a queue overflows.
 *
 * When they do, the window grows slowly for some rounds; if they become shorter again, they were long for another reason, and
 * slow start goes on. A round lasts until everything is acknowledged that was sent when it began.
 */
import type { Writable } from "./ControlBlock.ts"
import * as Sequence from "./Sequence.ts"

/** Times in milliseconds, `Infinity` where there was no measurement; the names of RFC 9406 §4.2. */
export interface HyStart {
  /** SND.NXT when the round began; undefined before the first. */
  readonly windowEnd: number | undefined
  readonly lastRoundMinRtt: number
  readonly currentRoundMinRtt: number
  readonly samples: number
  /** `Infinity` in slow start; in conservative slow start what made it begin. */
  readonly cssBaselineMinRtt: number
  /** Rounds of conservative slow start that are over. */
  readonly cssRounds: number
}

/** RFC 9406 §4.3; milliseconds */
const MIN_RTT_THRESH = 4
const MAX_RTT_THRESH = 16
const MIN_RTT_DIVISOR = 8
const N_RTT_SAMPLE = 8
const CSS_GROWTH_DIVISOR = 4
const CSS_ROUNDS = 5
/** Segments that one acknowledgement counts for when what leaves is not paced. */
const L = 8

export const initial: HyStart = {
  windowEnd: undefined,
  lastRoundMinRtt: Infinity,
  currentRoundMinRtt: Infinity,
  samples: 0,
  cssBaselineMinRtt: Infinity,
  cssRounds: 0
}

/** As `CongestionAlgorithm.keep`. */
export const keep = (mine: HyStart | undefined, state: HyStart): HyStart => {
  if (mine === undefined) return { ...state }
  const to = mine as Writable<HyStart>
  to.windowEnd = state.windowEnd
  to.lastRoundMinRtt = state.lastRoundMinRtt
  to.currentRoundMinRtt = state.currentRoundMinRtt
  to.samples = state.samples
  to.cssBaselineMinRtt = state.cssBaselineMinRtt
  to.cssRounds = state.cssRounds
  return mine
}

export const isConservative = (state: HyStart): boolean => state.cssBaselineMinRtt !== Infinity

/** Whether slow start is over. */
export const isOver = (state: HyStart): boolean => state.cssRounds >= CSS_ROUNDS

/** By how many octets the window grows for an acknowledgement of `acknowledged` octets. */
export const increase = (state: HyStart, acknowledged: number, mss: number): number => {
  const counted = Math.min(acknowledged, L * mss)
  return isConservative(state) ? counted / CSS_GROWTH_DIVISOR : counted
}

/** How much longer than in the last round a round trip may take. */
export const threshold = (lastRoundMinRtt: number): number =>
  Math.max(MIN_RTT_THRESH, Math.min(lastRoundMinRtt / MIN_RTT_DIVISOR, MAX_RTT_THRESH))

const sampled = (state: HyStart, rtt: number): HyStart => ({
  ...state,
  currentRoundMinRtt: Math.min(state.currentRoundMinRtt, rtt),
  samples: state.samples + 1
})

/** Into conservative slow start and back, when the round has enough samples. */
const judged = (state: HyStart): HyStart => {
  const { cssBaselineMinRtt, currentRoundMinRtt, lastRoundMinRtt, samples } = state
  if (samples < N_RTT_SAMPLE) return state
  if (isConservative(state)) {
    return currentRoundMinRtt < cssBaselineMinRtt ? { ...state, cssBaselineMinRtt: Infinity, cssRounds: 0 } : state
  }
  // Before the first round is over, lastRoundMinRtt is Infinity and nothing is longer.
  return currentRoundMinRtt >= lastRoundMinRtt + threshold(lastRoundMinRtt)
    ? { ...state, cssBaselineMinRtt: currentRoundMinRtt, cssRounds: 0 }
    : state
}

const nextRound = (state: HyStart, nxt: number): HyStart => ({
  windowEnd: nxt,
  lastRoundMinRtt: state.currentRoundMinRtt,
  currentRoundMinRtt: Infinity,
  samples: 0,
  cssBaselineMinRtt: state.cssBaselineMinRtt,
  // A round in the middle of which conservative slow start began counts as well.
  cssRounds: isConservative(state) ? state.cssRounds + 1 : 0
})

/** An acknowledgement up to `una`, with a round-trip time if one was measured; `nxt` is SND.NXT. */
export const acknowledged = (state: HyStart, rtt: number | undefined, una: number, nxt: number): HyStart => {
  const next = rtt === undefined ? state : judged(sampled(state, rtt))
  if (next.windowEnd === undefined) return { ...next, windowEnd: nxt }
  return Sequence.greaterOrEqual(una, next.windowEnd) ? nextRound(next, nxt) : next
}
