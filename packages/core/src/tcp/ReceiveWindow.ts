/**
 * The window we announce (RFC 9293 §3.8.6.2.2).
 *
 * Its right edge never moves left, and moves right only by steps worth a segment.
 */
import type { ControlBlock, ReceiveSpace } from "./ControlBlock.ts"

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

/** Whether the peer may send more text. */
const isReceiving = (tcb: ControlBlock): boolean =>
  tcb.state === "ESTABLISHED" || tcb.state === "FIN-WAIT-1" || tcb.state === "FIN-WAIT-2"

/** The program took `octets` out of the receive buffer. */
export const consumed = (tcb: ControlBlock, octets: number): ControlBlock => {
  const rcv = { ...tcb.rcv, unread: tcb.rcv.unread - octets }
  return announced(rcv) > rcv.wnd && isReceiving(tcb)
    ? { ...tcb, rcv: { ...rcv, acknowledge: "now" } }
    : { ...tcb, rcv }
}
