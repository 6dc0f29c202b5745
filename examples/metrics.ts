/**
 * What TCP counts, as metrics for Prometheus: two hosts in one process, of which one is measured while it is greeted.
 */
import { NetworkStack, TcpMetrics } from "@strata/core"
import { Wire } from "@strata/drivers"
import { TcpServer, TcpSocket } from "@strata/sockets"
import { Console, Effect, Layer, Metric, Stream } from "effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"

const wire = Wire.make()
const host = (end: Wire.End, address: string) =>
  Layer.fresh(Wire.layer(end, { address }).pipe(Layer.provideMerge(NetworkStack.layer)))
const name = Layer.succeed(Metric.CurrentMetricAttributes, { host: "client" })
const measured = TcpMetrics.layer.pipe(Layer.provideMerge(host(wire.left, "192.0.2.1/24")), Layer.provide(name))

const server = Effect.gen(function*() {
  const greeter = yield* TcpServer.listen({ port: 7 })
  yield* TcpServer.serve(greeter, (peer) => Effect.andThen(peer.write("Hello!"), Effect.never))
}).pipe(Effect.scoped, Effect.provide(host(wire.right, "192.0.2.2/24")))

const client = Effect.gen(function*() {
  const socket = yield* TcpSocket.connect({ remote: "192.0.2.2:7" })
  yield* Stream.runDrain(Stream.take(socket.incoming, 1))
  const lines = (yield* PrometheusMetrics.format()).split("\n")
  yield* Console.log(lines.filter((line) => /^strata_tcp_(activeOpens|established|queued.*)\{/.test(line)).join("\n"))
}).pipe(Effect.scoped, Effect.provide(measured))

Effect.runPromise(Effect.raceFirst(client, server))
