/**
 * The bulk server on strata, over the TAP `tap0` of a namespace: `<namespace path> <octets>`.
 */
import { NodeRuntime } from "@effect/platform-node"
import { NetworkStack } from "@strata/core"
import { Tap } from "@strata/drivers"
import { TcpServer } from "@strata/sockets"
import type { TcpSocket } from "@strata/sockets/TcpSocket"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { BLOCK, block, SINK, SOURCE, Verdict, Verifier } from "./block.ts"

const [namespace, octets] = process.argv.slice(2)

const sink = (peer: TcpSocket) =>
  Effect.gen(function*() {
    const verifier = new Verifier()
    yield* Stream.runForEachArray(peer.incoming, (chunks) =>
      Effect.sync(() => {
        for (const chunk of chunks) verifier.accept(chunk)
      }))
    yield* peer.write(Uint8Array.of(verifier.equal ? Verdict.equal : Verdict.different))
  })

const blocks = Stream.range(1, Math.floor(Number(octets) / BLOCK)).pipe(
  Stream.map(() => block),
  Stream.concat(Stream.succeed(block.subarray(0, Number(octets) % BLOCK)))
)

const source = (peer: TcpSocket) => Stream.run(blocks, peer.outgoing)

const serve = <E, R>(port: number, handler: (peer: TcpSocket) => Effect.Effect<void, E, R>) =>
  Effect.gen(function*() {
    const server = yield* TcpServer.listen({ port })
    yield* server.connections.pipe(
      Stream.mapEffect((peer) => Effect.ignore(handler(peer)), { concurrency: "unbounded", unordered: true }),
      Stream.runDrain,
      Effect.forkScoped
    )
  })

const program = Effect.gen(function*() {
  yield* serve(SINK, sink)
  yield* serve(SOURCE, source)
  process.stderr.write("ready\n")
  yield* Effect.never
})

const Host = Tap.layer({ name: "tap0", address: "192.0.2.2/24", namespace: namespace! }).pipe(
  Layer.provideMerge(NetworkStack.layer)
)

NodeRuntime.runMain(Effect.scoped(program).pipe(Effect.provide(Host)))
