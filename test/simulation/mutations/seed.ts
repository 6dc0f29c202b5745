/**
 * What the small stack that strata grew out of gets wrong, put into strata's machine.
 */
import type { Endpoints } from "@strata/core/tcp/ControlBlock"
import * as SendWindow from "@strata/core/tcp/SendWindow"
import * as Sequence from "@strata/core/tcp/Sequence"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { has, isReceiving, isSynchronized, mutation, withoutTimer } from "./Mutation.ts"

/** Whether each sender sleeps, and how much it had to send when last seen. */
const senders = new WeakMap<Endpoints, { asleep: boolean; queued: number }>()

const sleepy = mutation("acknowledgements do not wake a sender that waits for the window", {
  output: (tcb, queued, now, limit) => {
    const sender = senders.get(tcb.endpoints) ?? { asleep: false, queued: 0 }
    senders.set(tcb.endpoints, sender)
    if (queued > sender.queued) sender.asleep = false
    sender.queued = queued
    const { snd } = tcb
    const flight = SendWindow.flight(snd)
    const seen = sender.asleep && snd.wnd > flight ? { ...tcb, snd: { ...snd, wnd: flight } } : tcb
    const next = rfc9293.output(seen, queued, now, limit)
    if (next === undefined && queued > flight && SendWindow.usable(tcb) < snd.mss) sender.asleep = true
    return next && { ...next, tcb: { ...next.tcb, snd: { ...next.tcb.snd, wnd: snd.wnd } } }
  }
})

const deafToWindows = mutation("the window is taken only from new acknowledgements, and never probed", {
  ...withoutTimer("persist"),
  arrives: (tcb, segment, now) => {
    const outcome = rfc9293.arrives(tcb, segment, now)
    if (!isSynchronized(tcb) || segment.ack !== tcb.snd.una) return outcome
    const { maxWnd, wl1, wl2, wnd } = tcb.snd
    return { ...outcome, tcb: { ...outcome.tcb, snd: { ...outcome.tcb.snd, wnd, wl1, wl2, maxWnd } } }
  }
})

const plainNumbers = mutation("acknowledgements are compared as plain numbers", {
  arrives: (tcb, segment, now) =>
    rfc9293.arrives(
      tcb,
      isSynchronized(tcb) && segment.ack < tcb.snd.una ? { ...segment, ack: tcb.snd.una } : segment,
      now
    )
})

const gapless = mutation("text within the window is appended, whatever its number", {
  arrives: (tcb, segment, now) => {
    const start = Sequence.difference(tcb.rcv.nxt, segment.seq)
    const isAhead = isReceiving(tcb) && segment.length > 0 && start > 0 && start < tcb.rcv.wnd
    return rfc9293.arrives(tcb, isAhead ? { ...segment, seq: tcb.rcv.nxt } : segment, now)
  }
})

const overflowing = mutation("text beyond the window is taken as well", {
  arrives: (tcb, segment, now) => {
    if (!isReceiving(tcb) || segment.length === 0) return rfc9293.arrives(tcb, segment, now)
    const { edge, wnd } = tcb.rcv
    const wide = { ...tcb.rcv, wnd: wnd + segment.length, edge: Sequence.add(edge, segment.length) }
    const outcome = rfc9293.arrives({ ...tcb, rcv: wide }, segment, now)
    const { rcv } = outcome.tcb
    const taken = Sequence.difference(tcb.rcv.nxt, rcv.nxt)
    return { ...outcome, tcb: { ...outcome.tcb, rcv: { ...rcv, wnd: Math.max(0, wnd - taken), edge } } }
  }
})

const shortFin = mutation("a FIN behind text counts for one octet with it", {
  arrives: (tcb, segment, now) => {
    const outcome = rfc9293.arrives(tcb, segment, now)
    if (!isReceiving(tcb) || isReceiving(outcome.tcb) || !has(segment, "fin") || segment.length === 0) return outcome
    const { rcv } = outcome.tcb
    return { ...outcome, tcb: { ...outcome.tcb, rcv: { ...rcv, nxt: Sequence.add(segment.seq, 1) } } }
  }
})

export const seed = [sleepy, deafToWindows, plainNumbers, gapless, overflowing, shortFin]
