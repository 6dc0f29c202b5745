/**
 * What a program may set about a connection that is there already: Nagle's algorithm, keep-alive, the user timeout.
 */
import type { ControlBlock } from "./ControlBlock.ts"
import type { TcpSettings } from "./TcpSettings.ts"

/** Settings that count from the moment they are set. */
export type Adjustable = Pick<
  TcpSettings,
  "nagle" | "keepAlive" | "keepAliveIdle" | "keepAliveInterval" | "keepAliveProbes" | "userTimeout"
>

/** Where a peer is asked whether it is there. */
const ASKING: ReadonlySet<ControlBlock["state"]> = new Set([
  "ESTABLISHED",
  "CLOSE-WAIT",
  "FIN-WAIT-1",
  "FIN-WAIT-2"
])

export const configured = (tcb: ControlBlock, wanted: Partial<Adjustable>, now: number): ControlBlock => {
  const settings = { ...tcb.settings, ...wanted }
  const { keepAlive, keepAliveIdle } = tcb.settings
  const set: ControlBlock = { ...tcb, settings }
  return settings.keepAlive === keepAlive && settings.keepAliveIdle === keepAliveIdle ? set : asking(set, now)
}

/** The silence before the first keep-alive counts from `now` (RFC 9293 §3.8.4); one that nobody wants any more is not asked. */
const asking = (tcb: ControlBlock, now: number): ControlBlock => {
  const { keepAlive, keepAliveIdle } = tcb.settings
  return {
    ...tcb,
    keepAlive: { heardAt: now, asked: 0, isDue: false },
    deadlines: { ...tcb.deadlines, keepAlive: keepAlive && ASKING.has(tcb.state) ? now + keepAliveIdle : Infinity }
  }
}
