/**
 * The largest segment that the path carries, found without ICMP (RFC 8899, RFC 4821).
 *
 * Routers that drop what is too big should say so (RFC 1191), and some do not: a black hole. When the same large segment
 * times out twice, a smaller one is tried, and after two more timeouts the smallest that every path carries. From
 * there, and after ICMP has asked for less, single larger segments of new text probe the path now and then: first the
 * largest that both ends take, then halfway between what passed and what did not. When the search has come to its
 * end, or nothing was heard of a better path, it begins again after ten minutes (PMTU_RAISE_TIMER).
 *
 * The loss of a probe is no congestion, and its octets go again in segments of the size that is known to pass. Probes
 * need SACK, which tells their loss from that of others; without it, segments stay small.
 */
import { type ControlBlock, isOpening, type PathState } from "./ControlBlock.ts"
import { count } from "./Counts.ts"
import * as Options from "./Options.ts"
import * as SendWindow from "./SendWindow.ts"
import * as Sequence from "./Sequence.ts"
import * as Transmissions from "./Transmissions.ts"

/** BASE_PLPMTU and MIN_PLPMTU of RFC 8899 §5.1.2 as MSS, options included. */
const BASE = 1024
const LEAST = 536
/** Timeouts in a row until a path is taken for a black hole, and until one of `BASE` is. */
const SUSPICIOUS = 2
const CERTAIN = 4
/** MAX_PROBES: probes of a size that are lost until the path is known not to carry it. */
const TRIES = 3
/** The search ends when it could find no more than this many octets. */
const PRECISION = 32
/** PMTU_RAISE_TIMER in milliseconds. */
const RAISE = 600_000
/** Full segments behind a probe, whose acknowledgements tell of its loss. */
const FOLLOWING = 3

/** The path of a connection whose segments may have `limit` octets of text. */
export const begun = (limit: number): PathState => ({
  limit,
  failed: limit + 1,
  losses: 0,
  probe: undefined,
  probeAt: Infinity
})

/** The size to be probed next, in octets of text, or undefined at the end of the search. */
const candidate = ({ failed, limit }: PathState, mss: number): number | undefined => {
  if (mss >= limit) return undefined
  if (failed > limit) return limit
  return failed - mss < PRECISION ? undefined : (mss + failed) >>> 1
}

/** How many of `unsent` octets are to leave as a probe now; 0 when none is to. */
export const probeLength = (tcb: ControlBlock, unsent: number, now: number): number => {
  const { congestion, options, path, recovery, settings, snd, transmissions } = tcb
  if (now < path.probeAt || path.probe !== undefined || snd.forced || !settings.pathMtuProbing) return 0
  if (!options.sack || recovery.phase !== "open" || transmissions.lost > 0) return 0
  const size = candidate(path, snd.mss)
  if (size === undefined) return 0
  const needed = size + FOLLOWING * snd.mss
  return unsent < needed || congestion.window < needed || SendWindow.usable(tcb) < size ? 0 : size
}

/** The path once a probe of `[left, right)` has left. */
export const probed = (path: PathState, left: number, right: number): PathState => ({
  ...path,
  probe: { left, right, isLost: false }
})

/** Whether all that is lost is the probe. */
const isAlone = ({ path: { probe }, transmissions }: ControlBlock): boolean => {
  const first = Transmissions.firstLost(transmissions)
  return probe !== undefined && first !== undefined &&
    Sequence.greaterOrEqual(first.left, probe.left) && Sequence.lessOrEqual(first.right, probe.right) &&
    transmissions.lost <= Sequence.difference(probe.left, probe.right) &&
    !Transmissions.isLostBeyond(transmissions, probe.right)
}

/** After something was found lost: if it is the probe, it does not count as congestion. */
export const lost = (tcb: ControlBlock): ControlBlock => {
  const { path, recovery } = tcb
  const { probe } = path
  if (probe === undefined || !isProbeLost(tcb)) return tcb
  return {
    ...tcb,
    path: { ...path, probe: { ...probe, isLost: true } },
    recovery: recovery.phase === "open" && isAlone(tcb)
      ? { ...recovery, until: Sequence.latest(recovery.until, probe.right) }
      : recovery
  }
}

const isProbeLost = ({ path: { probe }, transmissions }: ControlBlock): boolean =>
  probe !== undefined &&
  transmissions.board.some(({ left, right, state }) =>
    state === "lost" && Sequence.lessThan(left, probe.right) && Sequence.greaterThan(right, probe.left)
  )

/** After an acknowledgement: what it tells about a probe. */
export const acknowledged = (tcb: ControlBlock, now: number): ControlBlock => {
  const { path: { probe }, snd } = tcb
  if (probe === undefined || Sequence.lessThan(snd.una, probe.right)) return tcb
  const size = Sequence.difference(probe.left, probe.right)
  return probe.isLost ? failed(tcb, size, now) : passed(tcb, size, now)
}

const passed = (tcb: ControlBlock, size: number, now: number): ControlBlock => ({
  ...tcb,
  snd: { ...tcb.snd, mss: Math.max(size, tcb.snd.mss) },
  path: next({ ...tcb.path, losses: 0 }, size, now),
  counts: count(tcb.counts, "mtuProbesAnswered")
})

const failed = (tcb: ControlBlock, size: number, now: number): ControlBlock => {
  const losses = tcb.path.losses + 1
  const path = losses < TRIES
    ? { ...tcb.path, losses }
    : { ...tcb.path, failed: Math.min(size, tcb.path.failed), losses: 0 }
  return { ...tcb, path: next(path, tcb.snd.mss, now), counts: count(tcb.counts, "mtuProbesLost") }
}

/** The search goes on, or begins anew later. */
const next = (path: PathState, mss: number, now: number): PathState => {
  if (mss >= path.limit) return begun(path.limit)
  if (candidate(path, mss) === undefined) return { ...begun(path.limit), probeAt: now + RAISE }
  return { ...path, probe: undefined, probeAt: now }
}

/** The path takes at most `mss` octets of text: what is on its way was lost, but not to congestion (RFC 1191 §6.5). */
const shrink = (tcb: ControlBlock, mss: number): ControlBlock => ({
  ...tcb,
  snd: { ...tcb.snd, mss },
  transmissions: Transmissions.lose(tcb.transmissions, tcb.snd.una, tcb.snd.nxt),
  recovery: { ...tcb.recovery, until: tcb.snd.nxt, duplicates: 0, tail: undefined }
})

/** The MSS to fall back to after a timeout, options included. */
const fallback = ({ attempts }: ControlBlock): number =>
  attempts >= CERTAIN ? LEAST : attempts >= SUSPICIOUS ? BASE : Infinity

/** After a retransmission timeout: a path that lets nothing large through is given smaller segments. */
export const timedOut = (tcb: ControlBlock, now: number): ControlBlock => {
  const { options, path, settings, snd, state, transmissions } = tcb
  if (state === "CLOSED" || isOpening(tcb) || !settings.pathMtuProbing) return tcb
  const noticed = path.probe === undefined ? tcb : { ...tcb, path: { ...path, probe: { ...path.probe, isLost: true } } }
  const mss = fallback(tcb) - Options.overhead(options)
  if (Math.min(snd.mss, Transmissions.outstanding(transmissions)) <= mss) return noticed
  return {
    ...shrink(noticed, mss),
    path: { ...begun(path.limit), probeAt: now },
    counts: count(tcb.counts, "blackHoles")
  }
}

/** ICMP asked for at most `mss` octets of text in a segment, about one that started at `seq` (RFC 1191). */
export const told = (tcb: ControlBlock, seq: number, mss: number, now: number): ControlBlock => {
  const { path, snd } = tcb
  if (mss < snd.mss) {
    return { ...shrink(tcb, mss), path: { ...begun(path.limit), probeAt: now + RAISE } }
  }
  const { probe } = path
  // RFC 8899 §4.6.2: of a probe, it tells how much less will do.
  return probe?.left !== seq || mss >= Sequence.difference(probe.left, probe.right) ? tcb : {
    ...tcb,
    transmissions: Transmissions.lose(tcb.transmissions, probe.left, probe.right),
    path: { ...path, failed: mss + 1, losses: TRIES, probe: { ...probe, isLost: true } },
    recovery: { ...tcb.recovery, until: Sequence.latest(tcb.recovery.until, probe.right) }
  }
}
