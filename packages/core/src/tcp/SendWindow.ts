/**
 * The window the peer offers, and how much of it may be used.
 */
import type { ControlBlock, SendSpace } from "./ControlBlock.ts"
import * as NewReno from "./NewReno.ts"
import * as Sequence from "./Sequence.ts"
import * as Transmissions from "./Transmissions.ts"

/** Octets between SND.UNA and SND.NXT: what is not acknowledged. */
export const flight = (snd: SendSpace): number => Sequence.difference(snd.una, snd.nxt)

/** Octets that may wait to be sent for the first time: at least a segment, so that there is something to fill one with. */
export const unsentBound = ({ settings, snd }: ControlBlock): number => Math.max(settings.notSentLowWater, snd.mss)

/**
 * Whether the window is so small that nothing is sent into it but by the override timer (RFC 9293 §3.8.6.2.1): less
 * than a segment and than half of the largest window the peer ever offered.
 */
const isClosed = (snd: SendSpace): boolean => snd.wnd < Math.min(snd.mss, Math.max(1, snd.maxWnd >>> 1))

/** How long to wait after `probes` probes: the retransmission timeout, doubled for each (RFC 9293 §3.8.6.1). */
export const probeInterval = (tcb: ControlBlock, probes: number): number =>
  Math.min(tcb.rtt.timeout * 2 ** probes, tcb.settings.maximumRetransmissionTimeout)

/** Whether the acknowledgement of our FIN has come, after which nothing is sent any more. */
export const isFinAcknowledged = (snd: SendSpace): boolean =>
  snd.fin !== undefined && Sequence.greaterThan(snd.una, snd.fin)

/** Starts the persist timer when nothing is on its way and the window is closed, and stops it otherwise. */
export const persisting = (tcb: ControlBlock, now: number): ControlBlock => {
  const { deadlines, probes, snd } = tcb
  if (isClosed(snd) && Transmissions.inFlight(tcb.transmissions) === 0 && !isFinAcknowledged(snd)) {
    return deadlines.persist !== Infinity || snd.forced
      ? tcb
      : { ...tcb, deadlines: { ...deadlines, persist: now + probeInterval(tcb, probes), retransmit: Infinity } }
  }
  return deadlines.persist === Infinity && probes === 0
    ? tcb
    : { ...tcb, probes: 0, deadlines: { ...deadlines, persist: Infinity } }
}

/** Octets in the network (RFC 6675 §4): without SACK, duplicates say how many have left it. */
export const inFlight = (tcb: ControlBlock): number => Transmissions.inFlight(tcb.transmissions) - NewReno.departed(tcb)

/** The congestion window in whole octets: never less than a segment. */
const congestionWindow = ({ congestion, snd }: ControlBlock): number => Math.max(Math.floor(congestion.window), snd.mss)

/** Octets that the congestion window leaves; negative when it shrank below what is in flight. */
export const allowance = (tcb: ControlBlock): number => congestionWindow(tcb) - inFlight(tcb)

/** Octets from `seq` on that the peer's window leaves; it may have shrunk since they were sent. */
export const within = (snd: SendSpace, seq: number): number =>
  Math.max(0, Sequence.difference(seq, Sequence.add(snd.una, snd.wnd)))

/**
 * Octets that both windows leave beyond SND.NXT; never negative, though a peer may take back what it offered. What left
 * the network makes room for new text even before a loss is proven (RFC 3042).
 */
export const usable = (tcb: ControlBlock): number =>
  Math.max(0, Math.min(tcb.snd.wnd - flight(tcb.snd), allowance(tcb)))

/** Whether the congestion window was used up lately; one that was not has proved nothing (RFC 7661 §4.1). */
export const isLimiting = ({ congestion: { slowStartThreshold, window }, snd }: ControlBlock): boolean =>
  window < slowStartThreshold ? snd.peak * 2 > window : snd.peak + snd.mss > window
