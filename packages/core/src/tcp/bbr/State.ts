/**
 * What BBR knows: its model of the path, and where it stands in its course (draft-ietf-ccwg-bbr-06 §2).
 *
 * The draft's names stand beside the fields. Times are milliseconds, volumes octets, rates octets per millisecond; `Infinity`
 * is a bound that is not set.
 */
import type { CongestionState } from "../Congestion.ts"
import { initialWindow } from "../Reno.ts"
import * as Parameters from "./Parameters.ts"
import * as WindowedMaximum from "./WindowedMaximum.ts"

/** §5.1.1; `down` to `up` are the four of ProbeBW. */
export type Phase = "startup" | "drain" | "down" | "cruise" | "refill" | "up" | "probeRtt"

/** Round trips, told by packets: one ends when something is delivered that was sent after it began (§5.5.1). */
export interface Rounds {
  /** round_count */
  readonly count: number
  /** round_start: whether the latest acknowledgement began one. */
  readonly started: boolean
  /** next_round_delivered: what is sent once this much is delivered belongs to the next round. */
  readonly end: number
  /** The last one in which the window was full. */
  readonly filled: number
}

/** max_bw_filter over two cycles (§5.5.5): the greatest rate of this cycle and of the one before. */
export interface MaximumBandwidth {
  readonly previous: number
  readonly current: number
}

/** Whether sending faster still delivers faster (§5.3.1.2). */
export interface FullPipe {
  /** full_bw */
  readonly baseline: number
  /** full_bw_count */
  readonly rounds: number
  /** full_bw_now */
  readonly now: boolean
  /** full_bw_reached: it was full at least once. */
  readonly reached: boolean
}

/** §5.3.4.3 */
export interface MinimumRtt {
  /** min_rtt */
  readonly value: number
  readonly stamp: number
  /** probe_rtt_min_delay */
  readonly recent: number
  readonly recentStamp: number
  /** probe_rtt_expired */
  readonly expired: boolean
}

/** What was delivered and lost in this round (§5.5.10.3). */
export interface Signals {
  /** bw_latest */
  readonly bandwidth: number
  /** inflight_latest */
  readonly inFlight: number
  /** is_loss_in_round */
  readonly lost: boolean
  /** Whether a timeout or an echo of congestion demands an answer, however much was lost. */
  readonly certain: boolean
  /** loss_round_delivered */
  readonly end: number
  /** loss_round_start */
  readonly started: boolean
  /** Octets lost in this round. */
  readonly volume: number
  /** Of the round that has just ended, the share that was lost besides what began it; −1 if nothing was. */
  readonly share: number
  /** Places in which something was lost, in this round and in those before it that lost too much. */
  readonly ranges: number
}

/** The short-term model: what the path bears while losses say that others need it. */
export interface ShortTerm {
  /** bw_shortterm */
  readonly bandwidth: number
  /** inflight_shortterm */
  readonly inFlight: number
}

/** ack_phase: what the acknowledgements that arrive tell of the last probe for bandwidth. */
export type Feedback = "none" | "refilling" | "starting" | "feedback" | "stopping"

/** The course of probing for bandwidth (§5.3.3). */
export interface Probe {
  readonly feedback: Feedback
  /** is_bw_probe_sample: a loss would be due to the probe, and was not answered yet. */
  readonly sampling: boolean
  /** cycle_stamp */
  readonly startedAt: number
  /** bw_probe_wait */
  readonly wait: number
  /** rounds_since_probe_up */
  readonly roundsSinceUp: number
  /** bw_probe_up_rounds */
  readonly upRounds: number
  /** bw_probe_up_acked */
  readonly upAcked: number
  /** probe_up_acked_per_inc */
  readonly ackedPerStep: number
  /** prev_probe_too_high */
  readonly tooHigh: boolean
  /** prev_probe_precautionary */
  readonly precautionary: boolean
}

/** §5.5.9 */
export interface Aggregation {
  /** extra_acked_interval_start */
  readonly since: number
  /** extra_acked_delivered */
  readonly delivered: number
  /** extra_acked_filter */
  readonly extra: WindowedMaximum.WindowedMaximum
}

/** The course of ProbeRTT (§5.3.4.3). */
export interface ProbeRtt {
  /** probe_rtt_done_stamp; undefined until the flight is small. */
  readonly until: number | undefined
  /** probe_rtt_round_done */
  readonly roundDone: boolean
  /**
   * What was sent while between these many octets were delivered counts as limited by the program: the low rates of
   * ProbeRTT are of its own making.
   */
  readonly limitedFrom: number
  readonly limitedTo: number
}

/** What a mistaken recovery gives back (§5.5.11). */
export interface Undo {
  /** undo_state */
  readonly phase: "startup" | "up" | undefined
  readonly shortTerm: ShortTerm
  readonly longTerm: number
}

export interface BbrState extends CongestionState {
  readonly pacingRate: number
  /** Whether a measured round-trip time has replaced the millisecond that the first pacing rate assumes. */
  readonly timed: boolean
  readonly phase: Phase
  /** Octets delivered in all. */
  readonly delivered: number
  readonly rounds: Rounds
  readonly maximum: MaximumBandwidth
  readonly fullPipe: FullPipe
  /** drain_start_round */
  readonly drainedFrom: number
  readonly rtt: MinimumRtt
  readonly signals: Signals
  readonly shortTerm: ShortTerm
  /** inflight_longterm */
  readonly longTerm: number
  readonly probe: Probe
  readonly probeRtt: ProbeRtt
  readonly aggregation: Aggregation
  /** prior_cwnd: the latest window that neither recovery nor ProbeRTT had cut. */
  readonly priorWindow: number
  /**
   * After a timeout, the sequence number whose acknowledgement brings the window back; "unknown" until the next acknowledgement
   * tells what was sent.
   */
  readonly restoredAt: number | "unknown" | undefined
  readonly undo: Undo
  /** idle_restart */
  readonly idleRestart: boolean
}

export const UNBOUNDED: ShortTerm = { bandwidth: Infinity, inFlight: Infinity }

/** §5.6.2: the first pacing rate, from the initial window and the round-trip time. */
export const initialRate = (mss: number, rtt: number): number =>
  Parameters.STARTUP_PACING_GAIN * initialWindow(mss) / rtt

/** OnInit() of §5.2.1 */
export const initial = (mss: number, smoothedRtt?: number): BbrState => ({
  window: initialWindow(mss),
  slowStartThreshold: Infinity,
  pacingRate: initialRate(mss, smoothedRtt || 1),
  timed: smoothedRtt !== undefined,
  phase: "startup",
  delivered: 0,
  rounds: { count: 0, started: false, end: 0, filled: 0 },
  maximum: { previous: 0, current: 0 },
  fullPipe: { baseline: 0, rounds: 0, now: false, reached: false },
  drainedFrom: 0,
  rtt: { value: Infinity, stamp: Infinity, recent: Infinity, recentStamp: Infinity, expired: false },
  signals: {
    bandwidth: 0,
    inFlight: 0,
    lost: false,
    certain: false,
    end: 0,
    started: false,
    volume: 0,
    share: -1,
    ranges: 0
  },
  shortTerm: UNBOUNDED,
  longTerm: Infinity,
  probe: {
    feedback: "none",
    sampling: false,
    startedAt: 0,
    wait: 0,
    roundsSinceUp: 0,
    upRounds: 0,
    upAcked: 0,
    ackedPerStep: Infinity,
    tooHigh: false,
    precautionary: false
  },
  probeRtt: { until: undefined, roundDone: false, limitedFrom: Infinity, limitedTo: -Infinity },
  aggregation: { since: 0, delivered: 0, extra: WindowedMaximum.make(0, 0) },
  priorWindow: 0,
  restoredAt: undefined,
  undo: { phase: undefined, shortTerm: UNBOUNDED, longTerm: Infinity },
  idleRestart: false
})

/** Whether the phase is one of ProbeBW. */
export const isProbeBandwidth = ({ phase }: BbrState): boolean =>
  phase === "down" || phase === "cruise" || phase === "refill" || phase === "up"

/** IsProbingBW(): whether losses are the price of looking for bandwidth. */
export const isAccelerating = ({ phase }: BbrState): boolean =>
  phase === "startup" || phase === "refill" || phase === "up"

/** C.is_cwnd_limited: whether the window was full in the last round trip. */
export const isWindowLimited = ({ rounds }: BbrState): boolean => rounds.count - rounds.filled <= 1

/** StartRound(): from now on a new round is counted. */
export const startRound = (state: BbrState): BbrState => ({
  ...state,
  rounds: { ...state.rounds, end: state.delivered }
})

/** SaveCwnd() of §5.6.4.4 */
export const savedWindow = (state: BbrState, recovering: boolean): number =>
  recovering || state.phase === "probeRtt" ? Math.max(state.priorWindow, state.window) : state.window

/** RestoreCwnd() */
export const restoredWindow = (state: BbrState): number => Math.max(state.window, state.priorWindow)
