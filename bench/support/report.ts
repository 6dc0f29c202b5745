/**
 * Results as values, lines for a terminal, and Markdown.
 */
import type { Figure, Measurement } from "./measurement.ts"
import { median, ratioOf, type Spread, spreadOf } from "./summary.ts"

/** What one contender came to. */
export interface Entry extends Spread {
  readonly title: string
  readonly isBaseline: boolean
  /** How many times as good as the first baseline. */
  readonly ratio?: number | undefined
  /** Medians of what the figures have besides. */
  readonly processor?: number | undefined
  readonly p50?: number | undefined
  readonly p99?: number | undefined
  readonly figures: ReadonlyArray<Figure>
}

/** Why there is none. */
export interface Missing {
  readonly title: string
  readonly missing: string
  /** Whether something is wrong, and not only absent. */
  readonly isError: boolean
}

/** What a result takes over from its measurement. */
type About = Pick<Measurement, "name" | "title" | "unit" | "better" | "text">

export interface Result extends About {
  readonly entries: ReadonlyArray<Entry | Missing>
}

export interface Machine {
  readonly kernel: string
  readonly processors: string
  readonly node: string
  readonly date: string
}

export interface Report {
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
  readonly waits: { readonly times: number; readonly inVain: number; readonly milliseconds: number }
  readonly results: ReadonlyArray<Result>
}

/** The figures of one contender, round by round, or why there are none. */
export interface Rounds {
  readonly title: string
  readonly isBaseline: boolean
  readonly figures: ReadonlyArray<Figure> | Omit<Missing, "title">
}

const values = (figures: ReadonlyArray<Figure>): ReadonlyArray<number> => figures.map(({ value }) => value)

const medianOf = (figures: ReadonlyArray<Figure>, field: "processor" | "p50" | "p99"): number | undefined => {
  const numbers = figures.flatMap((figure) => figure[field] ?? [])
  return numbers.length === 0 ? undefined : median(numbers)
}

export const summarize = (
  { better, name, text, title, unit }: About,
  rounds: ReadonlyArray<Rounds>
): Result => {
  const first = rounds.find(({ figures, isBaseline }) => isBaseline && "length" in figures)
  const baseline = first === undefined ? undefined : values(first.figures as ReadonlyArray<Figure>)
  const entries = rounds.map(({ figures, isBaseline, ...contender }): Entry | Missing =>
    "missing" in figures
      ? { ...contender, ...figures }
      : {
        ...contender,
        isBaseline,
        ...spreadOf(values(figures)),
        ratio: baseline === undefined || isBaseline ? undefined : ratioOf(values(figures), baseline, better),
        processor: medianOf(figures, "processor"),
        p50: medianOf(figures, "p50"),
        p99: medianOf(figures, "p99"),
        figures
      }
  )
  return { name, title, unit, better, ...text === undefined ? {} : { text }, entries }
}

/** Three digits that count. */
export const digits = (value: number): string => {
  const size = Math.abs(value)
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || size === 0 ? 2 : 4)
}

const optional = (value: number | undefined): string => value === undefined ? "" : digits(value)

export const COLUMNS = ["", "median", "least–most", "ratio", "p50 µs", "p99 µs", "processor µs"] as const

/** One contender in these columns. */
export const cells = (entry: Entry | Missing): ReadonlyArray<string> =>
  "missing" in entry
    ? [entry.title, `${entry.isError ? "FAILED" : "not measured"}: ${entry.missing}`]
    : [
      entry.title,
      digits(entry.median),
      `${digits(entry.least)}–${digits(entry.most)}`,
      entry.ratio === undefined ? "" : entry.ratio.toFixed(2),
      optional(entry.p50),
      optional(entry.p99),
      optional(entry.processor)
    ]

const WIDTHS = [46, 9, 16, 8, 10, 10, 14]

const line = (words: ReadonlyArray<string>): string =>
  words.map((word, column) => column === 0 ? word.padEnd(WIDTHS[0]!) : word.padStart(WIDTHS[column]!)).join("")
    .trimEnd()

/** For a terminal. */
export const lines = (result: Result): string =>
  [
    line([`${result.title}, ${result.unit}`]),
    ...result.entries.map((entry) => {
      const [title, ...rest] = cells(entry)
      return "missing" in entry ? `  ${title}: ${rest[0]}` : line([`  ${title}`, ...rest])
    })
  ].join("\n")

export const heading = line(COLUMNS)

const row = (words: ReadonlyArray<string>): string => `| ${words.join(" | ")} |`

const filled = (words: ReadonlyArray<string>): ReadonlyArray<string> => COLUMNS.map((_, column) => words[column] ?? "")

/** One table of all results. */
export const table = (results: ReadonlyArray<Result>): string =>
  [
    row(COLUMNS),
    row(COLUMNS.map((_, column) => column === 0 ? "---" : "--:")),
    ...results.flatMap((result) => [
      row(filled([`**${result.title}**, ${result.unit}`])),
      ...result.entries.map((entry) => row(filled(cells(entry))))
    ])
  ].join("\n")

/** On what, and how. */
export const setting = ({ machine, rounds, seconds, waits }: Report): string =>
  `${machine.processors}, Linux ${machine.kernel}, Node ${machine.node}, ${machine.date}. ` +
  `${rounds} interleaved rounds of ${seconds} s each; ` +
  (waits.inVain === 0
    ? "the machine was quiet before each."
    : `before ${waits.inVain} of ${waits.times} the machine did not get quiet in time.`)

const PREFACE = `# Benchmark

Made by \`npm run bench -- --markdown docs/benchmark.md\`. Every octet was compared with what was sent, but for those of iperf3, which
does not look at them. Each figure is the median of all rounds, beside the least and the most. A ratio is how many times as good as the first Linux below it, round by round:
above 1 is better, whether more or less of the figure is good. The last column is the processor time of the server's process for one
operation, or for a mebibyte; what the kernel does for it in other places is not in it.
`

const SIZES_PREFACE = `# Cost against size

Made by \`npm run bench -- --sizes --markdown docs/sizes.md\`. Figures are medians, beside the least and the most; a ratio is how many
times as good as at the smallest size. The last column is processor time for one operation, in microseconds.
`

/** A section for each result. */
export const sizesPage = (report: Report): string => {
  const sections = report.results.map((result) => {
    const text = result.text === undefined ? "" : `${result.text}\n\n`
    return `## ${result.title}\n\n${text}${table([result])}\n`
  })
  return `${SIZES_PREFACE}\n${setting(report)}\n\n${sections.join("\n")}`
}

export const page = (report: Report): string => `${PREFACE}\n${setting(report)}\n\n${table(report.results)}\n`
