/**
 * What is to be expected of a cell, and why.
 *
 * The model of `Rounds` transfers what the cell transfers, many times from
 * different seeds. Luck spreads its results, the more the shorter the transfer:
 * the band of a cell goes from a quarter below the 1st percentile to a third
 * above the 99th, and no higher than the link.
 */
import {
  BURSTS,
  type Cell,
  FRAME,
  frameTime,
  lateness,
  lossRate,
  pathSegments,
  queuePackets,
  REORDERED,
  SEGMENT,
  segmentsOf
} from "./Cell.ts"
import * as Laws from "./Laws.ts"
import type { Result } from "./Measure.ts"
import * as Rounds from "./Rounds.ts"

/** A figure of a cell, and what it may be. */
export interface Check {
  readonly what: string
  readonly value: number
  readonly least: number
  readonly most: number
  readonly why: string
}

export const holds = ({ least, most, value }: Check): boolean => least <= value && value <= most

/** Of many runs: the 1st percentile, the median, and the 99th percentile. */
export interface Spread {
  readonly low: number
  readonly middle: number
  readonly high: number
}

export interface Forecast {
  /** Bits per second. */
  readonly goodput: Spread
  /** Lost segments per segment. */
  readonly lossRatio: Spread
  readonly timeouts: Spread
  /** Milliseconds until the first loss; `Infinity` where there is none. */
  readonly firstLoss: Spread
}

const RUNS = 200

const spread = (values: ReadonlyArray<number>): Spread => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!
  return { low: at(0.01), middle: at(0.5), high: at(0.99) }
}

/** Bits per second of text that fill a link. */
export const linkGoodput = (rate: number): number => rate * SEGMENT / FRAME

const forecasts = new Map<string, Forecast>()

/**
 * What theory says of a cell in which no packet is late; `buffers` are the octets that the ends let be under way, `more` is a
 * probability of loss beyond that of the cell.
 */
export const forecast = (cell: Cell, buffers: number, more = 0): Forecast => {
  const key = [cell.algorithm, cell.loss, cell.rate, cell.roundTrip, buffers, more].join()
  let known = forecasts.get(key)
  if (known === undefined) {
    known = compute(cell, buffers, more)
    forecasts.set(key, known)
  }
  return known
}

const lawOf = (cell: Cell): Laws.Law => {
  switch (cell.algorithm) {
    case "reno":
      return Laws.reno()
    case "cubic":
      return Laws.cubic()
    case "bbr":
      return Laws.bbr(pathSegments(cell))
  }
}

const losesOf = (cell: Cell, more: number, chance: () => number): Rounds.Loses => {
  if (cell.loss !== "bursts") return Rounds.independent(lossRate(cell.loss) + more, chance)
  const [inBursts, besides] = [Rounds.bursts(BURSTS, chance), Rounds.independent(more, chance)]
  return () => inBursts() || besides()
}

const compute = (cell: Cell, buffers: number, more: number): Forecast => {
  const segments = segmentsOf(cell)
  const courses = Array.from({ length: RUNS }, (_, seed) =>
    Rounds.transfer(lawOf(cell), {
      roundTrip: cell.roundTrip,
      frameTime: frameTime(cell.rate),
      queue: queuePackets(cell),
      loses: losesOf(cell, more, Rounds.makeChance(seed)),
      buffers: buffers / SEGMENT
    }, segments))
  return {
    goodput: spread(courses.map(({ time }) => segments * SEGMENT * 8000 / time)),
    lossRatio: spread(courses.map(({ lost, sent }) => lost / sent)),
    timeouts: spread(courses.map(({ timeouts }) => timeouts)),
    firstLoss: spread(courses.map(({ firstLoss }) => firstLoss ?? Infinity))
  }
}

/** How far from the model a TCP may be, and the timeouts it may have had more; a timeout is at least 200 ms (RFC 6298 §2.4). */
const TOLERANCE = 1.3
const MORE_TIMEOUTS = 2
const LEAST_TIMEOUT = 200

const moreTimeouts = ({ lost }: Result): number => MORE_TIMEOUTS + Math.ceil(lost / 100)

/** RFC 8985 §6.2: recoveries after which the window for reordering is a quarter of a round trip again. */
const PERSIST = 16

/**
 * The share of packets that are thought lost because they are late. The window for reordering grows by a quarter of the round
 * trip with each D-SACK (RFC 8985 §6.2), until it is as long as packets are late, and falls back after 16 recoveries.
 */
const mistaken = (cell: Cell): number => {
  if (cell.reordering === "none") return 0
  const quarter = (cell.roundTrip + frameTime(cell.rate)) / 4
  return REORDERED * Math.min(1, (1 + Math.ceil(lateness(cell) / quarter)) / PERSIST)
}

/** What of the link BBR may leave empty, and why. */
const bbrFactor = ({ loss, reordering }: Cell): { readonly factor: number; readonly why: string } => {
  if (loss === "bursts") {
    return { factor: 0.5, why: "BBR fills the link, but for bursts of loss while it probes for more" }
  }
  if (loss === "1 %" && reordering !== "none") {
    return { factor: 0.5, why: "BBR fills the link as long as less than 2 % are lost, or late and thought lost" }
  }
  return { factor: 0.8, why: "BBR fills the link as long as less than 2 % are lost" }
}

/** The forecast of the least that is to be expected, what is taken from it, and why. */
const worst = (
  cell: Cell,
  buffers: number
): { readonly spread: Spread; readonly factor: number; readonly why: string } => {
  const late = mistaken(cell)
  if (cell.algorithm === "bbr" && lossRate(cell.loss) > 0.02) {
    return {
      spread: forecast({ ...cell, algorithm: "reno" }, buffers, late).goodput,
      factor: 1,
      why: "BBR gives way above a loss of 2 %, but not more than Reno does"
    }
  }
  if (cell.algorithm === "bbr") {
    return {
      spread: forecast(cell, buffers, late).goodput,
      ...bbrFactor(cell)
    }
  }
  const law = cell.algorithm === "reno" ? "RFC 5681" : "RFC 9438 and RFC 9406"
  const reordering = late === 0
    ? ""
    : `, ${(late * 100).toFixed(2)} % of the packets thought lost because they are late (RFC 8985 §6.2)`
  return {
    spread: forecast(cell, buffers, late).goodput,
    factor: 1,
    why: `the window law of ${law}, round by round${reordering}`
  }
}

const goodput = (cell: Cell, result: Result, buffers: number): Check => {
  const { factor, spread: { low }, why } = worst(cell, buffers)
  const bits = segmentsOf(cell) * SEGMENT * 8
  // In a short transfer, a few timeouts more are a matter of luck.
  const slack = cell.loss === "none" ? 0 : moreTimeouts(result) * (LEAST_TIMEOUT + cell.roundTrip)
  const most = cell.algorithm === "bbr" ? linkGoodput(cell.rate) : forecast(cell, buffers).goodput.high * TOLERANCE
  return {
    what: "goodput in Mbit/s",
    value: result.goodput / 1e6,
    least: bits / (bits / (low * factor) * TOLERANCE + slack / 1000) / 1e6,
    // A segment without timestamps has more text.
    most: Math.min(most, linkGoodput(cell.rate) * 1460 / SEGMENT) / 1e6,
    why
  }
}

/**
 * Where the queue is much longer than the path, an original that comes soon after its repetition looks like that
 * (RFC 8985 §6.2, step 2: only what took less than the least round trip does not), and the rest of the window looks lost.
 */
const isBlurred = (cell: Cell): boolean => queuePackets(cell) > 4 * pathSegments(cell)

/** How many packets may be sent again because they are late, for each one that RACK mistakes. */
const lateFactor = (cell: Cell): number => isBlurred(cell) ? 4 : 1.25

/** Segments that are sent again although they have arrived. */
const spurious = (cell: Cell, result: Result): Check => {
  // What fills a gap has a later timestamp than the originals that are still under way: PAWS throws those away (RFC 7323 §5.3).
  const isThrownAway = cell.algorithm === "bbr" && cell.reordering !== "none"
  const share = isThrownAway ? REORDERED : mistaken(cell)
  return {
    what: "spurious retransmissions",
    value: result.spurious,
    least: 0,
    most: 3 + Math.ceil(result.segments * share * lateFactor(cell)) + Math.ceil(result.lost / 10),
    why:
      "RFC 8985: what has arrived is not sent again, but for a probe of the tail, what is late by more than has been " +
      "seen so far, and what a timeout takes for lost"
  }
}

const retransmissions = (cell: Cell, result: Result, buffers: number): Check => {
  const { high, low } = forecast(cell, buffers).lossRatio
  // Slow start goes on for a round trip before it hears that the queue is full, and doubles what is in it.
  const room = Math.min(pathSegments(cell) + queuePackets(cell), buffers / SEGMENT)
  // BBR goes on for three, at 2.77 times what the link takes.
  const overshoot = room * (cell.algorithm === "bbr" ? 4 : 1)
  return {
    what: "retransmission ratio in %",
    value: 100 * result.retransmitted / result.segments,
    least: 50 * Math.min(low, lossRate(cell.loss)),
    most: 300 * high + 100 * (spurious(cell, result).most + overshoot) / result.segments,
    why: "what the path loses is sent again, once for each loss"
  }
}

const timeouts = (cell: Cell, result: Result, buffers: number): Check => ({
  what: "timeouts",
  value: result.timeouts,
  least: 0,
  most: cell.loss === "none" ? 0 : forecast(cell, buffers).timeouts.high + moreTimeouts(result),
  why: "RFC 8985 finds all losses without a timeout, but for the whole window and the probe that follows"
})

/** The first loss is that of chance, or that of slow start when it overruns the queue. */
const firstLoss = (cell: Cell, result: Result, buffers: number): Check => {
  const { high, low } = forecast(cell, buffers).firstLoss
  const isReno = cell.algorithm === "reno"
  return {
    what: "first loss after ms",
    value: result.firstLoss ?? Infinity,
    least: cell.loss === "none" && cell.algorithm !== "bbr" ? low / 2 : 0,
    // What is late may end slow start before the queue is full.
    most: cell.loss === "none" && (!isReno || cell.reordering !== "none") ? Infinity : 3 * high,
    why: isReno
      ? "slow start doubles the window each round trip until the queue is full"
      : "slow start is left before the queue is full (RFC 9406), and chance loses the rest"
  }
}

export const checks = (cell: Cell, result: Result, buffers: number): ReadonlyArray<Check> => [
  goodput(cell, result, buffers),
  retransmissions(cell, result, buffers),
  spurious(cell, result),
  timeouts(cell, result, buffers),
  firstLoss(cell, result, buffers)
]

/** What a receiver waits before it acknowledges a segment (RFC 9293 §3.8.6.3), here 40 ms as in Linux; WCDelAckT of RFC 8985 §7.2. */
const DELAYED_ACKNOWLEDGEMENT = 40
const WORST_DELAY = 200

/** RFC 8985 §7.2: a probe follows two round trips after the last acknowledgement, and what an acknowledgement may be delayed. */
export const tailCheck = (cell: Cell, value: number): Check => {
  const roundTrip = cell.roundTrip + 10 * frameTime(cell.rate)
  return {
    what: "recovery of a tail loss in ms",
    value,
    // Two round trips after the loss at the earliest, half a round trip for the segment.
    least: 2.5 * cell.roundTrip,
    most: 1.1 * (3.5 * roundTrip + DELAYED_ACKNOWLEDGEMENT + WORST_DELAY),
    why:
      "RFC 8985 §7.2: a round trip and a delayed acknowledgement for what came before, two round trips and 200 ms until " +
      "the probe, half a round trip for the probe"
  }
}

const number = (value: number): string =>
  Number.isInteger(value) || !Number.isFinite(value) ? String(value) : value.toPrecision(3)

/** Such as `goodput in Mbit/s: 3.1, and should be 4 to 12: …`. */
export const complain = ({ least, most, value, what, why }: Check): string =>
  `${what}: ${number(value)}, and should be ${number(least)} to ${number(most)}: ${why}`
