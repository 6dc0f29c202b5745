/**
 * One turn of the stack: from the moment somebody enters it (a batch of frames,
 * a due timer, a call of a program) until it is left.
 *
 * Within a turn the clock stands still, and what can be done once is done once,
 * at its end: readers are woken, then acknowledgements and data go out, then
 * each device hands its batch to the wire. What throws does not keep the rest
 * from being done; the first error leaves the turn when it is over.
 *
 * Programs that are woken run within the turn, for as long as they like. So the
 * clock is read once more behind them: what is sent then is sent then, and not
 * when the turn began, and its deadlines count from there.
 *
 * Programs that must not run within a turn, since each call of theirs is a tick
 * of its own, cork it instead: then what several turns have for the wire is
 * handed over when the last of them is done.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** What happens at the end of a turn, in this order, again and again until nobody asks any more. */
export type Phase = "wake" | "output" | "flush"

/** What was asked for in one phase. Two arrays take turns, so that a turn allocates nothing for its tasks. */
class Tasks {
  private pending: Array<() => void> = []
  private spare: Array<() => void> = []
  private count = 0

  get isEmpty(): boolean {
    return this.count === 0
  }

  push(task: () => void): void {
    this.pending[this.count++] = task
  }

  /** Runs what was asked for until now, passing on what is thrown; false when there was nothing. */
  perform(failed: (error: unknown) => void): boolean {
    const { count, pending } = this
    if (count === 0) return false
    this.pending = this.spare
    this.spare = pending
    this.count = 0
    for (let index = 0; index < count; index++) {
      const task = pending[index]!
      // A task may hold a whole connection.
      pending[index] = nothing
      try {
        task()
      } catch (error) {
        failed(error)
      }
    }
    return true
  }
}

const nothing = (): void => {}

/** The one way into a stack: whatever enters it runs as a turn, with one reading of the clock, and what it causes at the end. */
export class Turn extends Context.Service<Turn, {
  /**
   * Monotonic milliseconds with a fraction, origin arbitrary: within a turn the time at which it began, or at which
   * those it has woken had run; outside the time now.
   */
  readonly now: () => number
  /** Whether a turn is running. */
  readonly running: () => boolean
  /** Runs `work` as a turn, or as part of the one that is running. */
  readonly run: (work: () => void) => void
  /** Asks for `task` to be run once in `phase` at the end of this turn; outside of one, in a turn of its own. */
  readonly defer: (phase: Phase, task: () => void) => void
  /**
   * Keeps the "flush" phase of all turns back until `uncork` has been called as often, so that what several turns send leaves
   * together. Whoever corks uncorks before the event loop goes on.
   */
  readonly cork: () => void
  /** The end of one `cork`; that of the last hands over what was kept. */
  readonly uncork: () => void
  /**
   * Says that a program waits for a tick of the event loop: a driver that has delivered a batch lets it have one before it reads
   * the next, so that what leaves is worked on elsewhere meanwhile.
   */
  readonly requestTick: () => void
  /** Whether a tick was requested since this was asked for the last time. */
  readonly takeTickRequest: () => boolean
}>()("@strata/core/Turn") {
  static readonly layer: Layer.Layer<Turn> = Layer.effect(
    Turn,
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const read = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
      const wake = new Tasks()
      const output = new Tasks()
      const flush = new Tasks()
      const failures: Array<unknown> = []
      const failed = (error: unknown): void => void failures.push(error)
      let running = false
      let corks = 0
      let isTickRequested = false
      let started = 0

      const tasksOf = (phase: Phase): Tasks => phase === "wake" ? wake : phase === "output" ? output : flush
      const run = (work: () => void): void => {
        if (running) return work()
        running = true
        started = read()
        try {
          work()
        } catch (error) {
          failed(error)
        }
        for (;;) {
          if (wake.perform(failed)) started = read()
          else if (!output.perform(failed) && (corks > 0 || !flush.perform(failed))) break
        }
        running = false
        if (failures.length > 0) throw failures.splice(0)[0]
      }
      return Turn.of({
        now: () => running ? started : read(),
        running: () => running,
        run,
        defer: (phase, task) => {
          tasksOf(phase).push(task)
          if (!running) run(nothing)
        },
        cork: () => {
          corks++
        },
        uncork: () => {
          if (--corks === 0 && !running && !flush.isEmpty) run(nothing)
        },
        requestTick: () => {
          isTickRequested = true
        },
        takeTickRequest: () => {
          const isRequested = isTickRequested
          isTickRequested = false
          return isRequested
        }
      })
    })
  )
}
