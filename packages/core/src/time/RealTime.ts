/**
 * Whether the time that a program sees is that of the real world.
 *
 * Whoever brings a clock that jumps, such as a simulation, says so here, for those who can do nothing with it: programs that follow
 * the event loop and its timers.
 */
import * as Context from "effect/Context"

export const IsRealTime = Context.Reference<boolean>("@strata/core/IsRealTime", { defaultValue: () => true })
