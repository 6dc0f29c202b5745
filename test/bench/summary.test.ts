import { describe, expect, it } from "vitest"
import { growth, promoted } from "../../bench/support/allocations.ts"
import { median, ratioOf, spreadOf } from "../../bench/support/summary.ts"

const heap = (old: number) => ({
  heapSpaceStatistics: [{ spaceName: "new_space", spaceUsedSize: 7 }, {
    spaceName: "old_space",
    spaceUsedSize: old
  }]
})

const collection = (gcType: string, before: number, after: number) => ({
  gcType,
  beforeGC: heap(before),
  afterGC: heap(after)
})

describe("Summary", () => {
  it("takes the middle, or the mean of both in the middle", () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([9, 1, 5, 6])).toBe(5.5)
    expect(median([100, 20, 3])).toBe(20)
    expect(median([])).toBeNaN()
  })

  it("tells the least and the most", () => {
    expect(spreadOf([3, 1, 10])).toEqual({ median: 3, least: 1, most: 10 })
  })

  it("compares round by round", () => {
    // A slow second round was slow for both.
    expect(ratioOf([10, 1, 8], [20, 2, 16], "higher")).toBe(0.5)
    expect(ratioOf([10, 1, 8], [20, 2, 16], "lower")).toBe(2)
  })

  it("leaves out rounds that the baseline did not have", () => {
    expect(ratioOf([10, 10, 1000], [10, 10], "higher")).toBe(1)
    expect(ratioOf([10], [], "higher")).toBeNaN()
  })

  it("sums up what the heap grows by between collections", () => {
    expect(growth(100, [{ before: 150, after: 90 }, { before: 190, after: 40 }], 60)).toBe(50 + 100 + 20)
    expect(growth(100, [], 130)).toBe(30)
    // Something was freed without a collection.
    expect(growth(100, [{ before: 80, after: 50 }], 40)).toBe(0)
  })

  it("sums up what collections of the young generation move to the old one", () => {
    const collections = [
      collection("Scavenge", 100, 130),
      // Not what it frees, or compacts.
      collection("MarkSweepCompact", 150, 90),
      collection("Scavenge", 90, 90),
      collection("Scavenge", 90, 95)
    ]
    expect(promoted(collections)).toBe(35)
    expect(promoted([])).toBe(0)
  })
})
