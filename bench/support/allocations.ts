/**
 * How much JavaScript allocates: what its heap grows by between garbage collections, and how much of that is still in use at the first
 * one, and so becomes part of the old generation, where garbage is dear. What is outside of the heap, the octets of
 * large arrays, is left out, since it is given back at any time.
 */
import { GCProfiler } from "node:v8"

const sizeNow = (): number => process.memoryUsage().heapUsed

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

interface Collection {
  readonly gcType: string
  readonly beforeGC: Heap
  readonly afterGC: Heap
}

interface Heap {
  readonly heapSpaceStatistics: ReadonlyArray<{ readonly spaceName: string; readonly spaceUsedSize: number }>
}

const oldSpace = ({ heapSpaceStatistics }: Heap): number =>
  heapSpaceStatistics.find(({ spaceName }) => spaceName === "old_space")!.spaceUsedSize

/** Octets that collections of the young generation have moved to the old one. */
export const promoted = (collections: ReadonlyArray<Collection>): number =>
  collections
    .filter(({ gcType }) => gcType === "Scavenge")
    .reduce((sum, { afterGC, beforeGC }) => sum + Math.max(oldSpace(afterGC) - oldSpace(beforeGC), 0), 0)

export class Allocations {
  /** Of the octets that `since` told last, how many became part of the old generation. */
  promoted = 0
  #profiler: GCProfiler
  #size: number

  constructor() {
    this.#profiler = new GCProfiler()
    this.#profiler.start()
    this.#size = sizeNow()
  }

  /** Octets allocated since the last call. */
  since(): number {
    const end = sizeNow()
    const { statistics } = this.#profiler.stop()
    const collections = statistics.map(({ afterGC, beforeGC }) => ({
      before: beforeGC.heapStatistics.usedHeapSize,
      after: afterGC.heapStatistics.usedHeapSize
    }))
    this.promoted = promoted(statistics)
    const grown = growth(this.#size, collections, end)
    this.#profiler = new GCProfiler()
    this.#profiler.start()
    this.#size = sizeNow()
    return grown
  }
}
