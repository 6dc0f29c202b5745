/**
 * Time that advances by itself.
 *
 * A `Clock` and a `Scheduler` that belong together: tasks run one after another
 * in the order in which they were scheduled, and when none is left the clock
 * jumps to the earliest deadline. A program under them is written as if it ran
 * in real time, ends in milliseconds, and takes the same steps every time.
 *
 * Promises that settle by themselves (not by a timer, a file or a socket of the
 * real world) are waited for before the clock moves.
 */
import { type Alarm, AlarmMaker, type MakeAlarm } from "@strata/core/time/Alarm"
import { DeadlineHeap, type Placed, unplaced } from "@strata/core/time/DeadlineHeap"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"

export interface VirtualTime {
  /** `Clock`, `Scheduler` and the alarms of stacks, to be merged into a program's context. */
  readonly context: Context.Context<never>
  /** Milliseconds since the start, with a fraction. */
  readonly now: () => number
  /** How many sleepers there are. */
  readonly sleeping: () => number
  /**
   * Runs whatever can run and moves the clock, until `finished` says so. Resolves to false when it does not, and there is
   * neither a task nor a deadline left: everybody waits for somebody. Also when a million tasks have run at one instant:
   * `standsStill` tells the one from the other.
   */
  readonly drive: (finished: () => boolean) => Promise<boolean>
  /** Makes `drive` look at once whether it is finished, although there is more to run at this instant. */
  readonly interrupt: () => void
  /** Whether there is always more to run, and the clock does not move. */
  readonly standsStill: () => boolean
}

/** Tasks that may run at one instant. */
const PATIENCE = 1_000_000

/** Unix time at which virtual time starts: 2000-01-01T00:00:00Z, in milliseconds. */
export const EPOCH = 946_684_800_000
const EPOCH_NANOS = BigInt(EPOCH) * 1_000_000n

interface Sleeper extends Placed {
  readonly wake: () => void
}

export const make = (): VirtualTime => {
  const tasks = new TaskQueue()
  const sleepers = new DeadlineHeap<Sleeper>()
  let now = 0

  const sleepUntil = (deadline: number): Effect.Effect<void> =>
    Effect.callback((resume) => {
      const sleeper: Sleeper = { ...unplaced, wake: () => resume(Effect.void) }
      sleepers.push(sleeper, deadline)
      return Effect.sync(() => {
        if (sleeper.index >= 0) sleepers.remove(sleeper)
      })
    })

  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => EPOCH + Math.floor(now),
    currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe()),
    currentTimeNanosUnsafe: () => EPOCH_NANOS + clock.monotonicTimeNanosUnsafe(),
    currentTimeNanos: Effect.sync(() => clock.currentTimeNanosUnsafe()),
    monotonicTimeNanosUnsafe: () => BigInt(Math.round(now * 1e6)),
    monotonicTimeNanos: Effect.sync(() => clock.monotonicTimeNanosUnsafe()),
    sleep: (duration) => {
      const milliseconds = Duration.toMillis(duration)
      if (milliseconds <= 0) return Effect.yieldNow
      return Number.isFinite(milliseconds) ? Effect.suspend(() => sleepUntil(now + milliseconds)) : Effect.never
    }
  }

  const scheduler: Scheduler.Scheduler = {
    executionMode: "async",
    shouldYield: (fiber) => fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield,
    makeDispatcher: () => tasks
  }

  /** An alarm needs no fiber: it is a sleeper that can be moved. */
  const makeAlarm: MakeAlarm = ({ ring }) => {
    const sleeper: Sleeper = { ...unplaced, wake: () => tasks.scheduleTask(ring, 0) }
    const clear = () => {
      if (sleeper.index >= 0) sleepers.remove(sleeper)
    }
    const alarm: Alarm = {
      set: (deadline) => {
        clear()
        if (deadline !== Infinity) sleepers.push(sleeper, wholeNanoseconds(deadline))
      }
    }
    return Effect.acquireRelease(Effect.succeed(alarm), () => Effect.sync(clear))
  }

  /** Moves to the earliest deadline and wakes everybody whose it is, in the order in which they went to sleep. */
  const advance = (): boolean => {
    const first = sleepers.peek()
    if (first === undefined) return false
    if (first.place > now) tasks.run = 0
    now = Math.max(now, first.place)
    while (sleepers.peek() !== undefined && sleepers.peek()!.place <= now) sleepers.pop()!.wake()
    return true
  }

  const drive = async (finished: () => boolean): Promise<boolean> => {
    tasks.run = 0
    for (;;) {
      tasks.flush()
      await settled()
      if (tasks.wasInterrupted() && finished()) return true
      if (tasks.run > PATIENCE) return false
      if (!tasks.isEmpty()) continue
      if (finished()) return true
      if (!advance()) return false
    }
  }

  return {
    context: Context.make(Clock.Clock, clock).pipe(
      Context.add(Scheduler.Scheduler, scheduler),
      Context.add(AlarmMaker, makeAlarm)
    ) as Context.Context<never>,
    now: () => now,
    sleeping: () => sleepers.size,
    drive,
    interrupt: () => tasks.interrupt(),
    standsStill: () => tasks.run > PATIENCE
  }
}

/** The first time that monotonic time, which has whole nanoseconds, shows at or after a deadline. */
const wholeNanoseconds = (deadline: number): number => {
  const nanoseconds = Math.ceil(deadline * 1e6)
  return nanoseconds / 1e6 < deadline ? (nanoseconds + 1) / 1e6 : nanoseconds / 1e6
}

/** Tasks of all fibers in one line, by priority and then by the order in which they came. */
class TaskQueue implements Scheduler.SchedulerDispatcher {
  private readonly lines = new Map<number, Array<() => void>>()
  private priorities: Array<number> = []
  private waiting = 0
  private interrupted = false
  /** How many tasks have run since whoever asks has set it to 0. */
  run = 0

  /** Ends `flush` after the task that runs now. */
  interrupt(): void {
    this.interrupted = true
  }

  /** Whether it was interrupted since this was asked last. */
  wasInterrupted(): boolean {
    const { interrupted } = this
    this.interrupted = false
    return interrupted
  }

  isEmpty(): boolean {
    return this.waiting === 0
  }

  scheduleTask(task: () => void, priority: number): void {
    let line = this.lines.get(priority)
    if (line === undefined) {
      line = []
      this.lines.set(priority, line)
      this.priorities = [...this.lines.keys()].toSorted((a, b) => a - b)
    }
    line.push(task)
    this.waiting++
  }

  flush(): void {
    while (this.waiting > 0 && !this.interrupted && this.run <= PATIENCE) {
      const priority = this.priorities.find((candidate) => this.lines.get(candidate)!.length > 0)!
      const line = this.lines.get(priority)!
      this.lines.set(priority, [])
      this.waiting -= line.length
      for (const [index, task] of line.entries()) {
        task()
        this.run++
        if (this.interrupted) return this.putBack(priority, line.slice(index + 1))
      }
    }
  }

  private putBack(priority: number, tasks: ReadonlyArray<() => void>): void {
    this.lines.set(priority, [...tasks, ...this.lines.get(priority)!])
    this.waiting += tasks.length
  }
}

/** Resolves when all promises that are able to settle have done so. */
const settled = (): Promise<void> => new Promise((resolve) => void macrotask(resolve))

const macrotask: (task: () => void) => unknown = "setImmediate" in globalThis
  ? globalThis.setImmediate
  : (task) => setTimeout(task, 0)
