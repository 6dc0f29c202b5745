/**
 * A control block in one line, for people.
 */
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import * as Transmissions from "@strata/core/tcp/Transmissions"
import { difference } from "./InvariantRules.ts"

/** Sequence numbers count from the initial ones, as Wireshark shows them. */
export const format = (tcb: ControlBlock): string => {
  const { deadlines, rcv, snd, state } = tcb
  const sent = (seq: number) => difference(snd.iss, seq)
  const received = (seq: number) => difference(rcv.irs, seq)
  const parts = [
    `UNA ${sent(snd.una)}, NXT ${sent(snd.nxt)}, MAX ${sent(snd.max)}, WND ${snd.wnd}`,
    ...(snd.closing ? [`FIN ${snd.fin === undefined ? "to be sent" : sent(snd.fin)}`] : [])
  ]
  const receiving = [
    `NXT ${received(rcv.nxt)}, WND ${rcv.wnd}, ${rcv.unread} of ${rcv.capacity} unread`,
    ...rcv.ranges.map(({ left, right }) => `${received(left)}-${received(right)}`),
    ...(rcv.fin === undefined ? [] : [`FIN ${received(rcv.fin)}`])
  ]
  const running = Object.entries(deadlines).filter(([, deadline]) => deadline !== Infinity).map(([name]) => name)
  const timers = running.join(", ") || "no timer"
  return `${state} [SND ${parts.join(", ")}] [RCV ${receiving.join(", ")}] [${repairing(tcb)}] [${timers}]`
}

/** Where the repair of losses stands, in octets and milliseconds. */
const repairing = ({ attempts, congestion, recovery, rtt, transmissions }: ControlBlock): string => {
  const { lost, sacked } = transmissions
  return [
    recovery.phase,
    `CWND ${Math.floor(congestion.window)}`,
    `${Transmissions.inFlight(transmissions)} in flight`,
    ...(sacked > 0 ? [`${sacked} sacked`] : []),
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(recovery.tail === undefined ? [] : [`probe ${recovery.tail.state}`]),
    ...(attempts > 0 ? [`attempt ${attempts}`] : []),
    `RTO ${Math.round(rtt.timeout)} ms`
  ].join(", ")
}
