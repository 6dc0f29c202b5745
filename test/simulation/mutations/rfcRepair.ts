/**
 * RFCs about the repair of losses.
 */
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { Reno } from "@strata/core/tcp/Reno"
import * as Sequence from "@strata/core/tcp/Sequence"
import { type Emission, type Outcome, rfc9293 } from "@strata/core/tcp/TcpMachine"
import * as Transmissions from "@strata/core/tcp/Transmissions"
import * as Faults from "@strata/drivers/path/Faults"
import { type Machine, withoutTimer } from "./Mutation.ts"
import type { RfcMutation } from "./RfcMutation.ts"
import type { Trial } from "./Trial.ts"

/** Octets of text in a full segment. */
const SEGMENT = 1448
const PLAIN = 1460

/** A path on which a round trip is 20 milliseconds. */
const path = { roundTrip: 20, rate: 100e6 } as const

/** So many full segments in one write. */
const segments = (count: number, length = SEGMENT): Trial["writes"] => [[count * length, 0]]

type Data = NonNullable<Trial["data"]>

/** Loses the segments with text that have these numbers, counted from one. */
const losing = (...numbers: ReadonlyArray<number>): Data => {
  let texts = 0
  return {
    faults: (_, decoded) => (decoded().tcp?.length ?? 0) > 0 && numbers.includes(++texts) ? [Faults.lose] : []
  }
}

/** Loses the segment with that number, and its first repetition. */
const losingTwice = (number: number): Data => {
  let texts = 0
  let sequence: number | undefined
  let losses = 0
  return {
    faults: (_, decoded) => {
      const { tcp } = decoded()
      if (tcp === undefined || tcp.length === 0) return []
      if (++texts === number) sequence = tcp.sequence
      return tcp.sequence === sequence && ++losses <= 2 ? [Faults.lose] : []
    }
  }
}

/** The segments with text from `first` to `last` arrive so many milliseconds late. */
const delaying = (...late: ReadonlyArray<readonly [first: number, last: number, milliseconds: number]>): Data => {
  let texts = 0
  return {
    faults: (_, decoded) => {
      if ((decoded().tcp?.length ?? 0) === 0) return []
      texts++
      return late.filter(([first, last]) => texts >= first && texts <= last).map(([, , much]) => Faults.delay(much))
    }
  }
}

/** A flight of twenty stands still for 400 milliseconds, and what is sent again meanwhile comes behind it. */
const standstill = (): Data => delaying([11, 30, 400], [31, 60, 210])

const arrives = (change: (outcome: Outcome, before: ControlBlock) => ControlBlock): Partial<Machine> => ({
  arrives: (tcb, segment, now) => {
    const outcome = rfc9293.arrives(tcb, segment, now)
    return { ...outcome, tcb: change(outcome, tcb) }
  }
})

const elapses = (change: (after: ControlBlock) => ControlBlock): Partial<Machine> => ({
  elapse: (tcb, queued, now) => change(rfc9293.elapse(tcb, queued, now))
})

/** What a receiver says, as `change` has it. */
const says = (change: (emission: Emission) => Emission): Partial<Machine> => ({
  arrives: (tcb, segment, now) => {
    const outcome = rfc9293.arrives(tcb, segment, now)
    return outcome.reply === undefined ? outcome : { ...outcome, reply: change(outcome.reply) }
  },
  output: (tcb, queued, now, limit) => {
    const next = rfc9293.output(tcb, queued, now, limit)
    return next === undefined ? undefined : { ...next, segment: change(next.segment) }
  }
})

const withBlocks = (
  emission: Emission,
  keep: (left: number, right: number) => boolean
): Emission => {
  const sack = emission.options.sack?.filter(({ left, right }) => keep(left, right))
  return { ...emission, options: { ...emission.options, sack: sack?.length === 0 ? undefined : sack } }
}

const withoutSack = { selectiveAcknowledgement: false } as const

/** Whatever is measured, the retransmission timer runs for a second. */
const slow: Partial<Machine> = {
  arrives: (tcb, segment, now) => {
    const outcome = rfc9293.arrives(tcb, segment, now)
    const { deadlines } = outcome.tcb
    const retransmit = deadlines.retransmit === Infinity ? Infinity : now + 1000
    return { ...outcome, tcb: { ...outcome.tcb, deadlines: { ...deadlines, retransmit } } }
  }
}

/** What was sent again passes for sent once. */
const forgetful: Partial<Machine> = {
  arrives: (tcb, segment, now) => {
    const board = tcb.transmissions.board.map((run) => ({ ...run, sends: 1 }))
    return rfc9293.arrives({ ...tcb, transmissions: { ...tcb.transmissions, board } }, segment, now)
  }
}

export const repair: ReadonlyArray<RfcMutation> = [
  {
    rfc: "RFC 2018",
    wrong: "the receiver tells of nothing behind a gap",
    trial: () => ({ ...path, writes: segments(60), data: losing(15, 19) }),
    machines: { receiver: says((emission) => withBlocks(emission, () => false)) },
    holds: ({ again, counts }) => again === 2 && counts.timeouts === 0
  },
  {
    rfc: "RFC 2883",
    wrong: "the receiver keeps to itself what came twice",
    trial: () => ({ ...path, writes: segments(400), data: delaying([5, 5, 60]) }),
    machines: {
      receiver: says((emission) => withBlocks(emission, (_, right) => Sequence.greaterThan(right, emission.ack)))
    },
    holds: ({ counts }) => counts.duplicatesReported > 0
  },
  {
    rfc: "RFC 3708",
    wrong: "a loss that was none is believed for ever",
    trial: () => ({ ...path, writes: segments(400), data: delaying([5, 5, 60]), settings: { timestamps: false } }),
    machines: {
      sender: arrives(({ tcb }) => ({ ...tcb, recovery: { ...tcb.recovery, undo: undefined } }))
    },
    holds: ({ counts }) => counts.duplicateUndos === 1
  },
  {
    rfc: "RFC 6675",
    wrong: "with one segment, everything is sent again that is on its way",
    trial: () => ({ ...path, writes: segments(60), data: losing(15) }),
    machines: {
      sender: arrives(({ tcb }, before) =>
        tcb.transmissions.lost > 0 && before.transmissions.lost === 0
          ? { ...tcb, transmissions: Transmissions.lose(tcb.transmissions, tcb.snd.una, tcb.snd.nxt) }
          : tcb
      )
    },
    holds: ({ again }) => again === 1
  },
  {
    rfc: "RFC 8985, RACK",
    wrong: "a segment that was sent again and lost again is waited for until the timer expires",
    trial: () => ({ ...path, writes: segments(200), data: losingTwice(15) }),
    machines: {
      sender: arrives(({ tcb }, before) =>
        tcb.counts.lostRetransmissions > before.counts.lostRetransmissions
          ? { ...tcb, transmissions: Transmissions.unlose(tcb.transmissions) }
          : tcb
      )
    },
    holds: ({ again, counts }) => counts.timeouts === 0 && again === 2
  },
  {
    rfc: "RFC 8985, TLP",
    wrong: "the last segment of a flight is waited for until the timer expires",
    trial: () => ({ ...path, writes: segments(10), data: losing(9, 10) }),
    machines: { sender: withoutTimer("tail") },
    holds: ({ time }) => time < 150
  },
  {
    rfc: "RFC 5681, fast retransmit",
    wrong: "duplicates mean nothing",
    trial: () => ({ ...path, writes: segments(60, PLAIN), data: losing(15), settings: withoutSack }),
    machines: {
      sender: arrives(({ tcb }) => ({ ...tcb, recovery: { ...tcb.recovery, duplicates: 0 } }))
    },
    holds: ({ counts }) => counts.timeouts === 0
  },
  {
    rfc: "RFC 6582",
    wrong: "a partial acknowledgement brings nothing",
    trial: () => ({ ...path, writes: segments(60, PLAIN), data: losing(15, 19), settings: withoutSack }),
    machines: {
      sender: arrives(({ tcb }, before) =>
        before.recovery.phase === "recovery" && tcb.recovery.phase === "recovery" && tcb.snd.una !== before.snd.una
          ? { ...tcb, transmissions: Transmissions.unlose(tcb.transmissions) }
          : tcb
      )
    },
    holds: ({ again, counts }) => counts.timeouts === 0 && again === 2
  },
  {
    rfc: "RFC 3042",
    wrong: "nothing new leaves before the third duplicate",
    trial: () => ({
      ...path,
      writes: segments(12, PLAIN),
      data: losing(1),
      settings: withoutSack,
      congestion: { ...Reno, initial: (mss) => ({ ...Reno.initial(mss), window: 3 * mss }) }
    }),
    machines: {
      sender: {
        output: (tcb, queued, now, limit) => {
          const next = rfc9293.output(tcb, queued, now, limit)
          const isEarly = tcb.recovery.phase === "open" && tcb.recovery.duplicates > 0
          return isEarly && (next?.segment.length ?? 0) > 0 ? undefined : next
        }
      }
    },
    holds: ({ counts }) => counts.timeouts === 0
  },
  {
    rfc: "RFC 9937",
    wrong: "the window stays as it is while a loss is repaired",
    trial: () => ({ ...path, writes: segments(200), data: losing(60), congestion: Reno }),
    machines: {
      sender: arrives(({ tcb }, before) =>
        tcb.recovery.phase === "recovery"
          ? {
            ...tcb,
            congestion: { ...tcb.congestion, window: Math.max(tcb.congestion.window, before.congestion.window) }
          }
          : tcb
      )
    },
    // Within a round trip after the first repetition: half of what was on its way, less what had left the network by then.
    holds: ({ sent }) => {
      const repeated = sent.find(({ again }) => again)!
      const round = sent.filter(({ at }) => at > repeated.at && at <= repeated.at + 19)
      const flight = sent.filter(({ at }) => at < repeated.at && at >= repeated.at - 20)
      return round.length <= flight.length * 0.35
    }
  },
  {
    rfc: "RFC 6298",
    wrong: "the timeout stays at one second, whatever is measured",
    trial: () => ({ ...path, writes: segments(10), data: losing(10), settings: { tailLossProbe: false } }),
    machines: { sender: slow },
    holds: ({ counts, time }) => counts.timeouts === 1 && time < 400
  },
  {
    rfc: "RFC 6298, Karn",
    wrong: "what was sent twice is timed from its last departure",
    trial: () => ({
      ...path,
      // Its acknowledgement comes 16 milliseconds after the timeout, and that of what was sent again 20.
      writes: [[SEGMENT, 0], [10 * SEGMENT, 1000]],
      data: delaying([1, 1, 215]),
      settings: { tailLossProbe: false, timestamps: false, delayedAcknowledgement: 1 }
    }),
    machines: { sender: forgetful },
    holds: ({ last }) => (last?.rtt.minimum ?? 0) >= 20
  },
  {
    rfc: "RFC 5682",
    wrong: "after a timeout, everything is sent again without a question",
    trial: () => ({
      ...path,
      writes: segments(60),
      data: standstill(),
      settings: { timestamps: false, tailLossProbe: false }
    }),
    machines: {
      sender: elapses((tcb) => ({
        ...tcb,
        transmissions: tcb.recovery.phase === "loss"
          ? Transmissions.lose(tcb.transmissions, tcb.snd.una, tcb.snd.nxt)
          : tcb.transmissions,
        recovery: { ...tcb.recovery, forward: "none" }
      }))
    },
    holds: ({ again, counts }) => counts.timeouts > 0 && again <= 3
  },
  {
    rfc: "RFC 3522 and 4015",
    wrong: "what timestamps say about a timeout is not heard",
    trial: () => ({
      ...path,
      writes: segments(60),
      data: standstill(),
      settings: { ...withoutSack, tailLossProbe: false }
    }),
    machines: {
      sender: elapses((tcb) => ({ ...tcb, recovery: { ...tcb.recovery, undo: undefined, forward: "none" } }))
    },
    holds: ({ again, counts }) => counts.timeouts > 0 && again <= 3
  }
]
