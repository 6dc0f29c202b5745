/**
 * A control block in one line, for people.
 */
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { difference } from "./InvariantRules.ts"

/** Sequence numbers count from the initial ones, as Wireshark shows them. */
export const format = ({ deadlines, rcv, snd, state }: ControlBlock): string => {
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
  return `${state} [SND ${parts.join(", ")}] [RCV ${receiving.join(", ")}] [${running.join(", ") || "no timer"}]`
}
