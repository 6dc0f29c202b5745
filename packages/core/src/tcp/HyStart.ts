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
  if (mine === undefined) return draft(state)
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

/** A copy to be changed before it is given away. */
export const draft = (state: HyStart): Writable<HyStart> => ({
  windowEnd: state.windowEnd,
  lastRoundMinRtt: state.lastRoundMinRtt,
  currentRoundMinRtt: state.currentRoundMinRtt,
  samples: state.samples,
  cssBaselineMinRtt: state.cssBaselineMinRtt,
  cssRounds: state.cssRounds
})

/** Into conservative slow start and back, when the round has enough samples. */
const judge = (next: Writable<HyStart>): void => {
  const { cssBaselineMinRtt, currentRoundMinRtt, lastRoundMinRtt, samples } = next
  if (samples < N_RTT_SAMPLE) return
  if (isConservative(next)) {
    if (currentRoundMinRtt >= cssBaselineMinRtt) return
    next.cssBaselineMinRtt = Infinity
    // Before the first round is over, lastRoundMinRtt is Infinity and nothing is longer.
  } else if (currentRoundMinRtt >= lastRoundMinRtt + threshold(lastRoundMinRtt)) {
    next.cssBaselineMinRtt = currentRoundMinRtt
  } else return
  next.cssRounds = 0
}

const beginRound = (next: Writable<HyStart>, nxt: number): void => {
  next.windowEnd = nxt
  next.lastRoundMinRtt = next.currentRoundMinRtt
  next.currentRoundMinRtt = Infinity
  next.samples = 0
  // A round in the middle of which conservative slow start began counts as well.
  next.cssRounds = isConservative(next) ? next.cssRounds + 1 : 0
}

/** An acknowledgement up to `una`, with a round-trip time if one was measured; `nxt` is SND.NXT. */
export const acknowledged = (state: HyStart, rtt: number | undefined, una: number, nxt: number): HyStart => {
  const next = draft(state)
  acknowledge(next, rtt, una, nxt)
  return next
}

/** What `acknowledged` does, to a record that nobody else holds. */
export const acknowledge = (state: Writable<HyStart>, rtt: number | undefined, una: number, nxt: number): void => {
  if (rtt !== undefined) {
    state.currentRoundMinRtt = Math.min(state.currentRoundMinRtt, rtt)
    state.samples++
    judge(state)
  }
  if (state.windowEnd === undefined) state.windowEnd = nxt
  else if (Sequence.greaterOrEqual(una, state.windowEnd)) beginRound(state, nxt)
}
