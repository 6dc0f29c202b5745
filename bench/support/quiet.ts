/**
 * Waiting until nobody else uses the machine, for so long in all and no longer.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"

/** Ticks of all processors together, since the machine was started. */
export interface Ticks {
  readonly busy: number
  readonly total: number
}

/** The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal. */
export const parseTicks = (text: string): Ticks => {
  const [, ...fields] = text.slice(0, text.indexOf("\n")).split(/\s+/)
  const ticks = fields.slice(0, 8).map(Number)
  const total = ticks.reduce((sum, one) => sum + one, 0)
  return { busy: total - ticks[3]! - ticks[4]!, total }
}

export const readTicks: Effect.Effect<Ticks> = Effect.sync(() => parseTicks(readFileSync("/proc/stat", "utf8")))

export interface Options {
  /** The share of the processors that may be busy. */
  readonly bound: number
  /** Milliseconds between two looks, and of waiting in all. */
  readonly interval: number
  readonly patience: number
}

export interface Quiet {
  /** Waits, and tells whether it got quiet. Without patience left it looks once. */
  readonly wait: Effect.Effect<boolean>
  /** How often it waited, how often in vain, and for how many milliseconds in all. */
  readonly waits: () => { readonly times: number; readonly inVain: number; readonly milliseconds: number }
}

export const make = (options: Options, ticks: Effect.Effect<Ticks> = readTicks): Quiet => {
  let times = 0
  let inVain = 0
  let milliseconds = 0
  const busyShare = Effect.gen(function*() {
    const before = yield* ticks
    yield* Effect.sleep(options.interval)
    const after = yield* ticks
    return (after.busy - before.busy) / Math.max(after.total - before.total, 1)
  })
  const wait = Effect.gen(function*() {
    times++
    const start = yield* Clock.currentTimeMillis
    const left = options.patience - milliseconds
    for (;;) {
      const isQuiet = (yield* busyShare) <= options.bound
      const waited = (yield* Clock.currentTimeMillis) - start
      if (!isQuiet && waited < left) continue
      // One look is no waiting.
      milliseconds += Math.max(waited - options.interval, 0)
      if (!isQuiet) inVain++
      return isQuiet
    }
  })
  return { wait, waits: () => ({ times, inVain, milliseconds }) }
}
