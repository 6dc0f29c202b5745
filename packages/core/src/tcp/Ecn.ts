/**
 * Explicit congestion notification (RFC 3168 §6.1): routers mark packets instead of dropping them, the receiver tells the sender with ECE
 * on every acknowledgement until the sender says CWR, that it has lowered its window.
 *
 * Only new text is marked as capable of it: not what is sent again, nor bare acknowledgements, nor window probes (§6.1.4 to 6.1.6), since
 * the sender would not learn what became of them.
 */
import type { ControlBlock, Draft } from "./ControlBlock.ts"
import { type Segment, TcpFlag } from "./Segment.ts"
import type { Emission } from "./TcpMachine.ts"

/** The ECN field of an IP header (§5). */
export const Codepoint = { notCapable: 0, capable: 2, congestionExperienced: 3 } as const

/** What our SYN says: that we would like to, unless one that said so stayed without answer (§6.1.1.1). */
export const offer = ({ attempts, settings }: ControlBlock): number =>
  settings.explicitCongestionNotification === "active" && attempts === 0 ? TcpFlag.ece | TcpFlag.cwr : 0

/** What our SYN,ACK says. */
export const answer = ({ options }: ControlBlock): number => options.ecn ? TcpFlag.ece : 0

/**
 * Whether the peer's SYN, or its answer to ours, agrees (§6.1.1): a SYN has both bits, a SYN,ACK the one. Whoever has sent a SYN without
 * them does not use it.
 */
export const isAgreed = (tcb: ControlBlock, { flags }: Segment): boolean => {
  if (!tcb.passive && offer(tcb) === 0) return false
  const said = flags & (TcpFlag.ece | TcpFlag.cwr)
  return (flags & TcpFlag.ack) === 0
    ? tcb.settings.explicitCongestionNotification !== "off" && said === (TcpFlag.ece | TcpFlag.cwr)
    : said === TcpFlag.ece
}

/** §6.1.1.1: the peer's SYN again; it may have given up its wish. */
export const askedAgain = (tcb: ControlBlock, segment: Segment): ControlBlock =>
  tcb.options.ecn && !isAgreed(tcb, segment) ? { ...tcb, options: { ...tcb.options, ecn: false } } : tcb

/** What every segment but a SYN says: that congestion was met. */
export const echo = ({ ecn }: ControlBlock): number => ecn.echo ? TcpFlag.ece : 0

/**
 * After the peer's text: whether it has heard our echo, and whether this segment met congestion on its way. The peer shall know at once; one
 * that has lowered its window may wait for each acknowledgement.
 */
export const heard = (tcb: ControlBlock, segment: Segment): ControlBlock => {
  if (!tcb.options.ecn || segment.length === 0) return tcb
  const isMarked = segment.congestionExperienced === true
  const isAnswered = (segment.flags & TcpFlag.cwr) !== 0
  if (!isMarked && !isAnswered) return tcb
  const isEchoed = isMarked || (tcb.ecn.echo && !isAnswered)
  return { ...tcb, ecn: { ...tcb.ecn, echo: isEchoed }, rcv: { ...tcb.rcv, acknowledge: "now" } }
}

/** New text, as routers may mark it; the first after the window was lowered says so (§6.1.2). */
export const marked = (next: Draft, emission: Emission): Emission => {
  if (!next.ecn.reduced) return { ...emission, congestionCapable: true }
  next.ecn = { ...next.ecn, reduced: false }
  return { ...emission, congestionCapable: true, flags: emission.flags | TcpFlag.cwr }
}
