import { assert, describe, it } from "@effect/vitest"
import { Entry, TimerHeap } from "@strata/core/time/TimerHeap"
import { Schema } from "effect"

const integer = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
/** What is done with one of a few timers: set to a time that may be in another page, or cleared. */
const step = Schema.Struct({ timer: integer(9), deadline: integer(400), isCleared: Schema.Boolean })

const make = () => new Entry(() => {})

/** Takes what is due by `until`, as `Timers` does: what was set later since goes back to its deadline. */
const take = (heap: TimerHeap, until: number): Array<Entry> => {
  const due: Array<Entry> = []
  for (let entry = heap.peek(); entry !== undefined && entry.place <= until; entry = heap.peek()) {
    heap.remove(entry)
    if (entry.deadline === Infinity) continue
    if (entry.asked === entry.order) due.push(entry)
    else heap.push(entry)
  }
  return due
}

describe("TimerHeap", () => {
  it.prop("gives what is set by deadline, then in the order of setting, whatever was set before", {
    steps: Schema.Array(step).check(Schema.isMaxLength(60)),
    until: integer(200)
  }, ({ steps, until }) => {
    const heap = new TimerHeap()
    const timers = Array.from({ length: 10 }, make)
    let asked = 0
    for (const { deadline, isCleared, timer } of steps) {
      const entry = timers[timer]!
      // Quarters of a millisecond.
      const time = deadline / 4
      if (isCleared) {
        if (entry.index >= 0 && entry.deadline !== Infinity) heap.clear(entry)
      } else {
        entry.asked = ++asked
        if (entry.index >= 0) heap.set(entry, time)
        else {
          entry.deadline = time
          heap.push(entry)
        }
      }
    }
    const set = timers.filter(({ deadline }) => deadline !== Infinity)
      .toSorted((a, b) => a.deadline - b.deadline || a.asked - b.asked)
    const soon = set.filter(({ deadline }) => deadline <= until / 4)
    assert.deepStrictEqual(
      take(heap, until / 4).map((entry) => timers.indexOf(entry)),
      soon.map((entry) => timers.indexOf(entry))
    )
    assert.deepStrictEqual(
      take(heap, 1e9).map((entry) => timers.indexOf(entry)),
      set.slice(soon.length).map((entry) => timers.indexOf(entry))
    )
    assert.strictEqual(heap.size, 0)
    assert.isUndefined(heap.peek())
  })

  it("sweeps out what is cleared, in all its pages", () => {
    const heap = new TimerHeap()
    const timers = Array.from({ length: 1000 }, make)
    for (const [index, entry] of timers.entries()) {
      entry.deadline = index
      entry.asked = index
      heap.push(entry)
    }
    for (const entry of timers.slice(0, 900)) heap.clear(entry)
    assert.isBelow(heap.size, 250)
    assert.deepStrictEqual(take(heap, 1000), timers.slice(900))
    assert.strictEqual(heap.size, 0)
  })
})
