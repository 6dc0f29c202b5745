/**
 * RFCs about single segments, and about what ICMP tells.
 */
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { Reno } from "@strata/core/tcp/Reno"
import { NO_OPTIONS, type Segment, type SegmentOptions, TcpFlag } from "@strata/core/tcp/Segment"
import * as Sequence from "@strata/core/tcp/Sequence"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { defaultSettings } from "@strata/core/tcp/TcpSettings"
import { has, type Machine } from "./Mutation.ts"
import type { RfcMutation, RfcSlip } from "./RfcMutation.ts"

export const ISS = 1000
export const IRS = 5000
export const NOW = 10_000

export const segment = (fields: Partial<Segment>): Segment => ({
  seq: IRS + 1,
  ack: ISS + 1,
  flags: TcpFlag.ack,
  wnd: 8192,
  up: 0,
  length: 0,
  options: NO_OPTIONS,
  ...fields
})

export const stamps = (value: number, echoReply = 0): SegmentOptions => ({ timestamps: { value, echoReply } })

/** ESTABLISHED with timestamps, of which the latest was 500, and `queued` octets on their way. */
export const established = (machine: Machine, queued = 0): ControlBlock => {
  const listening = machine.listen({
    endpoints: { localAddress: 1, localPort: 1, remoteAddress: 2, remotePort: 2 },
    iss: ISS,
    receiveMaximumSegmentSize: 1460,
    receiveCapacity: 65_535,
    congestion: Reno,
    settings: defaultSettings,
    timestampOffset: 0
  })
  const syn = segment({
    seq: IRS,
    flags: TcpFlag.syn,
    options: { maximumSegmentSize: 1460, windowScale: 3, sackPermitted: true, ...stamps(400) }
  })
  const received = machine.arrives(listening, syn, NOW).tcb
  const answered = machine.output(received, 0, NOW)!.tcb
  const open = machine.arrives(answered, segment({ options: stamps(500, NOW) }), NOW).tcb
  return queued === 0 ? open : machine.output(open, queued, NOW)!.tcb
}

export const slips: ReadonlyArray<RfcSlip> = [
  {
    rfc: "RFC 7323, PAWS",
    wrong: "text is taken however old its timestamp is",
    machine: {
      arrives: (tcb, arrived, now) =>
        rfc9293.arrives(
          tcb,
          arrived.options.timestamps === undefined
            ? arrived
            : { ...arrived, options: stamps(Math.max(tcb.timestamps.recent, arrived.options.timestamps.value)) },
          now
        )
    },
    holds: (machine) => {
      const old = segment({ length: 10, options: stamps(100, NOW) })
      return machine.arrives(established(machine), old, NOW).textLength === 0
    }
  },
  {
    rfc: "RFC 7323, TS.Recent",
    wrong: "the first timestamp is echoed for ever",
    machine: {
      arrives: (tcb, arrived, now) => {
        const outcome = rfc9293.arrives(tcb, arrived, now)
        return tcb.state === "LISTEN" ? outcome : { ...outcome, tcb: { ...outcome.tcb, timestamps: tcb.timestamps } }
      }
    },
    holds: (machine) => {
      const { tcb } = machine.arrives(established(machine), segment({ length: 10, options: stamps(700, NOW) }), NOW)
      return tcb.timestamps.recent === 700
    }
  },
  {
    rfc: "RFC 5961 §3",
    wrong: "any reset within the window ends the connection",
    machine: {
      arrives: (tcb, arrived, now) =>
        rfc9293.arrives(tcb, has(arrived, "rst") ? { ...arrived, seq: tcb.rcv.nxt } : arrived, now)
    },
    holds: (machine) =>
      machine.arrives(established(machine), segment({ seq: IRS + 100, flags: TcpFlag.rst }), NOW).tcb.state ===
        "ESTABLISHED"
  },
  {
    rfc: "RFC 5961 §4",
    wrong: "a SYN within the window resets the connection",
    machine: {
      arrives: (tcb, arrived, now) => {
        const outcome = rfc9293.arrives(tcb, arrived, now)
        return has(arrived, "syn") && tcb.state === "ESTABLISHED"
          ? { ...outcome, tcb: { ...tcb, state: "CLOSED", reason: "reset" } }
          : outcome
      }
    },
    holds: (machine) =>
      machine.arrives(established(machine), segment({ flags: TcpFlag.syn }), NOW).tcb.state === "ESTABLISHED"
  },
  {
    rfc: "RFC 5961 §5",
    wrong: "text is taken whatever it acknowledges",
    machine: {
      arrives: (tcb, arrived, now) =>
        rfc9293.arrives(tcb, tcb.state === "ESTABLISHED" ? { ...arrived, ack: tcb.snd.una } : arrived, now)
    },
    holds: (machine) => {
      const blind = segment({ ack: Sequence.add(ISS, -1_000_000), length: 10, options: stamps(600, NOW) })
      return machine.arrives(established(machine), blind, NOW).textLength === 0
    }
  },
  {
    rfc: "RFC 1191",
    wrong: "segments stay as long as they were, whatever routers say",
    machine: { pathMtu: (tcb) => tcb },
    holds: (machine) => machine.pathMtu(established(machine, 1448), ISS + 1, 1000, NOW).snd.mss <= 960
  },
  {
    rfc: "RFC 5927 §4",
    wrong: "errors are believed whatever segment they are about",
    machine: { pathMtu: (tcb, _, mtu, now) => rfc9293.pathMtu(tcb, tcb.snd.una, mtu, now) },
    holds: (machine) => machine.pathMtu(established(machine, 1448), ISS + 100_000, 1000, NOW).snd.mss === 1448
  },
  {
    rfc: "RFC 5461 and RFC 1122 §4.2.3.9",
    wrong: "an unreachable port ends a connection that is established",
    machine: { unreachable: (tcb) => ({ ...tcb, state: "CLOSED", reason: "unreachable" }) },
    holds: (machine) => machine.unreachable(established(machine, 10), ISS + 1, true, NOW).state === "ESTABLISHED"
  }
]

export const options: ReadonlyArray<RfcMutation> = [
  {
    rfc: "RFC 7323, window scale",
    wrong: "the peer's window is taken as it stands in the header",
    trial: () => ({ roundTrip: 60, rate: 100e6, writes: [[1_000_000, 0]] }),
    machines: {
      sender: {
        arrives: (tcb, arrived, now) => {
          const outcome = rfc9293.arrives({ ...tcb, snd: { ...tcb.snd, scale: 0 } }, arrived, now)
          return { ...outcome, tcb: { ...outcome.tcb, snd: { ...outcome.tcb.snd, scale: 0 } } }
        }
      }
    },
    holds: ({ time }) => time < 700
  }
]
