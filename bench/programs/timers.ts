/**
 * Setting the timers of very many connections again and again: a segment of any of them comes every four microseconds and puts
 * its timeout back by 200 to 400 milliseconds; with `cleared`, every other one clears it. A case is named by how many there are.
 */
import { Entry, TimerHeap } from "@strata/core/time/TimerHeap"
import { costOf, main } from "../support/program.ts"

const SEGMENTS = 1_000_000
/** Milliseconds from one segment to the next. */
const APART = 0.004
const TIMEOUT = 200

const timers = (count: number, isCleared: boolean) => (seconds: number) => {
  const heap = new TimerHeap()
  const entries = Array.from(
    { length: count },
    () => new Entry(() => {})
  )
  let now = 0
  let asked = 0
  let seed = 1
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
  const set = (entry: Entry): void => {
    entry.asked = ++asked
    const deadline = now + TIMEOUT * (1 + random())
    if (entry.index >= 0) return heap.set(entry, deadline)
    entry.deadline = deadline
    heap.push(entry)
  }
  const expire = (): void => {
    for (let entry = heap.peek(); entry !== undefined && entry.place <= now; entry = heap.peek()) {
      heap.remove(entry)
      if (entry.deadline === Infinity) continue
      if (entry.asked === entry.order) set(entry)
      else heap.push(entry)
    }
  }
  return costOf(SEGMENTS, () => {
    for (let segment = 0; segment < SEGMENTS; segment++) {
      now += APART
      expire()
      const entry = entries[Math.floor(random() * count)]!
      if (!isCleared || (segment & 1) === 0) set(entry)
      else if (entry.deadline !== Infinity) heap.clear(entry)
    }
  }, seconds)
}

await main(Object.fromEntries([1000, 10_000, 100_000].flatMap((count) => [
  [`${count}`, timers(count, false)],
  [`${count} cleared`, timers(count, true)]
])))
