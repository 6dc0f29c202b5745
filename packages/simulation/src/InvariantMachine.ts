/**
 * A `TcpMachine` whose every step is checked. It goes around whatever machine a
 * host has, a wrong one included, and changes nothing, until something is found:
 * from then on it sends nothing, so that the run comes to its end.
 */
import type { ControlBlock, Endpoints } from "@strata/core/tcp/ControlBlock"
import { flight, unsentBound } from "@strata/core/tcp/SendWindow"
import type { ConnectionOptions } from "@strata/core/tcp/Tcp"
import { boundsOf, complete } from "@strata/core/tcp/TcpDefaults"
import { type Emission, TcpMachine } from "@strata/core/tcp/TcpMachine"
import { format } from "./FormatControlBlock.ts"
import * as Repair from "./InvariantRepair.ts"
import * as Rules from "./InvariantRules.ts"
import { formatConnection, type Watch } from "./Invariants.ts"
import { emission } from "./InvariantSegments.ts"

/** Segments of one connection within one instant that get it nowhere. */
const PATIENCE = 20_000
const DEFAULT_SEND_BUFFER = complete({}).sendBuffer

/** What is remembered of a connection. */
interface Track {
  /** The instant, SND.UNA and RCV.NXT of the last progress, and segments sent since. */
  now: number
  una: number
  nxt: number
  sent: number
  /** Octets. */
  sendBuffer: number
}

export interface ObservedMachine {
  readonly machine: TcpMachine["Service"]
  /** Tells how much at most the send buffer of a connection holds. */
  readonly setSendBuffer: (endpoints: Endpoints, wanted: ConnectionOptions["sendBuffer"]) => void
  /** The host is gone; whoever still calls the machine has outlived it. */
  readonly over: () => void
}

export const observe = (inner: TcpMachine["Service"], host: string, watch: Watch): ObservedMachine => {
  const tracks = new WeakMap<Endpoints, Track>()
  let isOver = false

  const trackOf = (endpoints: Endpoints): Track => {
    let track = tracks.get(endpoints)
    if (track === undefined) {
      track = { now: -Infinity, una: 0, nxt: 0, sent: 0, sendBuffer: DEFAULT_SEND_BUFFER.maximum }
      tracks.set(endpoints, track)
    }
    return track
  }
  const report = (found: Rules.Broken | undefined, before: ControlBlock, after: ControlBlock): void => {
    if (found === undefined) return
    watch.report({
      ...found,
      where: host,
      connection: formatConnection(after.endpoints),
      before: format(before),
      after: format(after)
    })
  }
  const stepped = (event: Rules.Event, before: ControlBlock, after: ControlBlock): ControlBlock => {
    if (isOver) report({ invariant: "timers", what: `${event}, but the host is gone` }, before, after)
    report(Rules.transition(event, before, after) ?? Repair.scoreboard(before, after), before, after)
    return after
  }
  /** Whether a connection sends and sends while time stands still. */
  const sent = (tcb: ControlBlock, now: number): void => {
    const track = trackOf(tcb.endpoints)
    if (track.now !== now || track.una !== tcb.snd.una || track.nxt !== tcb.rcv.nxt) {
      track.now = now
      track.una = tcb.snd.una
      track.nxt = tcb.rcv.nxt
      track.sent = 0
    }
    if (++track.sent <= PATIENCE) return
    report({ invariant: "progress", what: `${PATIENCE} segments were sent in one instant, to no avail` }, tcb, tcb)
  }
  const emitted = (
    before: ControlBlock,
    after: ControlBlock,
    segment: Emission,
    queued: number | undefined,
    now: number,
    limit: number
  ): void => {
    const found = emission(before, after, segment, queued, limit) ??
      (queued === undefined ? undefined : Repair.departure(before, segment, now))
    report(found, before, after)
    sent(after, now)
  }

  const machine: TcpMachine["Service"] = {
    connect: inner.connect,
    listen: inner.listen,
    reject: (segment) => watch.violation() === undefined ? inner.reject(segment) : undefined,
    arrives: (tcb, segment, now) => {
      const outcome = inner.arrives(tcb, segment, now)
      const after = outcome.tcb
      report(Rules.arrival(tcb, segment, outcome), tcb, after)
      stepped("arrives", tcb, after)
      if (outcome.reply === undefined) return outcome
      emitted(tcb, after, outcome.reply, undefined, now, 0)
      return watch.violation() === undefined ? outcome : { ...outcome, reply: undefined }
    },
    output: (tcb, queued, now, limit) => {
      if (watch.violation() !== undefined) return undefined
      const { sendBuffer } = trackOf(tcb.endpoints)
      if (queued > sendBuffer) {
        report({ invariant: "buffers", what: `${queued} octets are in a send buffer of ${sendBuffer}` }, tcb, tcb)
      }
      const unsent = queued - flight(tcb.snd)
      if (tcb.state === "ESTABLISHED" && unsent > unsentBound(tcb)) {
        report(
          { invariant: "buffers", what: `${unsent} octets wait to be sent, but only ${unsentBound(tcb)} may` },
          tcb,
          tcb
        )
      }
      const next = inner.output(tcb, queued, now, limit)
      if (next === undefined) {
        report(Rules.idle(tcb, queued), tcb, tcb)
        return undefined
      }
      stepped("output", tcb, next.tcb)
      emitted(tcb, next.tcb, next.segment, queued, now, Math.max(limit ?? 0, tcb.snd.mss))
      return watch.violation() === undefined ? next : undefined
    },
    deadline: (tcb) => {
      const asked = inner.deadline(tcb)
      report(Rules.alarm(tcb, asked), tcb, tcb)
      return asked
    },
    elapse: (tcb, queued, now) => {
      const after = stepped("elapse", tcb, inner.elapse(tcb, queued, now))
      report(Rules.elapsed(tcb, after, now), tcb, after)
      return after
    },
    close: (tcb, now) => stepped("close", tcb, inner.close(tcb, now)),
    abort: (tcb, now) => {
      const outcome = inner.abort(tcb, now)
      stepped("abort", tcb, outcome.tcb)
      return outcome
    },
    consumed: (tcb, octets, now) => {
      const after = stepped("consumed", tcb, inner.consumed(tcb, octets, now))
      report(Rules.consumption(tcb, after, octets), tcb, after)
      return after
    },
    unreachable: (tcb, seq, hard, now) => stepped("unreachable", tcb, inner.unreachable(tcb, seq, hard, now)),
    pathMtu: (tcb, seq, mtu, now) => stepped("pathMtu", tcb, inner.pathMtu(tcb, seq, mtu, now))
  }

  return {
    machine: TcpMachine.of(machine),
    setSendBuffer: (endpoints, wanted) => {
      trackOf(endpoints).sendBuffer = boundsOf(wanted, DEFAULT_SEND_BUFFER).maximum
    },
    over: () => {
      isOver = true
    }
  }
}
