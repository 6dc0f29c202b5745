/**
 * How much of a processor a test took.
 */
import { Turn } from "@strata/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Load } from "./Event.ts"

/** Microseconds of processor time that the process has used; a process on another clock than the real one uses none. */
export class ProcessorTime extends Context.Reference<() => { readonly user: number; readonly system: number }>(
  "@strata/cli/iperf3/ProcessorTime",
  { defaultValue: () => () => ({ user: 0, system: 0 }) }
) {}

/** What was used between now and each run of the effect that is returned. */
export const measure = Effect.gen(function*() {
  const turn = yield* Turn
  const used = yield* ProcessorTime
  const before = used()
  const begun = turn.now()
  return Effect.sync((): Load => {
    const now = used()
    const elapsed = (turn.now() - begun) * 1000
    const percent = (spent: number) => elapsed > 0 ? (100 * spent) / elapsed : 0
    const user = percent(now.user - before.user)
    const system = percent(now.system - before.system)
    return { total: user + system, user, system }
  })
})
