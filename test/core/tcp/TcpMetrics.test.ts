import { describe, expect, it } from "@effect/vitest"
import { Statistics, Tcp, TcpMetrics } from "@strata/core"
import { Distribution } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Scope from "effect/Scope"
import { bytes, connected, type Host, inet, pair, readAll, RIGHT, virtually } from "../../support/tcpHosts.ts"

const latency = Distribution.constant(10)
const far = pair({ left: { outbound: { latency }, inbound: { latency } } })

/** A program with metrics of its own. */
const measured = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.provideService(program, Metric.MetricRegistry, new Map())

const measure = (host: Host, name: string) =>
  Layer.build(TcpMetrics.layer).pipe(
    Effect.provideService(Tcp, host.tcp),
    Effect.provideService(Statistics, Context.get(host.context, Statistics)),
    Effect.provideService(Metric.CurrentMetricAttributes, { host: name })
  )

/** The value of a counter or gauge. */
const valueOf = Effect.fnUntraced(function*(id: string, host = "left") {
  const found = (yield* Metric.snapshot).find((metric) => metric.id === id && metric.attributes?.["host"] === host)
  const state: object = found?.state ?? {}
  return "count" in state ? state.count : "value" in state ? state.value : undefined
})

describe("metrics of TCP", () => {
  it(
    "are the counters of the stack when they are read, and tell hosts apart",
    virtually(measured(Effect.gen(function*() {
      const hosts = yield* far
      yield* measure(hosts.left, "left")
      yield* measure(hosts.right, "right")
      const { client } = yield* connected(hosts)
      expect(yield* valueOf("strata.tcp.activeOpens")).toBe(1)
      expect(yield* valueOf("strata.tcp.activeOpens", "right")).toBe(0)
      expect(yield* valueOf("strata.tcp.passiveOpens", "right")).toBe(1)
      expect(yield* valueOf("strata.tcp.established")).toBe(1)
      yield* client.abort
      expect(yield* valueOf("strata.tcp.established")).toBe(0)
      expect(yield* valueOf("strata.tcp.resetsSent")).toBe(1)
    })))
  )

  it(
    "include a counter that is made later",
    virtually(measured(Effect.gen(function*() {
      const hosts = yield* far
      yield* measure(hosts.right, "right")
      expect(yield* valueOf("strata.tcp.dropped.noConnection", "right")).toBeUndefined()
      yield* Effect.flip(hosts.left.tcp.connect({ remote: inet(RIGHT, 1) }))
      expect(yield* valueOf("strata.tcp.dropped.noConnection", "right")).toBe(1)
      // Of TCP, not of everything.
      expect(yield* valueOf("strata.ipv4.received", "right")).toBeUndefined()
    })))
  )

  it(
    "know what is in buffers and in the network",
    virtually(measured(Effect.gen(function*() {
      const hosts = yield* far
      yield* measure(hosts.left, "left")
      yield* measure(hosts.right, "right")
      const { client } = yield* connected(hosts)
      yield* client.write(new Uint8Array(20_000))
      expect(yield* valueOf("strata.tcp.queued.send")).toBe(20_000)
      expect(yield* valueOf("strata.tcp.inFlight")).toBe(14_480)
      yield* Effect.sleep("1 second")
      expect(yield* valueOf("strata.tcp.queued.send")).toBe(0)
      expect(yield* valueOf("strata.tcp.inFlight")).toBe(0)
      expect(yield* valueOf("strata.tcp.queued.receive", "right")).toBe(20_000)
    })))
  )

  it(
    "sample each connection once a second",
    virtually(measured(Effect.gen(function*() {
      const hosts = yield* far
      yield* measure(hosts.left, "left")
      const { client, server } = yield* connected(hosts)
      yield* connected(hosts)
      const reading = yield* Effect.forkChild(readAll(server))
      yield* client.write(bytes("hello"))
      yield* Effect.sleep("3500 millis")
      const histograms = Object.fromEntries(
        (yield* Metric.snapshot).filter(({ type }) => type === "Histogram").map(({ id, state }) => [id, state])
      )
      expect(histograms["strata.tcp.roundTrip"]).toMatchObject({ count: 6, min: 20 })
      expect(histograms["strata.tcp.window"]).toMatchObject({ count: 6, min: 14_480 })
      expect(histograms["strata.tcp.deliveryRate"]).toMatchObject({ count: 3 })
      yield* Fiber.interrupt(reading)
    })))
  )

  it(
    "are gone with their layer",
    virtually(measured(Effect.gen(function*() {
      const hosts = yield* far
      const scope = yield* Scope.make()
      yield* Scope.provide(measure(hosts.left, "left"), scope)
      yield* connected(hosts)
      yield* Effect.sleep("2 seconds")
      expect(new Set((yield* Metric.snapshot).map(({ type }) => type))).toEqual(
        new Set(["Counter", "Gauge", "Histogram"])
      )
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      expect(yield* Metric.snapshot).toEqual([])
      yield* Effect.flip(hosts.left.tcp.connect({ remote: inet(RIGHT, 1) }))
      expect(yield* Metric.snapshot).toEqual([])
    })))
  )

  it(
    "can be exported",
    virtually(measured(Effect.gen(function*() {
      const hosts = yield* far
      yield* measure(hosts.left, "left")
      yield* connected(hosts)
      const text = yield* PrometheusMetrics.format()
      expect(text).toContain("# TYPE strata_tcp_activeOpens counter\nstrata_tcp_activeOpens{host=\"left\"} 1\n")
      expect(text).toContain("# TYPE strata_tcp_established gauge\nstrata_tcp_established{host=\"left\"} 1\n")
    })))
  )
})
