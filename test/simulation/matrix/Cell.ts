/**
 * The scenario matrix: one bulk transfer for each round-trip time, loss, reordering, congestion control and rate.
 *
 * A cell is a value, and together with a seed it says all there is to say about
 * a run. Loss and reordering are those of the way of the data, from the moment
 * on when the connection is established: acknowledgements come back in order.
 */
import { Distribution, Loss } from "@strata/drivers"
import type { Conditions } from "@strata/drivers"

export const ROUND_TRIPS = [0.1, 10, 100, 300] as const
export const RATES = [100e6, 1e9] as const
export const LOSSES = ["none", "0.1 %", "1 %", "5 %", "bursts"] as const
export const REORDERINGS = ["none", "1 %", "deep"] as const
export const ALGORITHMS = ["reno", "cubic", "bbr"] as const

export type LossName = typeof LOSSES[number]
export type ReorderingName = typeof REORDERINGS[number]
export type AlgorithmName = typeof ALGORITHMS[number]

export interface Cell {
  /** Milliseconds of travel, there and back, without the time that packets take to leave or wait. */
  readonly roundTrip: number
  readonly loss: LossName
  readonly reordering: ReorderingName
  readonly algorithm: AlgorithmName
  /** Bits per second, with Ethernet headers. */
  readonly rate: number
}

/** Octets of text in a full segment: 1,500 less the headers of IPv4 and TCP and the timestamps option. */
export const SEGMENT = 1448
/** Octets of such a segment on the wire. */
export const FRAME = 1514

/** Milliseconds that a full segment takes to leave. */
export const frameTime = (rate: number): number => FRAME * 8000 / rate

/** Full segments that fit the path, without its queue. */
export const pathSegments = ({ rate, roundTrip }: Cell): number => roundTrip / frameTime(rate) + 1

/** Packets that wait at the bottleneck at most: what fits the path once more, and 64 where that is less. */
export const queuePackets = (cell: Cell): number => Math.max(64, Math.ceil(pathSegments(cell)))

/** The share of packets that are lost, on average, whatever their order. */
export const lossRate = (loss: LossName): number =>
  ({ none: 0, "0.1 %": 0.001, "1 %": 0.01, "5 %": 0.05, bursts: 0.01 })[loss]

/** One packet in a hundred is lost, on average five in a row: a loss event for every 500 packets. */
export const BURSTS = { goodToBad: 0.2 / 99, badToGood: 0.2 }

export const lossOf = (loss: LossName): Loss.Loss =>
  loss === "bursts" ? Loss.gilbertElliott(BURSTS) : Loss.bernoulli(lossRate(loss))

/** The share of packets that are late where any are. */
export const REORDERED = 0.01

/** How late those packets are at most, in milliseconds. */
export const lateness = ({ rate, reordering, roundTrip }: Cell): number => {
  switch (reordering) {
    case "none":
      return 0
    case "1 %":
      return Math.max(roundTrip / 8, 6 * frameTime(rate))
    case "deep":
      return Math.max(roundTrip / 2, 24 * frameTime(rate))
  }
}

/**
 * One packet in a hundred is late: by five packets, but an eighth of a round trip at most; or, if it is deep, by half a round
 * trip, but 24 packets at least. Three packets are what RFC 5681 takes for a loss, a quarter of a round trip is what
 * RFC 8985 allows for at first.
 */
export const reorderingOf = (cell: Cell): Conditions["reordering"] => {
  switch (cell.reordering) {
    case "none":
      return { probability: 0 }
    case "1 %":
      return { probability: REORDERED, packets: 5, atMost: lateness(cell) }
    case "deep":
      return { probability: REORDERED, delay: lateness(cell) }
  }
}

/** What the path is like before, and while, loss and reordering are on. */
export const pathOf = (cell: Cell) => ({
  calm: {
    latency: Distribution.constant(cell.roundTrip / 2),
    bandwidth: cell.rate,
    queue: { packets: queuePackets(cell), octets: Infinity }
  },
  rough: { loss: lossOf(cell.loss), reordering: reorderingOf(cell) }
})

/**
 * How many full segments a cell transfers: enough to see some hundred losses, or half a second of the link, but what a
 * simulation does in a fifth of a second at most.
 */
export const segmentsOf = ({ loss }: Cell): number => {
  const rate = lossRate(loss)
  return rate === 0 ? 20_000 : Math.min(20_000, Math.max(6000, 100 / rate))
}

export const octetsOf = (cell: Cell): number => segmentsOf(cell) * SEGMENT

export const CELLS: ReadonlyArray<Cell> = RATES.flatMap((rate) =>
  ALGORITHMS.flatMap((algorithm) =>
    ROUND_TRIPS.flatMap((roundTrip) =>
      LOSSES.flatMap((loss) =>
        REORDERINGS.map((reordering): Cell => ({ roundTrip, loss, reordering, algorithm, rate }))
      )
    )
  )
)

export const formatRate = (rate: number): string => rate >= 1e9 ? `${rate / 1e9} Gbit/s` : `${rate / 1e6} Mbit/s`

/** Such as `cubic, 1 Gbit/s, 10 ms, loss 1 %, reordering deep`. */
export const format = ({ algorithm, loss, rate, reordering, roundTrip }: Cell): string =>
  `${algorithm}, ${formatRate(rate)}, ${roundTrip} ms, loss ${loss}, reordering ${reordering}`
