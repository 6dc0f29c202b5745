/**
 * What must hold of a control block after each transition. Pure functions; each
 * gives the first thing it finds wrong.
 *
 * They judge what a machine does with what it was told, so they hold whatever
 * the peer and the network do. Sequence numbers are compared modulo 2^32.
 */
import type { ControlBlock, State } from "@strata/core/tcp/ControlBlock"
import * as ReceiveWindow from "@strata/core/tcp/ReceiveWindow"
import { type Segment, TcpFlag } from "@strata/core/tcp/Segment"
import type { Outcome } from "@strata/core/tcp/TcpMachine"
import type { Invariant } from "./Invariants.ts"

export interface Broken {
  readonly invariant: Invariant
  readonly what: string
}

/** What a machine was asked for. */
export type Event = "arrives" | "output" | "elapse" | "close" | "abort" | "consumed" | "unreachable" | "pathMtu"

export const broken = (invariant: Invariant, what: string): Broken => ({ invariant, what })

/** From one sequence number to another. */
export const difference = (from: number, to: number): number => (to - from) | 0

/** Whether the peer's SYN is here, and so the receive sequence space means something. */
const isSynchronized = (state: State): boolean => state !== "LISTEN" && state !== "SYN-SENT" && state !== "CLOSED"

/** Whether RCV.NXT has passed the peer's FIN. */
const isFinReached = ({ rcv }: ControlBlock): boolean => rcv.fin !== undefined && difference(rcv.fin, rcv.nxt) > 0

const isFinAcknowledged = ({ snd }: ControlBlock): boolean => snd.fin !== undefined && difference(snd.fin, snd.una) > 0

/** The rules of every transition. */
export const transition = (event: Event, before: ControlBlock, after: ControlBlock): Broken | undefined => {
  if (before === after) return undefined
  const wrongState = stateChange(event, before, after) ?? timers(after)
  if (wrongState !== undefined || after.state === "LISTEN" || after.state === "CLOSED") return wrongState
  if (after.state === "SYN-SENT") return sendOrder(before, after)
  return stateAgrees(after) ?? sendOrder(before, after) ?? receiveSpace(before, after)
}

// States

/** Figure 5 of RFC 9293, with what one segment can do at once. */
const BY_ARRIVAL: Record<State, ReadonlyArray<State>> = {
  "LISTEN": ["SYN-RECEIVED"],
  "SYN-SENT": ["SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "CLOSED"],
  "SYN-RECEIVED": ["ESTABLISHED", "FIN-WAIT-1", "CLOSE-WAIT", "CLOSING", "LISTEN", "CLOSED"],
  "ESTABLISHED": ["CLOSE-WAIT", "CLOSED"],
  "FIN-WAIT-1": ["FIN-WAIT-2", "CLOSING", "TIME-WAIT", "CLOSED"],
  "FIN-WAIT-2": ["TIME-WAIT", "CLOSED"],
  "CLOSE-WAIT": ["CLOSED"],
  "CLOSING": ["TIME-WAIT", "CLOSED"],
  "LAST-ACK": ["CLOSED"],
  "TIME-WAIT": ["CLOSED"],
  "CLOSED": []
}

const BY_CLOSE: Partial<Record<State, State>> = {
  "LISTEN": "CLOSED",
  "SYN-SENT": "CLOSED",
  "SYN-RECEIVED": "FIN-WAIT-1",
  "ESTABLISHED": "FIN-WAIT-1",
  "CLOSE-WAIT": "LAST-ACK"
}

const mayBecome = (event: Event, from: State, to: State): boolean => {
  switch (event) {
    case "arrives":
      return BY_ARRIVAL[from].includes(to)
    case "close":
      return BY_CLOSE[from] === to
    case "abort":
    case "elapse":
      return to === "CLOSED"
    case "unreachable":
      return (from === "SYN-SENT" && to === "CLOSED") ||
        (from === "SYN-RECEIVED" && (to === "LISTEN" || to === "CLOSED"))
    default:
      return false
  }
}

const stateChange = (event: Event, before: ControlBlock, after: ControlBlock): Broken | undefined => {
  const from = before.state
  const to = after.state
  if (from === to) return undefined
  if (!mayBecome(event, from, to)) return broken("state", `${event} went from ${from} to ${to}`)
  if (to === "CLOSED" && after.reason === undefined) return broken("state", "it is CLOSED for no reason")
  return undefined
}

const stateAgrees = (tcb: ControlBlock): Broken | undefined => {
  const { rcv, snd, state } = tcb
  const isOpening = state === "SYN-RECEIVED"
  if (!isOpening && difference(snd.iss, snd.una) <= 0) {
    return broken("state", `${state} before the peer has acknowledged our SYN`)
  }
  switch (state) {
    case "FIN-WAIT-2":
    case "TIME-WAIT":
      if (!isFinAcknowledged(tcb)) return broken("state", `${state} before the peer has acknowledged our FIN`)
  }
  switch (state) {
    case "CLOSE-WAIT":
    case "CLOSING":
    case "LAST-ACK":
    case "TIME-WAIT":
      return isFinReached(tcb) ? undefined : broken("state", `${state} without the peer's FIN at ${rcv.fin ?? "hand"}`)
    default:
      return isFinReached(tcb) ? broken("state", `${state} although the peer's FIN was reached`) : undefined
  }
}

// Sending

const sendOrder = (before: ControlBlock, after: ControlBlock): Broken | undefined => {
  const { max, nxt, una } = after.snd
  if (difference(una, nxt) < 0) return broken("sendOrder", "SND.NXT is before SND.UNA")
  if (difference(nxt, max) < 0) return broken("sendOrder", "SND.NXT is beyond SND.MAX")
  if (before.snd.iss !== after.snd.iss) return undefined
  if (difference(before.snd.una, una) < 0) return broken("sendOrder", "SND.UNA went back")
  if (difference(before.snd.max, max) < 0) return broken("sendOrder", "SND.MAX went back")
  return undefined
}

// Receiving

const receiveSpace = (before: ControlBlock, after: ControlBlock): Broken | undefined => {
  const { rcv } = after
  if (before.rcv === rcv) return undefined
  const was = before.rcv
  if (isSynchronized(before.state)) {
    const advanced = difference(was.nxt, rcv.nxt)
    if (advanced < 0) return broken("receiveOrder", "RCV.NXT went back")
    const moved = difference(was.nxt + was.wnd, rcv.nxt + rcv.wnd)
    if (moved < 0) return broken("windowEdge", `the right edge of the announced window moved left by ${-moved} octets`)
    const understood = difference(was.edge, rcv.edge)
    if (understood < 0) {
      return broken("windowEdge", `the edge of what was ever let in moved left by ${-understood} octets`)
    }
    if (was.fin !== undefined && rcv.fin !== was.fin) return broken("afterFin", "the peer's FIN moved")
    if (advanced > 0 && isFinReached(before)) return broken("afterFin", "RCV.NXT moved on after the peer's FIN")
  }
  if (rcv.fin !== undefined && difference(rcv.fin, rcv.nxt) > 1) {
    return broken("afterFin", `${difference(rcv.fin, rcv.nxt) - 1} octets behind the peer's FIN were received`)
  }
  if (rcv.capacity > rcv.maximum) {
    return broken("buffers", `the receive buffer holds ${rcv.capacity} octets, but at most ${rcv.maximum} may`)
  }
  if (rcv.capacity < was.capacity && isSynchronized(before.state)) {
    return broken("buffers", `the receive buffer shrank from ${was.capacity} to ${rcv.capacity} octets`)
  }
  if (rcv.wnd < 0) return broken("buffers", `the announced window is ${rcv.wnd} octets`)
  if (rcv.unread < 0) return broken("buffers", `${rcv.unread} octets are unread`)
  return room(rcv) ?? (rcv.ranges.length === 0 ? undefined : ranges(after))
}

/** RFC 7323 §2.4: on the wire, a window is rounded up to units of its scale, and the buffer has room for that. */
const room = ({ capacity, edge, nxt, scale, unread, wnd }: ControlBlock["rcv"]): Broken | undefined => {
  const within = Math.max(0, difference(nxt, edge))
  const isTooMuch = (wnd > 0 && unread + wnd > capacity) || unread + within > capacity + ReceiveWindow.slack(scale)
  return isTooMuch
    ? broken(
      "buffers",
      `${unread} octets are unread and ${Math.max(wnd, within)} more are let in, but the buffer holds ${capacity}`
    )
    : undefined
}

const ranges = ({ rcv }: ControlBlock): Broken | undefined => {
  let end = rcv.nxt
  for (const { left, right } of rcv.ranges) {
    if (difference(end, left) <= 0 || difference(left, right) <= 0) {
      return broken("receiveOrder", "the ranges received after gaps are not ascending and apart")
    }
    end = right
  }
  if (difference(rcv.edge, end) > 0) return broken("receiveOrder", "octets beyond the window were received")
  if (rcv.fin !== undefined && difference(rcv.fin, end) > 0) {
    return broken("afterFin", "octets behind the peer's FIN were received")
  }
  return undefined
}

/** A segment arrived. */
export const arrival = (before: ControlBlock, segment: Segment, outcome: Outcome): Broken | undefined => {
  const after = outcome.tcb
  if (!isSynchronized(after.state)) return undefined
  const wasSynchronized = isSynchronized(before.state)
  const nxt = wasSynchronized ? before.rcv.nxt : (after.rcv.irs + 1) >>> 0
  return acknowledgement(before, segment, outcome, nxt) ?? text(before, after, segment, outcome, nxt)
}

const acknowledgement = (
  before: ControlBlock,
  segment: Segment,
  outcome: Outcome,
  nxt: number
): Broken | undefined => {
  const after = outcome.tcb
  const { una } = after.snd
  if (difference(before.snd.max, una) > 0) {
    return broken(
      "unsentAcknowledged",
      `an acknowledgement of ${difference(before.snd.max, una)} octets that were never sent was believed`
    )
  }
  const isOfUnsent = (segment.flags & TcpFlag.ack) !== 0 && difference(before.snd.max, segment.ack) > 0
  if (isOfUnsent && (after.rcv.nxt !== nxt || outcome.textLength > 0)) {
    return broken("unsentAcknowledged", "the text of a segment that acknowledges what was never sent was taken")
  }
  // The SYN and the FIN are acknowledged without being octets of the buffer.
  const advanced = difference(before.snd.una, una)
  const controls = Number(before.snd.una === before.snd.iss && advanced > 0) +
    Number(isFinAcknowledged(after) && !isFinAcknowledged(before))
  if (outcome.acknowledged !== advanced - controls) {
    return broken(
      "sendOrder",
      `SND.UNA moved by ${advanced}, of which ${controls} for SYN and FIN, but ${outcome.acknowledged} octets ` +
        "of the send buffer were let go"
    )
  }
  return undefined
}

const text = (
  before: ControlBlock,
  after: ControlBlock,
  segment: Segment,
  { textLength, textOffset, textSkip }: Outcome,
  nxt: number
): Broken | undefined => {
  const syn = (segment.flags & TcpFlag.syn) >>> 1
  if (textLength > 0) {
    if (isFinReached(before)) return broken("afterFin", `${textLength} octets were taken after the peer's FIN`)
    const place = difference(nxt, segment.seq + syn + textSkip)
    if (place !== textOffset || textOffset < 0) {
      return broken("receiveOrder", `octets that belong at RCV.NXT + ${place} were put at RCV.NXT + ${textOffset}`)
    }
    if (textSkip < 0 || textSkip + textLength > segment.length) {
      return broken("receiveOrder", `octets ${textSkip} to ${textSkip + textLength} of ${segment.length} were taken`)
    }
    const within = isSynchronized(before.state) ? difference(nxt, before.rcv.edge) : before.rcv.wnd
    if (textOffset + textLength > within) {
      return broken("buffers", `${textOffset + textLength - within} octets beyond the window were taken`)
    }
  }
  const received = after.rcv.unread - before.rcv.unread
  const advanced = difference(nxt, after.rcv.nxt)
  const fin = Number(isFinReached(after) && !isFinReached(before))
  if (advanced !== received + fin) {
    return broken("receiveOrder", `RCV.NXT moved by ${advanced} for ${received} octets${fin === 1 ? " and a FIN" : ""}`)
  }
  if (textLength === 0 && received > 0) return broken("receiveOrder", `${received} octets came from nowhere`)
  if (fin === 1) return finArrived(after, segment, before)
  return undefined
}

const finArrived = (after: ControlBlock, segment: Segment, before: ControlBlock): Broken | undefined => {
  if (before.rcv.fin !== undefined) return undefined
  const syn = (segment.flags & TcpFlag.syn) >>> 1
  const says = (segment.seq + syn + segment.length) >>> 0
  return (segment.flags & TcpFlag.fin) !== 0 && says === after.rcv.fin
    ? undefined
    : broken("afterFin", "the end of the stream was reached without a FIN there")
}

/** The program took octets. */
export const consumption = (before: ControlBlock, after: ControlBlock, octets: number): Broken | undefined => {
  if (before.rcv.unread - after.rcv.unread !== octets) {
    return broken("buffers", `${octets} octets were read, and ${before.rcv.unread - after.rcv.unread} let go`)
  }
  return before.rcv.nxt === after.rcv.nxt ? undefined : broken("receiveOrder", "RCV.NXT moved by a read")
}

// Timers

/** Timers that may run in the state of a control block. */
const timers = ({ deadlines, state }: ControlBlock): Broken | undefined => {
  const { acknowledge, persist, retransmit, timeWait } = deadlines
  switch (state) {
    case "CLOSED":
    case "LISTEN":
      return Math.min(acknowledge, persist, retransmit, timeWait) === Infinity
        ? undefined
        : broken("timers", `a timer runs in ${state}`)
    case "TIME-WAIT":
      if (Math.min(persist, retransmit) !== Infinity) return broken("timers", "something is to be sent in TIME-WAIT")
      return timeWait === Infinity ? broken("timers", "TIME-WAIT has no end") : undefined
    default:
      return timeWait === Infinity ? undefined : broken("timers", `the TIME-WAIT timer runs in ${state}`)
  }
}

/** A timer's time has come. */
export const elapsed = (before: ControlBlock, after: ControlBlock, now: number): Broken | undefined => {
  if (before.state === "CLOSED" || before.state === "LISTEN") {
    return broken("timers", `a timer of a connection in ${before.state} went off`)
  }
  if (before.state === "TIME-WAIT" && after.state === "CLOSED" && now < before.deadlines.timeWait) {
    return broken("timers", `TIME-WAIT ended ${before.deadlines.timeWait - now} ms early`)
  }
  if (before.rcv.nxt !== after.rcv.nxt) return broken("receiveOrder", "RCV.NXT moved by a timer")
  return before.snd.una === after.snd.una ? undefined : broken("sendOrder", "SND.UNA moved by a timer")
}

/** The machine has nothing more to send now: whatever is open must have a timer. */
export const idle = (tcb: ControlBlock, queued: number): Broken | undefined => {
  const { deadlines, rcv, snd, state } = tcb
  if (state === "CLOSED" || state === "LISTEN") return undefined
  const willSend = Math.min(deadlines.retransmit, deadlines.persist) !== Infinity
  if (snd.una !== snd.max && !willSend) {
    return broken(
      "timers",
      `${difference(snd.una, snd.max)} octets are on their way, and no timer will send them again`
    )
  }
  if (state === "SYN-SENT" || state === "SYN-RECEIVED") return undefined
  if (!willSend && queued > 0) return broken("timers", `${queued} octets are queued, and no timer will send them`)
  if (!willSend && snd.closing && snd.fin === undefined) return broken("timers", "no timer will send the FIN")
  if (rcv.acknowledge === "now" || (rcv.acknowledge === "delayed" && deadlines.acknowledge === Infinity)) {
    return broken("timers", "an acknowledgement is owed, and nobody will send it")
  }
  return undefined
}

/** The deadline that the machine asks to be woken at. */
export const alarm = ({ deadlines, state }: ControlBlock, asked: number): Broken | undefined => {
  const { acknowledge, keepAlive, pace, persist, reorder, retransmit, tail, timeWait, userTimeout } = deadlines
  const earliest = Math.min(
    retransmit,
    persist,
    acknowledge,
    timeWait,
    reorder,
    tail,
    pace,
    keepAlive,
    userTimeout
  )
  if (asked <= earliest || state === "CLOSED") return undefined
  return broken("timers", `a timer is due at ${earliest} ms, but the machine sleeps until ${asked} ms`)
}
