/**
 * What must hold of each segment that a machine wants to be sent, beside the
 * control block before and after it.
 */
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import * as ReceiveWindow from "@strata/core/tcp/ReceiveWindow"
import { TcpFlag } from "@strata/core/tcp/Segment"
import type { Emission } from "@strata/core/tcp/TcpMachine"
import { type Broken, broken, difference } from "./InvariantRules.ts"

/** A segment of a connection; `queued` is undefined for replies, which have no text. */
export const emission = (
  before: ControlBlock,
  after: ControlBlock,
  segment: Emission,
  queued: number | undefined,
  limit: number
): Broken | undefined => {
  const { flags, length, seq } = segment
  if ((flags & TcpFlag.rst) !== 0 || after.state === "CLOSED" || after.state === "LISTEN") return undefined
  const says = announcement(after, segment)
  if (says !== undefined) return says
  if ((flags & TcpFlag.syn) !== 0) {
    if (after.state !== "SYN-SENT" && after.state !== "SYN-RECEIVED") {
      return broken("emission", `a SYN in ${after.state}`)
    }
    return seq === after.snd.iss ? undefined : broken("emission", "the SYN does not carry the ISS")
  }
  if (isKeepAlive(before, segment)) return undefined
  const marks = congestion(before, segment)
  if (marks !== undefined) return marks
  if (difference(before.snd.una, seq) < 0) return broken("emission", "a segment before SND.UNA was sent")
  if (difference(after.snd.max, seq) > 0) return broken("emission", "a segment beyond SND.MAX was sent")
  const fin = flags & TcpFlag.fin
  if (length === 0 && fin === 0) return undefined
  if (queued === undefined) return broken("emission", "a reply has text or a FIN")
  return content(before, after, segment, queued, limit) ?? sendWindow(before, segment)
}

/** A question whether the peer is there (RFC 9293 §3.8.4), from before the window. */
const isKeepAlive = ({ keepAlive, snd }: ControlBlock, { flags, length, seq }: Emission): boolean =>
  keepAlive.isDue && snd.una === snd.max && length === 0 && (flags & TcpFlag.fin) === 0 &&
  difference(seq, snd.una) === 1

/** RFC 3168 §6.1: what is new may be marked where that was agreed on, and nothing else. */
const congestion = ({ options, snd }: ControlBlock, segment: Emission): Broken | undefined => {
  const { congestionCapable = false, flags, length, seq } = segment
  if (congestionCapable && !(options.ecn && length > 0 && seq === snd.max)) {
    return broken("emission", "a segment may be marked that is not new text of a connection with ECN")
  }
  return (flags & (TcpFlag.ece | TcpFlag.cwr)) !== 0 && !options.ecn
    ? broken("emission", "a segment speaks of congestion on a connection without ECN")
    : undefined
}

const announcement = (after: ControlBlock, { ack, flags, wnd }: Emission): Broken | undefined => {
  if ((flags & TcpFlag.ack) === 0) {
    return after.state === "SYN-SENT"
      ? undefined
      : broken("emission", `a segment without ACK was sent in ${after.state}`)
  }
  if (ack !== after.rcv.nxt) {
    return broken("emission", `octet RCV.NXT + ${difference(after.rcv.nxt, ack)} was acknowledged`)
  }
  const meant = (flags & TcpFlag.syn) !== 0 ? Math.min(after.rcv.wnd, 65_535) : ReceiveWindow.field(after.rcv)
  if (wnd !== meant) return broken("emission", `a window field of ${wnd} was sent, not one of ${meant}`)
  const { edge, nxt, scale } = after.rcv
  const beyond = (flags & TcpFlag.syn) !== 0 ? 0 : difference(edge, nxt + wnd * 2 ** scale)
  return beyond <= 0
    ? undefined
    : broken("windowEdge", `a window was announced that reaches ${beyond} octets beyond what would be taken`)
}

/** A segment that is to find out whether the path carries more (RFC 8899). */
const isSizeProbe = ({ path: { limit, probe } }: ControlBlock, seq: number, length: number): boolean =>
  probe?.left === seq && length <= limit

const content = (
  before: ControlBlock,
  after: ControlBlock,
  { flags, length, seq, textOffset }: Emission,
  queued: number,
  limit: number
): Broken | undefined => {
  const offset = difference(before.snd.una, seq)
  const fin = flags & TcpFlag.fin
  if (length > 0 && textOffset !== offset) {
    return broken("emission", `octets ${textOffset} of the send buffer were sent as octets ${offset}`)
  }
  if (offset + length > queued) return broken("emission", `${offset + length} octets were sent of ${queued}`)
  if (length > limit && !isSizeProbe(after, seq, length)) {
    return broken("emission", `a segment of ${length} octets was sent, but at most ${limit} fit`)
  }
  const end = (seq + length + fin) >>> 0
  if (difference(after.snd.max, end) > 0) return broken("sendOrder", "SND.MAX does not cover what was sent")
  if (fin === 0) return undefined
  if (!before.snd.closing) return broken("emission", "a FIN was sent before the program closed")
  if (offset + length !== queued) {
    return broken("emission", `a FIN was sent ${queued - offset - length} octets before the end`)
  }
  return after.snd.fin === ((seq + length) >>> 0)
    ? undefined
    : broken("emission", "the FIN that was sent is not SND.FIN")
}

/**
 * Octets sent for the first time fit the window; a timer that found it closed may send one beyond. What was sent before the
 * peer shrank its window may be sent again (§3.8.6).
 */
const sendWindow = ({ snd }: ControlBlock, { flags, length, seq }: Emission): Broken | undefined => {
  const end = seq + length + (flags & TcpFlag.fin)
  const beyond = difference(snd.una + snd.wnd, end)
  if (beyond <= 0 || difference(snd.max, end) <= 0) return undefined
  return beyond <= Number(snd.forced)
    ? undefined
    : broken("sendWindow", `${beyond} octets beyond the peer's window were sent`)
}
