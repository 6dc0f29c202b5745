/**
 * The matrix as a table: a line for each path and algorithm.
 */
import * as Cell from "./Cell.ts"
import { type Check, holds } from "./Expectation.ts"
import type { Result } from "./Measure.ts"

/** A cell, measured and judged. */
export interface Row {
  readonly cell: Cell.Cell
  readonly result: Result
  readonly checks: ReadonlyArray<Check>
}

const HEAD = [
  "RTT, ms",
  "loss",
  "late",
  "goodput, Mbit/s",
  "expected",
  "sent again, %",
  "spurious",
  "timeouts",
  "first loss, ms",
  "time, s"
]

const significant = (value: number): string =>
  value === 0 ? "0" : value >= 100 ? value.toFixed(0) : value.toPrecision(3).replace(/\.?0+$/, "")

const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

const row = ({ cell, checks, result }: Row): string => {
  const expected = checks[0]!
  return line([
    String(cell.roundTrip),
    cell.loss,
    cell.reordering,
    significant(result.goodput / 1e6) + (checks.every(holds) ? "" : " **!**"),
    `${significant(expected.least)}–${significant(expected.most)}`,
    significant(100 * result.retransmitted / result.segments),
    String(result.spurious),
    String(result.timeouts),
    result.firstLoss === undefined ? "" : significant(result.firstLoss),
    significant(result.time / 1000)
  ])
}

const RULE = line(HEAD.map((_, index) => index === 1 || index === 2 ? "---" : "--:"))

/** Markdown, a table for each rate and algorithm. */
export const markdown = (rows: ReadonlyArray<Row>): string =>
  Cell.RATES.flatMap((rate) =>
    Cell.ALGORITHMS.map((algorithm) => {
      const own = rows.filter(({ cell }) => cell.rate === rate && cell.algorithm === algorithm)
      return own.length === 0
        ? ""
        : [`### ${TITLES[algorithm]}, ${Cell.formatRate(rate)}`, "", line(HEAD), RULE, ...own.map(row), ""].join("\n")
    })
  ).filter((table) => table !== "").join("\n")

const TITLES = { reno: "Reno", cubic: "CUBIC", bbr: "BBR" }

/** Milliseconds that a tail loss takes to be repaired. */
export interface Tail {
  readonly cell: Cell.Cell
  readonly check: Check
}

export const tailMarkdown = (tails: ReadonlyArray<Tail>): string =>
  [
    line(["rate", "RTT, ms", ...Cell.ALGORITHMS.map((algorithm) => TITLES[algorithm]), "expected"]),
    line(["---", "--:", ...Cell.ALGORITHMS.map(() => "--:"), "--:"]),
    ...Cell.RATES.flatMap((rate) =>
      Cell.ROUND_TRIPS.map((roundTrip) => {
        const own = tails.filter(({ cell }) => cell.rate === rate && cell.roundTrip === roundTrip)
        const { least, most } = own[0]!.check
        return line([
          Cell.formatRate(rate),
          String(roundTrip),
          ...Cell.ALGORITHMS.map((algorithm) => {
            const tail = own.find(({ cell }) => cell.algorithm === algorithm)
            return tail === undefined ? "" : significant(tail.check.value) + (holds(tail.check) ? "" : " **!**")
          }),
          `${significant(least)}–${significant(most)}`
        ])
      })
    )
  ].join("\n")
