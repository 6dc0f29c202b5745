/**
 * Octets received after a gap, as ranges of sequence numbers: ascending, apart, and at most `LIMIT` of them.
 */
import type { Range } from "./ControlBlock.ts"
import * as Sequence from "./Sequence.ts"

export type Ranges = ReadonlyArray<Range>

export const EMPTY: Ranges = []

/** A peer that leaves a gap after every octet must not cost more than this; text that would need one more is not kept. */
export const LIMIT = 256

export const hasRoom = (ranges: Ranges): boolean => ranges.length < LIMIT

/** Adds `[left, right)`, joined with what it overlaps or touches. */
export const insert = (ranges: Ranges, left: number, right: number): Ranges => {
  const before = ranges.filter((range) => Sequence.lessThan(range.right, left))
  const after = ranges.filter((range) => Sequence.greaterThan(range.left, right))
  const joined = ranges.slice(before.length, ranges.length - after.length)
  const first = joined.at(0)
  const last = joined.at(-1)
  return [
    ...before,
    {
      left: first !== undefined && Sequence.lessThan(first.left, left) ? first.left : left,
      right: last !== undefined ? Sequence.latest(last.right, right) : right
    },
    ...after
  ]
}

/** How far everything is there, when it is there up to `nxt`. */
export const reach = (ranges: Ranges, nxt: number): number =>
  ranges.reduce(
    (end, range) => Sequence.lessOrEqual(range.left, end) ? Sequence.latest(end, range.right) : end,
    nxt
  )

/** What lies beyond `nxt`, which is where a gap begins. */
export const beyond = (ranges: Ranges, nxt: number): Ranges =>
  ranges.length === 0 ? ranges : ranges.filter((range) => Sequence.greaterThan(range.right, nxt))

/** Whether anything lies beyond `seq`. */
export const passes = (ranges: Ranges, seq: number): boolean => {
  const last = ranges.at(-1)
  return last !== undefined && Sequence.greaterThan(last.right, seq)
}
