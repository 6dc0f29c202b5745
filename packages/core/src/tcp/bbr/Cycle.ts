/**
 * The four phases of ProbeBW, and what it means to enter each (draft-ietf-ccwg-bbr-06 §5.3.3.9): down, to empty the queue;
 * cruise, at the rate of the path; refill, to fill the path; up, to look for more.
 */
import * as FullPipe from "./FullPipe.ts"
import { PROBE_WAIT, PROBE_WAIT_SPREAD, UP_ROUNDS } from "./Parameters.ts"
import * as Signals from "./Signals.ts"
import { type BbrState, type Probe, startRound, UNBOUNDED } from "./State.ts"

/** The fractional parts of an irrational number's multiples lie evenly between 0 and 1 (Weyl). */
const spread = (count: number, irrational: number): number => (count * irrational) % 1

const GOLDEN = (Math.sqrt(5) - 1) / 2

/**
 * PickProbeWait(): flows that share a path are not to probe at the same time. Chance is not at hand in a pure function; how
 * many segments were delivered differs from flow to flow as well, and makes the wait the same in each run.
 */
const waiting = (probe: Probe, delivered: number, now: number, mss: number): Probe => {
  const segments = Math.floor(delivered / mss)
  return {
    ...probe,
    feedback: "stopping",
    startedAt: now,
    wait: PROBE_WAIT + PROBE_WAIT_SPREAD * spread(segments, GOLDEN),
    roundsSinceUp: spread(segments, Math.SQRT2) < 0.5 ? 0 : 1,
    ackedPerStep: Infinity
  }
}

/** StartProbeBW_DOWN() */
export const startDown = (state: BbrState, now: number, mss: number): BbrState =>
  startRound({
    ...Signals.reset(state),
    phase: "down",
    probe: waiting(state.probe, state.delivered, now, mss)
  })

/** StartProbeBW_CRUISE() */
export const startCruise = (state: BbrState): BbrState => ({ ...state, phase: "cruise" })

/** StartProbeBW_REFILL(): what losses have taught of the moment is forgotten. */
export const startRefill = (state: BbrState): BbrState =>
  startRound({
    ...state,
    phase: "refill",
    shortTerm: UNBOUNDED,
    probe: { ...state.probe, feedback: "refilling", upRounds: 0, upAcked: 0, precautionary: false }
  })

/** StartProbeBW_UP(), with the rate that growth is told from. */
export const startUp = (state: BbrState, rate: number, mss: number): BbrState =>
  startRound({
    ...state,
    phase: "up",
    fullPipe: FullPipe.sought(state.fullPipe, rate),
    probe: steeper({ ...state.probe, feedback: "starting", sampling: true }, state.window, mss)
  })

/** RaiseInflightLongtermSlope(): the long-term bound grows by 1, 2, 4, … segments a round. */
export const steeper = (probe: Probe, window: number, mss: number): Probe => ({
  ...probe,
  upRounds: Math.min(probe.upRounds + 1, UP_ROUNDS),
  ackedPerStep: Math.max(window / 2 ** probe.upRounds, mss)
})
