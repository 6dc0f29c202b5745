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
  /**
   * Called when it rings, and perhaps when there is no need; must not throw. Everything that had arrived at `asOf`
   * (milliseconds of `now`) has been read: so only deadlines up to then may be believed, however late it is.
   */
  readonly ring: (asOf: number) => void
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** An alarm that is gone with the scope. */
export type MakeAlarm = (options: AlarmOptions) => Effect.Effect<Alarm, never, Scope.Scope>

/**
 * Turns of the event loop in which devices read before an alarm rings that is late: each reads a part of what waits in a turn.
 */
const READING_TURNS = 4
/** Milliseconds by which an alarm may be late on a loop that is not busy. */
const PUNCTUAL = 5
/** Milliseconds: a sleep is rounded up to a nanosecond, and a clock that shows just that is one that is set by hand. */
const EXACT = 2e-6

const reading = (turns: number) =>
  Effect.forEach(Array.from({ length: turns }), () => Effect.yieldNow, { discard: true })
const readOnce = reading(1)
const readMuch = reading(READING_TURNS)

/**
 * An event loop looks at its timers before it reads. What answers a segment may then have waited for long, and its deadline
 * must not be believed before that was read: not even when the alarm is punctual, since the process may have been kept from
 * running until just then. Only where time itself waits for the program has nothing waited.
 */
const makeSleeping: MakeAlarm = Effect.fnUntraced(function*({ now, ring }) {
  const changed = Latch.makeUnsafe(false)
  let deadline = Infinity
  const sleep = Effect.suspend(() => {
    changed.closeUnsafe()
    return deadline === Infinity
      ? changed.await
      : Effect.raceFirst(Effect.sleep(atLeast(deadline - now())), changed.await)
  })
  const ringing = Effect.suspend(() => {
    const asOf = now()
    const toRing = Effect.sync(() => ring(asOf))
    if (asOf <= deadline + EXACT) return toRing
    return Effect.andThen(asOf <= deadline + PUNCTUAL ? readOnce : readMuch, toRing)
  })
  yield* sleep.pipe(Effect.andThen(ringing), Effect.forever, Effect.forkScoped)
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
