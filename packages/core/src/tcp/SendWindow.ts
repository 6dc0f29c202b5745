/**
 * The window the peer offers, and how much of it may be used.
 */
import type { ControlBlock, Deadlines, SendSpace } from "./ControlBlock.ts"
import * as Sequence from "./Sequence.ts"

/** Octets between SND.UNA and SND.NXT: what is thought to be on its way. */
export const flight = (snd: SendSpace): number => Sequence.difference(snd.una, snd.nxt)

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
  if (snd.nxt === snd.una && isClosed(snd) && !isFinAcknowledged(snd)) {
    return deadlines.persist !== Infinity || snd.forced
      ? tcb
      : { ...tcb, deadlines: withPersist(deadlines, now + probeInterval(tcb, probes)) }
  }
  return deadlines.persist === Infinity && probes === 0
    ? tcb
    : { ...tcb, probes: 0, deadlines: withPersist(deadlines, Infinity) }
}

const withPersist = (deadlines: Deadlines, persist: number): Deadlines => ({ ...deadlines, persist })

/** Octets the congestion window leaves, fresh segments for the first two duplicates included (RFC 3042). */
const congestionWindow = (tcb: ControlBlock): number => {
  const window = Math.max(tcb.congestion.window, tcb.snd.mss)
  const isRepairing = tcb.recover !== undefined || tcb.resentUntil !== undefined
  return isRepairing || tcb.duplicates === 0 ? window : window + Math.min(tcb.duplicates, 2) * tcb.snd.mss
}

/** Octets that both windows leave beyond SND.NXT; never negative, though a peer may take back what it offered. */
export const usable = (tcb: ControlBlock): number =>
  Math.max(0, Math.floor(Math.min(tcb.snd.wnd, congestionWindow(tcb))) - flight(tcb.snd))
