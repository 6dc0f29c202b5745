/**
 * The stack's counters as Effect metrics, for whatever exports those: `effect/observability` has Prometheus and OTLP.
 *
 * They are read when somebody takes a snapshot of the metrics, and cost nothing otherwise. A counter `tcp.sent` is the metric
 * `strata.tcp.sent`. Stacks that share a process tell theirs apart by `Metric.CurrentMetricAttributes`.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { type Counter, Statistics } from "./Statistics.ts"

const ignore = () => {}

/** Registers a gauge whose value is looked up whenever it is read; returns its end. */
export const registerGauge = (
  context: Context.Context<never>,
  name: string,
  options: { readonly description?: string | undefined; readonly attributes?: Metric.Metric.AttributeSet | undefined },
  read: () => number
): () => void =>
  Metric.registerUnsafe(Metric.gauge(name, options), context, {
    get: () => ({ value: read() }),
    update: ignore,
    modify: ignore
  }).remove

const register = (context: Context.Context<never>, counter: Counter): () => void => {
  const name = `strata.${counter.name}`
  if (counter.kind === "level") return registerGauge(context, name, {}, () => counter.value)
  return Metric.registerUnsafe(Metric.counter(name, { incremental: true }), context, {
    get: () => ({ count: counter.value, incremental: true }),
    update: ignore,
    modify: ignore
  }).remove
}

/** All counters whose names begin with `prefix`, those that are made later included; all of the stack by default. */
export const layer = (prefix = ""): Layer.Layer<never, never, Statistics> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const statistics = yield* Statistics
    const context = yield* Effect.context<never>()
    const ends: Array<() => void> = []
    const stop = statistics.listen((counter) => {
      if (counter.name.startsWith(prefix)) ends.push(register(context, counter))
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        stop()
        for (const end of ends) end()
      })
    )
  }))
