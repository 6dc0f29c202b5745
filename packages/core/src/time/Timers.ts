/**
 * Deadlines for code that is not an Effect.
 *
 * The stack is plain functions that want to be called back at a given
 * millisecond. One alarm is set to the earliest deadline, so a thousand
 * connections cost one sleeping fiber, and `TestClock` moves all of them.
 *
 * Timers run by deadline, then in the order in which they were set; one that
 * is set by another to a time that has come runs in the next turn. Setting a
 * timer later than it stands does not move it: it is looked at when its old
 * place comes up. A connection that pushes its retransmission timeout back
 * with every acknowledgement therefore pays for one comparison.
 *
 * A deadline is believed only when everything was read that had arrived by
 * then: a process that was busy finds answers in its devices' queues, and must
 * not take them for missing.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AlarmMaker } from "./Alarm.ts"
import { Entry, TimerHeap } from "./TimerHeap.ts"
import { Turn } from "./Turn.ts"

/** One deadline that can be set again and again without allocating. */
export interface Timer {
  /**
   * Calls back once, in a turn, at or after `deadline` (milliseconds of `Turn.now`), and no more at any earlier
   * setting. `Infinity` clears.
   */
  set(deadline: number): void
  /** Lets it never run, until it is set again. */
  clear(): void
  /** The deadline, or `Infinity` when it is not set. */
  deadline(): number
}

/** All deadlines of a stack, under one sleeping fiber. */
export class Timers extends Context.Service<Timers, {
  /**
   * `run` is told up to which time it may believe deadlines (milliseconds of `Turn.now`): at or after its own, and at
   * times before now.
   */
  readonly make: (run: (asOf: number) => void) => Timer
}>()("@strata/core/Timers") {
  static readonly layer: Layer.Layer<Timers, never, Turn> = Layer.effect(
    Timers,
    Effect.gen(function*() {
      const turn = yield* Turn
      const heap = new TimerHeap()
      const due: Array<Entry> = []
      let asked = 0

      const fire = (asOf: number) => {
        for (let entry = heap.peek(); entry !== undefined && entry.place <= asOf; entry = heap.peek()) {
          heap.remove(entry)
          if (entry.deadline === Infinity) continue
          if (entry.asked === entry.order) due.push(entry)
          else heap.push(entry)
        }
        try {
          for (const entry of due) run(entry, asOf)
        } finally {
          // One that throws takes nobody with it: those behind it are due again at once.
          for (const entry of due) if (entry.index < 0 && entry.deadline !== Infinity) heap.push(entry)
          due.length = 0
        }
      }
      const services = yield* Effect.context()
      const makeAlarm = yield* AlarmMaker
      const alarm = yield* makeAlarm({
        now: turn.now,
        ring: (asOf) => {
          try {
            turn.run(() => fire(asOf))
          } catch (defect) {
            Effect.runForkWith(services)(Effect.logError("a timer of the stack threw", defect))
          }
          alarm.set(heap.peek()?.place ?? Infinity)
        }
      })

      const clock: Setting = {
        heap,
        next: () => ++asked,
        first: alarm.set
      }
      return Timers.of({ make: (callback) => new HeapTimer(clock, callback) })
    })
  )
}

/** What all timers share. */
interface Setting {
  readonly heap: TimerHeap
  /** Numbers the settings of all timers. */
  readonly next: () => number
  /** The earliest deadline is another one. */
  readonly first: (deadline: number) => void
}

/** A class, since there may be very many: a timer that is not set holds its entry and nothing else. */
class HeapTimer implements Timer {
  private readonly shared: Setting
  private readonly entry: Entry

  constructor(shared: Setting, run: (asOf: number) => void) {
    this.shared = shared
    this.entry = new Entry(run)
  }

  set(deadline: number): void {
    if (deadline === Infinity) return this.clear()
    const { entry, shared } = this
    entry.asked = shared.next()
    if (entry.index >= 0) {
      shared.heap.set(entry, deadline)
    } else {
      entry.deadline = deadline
      shared.heap.push(entry)
    }
    if (shared.heap.peek() === entry) shared.first(entry.place)
  }

  clear(): void {
    const { entry } = this
    if (entry.deadline === Infinity) return
    if (entry.index >= 0) this.shared.heap.clear(entry)
    else entry.deadline = Infinity
  }

  deadline(): number {
    return this.entry.deadline
  }
}

/** Runs an entry that was due, unless another one has cleared it or set it again. */
const run = (entry: Entry, asOf: number): void => {
  if (entry.deadline === Infinity || entry.index >= 0) return
  entry.deadline = Infinity
  entry.run(asOf)
}
