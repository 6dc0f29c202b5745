/**
 * Keep-alives (RFC 9293 §3.8.4): asking a peer from which nothing has come for long whether it is there.
 *
 * The question is an acknowledgement whose sequence number is the one before SND.NXT, which the peer must answer, as Linux
 * asks it; it carries no octet of garbage. While something is on its way, or waits for the peer's window, its retransmission
 * asks already.
 *
 * Whatever the peer answers, the time begins anew, and the deadline stays where it is until it comes: then it is seen how long
 * ago the peer was heard.
 */
import { close, type ControlBlock } from "./ControlBlock.ts"
import { count } from "./Counts.ts"
import * as Reply from "./Reply.ts"
import * as Sequence from "./Sequence.ts"
import type { Emission } from "./TcpMachine.ts"

/** The peer was heard; the first time starts the timer. */
export const heard = (tcb: ControlBlock, now: number): ControlBlock => {
  const { deadlines, settings } = tcb
  if (!settings.keepAlive || tcb.state === "TIME-WAIT") return tcb
  return {
    ...tcb,
    keepAlive: { heardAt: now, asked: 0, isDue: false },
    deadlines: deadlines.keepAlive === Infinity
      ? { ...deadlines, keepAlive: now + settings.keepAliveIdle }
      : deadlines
  }
}

const at = (tcb: ControlBlock, keepAlive: number): ControlBlock => ({
  ...tcb,
  deadlines: { ...tcb.deadlines, keepAlive }
})

/** Whether the connection is to be given up: a user timeout (RFC 5482) counts instead of the number of questions, as in Linux. */
const isOver = ({ keepAlive, settings }: ControlBlock, silence: number): boolean =>
  settings.userTimeout === Infinity
    ? keepAlive.asked >= settings.keepAliveProbes
    : keepAlive.asked > 0 && silence >= settings.userTimeout

/** The timer expired; `queued` is as for `output`. */
export const elapsed = (tcb: ControlBlock, queued: number, now: number): ControlBlock => {
  const { keepAlive, settings, snd } = tcb
  const silence = now - keepAlive.heardAt
  if (queued > 0 || snd.una !== snd.max) return at(tcb, now + settings.keepAliveIdle)
  if (silence < settings.keepAliveIdle) return at(tcb, keepAlive.heardAt + settings.keepAliveIdle)
  if (isOver(tcb, silence)) return close(tcb, tcb.softError ? "unreachable" : "timedOut")
  const asking: ControlBlock = {
    ...tcb,
    keepAlive: { ...keepAlive, asked: keepAlive.asked + 1, isDue: true },
    counts: count(tcb.counts, "keepAlives")
  }
  return at(asking, now + settings.keepAliveInterval)
}

/** The question, when it is due. */
export const question = (
  tcb: ControlBlock,
  now: number
): { readonly tcb: ControlBlock; readonly segment: Emission } | undefined => {
  if (!tcb.keepAlive.isDue) return undefined
  const { segment, tcb: sent } = Reply.acknowledge(tcb, now)
  return {
    tcb: { ...sent, keepAlive: { ...tcb.keepAlive, isDue: false } },
    segment: { ...segment, seq: Sequence.add(tcb.snd.nxt, -1) }
  }
}
