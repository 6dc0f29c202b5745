/**
 * TCP as Effect metrics: its counters, what is on its way and in its buffers, and how its connections fare.
 *
 * | metric | | |
 * | --- | --- | --- |
 * | `strata.tcp.<counter>` | counter, or gauge of what there is now | read with a snapshot of the metrics |
 * | `strata.tcp.queued.send`, `.receive` | gauge, octets in all buffers | read with a snapshot |
 * | `strata.tcp.inFlight` | gauge, octets of all connections in the network | read with a snapshot |
 * | `strata.tcp.roundTrip` | histogram, SRTT in milliseconds | each connection once in an interval |
 * | `strata.tcp.window` | histogram, congestion window in octets | each connection once in an interval |
 * | `strata.tcp.deliveryRate` | histogram, octets per second | each connection once in an interval |
 *
 * Nothing is done per packet. The sampling of the histograms is one fiber that sleeps.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Metrics from "../Metrics.ts"
import type { Statistics } from "../Statistics.ts"
import { Tcp } from "./Tcp.ts"
import type { TcpInfo } from "./TcpInfo.ts"

const roundTrip = Metric.histogram("strata.tcp.roundTrip", {
  description: "smoothed round-trip times of connections",
  attributes: { unit: "ms" },
  boundaries: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500]
})

const congestionWindow = Metric.histogram("strata.tcp.window", {
  description: "congestion windows of connections",
  attributes: { unit: "By" },
  boundaries: Metric.exponentialBoundaries({ start: 2048, factor: 4, count: 10 })
})

const deliveryRate = Metric.histogram("strata.tcp.deliveryRate", {
  description: "rates at which the network delivered for connections",
  attributes: { unit: "By/s" },
  boundaries: Metric.exponentialBoundaries({ start: 1000, factor: 10, count: 8 })
})

const isAlive = ({ state }: TcpInfo): boolean => state !== "SYN-SENT" && state !== "TIME-WAIT"

const sample = ({ congestion, delivery, roundTrip: { smoothed } }: TcpInfo) =>
  Effect.gen(function*() {
    if (smoothed !== undefined) yield* Metric.update(roundTrip, smoothed)
    yield* Metric.update(congestionWindow, congestion.window)
    if (delivery.rate !== undefined) yield* Metric.update(deliveryRate, delivery.rate)
  })

const gauges = Layer.effectDiscard(Effect.gen(function*() {
  const tcp = yield* Tcp
  const context = yield* Effect.context<never>()
  const sum = (of: (info: TcpInfo) => number) => () => Effect.runSync(tcp.info).reduce((all, info) => all + of(info), 0)
  const register = (name: string, description: string, of: (info: TcpInfo) => number) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        Metrics.registerGauge(context, `strata.tcp.${name}`, { description, attributes: { unit: "By" } }, sum(of))
      ),
      (end) => Effect.sync(end)
    )
  yield* register("queued.send", "octets in send buffers", ({ sending }) => sending.queued)
  yield* register("queued.receive", "octets that programs have not read", ({ receiving }) => receiving.queued)
  yield* register("inFlight", "octets in the network", ({ sending }) => sending.inFlight)
}))

const histograms = (interval: Duration.Input) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const tcp = yield* Tcp
    const context = yield* Effect.context<never>()
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const metric of [roundTrip, congestionWindow, deliveryRate]) Metric.removeUnsafe(metric, context)
      })
    )
    yield* tcp.info.pipe(
      Effect.flatMap((all) => Effect.forEach(all.filter(isAlive), sample, { discard: true })),
      Effect.delay(Duration.fromInputUnsafe(interval)),
      Effect.forever,
      Effect.forkScoped
    )
  }))

/** Samples once in `interval`. */
export const layerEvery = (interval: Duration.Input): Layer.Layer<never, never, Tcp | Statistics> =>
  Layer.mergeAll(Metrics.layer("tcp."), gauges, histograms(interval))

/** Samples once a second. */
export const layer: Layer.Layer<never, never, Tcp | Statistics> = layerEvery("1 second")
