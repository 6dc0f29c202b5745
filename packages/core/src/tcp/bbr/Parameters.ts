/**
 * The constants of BBRv3 (draft-ietf-ccwg-bbr-06 §2). Rates are octets per millisecond, volumes octets, times
 * milliseconds, everywhere in this folder.
 */

/** StartupPacingGain, 4 · ln 2: the least gain that lets the rate double in each round. */
export const STARTUP_PACING_GAIN = 2.77
/** DrainPacingGain: takes out in one round what Startup queued up. */
export const DRAIN_PACING_GAIN = 0.5
export const DOWN_PACING_GAIN = 0.9
export const UP_PACING_GAIN = 1.25
/** DefaultCwndGain */
export const WINDOW_GAIN = 2
export const UP_WINDOW_GAIN = 2.25
/** ProbeRTTCwndGain */
export const PROBE_RTT_WINDOW_GAIN = 0.5

/** PacingMarginPercent: the share of the bandwidth that is used, so that queues shrink rather than grow. */
export const PACING_SHARE = 0.99

/** LossThresh: the share of a flight that may be lost while probing. */
export const LOSS_THRESHOLD = 0.02
/** Beta: the short-term model shrinks by no more than this in one round of losses. */
export const BETA = 0.7
/** Headroom: the share of the long-term bound that is left to others while cruising. */
export const HEADROOM = 0.15
/** MinPipeCwnd, in segments: enough for a receiver that acknowledges every second one. */
export const MINIMUM_SEGMENTS = 4

/** Growth of the bandwidth in a round that counts as growth (§5.3.1.2). */
export const FULL_PIPE_GROWTH = 1.25
/** Rounds without growth after which the pipe is thought full. */
export const FULL_PIPE_ROUNDS = 3
/** StartupFullLossCnt: places in which something is lost that end Startup. */
export const STARTUP_LOSSES = 6
/** Rounds after which Drain ends in any case (§5.3.2). */
export const DRAIN_ROUNDS = 3

/** ExtraAckedFilterLen, in rounds. */
export const AGGREGATION_ROUNDS = 10

/** Bounds of the wait between two probes for bandwidth (§5.3.3.8): 2 to 3 seconds, and at most 62 or 63 rounds. */
export const PROBE_WAIT = 2000
export const PROBE_WAIT_SPREAD = 1000
export const PROBE_WAIT_ROUNDS = 63
/** Doublings after which the steps of the long-term bound are as long as they will be. */
export const UP_ROUNDS = 30

/** MinRTTFilterLen */
export const MINIMUM_RTT_SPAN = 10_000
/** ProbeRTTInterval */
export const PROBE_RTT_INTERVAL = 5000
/** ProbeRTTDuration */
export const PROBE_RTT_DURATION = 200

/** The send quantum is what leaves in this time, within bounds (§5.6.3). */
export const QUANTUM_TIME = 1
export const QUANTUM_SEGMENTS = 2
export const QUANTUM_LIMIT = 65_536
/** Quanta that may be under way in both hosts (§5.5.8). */
export const QUANTUM_BUDGET = 3
