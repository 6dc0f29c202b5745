/**
 * Lets received octets be freed soon after their readers have let go of them.
 *
 * Each chunk that a reader is given is memory outside of the JavaScript heap, with only a small object in it. V8 frees it when
 * its young generation is full, which takes hundreds of megabytes of chunks, or collects the whole heap for each 64 MB of them:
 * at some gigabits per second that costs more than receiving does, and chunks are never in the processor's cache. So a native
 * device that has received `OCTETS` has the young generation collected, which takes less than a millisecond, and the same few
 * megabytes are used again and again.
 *
 * V8 offers that only to those who ask for it by a flag. It is set for as long as it takes to get hold of the function.
 */
import * as Context from "effect/Context"

/** Octets that a device receives between two collections: what fits into a processor's cache. */
export const OCTETS = 4 * 1024 * 1024

type Collect = (options: { readonly type: "minor" }) => void

/** What V8 offers, or undefined where it is another engine, or does not. */
const find = (): Collect | undefined => {
  const known = Reflect.get(globalThis, "gc")
  if (typeof known === "function") return known as Collect
  try {
    const { setFlagsFromString } = process.getBuiltinModule("node:v8")
    const { runInNewContext } = process.getBuiltinModule("node:vm")
    setFlagsFromString("--expose-gc")
    const collect: unknown = runInNewContext("globalThis.gc")
    setFlagsFromString("--no-expose-gc")
    return typeof collect === "function" ? collect as Collect : undefined
  } catch {
    return undefined
  }
}

/** Collects the young generation, or undefined to leave that to the engine. Found when the first native device is opened. */
export const YoungGeneration = Context.Reference<(() => void) | undefined>("@strata/drivers/YoungGeneration", {
  defaultValue: () => {
    const collect = find()
    return collect && (() => collect({ type: "minor" }))
  }
})
