/**
 * Named counters.
 *
 * A layer takes its counters when it is built and increments them in place;
 * people take snapshots.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Events or octets since the stack was built, or with `kind` `"level"` how many of something there are now. */
export interface Counter {
  readonly name: string
  readonly kind: "total" | "level"
  value: number
}

/** The counters of a stack by name. Each layer asks for its own once, when it is built. */
export class Statistics extends Context.Service<Statistics, {
  /** The counter of that name, such as `ipv4.received`; made on first use, a `"total"` by default. */
  readonly counter: (name: string, kind?: Counter["kind"]) => Counter
  /** Calls `listener` with each counter there is, and with each that is made until the result is called. It must not throw. */
  readonly listen: (listener: (counter: Counter) => void) => () => void
  /** All counters that are not zero, by name. */
  readonly snapshot: Effect.Effect<Readonly<Record<string, number>>>
}>()("@strata/core/Statistics") {
  static readonly layer: Layer.Layer<Statistics> = Layer.sync(Statistics, () => {
    const counters = new Map<string, Counter>()
    const listeners = new Set<(counter: Counter) => void>()
    return {
      counter: (name, kind = "total") => {
        const known = counters.get(name)
        if (known !== undefined) return known
        const counter: Counter = { name, kind, value: 0 }
        counters.set(name, counter)
        for (const listener of listeners) listener(counter)
        return counter
      },
      listen: (listener) => {
        const own = (counter: Counter) => listener(counter)
        for (const counter of counters.values()) own(counter)
        listeners.add(own)
        return () => void listeners.delete(own)
      },
      snapshot: Effect.sync(() => {
        const counted = [...counters.values()].filter((counter) => counter.value > 0)
        counted.sort((a, b) => a.name < b.name ? -1 : 1)
        return Object.fromEntries(counted.map((counter) => [counter.name, counter.value]))
      })
    }
  })
}
