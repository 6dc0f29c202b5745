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
import { IsRealTime } from "@strata/core/time/RealTime"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"

/** A clock and a scheduler that belong together. */
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

/** Virtual time that begins now, and stands still until tasks make it go on. */
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
    const sleeper: Sleeper = { ...unplaced, wake: () => tasks.scheduleTask(() => ring(now), 0) }
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
    for (let round = 0;; round++) {
      tasks.flush()
      await settled(round % WITHOUT_WORLD === 0)
      if (tasks.wasInterrupted() && finished()) return true
      if (tasks.run > PATIENCE) return false
      if (!tasks.isEmpty()) continue
      if (finished()) return true
      if (advance()) continue
      await settled(true)
      if (tasks.isEmpty() && sleepers.size === 0) return finished()
    }
  }

  return {
    context: Context.make(Clock.Clock, clock).pipe(
      Context.add(Scheduler.Scheduler, scheduler),
      Context.add(AlarmMaker, makeAlarm),
      Context.add(IsRealTime, false)
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

/** Tasks of one priority: those that came, and an empty array to take their place while they run. */
interface Line {
  readonly priority: number
  tasks: Array<() => void>
  spare: Array<() => void>
}

/** Tasks of all fibers in one line, by priority and then by the order in which they came. */
class TaskQueue implements Scheduler.SchedulerDispatcher {
  /** How many tasks have run since whoever asks has set it to 0. */
  run = 0
  private readonly lines: Array<Line> = []
  private waiting = 0
  private interrupted = false

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
    this.lineOf(priority).tasks.push(task)
    this.waiting++
  }

  flush(): void {
    while (this.waiting > 0 && !this.interrupted && this.run <= PATIENCE) {
      this.runAll(this.lines.find((line) => line.tasks.length > 0)!)
    }
  }

  private lineOf(priority: number): Line {
    for (const line of this.lines) if (line.priority === priority) return line
    const line: Line = { priority, tasks: [], spare: [] }
    this.lines.push(line)
    this.lines.sort((a, b) => a.priority - b.priority)
    return line
  }

  private runAll(line: Line): void {
    const { tasks } = line
    line.tasks = line.spare
    let next = 0
    try {
      while (next < tasks.length && !this.interrupted) {
        this.run++
        tasks[next++]!()
      }
    } finally {
      // What did not run, for whichever reason, comes before what came meanwhile.
      if (next < tasks.length) line.tasks = [...tasks.slice(next), ...line.tasks]
      this.waiting -= next
      tasks.length = 0
      line.spare = tasks
    }
  }
}

/** How often in a row promises are waited for without letting the real world have its turn. */
const WITHOUT_WORLD = 128

/** Resolves when all promises that are able to settle have done so. */
const settled = (isThorough: boolean): Promise<void> =>
  new Promise((resolve) => void (isThorough ? macrotask : afterPromises)(resolve))

type Later = (task: () => void) => unknown

const macrotask: Later = "setImmediate" in globalThis
  ? globalThis.setImmediate
  : (task) => setTimeout(task, 0)

/**
 * Runs a task when the queue of promises is empty. In Node, a tick that is asked for by a promise comes after all promises,
 * and costs a fraction of a turn of the event loop; the second one comes after the promises of ticks that others asked for.
 */
const afterPromises: Later = typeof globalThis.process?.nextTick === "function"
  ? (task) => {
    const { nextTick } = globalThis.process
    nextTick(() => queueMicrotask(() => nextTick(task)))
  }
  : macrotask
