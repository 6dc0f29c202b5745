/**
 * Octets received after a gap, as ranges of sequence numbers: ascending, apart, and at most `LIMIT` of them.
 */
import type { Range } from "./ControlBlock.ts"
import * as Sequence from "./Sequence.ts"

export type Ranges = ReadonlyArray<Range>

export const EMPTY: Ranges = []

/**
 * A peer that leaves a gap after every octet must not cost more than this; text that would need one more is not kept. When slow
 * start overruns a queue, every other segment may be missing: of 12 MB then.
 */
export const LIMIT = 4096

/** The index of the first range that ends at `seq` or later. */
const search = (ranges: Ranges, seq: number): number => {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (Sequence.lessThan(ranges[middle]!.right, seq)) low = middle + 1
    else high = middle
  }
  return low
}

/** Whether `[left, right)` may be added: there is room for one more range, or it joins one. */
export const hasRoom = (ranges: Ranges, left: number, right: number): boolean => {
  if (ranges.length < LIMIT) return true
  const next = ranges[search(ranges, left)]
  return next !== undefined && Sequence.lessOrEqual(next.left, right)
}

/** Adds `[left, right)`, joined with what it overlaps or touches. */
export const insert = (ranges: Ranges, left: number, right: number): Ranges => {
  const first = search(ranges, left)
  let end = first
  while (end < ranges.length && Sequence.lessOrEqual(ranges[end]!.left, right)) end++
  const joined = first === end ? { left, right } : {
    left: Sequence.lessThan(ranges[first]!.left, left) ? ranges[first]!.left : left,
    right: Sequence.latest(ranges[end - 1]!.right, right)
  }
  const next = ranges.slice()
  next.splice(first, end - first, joined)
  return next
}

/** The range that `seq` lies in, or else the first one after it. */
export const from = (ranges: Ranges, seq: number): Range | undefined => ranges[search(ranges, Sequence.add(seq, 1))]

/** How far everything is there, when it is there up to `nxt`. */
export const reach = (ranges: Ranges, nxt: number): number => {
  let end = nxt
  for (const range of ranges) {
    if (Sequence.greaterThan(range.left, end)) break
    end = Sequence.latest(end, range.right)
  }
  return end
}

/** What lies beyond `nxt`, which is where a gap begins. */
export const beyond = (ranges: Ranges, nxt: number): Ranges => {
  const first = search(ranges, Sequence.add(nxt, 1))
  return first === 0 ? ranges : ranges.slice(first)
}

/** Whether anything lies beyond `seq`. */
export const passes = (ranges: Ranges, seq: number): boolean => {
  const last = ranges.at(-1)
  return last !== undefined && Sequence.greaterThan(last.right, seq)
}
