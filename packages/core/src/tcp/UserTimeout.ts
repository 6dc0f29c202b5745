/**
 * The user timeout (RFC 9293 §3.9.1.1, RFC 5482): how long text, or a SYN, may stay without acknowledgement before the
 * connection is given up.
 *
 * The time counts from when the segment left that is first repeated, or from the first probe of a closed window, and
 * ends with the next progress. A peer that answers every probe, and never opens its window, uses it up, too, as in Linux.
 *
 * It is a matter of this side alone: the option by which RFC 5482 §3 tells it to the peer is neither sent nor believed.
 * A peer must not decide how long this host keeps what it cannot deliver, and hardly any knows the option.
 */
import { close, type ControlBlock, isOpening } from "./ControlBlock.ts"
import * as Transmissions from "./Transmissions.ts"

/** When what is first in line left last, in milliseconds. */
const leftAt = (tcb: ControlBlock, now: number): number => {
  const { rtt, snd, transmissions } = tcb
  if (transmissions.last !== undefined) return Transmissions.at(transmissions, 0).sentAt
  return isOpening(tcb) && Number.isFinite(snd.sentAt) ? snd.sentAt : now - rtt.timeout
}

const begun = (before: ControlBlock, after: ControlBlock, since: number): ControlBlock => {
  const { attempts, probes, settings } = before
  const isFirst = attempts === 0 && probes === 0 && after.attempts > 0
  return settings.userTimeout === Infinity || !isFirst
    ? after
    : { ...after, deadlines: { ...after.deadlines, userTimeout: since + settings.userTimeout } }
}

/** The control block after the retransmission timer has made `after` of `before`. */
export const retransmitted = (before: ControlBlock, after: ControlBlock, now: number): ControlBlock =>
  begun(before, after, leftAt(before, now))

/** The control block after the persist timer has made `after` of `before`. */
export const probed = (before: ControlBlock, after: ControlBlock, now: number): ControlBlock =>
  begun(before, after, now)

/** The time is over: the connection is given up, unless there was progress meanwhile. */
export const elapsed = (tcb: ControlBlock): ControlBlock =>
  tcb.attempts > 0 || tcb.probes > 0
    ? close(tcb, tcb.softError ? "unreachable" : "timedOut")
    : { ...tcb, deadlines: { ...tcb.deadlines, userTimeout: Infinity } }
