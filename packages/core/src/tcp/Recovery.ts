/**
 * Loss: found by duplicate acknowledgements (RFC 5681 §3.2, RFC 6582) or by a timeout (RFC 6298 §5).
 */
import type { CongestionState, CongestionView } from "./Congestion.ts"
import { close, type ControlBlock, isOpening } from "./ControlBlock.ts"
import * as Rtt from "./Rtt.ts"
import { type Segment, TcpFlag } from "./Segment.ts"
import * as SendWindow from "./SendWindow.ts"
import * as Sequence from "./Sequence.ts"

/** Duplicates that prove a loss. */
const THRESHOLD = 3

const view = (tcb: ControlBlock, inFlight: number, now: number): CongestionView => ({
  mss: tcb.snd.mss,
  inFlight,
  smoothedRtt: tcb.rtt.smoothed,
  now
})

const outstanding = (tcb: ControlBlock): number => Sequence.difference(tcb.snd.una, tcb.snd.max)

/** RFC 5681 §2; called for segments whose acknowledgement is SND.UNA, before their window is taken over. */
export const isDuplicate = (tcb: ControlBlock, segment: Segment): boolean =>
  segment.length === 0 &&
  (segment.flags & (TcpFlag.syn | TcpFlag.fin)) === 0 &&
  segment.wnd === tcb.snd.wnd &&
  tcb.snd.nxt !== tcb.snd.una

/** One more duplicate acknowledgement. */
export const duplicate = (tcb: ControlBlock, now: number): ControlBlock => {
  const duplicates = tcb.duplicates + 1
  if (tcb.recover !== undefined) {
    return {
      ...tcb,
      duplicates,
      congestion: tcb.algorithm.onDuplicate(tcb.congestion, view(tcb, outstanding(tcb), now))
    }
  }
  return duplicates === THRESHOLD && tcb.resentUntil === undefined
    ? enterRecovery({ ...tcb, duplicates }, now)
    : { ...tcb, duplicates }
}

/** RFC 6582 §3.2, step 2 */
const enterRecovery = (tcb: ControlBlock, now: number): ControlBlock => ({
  ...tcb,
  snd: { ...tcb.snd, resend: true },
  rtt: Rtt.stop(tcb.rtt),
  congestion: tcb.algorithm.onLoss(tcb.congestion, view(tcb, outstanding(tcb), now)),
  recover: tcb.snd.max
})

/** The congestion state after the acknowledgement of `octets`; in fast recovery `acknowledged` sees to it. */
export const grown = (tcb: ControlBlock, octets: number, now: number): CongestionState =>
  tcb.recover === undefined
    ? tcb.algorithm.onAck(tcb.congestion, octets, view(tcb, outstanding(tcb), now))
    : tcb.congestion

/** Whether nothing was lost lately, so that an acknowledgement has nothing to end. */
export const isQuiet = (tcb: ControlBlock): boolean =>
  tcb.attempts === 0 && tcb.duplicates === 0 && tcb.recover === undefined && tcb.resentUntil === undefined &&
  !tcb.softError

/**
 * What the acknowledgement of `octets` means for recovery; `tcb` has the new SND.UNA. While a window of losses is
 * repaired one by one, the retransmission timer is restarted for each (the slow but steady variant).
 */
export const acknowledged = (tcb: ControlBlock, octets: number, now: number): ControlBlock => {
  const { algorithm, congestion, recover, resentUntil, snd } = tcb
  if (recover === undefined) {
    return {
      ...tcb,
      attempts: 0,
      duplicates: 0,
      softError: false,
      resentUntil: resentUntil === undefined || Sequence.greaterThan(snd.una, resentUntil) ? undefined : resentUntil
    }
  }
  if (Sequence.greaterOrEqual(snd.una, recover)) {
    return {
      ...tcb,
      attempts: 0,
      duplicates: 0,
      recover: undefined,
      resentUntil: snd.una === recover ? recover : undefined,
      congestion: algorithm.onRecovered(congestion, view(tcb, outstanding(tcb), now))
    }
  }
  return {
    ...tcb,
    attempts: 0,
    snd: { ...snd, resend: true },
    congestion: algorithm.onPartial(congestion, octets, view(tcb, outstanding(tcb), now))
  }
}

const giveUp = (tcb: ControlBlock): ControlBlock => close(tcb, tcb.softError ? "unreachable" : "timedOut")

/** The retransmission timer expired (RFC 6298 §5.4 to 5.6). Everything from SND.UNA on is sent again, as the windows allow. */
export const timeout = (tcb: ControlBlock, now: number): ControlBlock => {
  const { algorithm, attempts, congestion, rtt, settings, snd } = tcb
  const opening = isOpening(tcb)
  if (attempts >= (opening ? settings.synRetransmissions : settings.retransmissions)) return giveUp(tcb)
  return {
    ...tcb,
    snd: { ...snd, nxt: snd.una, resend: false, forced: !opening },
    rtt: Rtt.backedOff(rtt, settings),
    congestion: opening
      ? congestion
      : algorithm.onTimeout(congestion, attempts === 0, view(tcb, outstanding(tcb), now)),
    attempts: attempts + 1,
    duplicates: 0,
    recover: undefined,
    resentUntil: opening ? undefined : snd.max,
    deadlines: { ...tcb.deadlines, retransmit: Infinity }
  }
}

/** The persist timer expired (RFC 9293 §3.8.6.1): one segment goes, whatever the window. */
export const probe = (tcb: ControlBlock, queued: number, now: number): ControlBlock => {
  const deadlines = { ...tcb.deadlines, persist: Infinity }
  if (SendWindow.flight(tcb.snd) !== 0) return { ...tcb, deadlines }
  // Nothing waits for the window; a later write must not.
  if (queued === 0 && !tcb.snd.closing) {
    return { ...tcb, probes: 0, deadlines: { ...deadlines, persist: now + tcb.rtt.timeout } }
  }
  if (tcb.attempts >= tcb.settings.retransmissions) return giveUp(tcb)
  return { ...tcb, attempts: tcb.attempts + 1, snd: { ...tcb.snd, forced: true }, deadlines }
}

/** The path takes at most `mss` octets of text: what is on its way was lost, but not to congestion (RFC 1191 §6.5). */
export const shrink = (tcb: ControlBlock, mss: number): ControlBlock => ({
  ...tcb,
  snd: { ...tcb.snd, mss, nxt: tcb.snd.una, resend: false },
  rtt: Rtt.stop(tcb.rtt),
  duplicates: 0,
  recover: undefined,
  resentUntil: tcb.snd.max
})
