/**
 * More that can go wrong: in opening, closing, repairing, and below TCP.
 */
import { NetworkStack } from "@strata/core"
import { NeighbourSettings } from "@strata/core/link/ArpCache"
import * as NeighbourTable from "@strata/core/link/NeighbourTable"
import { close, NEVER } from "@strata/core/tcp/ControlBlock"
import { TcpFlag } from "@strata/core/tcp/Segment"
import * as Sequence from "@strata/core/tcp/Sequence"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { Layer } from "effect"
import {
  has,
  ignored,
  isReceiving,
  isSynchronized,
  type Mutation,
  mutation,
  without,
  withoutTimer
} from "./Mutation.ts"

// Opening

const synAckOnce = mutation("the SYN,ACK is sent only once", {
  arrives: (tcb, segment, now) =>
    tcb.state === "SYN-RECEIVED" && tcb.passive && has(segment, "syn")
      ? ignored(tcb)
      : rfc9293.arrives(tcb, segment, now),
  elapse: (tcb, queued, now) =>
    tcb.state === "SYN-RECEIVED" && tcb.passive ? { ...tcb, deadlines: NEVER } : rfc9293.elapse(tcb, queued, now)
})

const noCrossing = mutation("a SYN that crosses ours is ignored", {
  arrives: (tcb, segment, now) =>
    tcb.state === "SYN-SENT" && has(segment, "syn") && !has(segment, "ack")
      ? ignored(tcb)
      : rfc9293.arrives(tcb, segment, now)
})

// Text

const twice = mutation("text that came again is delivered again", {
  arrives: (tcb, segment, now) => {
    const end = Sequence.difference(tcb.rcv.nxt, Sequence.add(segment.seq, segment.length))
    const isOld = isReceiving(tcb) && segment.length > 0 && end <= 0
    return rfc9293.arrives(tcb, isOld ? { ...segment, seq: tcb.rcv.nxt } : segment, now)
  }
})

const oneGap = mutation("the second gap is taken to be filled with the first", {
  arrives: (tcb, segment, now) => {
    const outcome = rfc9293.arrives(tcb, segment, now)
    const last = tcb.rcv.ranges.at(-1)
    const { rcv } = outcome.tcb
    const skipped = last === undefined ? 0 : Sequence.difference(rcv.nxt, last.right)
    if (tcb.rcv.ranges.length < 2 || last === undefined || rcv.nxt === tcb.rcv.nxt || skipped <= 0) return outcome
    return {
      ...outcome,
      tcb: {
        ...outcome.tcb,
        rcv: { ...rcv, nxt: last.right, wnd: rcv.wnd - skipped, unread: rcv.unread + skipped, ranges: [] }
      }
    }
  }
})

const halfOpen = mutation("nothing is received after our own FIN", {
  arrives: (tcb, segment, now) =>
    (tcb.state === "FIN-WAIT-1" || tcb.state === "FIN-WAIT-2") && segment.length > 0
      ? rfc9293.arrives(tcb, { ...without(segment, "fin"), seq: tcb.rcv.nxt, length: 0 }, now)
      : rfc9293.arrives(tcb, segment, now)
})

// Acknowledgements and repair

const backwards = mutation("an old acknowledgement moves SND.UNA back", {
  arrives: (tcb, segment, now) => {
    const outcome = rfc9293.arrives(tcb, segment, now)
    const isOld = isSynchronized(outcome.tcb) && has(segment, "ack") &&
      Sequence.lessThan(segment.ack, tcb.snd.una) && Sequence.greaterThan(segment.ack, tcb.snd.iss)
    return isOld ? { ...outcome, tcb: { ...outcome.tcb, snd: { ...outcome.tcb.snd, una: segment.ack } } } : outcome
  }
})

const stoppedTimer = mutation("any progress stops the timers of what is still on its way", {
  arrives: (tcb, segment, now) => {
    const outcome = rfc9293.arrives(tcb, segment, now)
    if (!isSynchronized(tcb) || outcome.tcb.snd.una === tcb.snd.una) return outcome
    const deadlines = { ...outcome.tcb.deadlines, retransmit: Infinity, tail: Infinity }
    return { ...outcome, tcb: { ...outcome.tcb, deadlines } }
  }
})

const impatient = mutation("the retransmission timeout never grows", {
  elapse: (tcb, queued, now) => {
    const next = rfc9293.elapse(tcb, queued, now)
    return { ...next, rtt: { ...next.rtt, timeout: Math.min(next.rtt.timeout, tcb.rtt.timeout) } }
  }
})

const misplaced = mutation("what is sent again is taken from behind what was sent", {
  output: (tcb, queued, now, limit) => {
    const next = rfc9293.output(tcb, queued, now, limit)
    if (next === undefined || next.segment.length === 0 || !Sequence.lessThan(next.segment.seq, tcb.snd.max)) {
      return next
    }
    const { length } = next.segment
    const behind = Sequence.difference(tcb.snd.una, tcb.snd.max)
    return { ...next, segment: { ...next.segment, textOffset: Math.max(0, Math.min(behind, queued) - length) } }
  }
})

const unprobed = mutation("a closed window is never probed", withoutTimer("persist"))

const undelayed = mutation("a delayed acknowledgement is never sent", withoutTimer("acknowledge"))

// Closing

const finOnce = mutation("the FIN is sent only once", {
  output: (tcb, queued, now, limit) => {
    const next = rfc9293.output(tcb, queued, now, limit)
    if (next === undefined || tcb.snd.fin === undefined || !has(next.segment, "fin")) return next
    return { ...next, segment: { ...next.segment, flags: next.segment.flags & ~TcpFlag.fin } }
  }
})

const earlyFin = mutation("a FIN is taken although there is a gap before it", {
  arrives: (tcb, segment, now) => {
    const isAhead = isReceiving(tcb) && has(segment, "fin") && Sequence.greaterThan(segment.seq, tcb.rcv.nxt)
    return rfc9293.arrives(tcb, isAhead ? { ...segment, seq: tcb.rcv.nxt, length: 0 } : segment, now)
  }
})

const neverClosing = mutation("CLOSING has no way out", {
  arrives: (tcb, segment, now) => {
    const outcome = rfc9293.arrives(tcb, segment, now)
    return tcb.state === "CLOSING" && outcome.tcb.state === "TIME-WAIT"
      ? { ...outcome, tcb: { ...outcome.tcb, state: "CLOSING", deadlines: NEVER } }
      : outcome
  }
})

const noTimeWait = mutation("TIME-WAIT is left out", {
  arrives: (tcb, segment, now) => {
    const outcome = rfc9293.arrives(tcb, segment, now)
    return outcome.tcb.state === "TIME-WAIT" ? { ...outcome, tcb: close(outcome.tcb, "finished") } : outcome
  }
})

const silent = mutation(
  "segments of no connection are not answered by a reset",
  { reject: () => undefined },
  { crashes: true }
)

// Below TCP

const asksOnce: Mutation = {
  name: "a neighbour is asked only once for its address",
  hosts: {
    network: NetworkStack.network.pipe(
      Layer.provide(Layer.succeed(NeighbourSettings, { ...NeighbourTable.defaults, retransmitTime: Infinity }))
    )
  },
  scenarios: {}
}

export const own = [
  synAckOnce,
  noCrossing,
  twice,
  oneGap,
  halfOpen,
  backwards,
  stoppedTimer,
  impatient,
  misplaced,
  unprobed,
  undelayed,
  finOnce,
  earlyFin,
  neverClosing,
  noTimeWait,
  silent,
  asksOnce
]
