/**
 * Wrong stacks, to find out whether tests would notice.
 *
 * A mutation is what a programmer might have written: it replaces functions of
 * `TcpMachine`, or settings below it, in a Layer of its own. What it has to
 * remember of a connection it keeps by the connection's endpoints, which are one
 * object for as long as it lives.
 */
import { TcpMachine } from "@strata/core"
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { type Segment, TcpFlag } from "@strata/core/tcp/Segment"
import type { Outcome } from "@strata/core/tcp/TcpMachine"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import type { HostOptions } from "@strata/simulation"
import type { Options } from "@strata/simulation/Scenario"
import { Layer } from "effect"

export interface Mutation {
  /** What is wrong. */
  readonly name: string
  readonly hosts: HostOptions
  /** Where it is to be looked for, when not everywhere. */
  readonly scenarios: Options
}

export type Machine = TcpMachine["Service"]

/** A machine of which some functions are wrong. */
export const mutation = (name: string, wrong: Partial<Machine>, scenarios: Options = {}): Mutation => ({
  name,
  hosts: { machine: Layer.succeed(TcpMachine, { ...rfc9293, ...wrong }) },
  scenarios
})

export const has = (segment: Segment, flag: keyof typeof TcpFlag): boolean => (segment.flags & TcpFlag[flag]) !== 0

export const without = (segment: Segment, flag: keyof typeof TcpFlag): Segment => ({
  ...segment,
  flags: segment.flags & ~TcpFlag[flag]
})

/** Nothing comes of it. */
export const ignored = (tcb: ControlBlock): Outcome => ({
  tcb,
  acknowledged: 0,
  textSkip: 0,
  textLength: 0,
  textOffset: 0,
  reply: undefined,
  reopens: false
})

/** Whether the peer may send text. */
export const isReceiving = ({ state }: ControlBlock): boolean =>
  state === "ESTABLISHED" || state === "FIN-WAIT-1" || state === "FIN-WAIT-2"

/** Whether the handshake is over. */
export const isSynchronized = ({ state }: ControlBlock): boolean =>
  state !== "CLOSED" && state !== "LISTEN" && state !== "SYN-SENT" && state !== "SYN-RECEIVED"

/** A machine that forgets one of its timers when it is due. */
export const withoutTimer = (timer: "persist" | "acknowledge" | "tail"): Pick<Machine, "deadline" | "elapse"> => {
  const forgetful = (tcb: ControlBlock): ControlBlock => ({
    ...tcb,
    deadlines: { ...tcb.deadlines, [timer]: Infinity }
  })
  return {
    deadline: (tcb) => rfc9293.deadline(forgetful(tcb)),
    elapse: (tcb, queued, now) => rfc9293.elapse(forgetful(tcb), queued, now)
  }
}
