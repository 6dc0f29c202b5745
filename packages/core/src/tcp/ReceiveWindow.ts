/**
 * The window we announce (RFC 9293 §3.8.6.2.2).
 *
 * Its right edge never moves left, and moves right only by steps worth a segment.
 */
import type { ReceiveSpace } from "./ControlBlock.ts"

/** What the window field holds without scaling. */
const LARGEST = 65_535

/** The smallest step by which the right edge moves: Fr is 1/2. */
const step = (rcv: ReceiveSpace): number => Math.min(rcv.capacity >>> 1, rcv.mss)

/** The window that would be announced now, in octets from RCV.NXT. */
export const announced = (rcv: ReceiveSpace): number => {
  const free = largest(rcv.capacity - rcv.unread)
  return free - rcv.wnd >= step(rcv) ? Math.max(free, rcv.wnd) : rcv.wnd
}

/** The window when `free` octets fit the receive buffer. */
export const largest = (free: number): number => Math.min(free, LARGEST)

/** The receive space once a segment with the ACK bit has left: nothing is owed, and the window is as announced. */
export const settled = (rcv: ReceiveSpace): ReceiveSpace => {
  const wnd = announced(rcv)
  return rcv.acknowledge === "none" && wnd === rcv.wnd
    ? rcv
    : { ...rcv, wnd, unacknowledged: 0, acknowledge: "none" }
}
