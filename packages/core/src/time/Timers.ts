/**
 * Deadlines for code that is not an Effect.
 *
 * The stack is plain functions that want to be called back at a given
 * millisecond. One fiber sleeps until the earliest deadline, so a thousand
 * connections cost one sleeping fiber, and `TestClock` moves all of them.
 *
 * Timers stand in a binary heap by deadline, then by the order in which they
 * were set. Setting a timer later than it stands does not move it: it is looked
 * at when its old place comes up. A connection that pushes its retransmission
 * timeout back with every acknowledgement therefore pays for one comparison.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import { DeadlineHeap, type Placed, unplaced } from "./DeadlineHeap.ts"
import { Turn } from "./Turn.ts"

/** One deadline that can be set again and again without allocating. */
export interface Timer {
  /** Calls back once, in a turn, at or after `deadline` (milliseconds of `Turn.now`), and no more at any earlier setting. */
  readonly set: (deadline: number) => void
  readonly clear: () => void
  /** The deadline, or `Infinity` when it is not set. */
  readonly deadline: () => number
}

export class Timers extends Context.Service<Timers, {
  readonly make: (run: () => void) => Timer
}>()("@strata/core/Timers") {
  static readonly layer: Layer.Layer<Timers, never, Turn> = Layer.effect(
    Timers,
    Effect.gen(function*() {
      const turn = yield* Turn
      const heap = new DeadlineHeap<Entry>()
      const earlier = Latch.makeUnsafe(false)

      const fire = () => {
        const now = turn.now()
        for (let entry = heap.peek(); entry !== undefined && entry.place <= now; entry = heap.peek()) {
          heap.pop()
          if (entry.deadline <= now) {
            entry.deadline = Infinity
            entry.run()
          } else if (entry.deadline !== Infinity) {
            heap.push(entry, entry.deadline)
          }
        }
      }
      const sleep = Effect.suspend(() => {
        earlier.closeUnsafe()
        const next = heap.peek()
        if (next === undefined) return earlier.await
        return Effect.raceFirst(Effect.sleep(untilNanosecondAfter(next.place - turn.now())), earlier.await)
      })
      yield* sleep.pipe(
        Effect.andThen(Effect.sync(() => turn.run(fire))),
        Effect.forever,
        Effect.forkScoped
      )

      return Timers.of({
        make: (run) => {
          const entry: Entry = { ...unplaced, deadline: Infinity, run }
          return {
            set: (deadline) => {
              entry.deadline = deadline
              if (entry.index >= 0) {
                if (deadline >= entry.place) return
                heap.remove(entry)
              }
              heap.push(entry, deadline)
              if (entry.index === 0) earlier.openUnsafe()
            },
            clear: () => {
              entry.deadline = Infinity
            },
            deadline: () => entry.deadline
          }
        }
      })
    })
  )
}

// A deadline between two nanoseconds must not be slept for with zero: where time is moved by hand, zero never passes.
const untilNanosecondAfter = (milliseconds: number): Duration.Duration =>
  Duration.nanos(BigInt(Math.max(1, Math.ceil(milliseconds * 1e6))))

interface Entry extends Placed {
  /** Never earlier than its place in the heap; `Infinity` when the timer is not set. */
  deadline: number
  readonly run: () => void
}
