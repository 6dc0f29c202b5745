/**
 * RFCs about how much is sent at a time.
 */
import { Bbr } from "@strata/core/tcp/Bbr"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import { Cubic, make } from "@strata/core/tcp/Cubic"
import { Reno } from "@strata/core/tcp/Reno"
import { TcpFlag } from "@strata/core/tcp/Segment"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import type { RfcMutation } from "./RfcMutation.ts"
import type { Sent, Trial } from "./Trial.ts"

const SEGMENT = 1448

const segments = (count: number): Trial["writes"] => [[count * SEGMENT, 0]]
const queueOf = (packets: number): Trial["wire"] => ({ queue: { packets, octets: Infinity } })

/** The most segments that leave within a tenth of a millisecond. */
const largestBurst = (sent: ReadonlyArray<Sent>): number =>
  sent.reduce((most, { at }) => Math.max(most, sent.filter((other) => other.at >= at && other.at < at + 0.1).length), 0)

const withInitial = (algorithm: CongestionAlgorithm, count: number): CongestionAlgorithm => ({
  ...algorithm,
  initial: (mss) => ({ ...algorithm.initial(mss), window: count * mss })
})

/** Loses a single segment in slow start. */
const oneLoss = (): NonNullable<Trial["data"]> => {
  let texts = 0
  return { faults: (_, decoded) => (decoded().tcp?.length ?? 0) > 0 && ++texts === 80 ? [{ _tag: "Lose" }] : [] }
}

/** A bottleneck that marks packets long before its queue is full. */
const marking: Trial = {
  roundTrip: 20,
  rate: 20e6,
  writes: segments(1500),
  wire: { queue: { packets: 60, octets: Infinity }, marking: 15 },
  settings: { explicitCongestionNotification: "active" }
}

export const congestion: ReadonlyArray<RfcMutation> = [
  {
    rfc: "RFC 5681, slow start",
    wrong: "everything is sent that the peer has room for",
    trial: () => ({ roundTrip: 40, rate: 10e6, writes: segments(40), wire: queueOf(30), congestion: Reno }),
    changed: () => ({
      roundTrip: 40,
      rate: 10e6,
      writes: segments(40),
      wire: queueOf(30),
      congestion: withInitial(Reno, 1000)
    }),
    holds: ({ lost }) => lost === 0
  },
  {
    rfc: "RFC 5681, idle restart",
    wrong: "after a pause, the old window is sent at once",
    trial: () => ({
      roundTrip: 40,
      rate: 100e6,
      writes: [[100 * SEGMENT, 0], [100 * SEGMENT, 5000]],
      congestion: Reno
    }),
    changed: () => ({
      roundTrip: 40,
      rate: 100e6,
      writes: [[100 * SEGMENT, 0], [100 * SEGMENT, 5000]],
      congestion: { ...Reno, onIdle: (state) => state }
    }),
    holds: ({ sent }) => largestBurst(sent.filter(({ at }) => at > 4000)) <= 10
  },
  {
    rfc: "RFC 6928",
    wrong: "a connection begins with one segment",
    trial: () => ({ roundTrip: 100, rate: 100e6, writes: segments(10) }),
    changed: () => ({ roundTrip: 100, rate: 100e6, writes: segments(10), congestion: withInitial(Cubic, 1) }),
    holds: ({ time }) => time < 100
  },
  {
    rfc: "RFC 3465",
    wrong: "acknowledgements are counted, not octets",
    trial: () => ({ roundTrip: 100, rate: 1e9, writes: segments(600), congestion: Reno }),
    changed: () => ({
      roundTrip: 100,
      rate: 1e9,
      writes: segments(600),
      congestion: {
        ...Reno,
        onAck: (state, delivery, view) =>
          Reno.onAck(state, { ...delivery, acknowledged: Math.min(delivery.acknowledged, view.mss) }, view)
      }
    }),
    holds: ({ time }) => time < 700
  },
  {
    rfc: "RFC 9438",
    wrong: "after a loss, the window grows no more",
    trial: () => ({ roundTrip: 60, rate: 100e6, writes: segments(2000), data: oneLoss() }),
    changed: () => ({
      roundTrip: 60,
      rate: 100e6,
      writes: segments(2000),
      data: oneLoss(),
      congestion: {
        ...Cubic,
        onAck: (state, delivery, view) =>
          state.slowStartThreshold < Infinity ? state : Cubic.onAck(state, delivery, view)
      }
    }),
    holds: ({ last, window }) => (last?.congestion.window ?? 0) >= 0.9 * window
  },
  {
    rfc: "RFC 9406",
    wrong: "slow start goes on until the queue overflows",
    trial: () => ({ roundTrip: 40, rate: 10e6, writes: segments(400), wire: queueOf(40) }),
    changed: () => ({
      roundTrip: 40,
      rate: 10e6,
      writes: segments(400),
      wire: queueOf(40),
      congestion: make({ hyStart: false })
    }),
    holds: ({ lost }) => lost < 40
  },
  {
    rfc: "BBR, pacing",
    wrong: "segments leave as fast as the window allows",
    trial: () => ({ roundTrip: 40, rate: 50e6, writes: [[1000 * SEGMENT, 0], [200 * SEGMENT, 1000]], congestion: Bbr }),
    changed: () => ({
      roundTrip: 40,
      rate: 50e6,
      writes: [[1000 * SEGMENT, 0], [200 * SEGMENT, 1000]],
      congestion: {
        ...Bbr,
        onAck: (state, delivery, view) => ({ ...Bbr.onAck(state, delivery, view), pacingRate: undefined })
      }
    }),
    holds: ({ sent }) => largestBurst(sent.filter(({ at }) => at > 800)) <= 20
  },
  {
    rfc: "RFC 3168",
    wrong: "nobody hears that congestion was met",
    trial: () => marking,
    machines: {
      sender: {
        arrives: (tcb, segment, now) => rfc9293.arrives(tcb, { ...segment, flags: segment.flags & ~TcpFlag.ece }, now)
      }
    },
    holds: ({ counts, lost }) => lost === 0 && counts.congestionEchoes > 0
  },
  {
    rfc: "RFC 9293 §3.7.4, Nagle",
    wrong: "every write is a segment",
    trial: () => ({ roundTrip: 100, rate: 100e6, writes: Array.from({ length: 100 }, () => [10, 1] as const) }),
    changed: () => ({
      roundTrip: 100,
      rate: 100e6,
      writes: Array.from({ length: 100 }, () => [10, 1] as const),
      settings: { nagle: false }
    }),
    holds: ({ sent }) => sent.length <= 4
  },
  {
    rfc: "RFC 1122 §4.2.3.2, delayed acknowledgements",
    wrong: "every segment is acknowledged by itself",
    trial: () => ({ roundTrip: 20, rate: 100e6, writes: segments(500) }),
    machines: {
      receiver: {
        arrives: (tcb, segment, now) => {
          const outcome = rfc9293.arrives(tcb, segment, now)
          if (segment.length === 0) return outcome
          return { ...outcome, tcb: { ...outcome.tcb, rcv: { ...outcome.tcb.rcv, acknowledge: "now" } } }
        }
      }
    },
    holds: ({ answers, sent }) => answers.length < 0.7 * sent.length
  }
]
