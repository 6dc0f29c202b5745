/**
 * Named counters.
 *
 * A layer takes its counters when it is built and increments them in place;
 * people take snapshots.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** A count of events or octets since the stack was built. */
export interface Counter {
  readonly name: string
  value: number
}

export class Statistics extends Context.Service<Statistics, {
  /** The counter of that name, such as `ipv4.received`; made on first use. */
  readonly counter: (name: string) => Counter
  /** All counters that are not zero, by name. */
  readonly snapshot: Effect.Effect<Readonly<Record<string, number>>>
}>()("@strata/core/Statistics") {
  static readonly layer: Layer.Layer<Statistics> = Layer.sync(Statistics, () => {
    const counters = new Map<string, Counter>()
    return {
      counter: (name) => {
        const known = counters.get(name)
        if (known !== undefined) return known
        const counter: Counter = { name, value: 0 }
        counters.set(name, counter)
        return counter
      },
      snapshot: Effect.sync(() => {
        const counted = [...counters.values()].filter((counter) => counter.value > 0)
        counted.sort((a, b) => a.name < b.name ? -1 : 1)
        return Object.fromEntries(counted.map((counter) => [counter.name, counter.value]))
      })
    }
  })
}
