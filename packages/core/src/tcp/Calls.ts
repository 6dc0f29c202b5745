/**
 * The user's calls (RFC 9293 §3.10), the timers, and what ICMP tells.
 */
import { unanswered } from "./Arrival.ts"
import {
  close as closed,
  type ControlBlock,
  draft,
  draftReceive,
  isOpening,
  type ReceiveDraft,
  type Writable
} from "./ControlBlock.ts"
import { count } from "./Counts.ts"
import * as DelayedAcknowledgement from "./DelayedAcknowledgement.ts"
import * as KeepAlive from "./KeepAlive.ts"
import * as MtuSearch from "./MtuSearch.ts"
import * as Options from "./Options.ts"
import * as ReceiveTuning from "./ReceiveTuning.ts"
import * as ReceiveWindow from "./ReceiveWindow.ts"
import * as Recovery from "./Recovery.ts"
import * as Reply from "./Reply.ts"
import * as Sequence from "./Sequence.ts"
import type { Outcome } from "./TcpMachine.ts"
import { outcome } from "./Text.ts"
import * as UserTimeout from "./UserTimeout.ts"

/** CLOSE (§3.10.4). In SYN-RECEIVED it waits until the connection is established. */
export const close = (tcb: ControlBlock): ControlBlock => {
  switch (tcb.state) {
    case "LISTEN":
    case "SYN-SENT":
      return closed(tcb, "aborted")
    case "SYN-RECEIVED":
      return closing(tcb)
    case "ESTABLISHED":
      return { ...closing(tcb), state: "FIN-WAIT-1" }
    case "CLOSE-WAIT":
      return { ...closing(tcb), state: "LAST-ACK" }
    default:
      return tcb
  }
}

const closing = (tcb: ControlBlock): ControlBlock => ({ ...tcb, snd: { ...tcb.snd, closing: true } })

/** Whether the peer may send more text. */
const isReceiving = (tcb: ControlBlock): boolean =>
  tcb.state === "ESTABLISHED" || tcb.state === "FIN-WAIT-1" || tcb.state === "FIN-WAIT-2"

/** RECEIVE (§3.10.3): the program took `octets` out of the receive buffer. */
export const consumed = (tcb: ControlBlock, octets: number, now: number): ControlBlock => {
  const next = draft(tcb)
  const rcv = draftReceive(tcb.rcv)
  const tuning = { ...tcb.tuning }
  next.rcv = rcv
  next.tuning = tuning
  consume(next, rcv, tuning, octets, now)
  return next
}

/** What `consumed` does, to a control block with a receive space and a state of tuning that nobody else holds. */
export const consume = (
  tcb: ControlBlock,
  rcv: ReceiveDraft,
  tuning: Writable<ReceiveTuning.TuningState>,
  octets: number,
  now: number
): void => {
  rcv.unread -= octets
  if (ReceiveTuning.isRoundOver(tcb, now)) ReceiveTuning.nextRound(tuning, rcv, now)
  const isDue = rcv.acknowledge !== "now" && isReceiving(tcb) &&
    DelayedAcknowledgement.isDueAfterRead(rcv, ReceiveWindow.announced(rcv))
  if (isDue) rcv.acknowledge = "now"
}

/** ABORT (§3.10.5) */
export const abort = (tcb: ControlBlock, now: number): Outcome => {
  switch (tcb.state) {
    case "CLOSED":
      return outcome(tcb)
    case "SYN-RECEIVED":
    case "ESTABLISHED":
    case "FIN-WAIT-1":
    case "FIN-WAIT-2":
    case "CLOSE-WAIT":
      return outcome(closed(tcb, "aborted"), 0, Reply.abortion(tcb, now))
    default:
      return outcome(closed(tcb, "aborted"))
  }
}

/** The earliest deadline. */
export const deadline = ({ deadlines }: ControlBlock): number =>
  Math.min(
    deadlines.retransmit,
    deadlines.persist,
    deadlines.acknowledge,
    deadlines.timeWait,
    deadlines.reorder,
    deadlines.tail,
    deadlines.pace,
    deadlines.keepAlive,
    deadlines.userTimeout
  )

/**
 * Timeouts (§3.10.8). What is missing by RACK's clock is sent again before a probe or a timeout is thought of. Over a long path, a probe is due
 * together with a timeout, and comes in its place (RFC 8985 §7.2).
 */
export const elapse = (before: ControlBlock, queued: number, now: number): ControlBlock => {
  if (now >= before.deadlines.timeWait) return closed(before, "finished")
  let tcb = before
  if (now >= tcb.deadlines.reorder) tcb = Recovery.reordered(tcb, now)
  if (now >= tcb.deadlines.tail) tcb = Recovery.tailProbe(tcb, now)
  if (now >= tcb.deadlines.retransmit) tcb = timedOut(tcb, now)
  if (now >= tcb.deadlines.persist) tcb = UserTimeout.probed(tcb, Recovery.probe(tcb, queued, now), now)
  if (now >= tcb.deadlines.userTimeout) tcb = UserTimeout.elapsed(tcb)
  if (now >= tcb.deadlines.keepAlive) tcb = KeepAlive.elapsed(tcb, queued, now)
  if (now >= tcb.deadlines.pace) tcb = { ...tcb, deadlines: { ...tcb.deadlines, pace: Infinity } }
  return now >= tcb.deadlines.acknowledge ? acknowledge(tcb) : tcb
}

const timedOut = (tcb: ControlBlock, now: number): ControlBlock =>
  UserTimeout.retransmitted(tcb, MtuSearch.timedOut(Recovery.timeout(tcb, now), now), now)

const acknowledge = (tcb: ControlBlock): ControlBlock => ({
  ...tcb,
  rcv: DelayedAcknowledgement.elapsed(tcb.rcv),
  deadlines: { ...tcb.deadlines, acknowledge: Infinity },
  counts: tcb.rcv.acknowledge === "delayed" ? count(tcb.counts, "delayedAcknowledgements") : tcb.counts
})

/** Whether an ICMP error can be about something on its way (RFC 5927 §4.1); anybody can send one. */
const isOnItsWay = ({ snd }: ControlBlock, seq: number): boolean =>
  Sequence.greaterOrEqual(seq, snd.una) && Sequence.lessThan(seq, snd.max)

/**
 * What ICMP tells (RFC 1122 §4.2.3.9, RFC 5461). Soft errors never end a connection, not even one that is opening: a better route
 * may come, and they are told when it times out.
 */
export const unreachable = (tcb: ControlBlock, seq: number, hard: boolean): ControlBlock => {
  if (tcb.state === "CLOSED" || tcb.state === "LISTEN" || !isOnItsWay(tcb, seq)) return tcb
  // RFC 5927 §5.2: of a synchronized connection, a hard error is taken as a soft one.
  return hard && isOpening(tcb) ? unanswered(tcb, "unreachable") : { ...tcb, softError: true }
}

/** Octets of the IPv4 and TCP headers without options. */
const HEADERS = 40

export const pathMtu = (tcb: ControlBlock, seq: number, mtu: number, now: number): ControlBlock =>
  tcb.state === "CLOSED" || isOpening(tcb) || !isOnItsWay(tcb, seq)
    ? tcb
    : MtuSearch.told(tcb, seq, Options.sendMss(tcb, mtu - HEADERS), now)
