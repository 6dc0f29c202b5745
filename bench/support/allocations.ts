/**
 * How much JavaScript allocates: what the heap grows by between garbage collections.
 */
import { GCProfiler } from "node:v8"

interface Heap {
  readonly usedHeapSize: number
  readonly externalMemory: number
}

const sizeOf = ({ externalMemory, usedHeapSize }: Heap): number => usedHeapSize + externalMemory

const sizeNow = (): number => {
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

/** The sum of all growth; what is freed between two looks without a collection is not seen. */
export const growth = (
  start: number,
  collections: ReadonlyArray<{ readonly before: number; readonly after: number }>,
  end: number
): number => {
  let size = start
  let grown = 0
  for (const { after, before } of collections) {
    grown += Math.max(before - size, 0)
    size = after
  }
  return grown + Math.max(end - size, 0)
}

export class Allocations {
  #profiler: GCProfiler
  #size: number

  constructor() {
    this.#profiler = new GCProfiler()
    this.#profiler.start()
    this.#size = sizeNow()
  }

  /** Octets allocated since the last call, in the heap and outside of it. */
  since(): number {
    const end = sizeNow()
    const { statistics } = this.#profiler.stop()
    const collections = statistics.map(({ afterGC, beforeGC }) => ({
      before: sizeOf(beforeGC.heapStatistics),
      after: sizeOf(afterGC.heapStatistics)
    }))
    const grown = growth(this.#size, collections, end)
    this.#profiler = new GCProfiler()
    this.#profiler.start()
    this.#size = sizeNow()
    return grown
  }
}
