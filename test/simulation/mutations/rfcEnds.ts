/**
 * RFCs about how connections begin and end, how long a peer may be silent, and what a path carries without saying so.
 */
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { TcpFlag } from "@strata/core/tcp/Segment"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import type { TcpSettings } from "@strata/core/tcp/TcpSettings"
import { has, type Machine } from "./Mutation.ts"
import { established, IRS, ISS, NOW, segment, stamps } from "./rfcMachine.ts"
import type { RfcMutation, RfcSlip } from "./RfcMutation.ts"

/** TIME-WAIT; the peer's last timestamp was 500. */
const timeWait = (machine: Machine): ControlBlock => {
  const closing = machine.output(machine.close(established(machine), NOW), 0, NOW)!.tcb
  const last = segment({ ack: ISS + 2, flags: TcpFlag.ack | TcpFlag.fin, options: stamps(500, NOW) })
  return machine.arrives(closing, last, NOW).tcb
}

/** Lets time pass, and counts the segments that leave. */
const elapsing = (machine: Machine, start: ControlBlock, until: number) => {
  let tcb = start
  let sent = 0
  for (let due = machine.deadline(tcb); due <= until; due = machine.deadline(tcb)) {
    tcb = machine.elapse(tcb, 0, due)
    for (let next = machine.output(tcb, 0, due); next !== undefined; next = machine.output(tcb, 0, due)) {
      tcb = next.tcb
      sent++
    }
  }
  return { tcb, sent }
}

const withSettings = (tcb: ControlBlock, settings: Partial<TcpSettings>): ControlBlock => ({
  ...tcb,
  settings: { ...tcb.settings, ...settings }
})

const without = (timer: "keepAlive" | "userTimeout"): Partial<Machine> => ({
  arrives: (tcb, arrived, now) => {
    const outcome = rfc9293.arrives(tcb, arrived, now)
    return { ...outcome, tcb: { ...outcome.tcb, deadlines: { ...outcome.tcb.deadlines, [timer]: Infinity } } }
  },
  elapse: (tcb, queued, now) => {
    const next = rfc9293.elapse(tcb, queued, now)
    return next.state === "CLOSED" && tcb.attempts < tcb.settings.retransmissions
      ? { ...tcb, deadlines: { ...tcb.deadlines, [timer]: Infinity } }
      : { ...next, deadlines: { ...next.deadlines, [timer]: Infinity } }
  }
})

export const ends: ReadonlyArray<RfcSlip> = [
  {
    rfc: "RFC 5961 §7",
    wrong: "every segment of a blind attack is answered",
    machine: { arrives: (tcb, arrived, now) => rfc9293.arrives({ ...tcb, challengedAt: -Infinity }, arrived, now) },
    holds: (machine) => {
      const attack = segment({ seq: IRS + 100, flags: TcpFlag.rst })
      const first = machine.arrives(established(machine), attack, NOW)
      return first.reply !== undefined && machine.arrives(first.tcb, attack, NOW + 1).reply === undefined
    }
  },
  {
    rfc: "RFC 6191",
    wrong: "a SYN with a later timestamp does not open the next connection",
    machine: {
      arrives: (tcb, arrived, now) => {
        const isSyn = tcb.state === "TIME-WAIT" && has(arrived, "syn")
        return rfc9293.arrives(tcb, isSyn ? { ...arrived, options: stamps(tcb.timestamps.recent) } : arrived, now)
      }
    },
    holds: (machine) => {
      const syn = segment({ seq: IRS - 1000, flags: TcpFlag.syn, options: stamps(600) })
      return machine.arrives(timeWait(machine), syn, NOW).reopens
    }
  },
  {
    rfc: "RFC 9293 §3.8.4",
    wrong: "a silent peer is never asked whether it is there",
    machine: without("keepAlive"),
    holds: (machine) => {
      const open = withSettings(established(machine), { keepAlive: true, keepAliveIdle: 1000, keepAliveProbes: 2 })
      const heard = machine.arrives(open, segment({ length: 10, options: stamps(600, NOW) }), NOW).tcb
      const { sent, tcb } = elapsing(machine, heard, NOW + 500_000)
      return sent > 2 && tcb.state === "CLOSED"
    }
  },
  {
    rfc: "RFC 5482",
    wrong: "a user timeout does not end a connection",
    machine: without("userTimeout"),
    holds: (machine) => {
      const waiting = withSettings(established(machine, 100), { userTimeout: 5000 })
      return elapsing(machine, waiting, NOW + 20_000).tcb.state === "CLOSED"
    }
  }
]

export const path: ReadonlyArray<RfcMutation> = [
  {
    rfc: "RFC 8899",
    wrong: "what is too large for the path is sent again as it was",
    trial: () => ({ roundTrip: 20, rate: 100e6, writes: [[100_000, 0]], wire: { mtu: 1200 } }),
    machines: {
      sender: {
        elapse: (tcb, queued, now) => {
          const next = rfc9293.elapse(tcb, queued, now)
          return { ...next, snd: { ...next.snd, mss: tcb.snd.mss } }
        }
      }
    },
    holds: ({ time }) => time < 10_000
  }
]
