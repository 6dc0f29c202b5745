/**
 * The greatest of the samples of late, in constant space (Kathleen Nichols' filter).
 *
 * Three samples are kept: the greatest, the greatest of those after it, and the greatest of those after that one. When
 * the first one grows too old, the second one takes its place. `time` is any number that does not fall.
 */
export interface Sample {
  readonly value: number
  readonly time: number
}

export interface WindowedMaximum {
  readonly best: Sample
  readonly second: Sample
  readonly third: Sample
}

export const make = (value: number, time: number): WindowedMaximum => {
  const sample = { value, time }
  return { best: sample, second: sample, third: sample }
}

/** Takes a sample; those older than `span` are forgotten. */
export const update = (filter: WindowedMaximum, value: number, time: number, span: number): WindowedMaximum => {
  if (value >= filter.best.value || time - filter.third.time > span) return make(value, time)
  return aged(noted(filter, { value, time }), { value, time }, span)
}

const noted = (filter: WindowedMaximum, sample: Sample): WindowedMaximum => {
  if (sample.value >= filter.second.value) return { best: filter.best, second: sample, third: sample }
  if (sample.value >= filter.third.value) return { best: filter.best, second: filter.second, third: sample }
  return filter
}

const aged = (filter: WindowedMaximum, sample: Sample, span: number): WindowedMaximum => {
  const { best, second, third } = filter
  const age = sample.time - best.time
  if (age > span) {
    const next = { best: second, second: third, third: sample }
    return sample.time - second.time > span ? { best: third, second: sample, third: sample } : next
  }
  // A runner-up from the same part of the window as the best would leave with it: newer ones are sought in time.
  if (second === best && age > span / 4) return { best, second: sample, third: sample }
  if (third === second && age > span / 2) return { best, second, third: sample }
  return filter
}
