/**
 * What is made of Node's streams and timers follows the event loop: under a clock that jumps or stands still it would hang, or go
 * wrong in another way each time.
 */
import { IsRealTime } from "@strata/core/time/RealTime"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** A defect that says what to do, unless the time is real. */
export const needed: Effect.Effect<void> = Effect.gen(function*() {
  const where = !(yield* IsRealTime) ? SIMULATION : isOfTests(yield* Clock.Clock) ? TEST : undefined
  if (where !== undefined) return yield* Effect.die(new Error(`Node's streams need real time, ${where} (docs/node.md)`))
})

const SIMULATION = "and a simulation runs in virtual time: use Effect's sockets there, or Simulation.runLive"
const TEST = "and the clock of a test stands still: use it.live, or a layer with excludeTestServices"

/** Whether it is a `TestClock`. */
const isOfTests = (clock: Clock.Clock): boolean => "adjust" in clock
