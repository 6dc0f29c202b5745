/**
 * From loss to its repair: what the scoreboard, RACK, duplicates and timers find becomes phases, as in RFC 6675 §5 and RFC 6298 §5.
 */
import type { CongestionView, Delivery } from "./Congestion.ts"
import { close, type ControlBlock, type Draft, fitting, isOpening, type Range } from "./ControlBlock.ts"
import { count, type Counts } from "./Counts.ts"
import * as MtuSearch from "./MtuSearch.ts"
import * as NewReno from "./NewReno.ts"
import * as News from "./News.ts"
import * as Rack from "./Rack.ts"
import * as RateReduction from "./RateReduction.ts"
import * as RateSampling from "./RateSampling.ts"
import type { RecoveryState } from "./RecoveryState.ts"
import * as Rtt from "./Rtt.ts"
import * as SendWindow from "./SendWindow.ts"
import * as Sequence from "./Sequence.ts"
import * as Spurious from "./Spurious.ts"
import * as TailLoss from "./TailLoss.ts"
import * as Transmissions from "./Transmissions.ts"

/** What one acknowledgement brought, besides what is in the control block already. */
export interface Arrived {
  readonly news: News.News
  /** Octets by which SND.UNA advanced. */
  readonly octets: number
  /** A round-trip time in milliseconds, if one was measured. */
  readonly rtt: number | undefined
  /** The segment counts as a duplicate acknowledgement, where there is no SACK. */
  readonly isDuplicate: boolean
  /** What the peer reports to have got twice. */
  readonly duplicated: Range | undefined
  /** When the segment left that advanced SND.UNA, in milliseconds, where there are timestamps. */
  readonly echo: number | undefined
  readonly congestionEcho: boolean
  /** Octets in flight before it. */
  readonly inFlight: number
}

const view = (tcb: ControlBlock, inFlight: number, now: number): CongestionView => ({
  mss: tcb.snd.mss,
  inFlight,
  smoothedRtt: tcb.rtt.smoothed,
  minimumRtt: tcb.rtt.minimum,
  now,
  selective: tcb.options.sack
})

/** Octets after which it does not matter any more where a recovery ended. */
const OLD = 2 ** 30

/**
 * Whether nothing is missing, nothing was, and nothing can be found to be: by far the most acknowledgements are so, and all they do is to
 * open the window.
 */
export const isUndisturbed = (
  { deadlines, options, rack, recovery, transmissions }: ControlBlock,
  arrived: Arrived
): boolean =>
  arrived.octets > 0 && recovery.phase === "open" && recovery.tail === undefined && recovery.duplicates === 0 &&
  Transmissions.isClean(transmissions) && arrived.duplicated === undefined && !arrived.congestionEcho &&
  deadlines.reorder === Infinity && (!options.sack || !Rack.isBehind(rack, transmissions))

/** Sequence numbers are compared within half of their space, and a path may lose nothing for longer. */
export const remembered = (recovery: RecoveryState, una: number): RecoveryState =>
  Sequence.difference(recovery.until, una) > OLD ? { ...recovery, until: una } : recovery

/** What `acknowledged` comes to for an acknowledgement that is undisturbed. */
export const grow = (draft: Draft, arrived: Arrived, now: number): void => {
  draft.recovery = remembered(draft.recovery, draft.snd.una)
  if (draft.options.sack) draft.rack = Rack.delivered(draft.rack, arrived.news)
  draft.congestion = draft.algorithm.onAck(
    draft.congestion,
    told(draft, arrived, 0, 0, "open", now),
    view(draft, arrived.inFlight, now)
  )
}

/**
 * Takes the news of an acknowledgement; `tcb` has the new SND.UNA, window, scoreboard and round-trip time. First what speaks against a
 * loss, then what is lost, then the windows.
 */
export const acknowledged = (before: ControlBlock, arrived: Arrived, now: number): ControlBlock => {
  const noticed = tailAcknowledged(duplicateReported(before, arrived), arrived, now)
  const proof = Spurious.proof(noticed, arrived)
  const cleared = proof === undefined ? noticed : Spurious.undone(noticed, proof, view(noticed, arrived.inFlight, now))
  const ended = isOver(cleared) ? recovered(cleared, arrived, now) : inQuestion(cleared, arrived)
  const found = ended.options.sack ? raced(ended, arrived, now) : NewReno.counted(ended, arrived)
  const lost = found.transmissions.lost - ended.transmissions.lost
  const lowered = isCongested(found, arrived) ? reduced(found, arrived, lost > 0 ? "loss" : "echo", now) : found
  const ranges = found.delivery.lostRanges - ended.delivery.lostRanges
  return controlled(lowered, arrived, Math.max(lost, 0), ranges, noticed.recovery.phase, now)
}

const isOver = ({ recovery, snd }: ControlBlock): boolean =>
  recovery.phase !== "open" && Sequence.greaterOrEqual(snd.una, recovery.until)

/**
 * F-RTO: whether the timeout is still in question (RFC 5682 §2.1 and §3.1, steps 2 and 3): new text goes first when the first
 * acknowledgement is of all that was sent again. Where there are timestamps, they have told already.
 */
const inQuestion = (tcb: ControlBlock, { echo, octets }: Arrived): ControlBlock => {
  const { recovery, snd } = tcb
  if (recovery.forward === "none") return tcb
  const head = tcb.transmissions.board[0]
  const isOfRepeated = octets > 0 && (head === undefined || head.state !== "sent" || head.sends === 1)
  return recovery.forward === "first" && isOfRepeated && echo === undefined
    ? { ...tcb, recovery: { ...recovery, forward: "second", until: snd.nxt } }
    : { ...tcb, recovery: { ...recovery, forward: "none" } }
}

/** RFC 2883: retransmissions that were not needed, and a window for reordering that was too narrow. */
const duplicateReported = (tcb: ControlBlock, { duplicated }: Arrived): ControlBlock => {
  if (duplicated === undefined) return tcb
  const { rack, recovery, snd } = tcb
  const counts = count(tcb.counts, "duplicatesReported")
  // What the network has doubled, and a probe that was not needed, say nothing about reordering.
  const isOurs = counts.duplicatesReported <= counts.retransmitted && duplicated.right !== recovery.tail?.end
  return {
    ...tcb,
    rack: isOurs ? Rack.duplicated(rack, snd.una, snd.nxt) : rack,
    recovery: { ...recovery, undo: Spurious.reported(recovery, duplicated) },
    counts
  }
}

/** RFC 8985 §7.4: a probe that repaired a loss is answered like one that was found otherwise. */
const tailAcknowledged = (tcb: ControlBlock, arrived: Arrived, now: number): ControlBlock => {
  const { tail } = tcb.recovery
  if (tail === undefined) return tcb
  const verdict = TailLoss.acknowledged(tail, tcb.snd.una, arrived)
  if (verdict === "open") return tcb
  const over = { ...tcb, recovery: { ...tcb.recovery, tail: undefined } }
  return verdict === "over" || over.recovery.phase !== "open"
    ? over
    : reduced(over, arrived, "tail", now)
}

/** RFC 8985 §6.2 */
const raced = (tcb: ControlBlock, { news }: Arrived, now: number): ControlBlock => {
  const rack = Rack.delivered(tcb.rack, news)
  return found(news.reordered ? { ...tcb, rack, counts: count(tcb.counts, "reorderings") } : { ...tcb, rack }, now)
}

/** Marks what RACK finds lost, and sets its timer. */
const found = (tcb: ControlBlock, now: number): ControlBlock => {
  const { deadline, lost, lostAgain, transmissions } = Rack.detect(tcb, now)
  const deadlines = deadline === tcb.deadlines.reorder ? tcb.deadlines : { ...tcb.deadlines, reorder: deadline }
  if (lost === 0) return deadlines === tcb.deadlines ? tcb : { ...tcb, deadlines }
  const ranges = Transmissions.lostRanges(transmissions) - Transmissions.lostRanges(tcb.transmissions)
  return MtuSearch.lost({ ...lostMore(tcb, lost, lostAgain, ranges), transmissions, deadlines })
}

/** Counts `lost` octets, the runs among them that had been sent again before, and places in which more are missing than before. */
const lostMore = (tcb: ControlBlock, lost: number, lostAgain: number, ranges: number): ControlBlock => ({
  ...tcb,
  delivery: RateSampling.lost(tcb.delivery, lost, ranges),
  counts: {
    ...tcb.counts,
    lostOctets: tcb.counts.lostOctets + lost,
    lostRetransmissions: tcb.counts.lostRetransmissions + lostAgain
  }
})

/** Whether the window is to be lowered: once for what was on its way at a time (RFC 5681 §4.3, RFC 3168 §6.1.2). */
const isCongested = ({ recovery, snd, transmissions }: ControlBlock, { congestionEcho }: Arrived): boolean =>
  recovery.phase === "open" && (
    Transmissions.isLostBeyond(transmissions, recovery.until) ||
    (congestionEcho && Sequence.greaterThan(snd.una, recovery.until))
  )

const countedAs = (cause: RecoveryState["cause"], { sack }: ControlBlock["options"]): keyof Counts => {
  if (cause === "echo") return "congestionEchoes"
  if (cause === "tail") return "tailRecoveries"
  return sack ? "sackRecoveries" : "renoRecoveries"
}

/** Recovery begins (RFC 6675 §5, step 4; RFC 3168 §6.1.2). */
const reduced = (tcb: ControlBlock, arrived: Arrived, cause: RecoveryState["cause"], now: number): ControlBlock => {
  const { algorithm, congestion, counts, options, recovery, snd } = tcb
  const told = cause === "echo" ? "echo" : "loss"
  return {
    ...tcb,
    congestion: algorithm.onCongestion(congestion, told, view(tcb, arrived.inFlight, now)),
    recovery: {
      ...recovery,
      phase: "recovery",
      cause,
      until: snd.nxt,
      reduction: RateReduction.begin(arrived.inFlight),
      undo: told === "loss" ? Spurious.remember(tcb) : undefined
    },
    ecn: tcb.options.ecn ? { ...tcb.ecn, reduced: true } : tcb.ecn,
    counts: count(counts, countedAs(cause, options))
  }
}

/** Everything is acknowledged that was on its way when the phase began. */
const recovered = (tcb: ControlBlock, { inFlight }: Arrived, now: number): ControlBlock => {
  const { algorithm, congestion, rack, recovery } = tcb
  return {
    ...tcb,
    rack: Rack.recovered(rack),
    congestion: recovery.phase === "recovery"
      ? algorithm.onRecovered(congestion, view(tcb, inFlight, now))
      : congestion,
    recovery: { ...recovery, phase: "open", duplicates: 0, forward: "none" }
  }
}

/** What the congestion control is told. What ends a phase belongs to it. */
const told = (
  tcb: ControlBlock,
  arrived: Arrived,
  lost: number,
  lostRanges: number,
  began: RecoveryState["phase"],
  now: number
): Delivery => ({
  acknowledged: arrived.octets,
  delivered: arrived.news.delivered,
  totalDelivered: tcb.delivery.delivered,
  lost,
  lostRanges,
  rtt: arrived.rtt,
  rate: RateSampling.sample(tcb.delivery, arrived.news, tcb.rtt.minimum, now),
  windowLimited: SendWindow.isLimiting(tcb),
  recovering: tcb.recovery.phase === "recovery" || began === "recovery",
  afterTimeout: began === "loss",
  una: tcb.snd.una,
  nxt: tcb.snd.nxt,
  congestionEcho: arrived.congestionEcho
})

/** The congestion window after what was delivered, and lost. */
const controlled = (
  tcb: ControlBlock,
  arrived: Arrived,
  lost: number,
  lostRanges: number,
  began: RecoveryState["phase"],
  now: number
): ControlBlock => {
  const { algorithm, congestion, recovery, snd } = tcb
  const { news } = arrived
  if (news.delivered === 0 && arrived.octets === 0 && lost === 0) return tcb
  const isRecovering = recovery.phase === "recovery"
  const next = algorithm.onAck(
    congestion,
    told(tcb, arrived, lost, lostRanges, began, now),
    view(tcb, arrived.inFlight, now)
  )
  if (!isRecovering || algorithm.ownsRecovery === true) return next === congestion ? tcb : { ...tcb, congestion: next }
  const { state, window } = RateReduction.reduce(
    { ...tcb, congestion: next },
    news.delivered,
    SendWindow.inFlight(tcb),
    arrived.octets > 0 && lost === 0
  )
  return {
    ...tcb,
    congestion: { ...next, window: Math.max(window, snd.mss) },
    recovery: { ...recovery, reduction: state }
  }
}

/** RACK's timer expired (RFC 8985 §6.2, step 5, and §6.3). */
export const reordered = (before: ControlBlock, now: number): ControlBlock => {
  const tcb = { ...before, deadlines: { ...before.deadlines, reorder: Infinity } }
  const next = found(tcb, now)
  const lost = next.transmissions.lost - tcb.transmissions.lost
  if (lost === 0) return next
  const arrived: Arrived = {
    news: News.none(tcb.transmissions, next.recovery.until, now, tcb.rtt.minimum, undefined),
    octets: 0,
    rtt: undefined,
    isDuplicate: false,
    duplicated: undefined,
    echo: undefined,
    congestionEcho: false,
    inFlight: SendWindow.inFlight(tcb)
  }
  const lowered = isCongested(next, arrived) ? reduced(next, arrived, "loss", now) : next
  return controlled(lowered, arrived, lost, next.delivery.lostRanges - tcb.delivery.lostRanges, "recovery", now)
}

const giveUp = (tcb: ControlBlock): ControlBlock => close(tcb, tcb.softError ? "unreachable" : "timedOut")

/** The retransmission timer expired (RFC 6298 §5.4 to 5.6, RFC 8985 §6.3). */
export const timeout = (tcb: ControlBlock, now: number): ControlBlock => {
  const { algorithm, attempts, congestion, deadlines, recovery, rtt, settings, snd } = tcb
  const opening = isOpening(tcb)
  if (attempts >= (opening ? settings.synRetransmissions : settings.retransmissions)) return giveUp(tcb)
  const next: ControlBlock = {
    ...tcb,
    rtt: Rtt.backedOff(rtt, settings),
    attempts: attempts + 1,
    deadlines: { ...deadlines, retransmit: Infinity, tail: Infinity, reorder: Infinity },
    counts: count(tcb.counts, "timeouts")
  }
  if (opening) return { ...next, snd: { ...snd, nxt: snd.una } }
  const isFirst = attempts === 0 && recovery.phase !== "recovery"
  const kept = hasReneged(tcb.transmissions) ? reneged(next) : next
  const transmissions = timedOut(kept, now)
  return {
    ...lostMore(kept, transmissions.lost - tcb.transmissions.lost, 0, 1),
    snd: { ...snd, forced: true },
    ecn: tcb.options.ecn ? { ...tcb.ecn, reduced: true } : tcb.ecn,
    transmissions,
    congestion: algorithm.onTimeout(congestion, isFirst, view(tcb, SendWindow.inFlight(tcb), now)),
    recovery: {
      ...recovery,
      phase: "loss",
      cause: "loss",
      until: snd.nxt,
      duplicates: 0,
      undo: isFirst ? Spurious.remember(tcb) : recovery.undo,
      tail: undefined,
      // RFC 5682 §2.1, step 1: not while an earlier loss is being repaired.
      forward: recovery.phase === "open" ? "first" : attempts > 0 ? recovery.forward : "none"
    }
  }
}

/** The scoreboard after a timeout: the first segment is lost, and with RACK all that was sent as long ago; without, everything. */
const timedOut = (tcb: ControlBlock, now: number): Transmissions.Transmissions => {
  const { options, rack, snd, transmissions } = tcb
  if (!options.sack) return Transmissions.lose(transmissions, snd.una, snd.nxt)
  const patience = rack.rtt + Rack.reorderWindow(tcb)
  const old = Transmissions.loseIf(transmissions, (run) => run.sentAt + patience <= now)
  const length = Math.min(fitting(snd, snd.una), Transmissions.outstanding(old))
  return Transmissions.lose(old, snd.una, Sequence.add(snd.una, length))
}

/** RFC 2018 §8: a peer that acknowledged what comes first selectively, and still waits for it, has dropped it again. */
const hasReneged = ({ board }: Transmissions.Transmissions): boolean => board[0]?.state === "sacked"

const reneged = (tcb: ControlBlock): ControlBlock => ({
  ...tcb,
  transmissions: Transmissions.renege(tcb.transmissions),
  counts: count(tcb.counts, "renegings")
})

/** The persist timer expired (RFC 9293 §3.8.6.1): one segment goes, whatever the window. */
export const probe = (tcb: ControlBlock, queued: number, now: number): ControlBlock => {
  const deadlines = { ...tcb.deadlines, persist: Infinity }
  if (Transmissions.inFlight(tcb.transmissions) !== 0) return { ...tcb, deadlines }
  // Nothing waits for the window; a later write must not.
  if (queued === 0 && !tcb.snd.closing) {
    return { ...tcb, probes: 0, deadlines: { ...deadlines, persist: now + tcb.rtt.timeout } }
  }
  if (tcb.attempts >= tcb.settings.retransmissions) return giveUp(tcb)
  return { ...tcb, attempts: tcb.attempts + 1, snd: { ...tcb.snd, forced: true }, deadlines }
}

/**
 * The time of the tail loss probe has come (RFC 8985 §7.3), unless something was sent since; a timeout follows when it does not help,
 * either.
 */
export const tailProbe = (tcb: ControlBlock, now: number): ControlBlock => {
  const { deadlines, recovery, rtt, snd } = tcb
  const due = TailLoss.deadline(tcb, deadlines.retransmit, snd.sentAt)
  if (due > now) return { ...tcb, deadlines: { ...deadlines, tail: due } }
  return {
    ...tcb,
    recovery: {
      ...recovery,
      tail: { state: "due", end: snd.nxt, isRepetition: false, sentAt: 0, due: TailLoss.SEGMENTS }
    },
    deadlines: { ...deadlines, tail: Infinity, retransmit: now + rtt.timeout }
  }
}
