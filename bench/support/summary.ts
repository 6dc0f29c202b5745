/**
 * What the rounds of a measurement come to.
 *
 * Rounds are interleaved: in each, everything that is compared runs once, one right after the other. So a ratio is that
 * of two figures of the same round, and the median of the ratios is steadier than the ratio of the medians.
 */

/** Whether more or less of a figure is good. */
export type Better = "higher" | "lower"

export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

/** The middle one, or the mean of the two in the middle; of nothing it is NaN. */
export const median = (numbers: ReadonlyArray<number>): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const spreadOf = (numbers: ReadonlyArray<number>): Spread => ({
  median: median(numbers),
  least: Math.min(...numbers),
  most: Math.max(...numbers)
})

/** How many times as good as the baseline, round by round, and the median of that. */
export const ratioOf = (
  figures: ReadonlyArray<number>,
  baseline: ReadonlyArray<number>,
  better: Better
): number =>
  median(
    figures.slice(0, baseline.length).map((figure, round) =>
      better === "higher" ? figure / baseline[round]! : baseline[round]! / figure
    )
  )
