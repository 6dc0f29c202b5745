/**
 * The window we announce (RFC 9293 §3.8.6.2.2, RFC 7323 §2).
 *
 * Its right edge never moves left, and moves right only by steps worth a segment. The window is kept in octets; on the wire it is rounded up to
 * whole units of its scale, so up to one unit less one octet more than was meant may arrive, and is taken (§2.4): RCV.EDGE is how far.
 */
import { draftReceive, type ReceiveDraft, type ReceiveSpace } from "./ControlBlock.ts"
import * as Sequence from "./Sequence.ts"

/** What the window field holds. */
const LARGEST_FIELD = 65_535
/** RFC 7323 §2.3 */
const LARGEST_SHIFT = 14

/** The smallest step by which the right edge moves: Fr is 1/2. */
const step = (rcv: ReceiveSpace): number => Math.min(rcv.capacity >>> 1, rcv.mss)

/** The shift with which `capacity` octets fit the field. */
export const shiftFor = (capacity: number): number => {
  let shift = 0
  while (shift < LARGEST_SHIFT && (LARGEST_FIELD << shift) < capacity) shift++
  return shift
}

/** The window that would be announced now, in octets from RCV.NXT. */
export const announced = (rcv: ReceiveSpace): number => {
  const free = largest(rcv.capacity - rcv.unread, rcv.scale)
  return free - rcv.wnd >= step(rcv) ? Math.max(free, rcv.wnd) : rcv.wnd
}

/** The window when `free` octets fit the receive buffer. */
export const largest = (free: number, scale: number): number => Math.max(0, Math.min(free, LARGEST_FIELD << scale))

/** The window field of a segment other than a SYN. */
export const field = ({ scale, wnd }: ReceiveSpace): number => Math.min(LARGEST_FIELD, Math.ceil(wnd / (1 << scale)))

/** The octets from RCV.NXT that the peer may have understood as the window. */
export const understood = ({ edge, nxt }: ReceiveSpace): number => Math.max(0, Sequence.difference(nxt, edge))

/** Octets beyond the capacity that may arrive all the same. */
export const slack = (scale: number): number => (1 << scale) - 1

/** The receive space towards a peer that does not scale windows. */
export const unscaled = (rcv: ReceiveSpace): ReceiveSpace => ({
  ...rcv,
  scale: 0,
  wnd: Math.min(rcv.wnd, LARGEST_FIELD)
})

/** The receive space once a segment with the ACK bit has left: nothing is owed, and the window is as announced. */
export const settled = (rcv: ReceiveSpace): ReceiveSpace => {
  if (isSettled(rcv, announced(rcv))) return rcv
  const next = draftReceive(rcv)
  settle(next)
  return next
}

const isSettled = (rcv: ReceiveSpace, wnd: number): boolean =>
  rcv.acknowledge === "none" && wnd === rcv.wnd && rcv.acknowledged === rcv.nxt && rcv.duplicate === undefined

/** What `settled` does, to a record that nobody else holds; false where there is nothing to change. */
export const settle = (rcv: ReceiveDraft): boolean => {
  const wnd = announced(rcv)
  if (isSettled(rcv, wnd)) return false
  rcv.wnd = wnd
  rcv.unacknowledged = 0
  rcv.acknowledge = "none"
  rcv.pushed = false
  rcv.acknowledged = rcv.nxt
  rcv.edge = edgeOf(rcv, wnd)
  rcv.duplicate = undefined
  return true
}

/** RCV.EDGE once a window of `wnd` octets is announced. */
const edgeOf = ({ edge, nxt, scale }: ReceiveSpace, wnd: number): number =>
  Sequence.latest(edge, Sequence.add(nxt, Math.min(LARGEST_FIELD, Math.ceil(wnd / (1 << scale))) << scale))
