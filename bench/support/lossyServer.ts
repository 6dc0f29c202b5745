/**
 * The server of `lossy.ts` on strata, over the TAP `tap0` of a namespace: `<namespace path> <octets> <seconds> [<algorithm>]`. For
 * each line on its standard input it prints its counters as a line of JSON.
 */
import { NodeRuntime } from "@effect/platform-node"
import { NetworkStack, Statistics } from "@strata/core"
import * as Algorithms from "@strata/core/tcp/Algorithms"
import { Tap } from "@strata/drivers"
import { TcpServer } from "@strata/sockets"
import type { TcpSocket } from "@strata/sockets/TcpSocket"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { createInterface } from "node:readline"
import { type Measured, Meter, SINK, SOURCE } from "./meter.ts"
import { beginning, chunk } from "./pattern.ts"

const [namespace, octets, seconds, algorithm = ""] = process.argv.slice(2)

const known = Algorithms.names.find((name) => name === algorithm)
if (known === undefined && algorithm !== "") throw new Error(`there is no congestion control ${algorithm}`)
/** The stack's own choice where nothing is said. */
const congestion = known === undefined ? undefined : Algorithms.byName(known)

const sink = (peer: TcpSocket) =>
  Effect.gen(function*() {
    const measured = Deferred.makeUnsafe<Measured>()
    const meter = new Meter(Number(seconds), (result) => Deferred.doneUnsafe(measured, Effect.succeed(result)))
    const answered = yield* Deferred.await(measured).pipe(
      Effect.flatMap((result) => peer.write(JSON.stringify(result))),
      Effect.andThen(peer.closeWrite),
      Effect.forkChild
    )
    yield* Stream.runForEachArray(peer.incoming, (chunks) =>
      Effect.sync(() => {
        for (const received of chunks) meter.accept(received)
      }))
    meter.finish()
    yield* Fiber.join(answered)
  })

const blocks = Stream.range(1, Math.floor(Number(octets) / chunk.length)).pipe(
  Stream.map(() => chunk),
  Stream.concat(Stream.succeed(beginning(Number(octets) % chunk.length)))
)

const source = (peer: TcpSocket) => Stream.run(blocks, peer.outgoing)

const serve = <E, R>(port: number, handler: (peer: TcpSocket) => Effect.Effect<void, E, R>) =>
  Effect.gen(function*() {
    const server = yield* TcpServer.listen({ port, congestion })
    yield* server.connections.pipe(
      Stream.mapEffect((peer) => Effect.ignore(handler(peer)), { concurrency: "unbounded", unordered: true }),
      Stream.runDrain,
      Effect.forkScoped
    )
  })

const tell = Stream.fromAsyncIterable(createInterface({ input: process.stdin }), String).pipe(
  Stream.mapEffect(() => Effect.flatMap(Statistics, ({ snapshot }) => snapshot)),
  Stream.runForEach((counters) => Effect.sync(() => process.stdout.write(`${JSON.stringify(counters)}\n`)))
)

const program = Effect.gen(function*() {
  yield* serve(SINK, sink)
  yield* serve(SOURCE, source)
  yield* Effect.forkScoped(tell)
  process.stderr.write("ready\n")
  yield* Effect.never
})

const Host = Tap.layer({ name: "tap0", address: "192.0.2.2/24", namespace: namespace! }).pipe(
  Layer.provideMerge(NetworkStack.layer)
)

NodeRuntime.runMain(Effect.scoped(program).pipe(Effect.provide(Host)))
