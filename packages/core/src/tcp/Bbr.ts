/**
 * BBR version 3 (draft-ietf-ccwg-bbr-06): a window and a rate from a model of the path, its greatest bandwidth and its least
 * round-trip time, instead of from losses alone.
 *
 * The model, and the course of phases that tests it, are in `bbr/`: one concern in each file. Everything happens on
 * acknowledgements, in the order of `steps`, which is that of §5.2.3. Losses below 2 % of a flight do not end a probe
 * for bandwidth; so BBR keeps its rate where Reno and CUBIC collapse.
 *
 * BBR sets its window itself during recovery: it goes on sending what was delivered of late, and there is no packet
 * conservation.
 */
import * as Ack from "./bbr/Ack.ts"
import * as Aggregation from "./bbr/Aggregation.ts"
import * as Control from "./bbr/Control.ts"
import * as FullPipe from "./bbr/FullPipe.ts"
import * as Loss from "./bbr/Loss.ts"
import { LOSS_THRESHOLD } from "./bbr/Parameters.ts"
import * as ProbeBandwidth from "./bbr/ProbeBandwidth.ts"
import * as ProbeRtt from "./bbr/ProbeRtt.ts"
import * as Signals from "./bbr/Signals.ts"
import * as Startup from "./bbr/Startup.ts"
import { type BbrState, initial, isProbeBandwidth, type Phase, restoredWindow } from "./bbr/State.ts"
import type { CongestionAlgorithm, CongestionState, CongestionView } from "./Congestion.ts"

type Step = (state: BbrState, ack: Ack.Ack) => BbrState

/** What an acknowledgement does, one thing after the other. */
const steps = (toleratedLoss: number): ReadonlyArray<Step> => [
  Loss.note,
  Loss.restored,
  Signals.latest,
  Signals.round,
  Signals.maximum,
  Signals.adapt(toleratedLoss),
  Aggregation.update,
  FullPipe.check,
  Startup.checkDone,
  Startup.checkDrained,
  ProbeBandwidth.update,
  ProbeRtt.measure,
  ProbeRtt.check,
  Signals.advance,
  Control.pace,
  Control.open
]

const isBbr = (state: CongestionState): state is BbrState => "aggregation" in state

/** The state is BBR's own, unless another algorithm's record was handed to it. */
const own = (state: CongestionState, view: CongestionView): BbrState => isBbr(state) ? state : initial(view.mss)

/** HandleRestartFromIdle() of §5.4.1: the idle time has emptied the queue as well as ProbeRTT would. */
const restarted = (state: BbrState, view: CongestionView): BbrState => {
  const next: BbrState = {
    ...state,
    idleRestart: true,
    aggregation: { ...state.aggregation, since: view.now }
  }
  if (next.phase === "probeRtt") return ProbeRtt.checkDone(next, view.now, view.mss)
  return isProbeBandwidth(next) ? Control.paced(next, 1) : next
}

/** OnEnterRTO() of §5.6.4.4: a window for one segment, which grows with what is delivered. */
const timedOut = (state: BbrState, first: boolean, view: CongestionView): BbrState => {
  const saved = first ? Loss.saved(state, state.signals.lost) : state
  const next = Loss.certain(Loss.noted(saved, true))
  return { ...(next.probe.sampling ? exceeded(next, 0, view) : next), window: view.mss, restoredAt: "unknown" }
}

/** The probe went too far; a flight of `volume` was still good. */
const exceeded = (state: BbrState, volume: number, { mss, now }: CongestionView): BbrState =>
  Loss.stopped(Loss.lowered(state, volume, mss), now, mss)

/**
 * An echo of congestion counts as a round of losses. While bandwidth is sought, it also says that enough was found: the draft
 * leaves open how to answer, but not that one must (§3.7).
 */
const echoed = (state: BbrState, view: CongestionView): BbrState => {
  const next = Loss.certain(Loss.noted(state, false))
  if (next.phase === "startup") return Startup.overrun(next, view.mss)
  return next.probe.sampling ? exceeded(next, view.inFlight, view) : next
}

/** The draft's names (§5.1.1). */
const STAGES: Readonly<Record<Phase, string>> = {
  startup: "Startup",
  drain: "Drain",
  down: "ProbeBW_DOWN",
  cruise: "ProbeBW_CRUISE",
  refill: "ProbeBW_REFILL",
  up: "ProbeBW_UP",
  probeRtt: "ProbeRTT"
}

export interface BbrOptions {
  /**
   * The share that may be lost in a round before the short-term model gives way, from 0 to 1; 0.02 (LossThresh)
   * if not given. 0 is the draft: there each loss slows the flow down.
   */
  readonly toleratedLoss?: number | undefined
}

export const makeBbr = (options: BbrOptions = {}): CongestionAlgorithm => {
  const course = steps(options.toleratedLoss ?? LOSS_THRESHOLD)
  return {
    name: "bbr",
    stage: (state) => STAGES[(state as BbrState).phase],
    ownsRecovery: true,
    initial,
    onAck: (state, delivery, view) => {
      let next = own(state, view)
      const ack = Ack.make(next, delivery, view)
      for (const step of course) next = step(next, ack)
      return next
    },
    onCongestion: (state, cause, view) =>
      cause === "loss" ? Loss.noted(own(state, view), false) : echoed(own(state, view), view),
    onRecovered: (state, view) => ({ ...own(state, view), window: restoredWindow(own(state, view)) }),
    onTimeout: (state, first, view) => timedOut(own(state, view), first, view),
    onSpurious: (state, _, view) => Loss.undone(own(state, view)),
    onIdle: (state, _, view) => restarted(own(state, view), view)
  }
}

export const Bbr: CongestionAlgorithm = makeBbr()
