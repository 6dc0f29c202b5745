/**
 * What wakes `Timers` at their earliest deadline.
 *
 * By default a fiber that sleeps as Effect's `Clock` says. Whoever brings a clock
 * of its own, such as a simulation, may bring an alarm that costs less.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"

export interface Alarm {
  /** Rings once, at or after `deadline` (milliseconds of `now`), in place of any earlier setting; `Infinity` is never. */
  readonly set: (deadline: number) => void
}

export interface AlarmOptions {
  /** Called when it rings, and perhaps when there is no need; must not throw. */
  readonly ring: () => void
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** An alarm that is gone with the scope. */
export type MakeAlarm = (options: AlarmOptions) => Effect.Effect<Alarm, never, Scope.Scope>

const makeSleeping: MakeAlarm = Effect.fnUntraced(function*({ now, ring }) {
  const changed = Latch.makeUnsafe(false)
  let deadline = Infinity
  const sleep = Effect.suspend(() => {
    changed.closeUnsafe()
    return deadline === Infinity
      ? changed.await
      : Effect.raceFirst(Effect.sleep(atLeast(deadline - now())), changed.await)
  })
  yield* sleep.pipe(Effect.andThen(Effect.sync(ring)), Effect.forever, Effect.forkScoped)
  return {
    set: (next) => {
      if (next < deadline) changed.openUnsafe()
      deadline = next
    }
  }
})

/**
 * A sleep that is over no earlier than the deadline. One between two nanoseconds must not become a sleep of zero: under a
 * clock that moves only when all sleep, that would be for ever.
 */
const atLeast = (milliseconds: number): Duration.Duration =>
  Duration.nanos(BigInt(Math.max(0, Math.ceil(milliseconds * 1e6))))

/** How the `Timers` that are built get theirs. */
export const AlarmMaker = Context.Reference<MakeAlarm>("@strata/core/AlarmMaker", { defaultValue: () => makeSleeping })
