import { describe, expect, it } from "vitest"
import { digits, lines, page, type Report, summarize, table } from "../../bench/support/report.ts"

const measurement = { name: "rr", title: "Request and response", unit: "k/s", better: "higher" } as const

const result = summarize(measurement, [
  {
    title: "strata",
    isBaseline: false,
    figures: [{ value: 10, p50: 5, processor: 2 }, { value: 30, p50: 7, processor: 4 }, {
      value: 20,
      p50: 6,
      processor: 3
    }]
  },
  { title: "broken", isBaseline: false, figures: { missing: "a wrong answer", isError: true } },
  { title: "Linux", isBaseline: true, figures: [{ value: 20 }, { value: 40 }, { value: 20 }] },
  { title: "iperf3", isBaseline: false, figures: { missing: "there is no iperf3", isError: false } }
])

const report: Report = {
  machine: { kernel: "6.1", processors: "2 × One", node: "24", date: "2026-01-02" },
  rounds: 3,
  seconds: 0.5,
  waits: { times: 4, inVain: 1, milliseconds: 700 },
  results: [result]
}

describe("Report of the benchmark", () => {
  it("holds medians, spreads and ratios", () => {
    expect(result.entries[0]).toMatchObject({
      median: 20,
      least: 10,
      most: 30,
      ratio: 0.75,
      p50: 6,
      processor: 3,
      p99: undefined
    })
    expect(result.entries[2]).toMatchObject({ median: 20, ratio: undefined })
  })

  it("has no ratio where the baseline failed", () => {
    const { entries } = summarize(measurement, [
      { title: "strata", isBaseline: false, figures: [{ value: 1 }] },
      { title: "Linux", isBaseline: true, figures: { missing: "lost", isError: true } }
    ])
    expect(entries[0]).toMatchObject({ median: 1, ratio: undefined })
  })

  it("is a table in Markdown", () => {
    expect(table([result]).split("\n")).toEqual([
      "|  | median | least–most | ratio | p50 µs | p99 µs | processor µs |",
      "| --- | --: | --: | --: | --: | --: | --: |",
      "| **Request and response**, k/s |  |  |  |  |  |  |",
      "| strata | 20.0 | 10.0–30.0 | 0.75 | 6.00 |  | 3.00 |",
      "| broken | FAILED: a wrong answer |  |  |  |  |  |",
      "| Linux | 20.0 | 20.0–40.0 |  |  |  |  |",
      "| iperf3 | not measured: there is no iperf3 |  |  |  |  |  |"
    ])
  })

  it("is lines for a terminal", () => {
    const all = lines(result).split("\n")
    expect(all).toHaveLength(5)
    expect(all[1]).toMatch(/^ {2}strata +20\.0 +10\.0–30\.0 +0\.75 +6\.00 +3\.00$/)
    expect(all[2]).toBe("  broken: FAILED: a wrong answer")
  })

  it("says on what machine, and whether it was quiet", () => {
    expect(page(report)).toContain(
      "2 × One, Linux 6.1, Node 24, 2026-01-02. 3 interleaved rounds of 0.5 s each; before 1 of 4 "
    )
    expect(page({ ...report, waits: { times: 4, inVain: 0, milliseconds: 0 } })).toContain(
      "the machine was quiet before each."
    )
  })

  it("survives JSON", () => {
    const read: Report = JSON.parse(JSON.stringify(report))
    expect(table(read.results)).toBe(table([result]))
    expect(read.results[0]!.entries[0]).toMatchObject({ figures: [{ value: 10 }, { value: 30 }, { value: 20 }] })
  })

  it("shows three digits that count", () => {
    expect([0, 0.01234, 0.5, 1.234, 12.34, 1234.5].map(digits)).toEqual([
      "0.00",
      "0.0123",
      "0.50",
      "1.23",
      "12.3",
      "1235"
    ])
  })
})
