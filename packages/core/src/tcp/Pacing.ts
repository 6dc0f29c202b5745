/**
 * Segments at the rate that the congestion control asks for, instead of all that the window allows at once.
 */
import type { ControlBlock } from "./ControlBlock.ts"

/** Segments may leave that much ahead of their time, in milliseconds, since timers are no finer: then one wakes for many. */
const QUANTUM = 1

/** Whether the next segment has to wait; `deadlines.pace` then wakes. */
export const isEarly = ({ congestion, snd }: ControlBlock, now: number): boolean =>
  congestion.pacingRate !== undefined && snd.paceAt > now + QUANTUM

/**
 * Octets of text that may leave together, of the `limit` that a device cuts: whole segments. At a pace, those that would leave one by one
 * at this moment: all that are due within the quantum, and the one that ends beyond it. So what is cut leaves no earlier, and no later.
 */
export const together = ({ congestion, snd }: ControlBlock, limit: number, now: number): number => {
  const { mss, paceAt } = snd
  if (limit < 2 * mss) return mss
  const { pacingRate } = congestion
  const due = pacingRate === undefined ? limit : pacingRate * Math.min(QUANTUM, now + QUANTUM - paceAt)
  const most = Math.min(limit, Math.max(0, due) + mss)
  return most - most % mss
}

/** What a timer of a busy machine may be late, in milliseconds, without a loss of rate: that much is made up for. Longer pauses are pauses. */
const LATENESS = 10

/** When the segment after one of `octets` may leave. */
export const after = ({ congestion, snd }: ControlBlock, octets: number, now: number): number =>
  congestion.pacingRate === undefined
    ? now
    : (snd.paceAt + LATENESS < now ? now : snd.paceAt) + octets / congestion.pacingRate
