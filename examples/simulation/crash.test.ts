/**
 * A server crashes in the middle of a download. Nobody tells the client, which waits, connects again, and goes on where it was.
 */
import { assert, it } from "@effect/vitest"
import { Distribution } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import { TcpServer, TcpSocket } from "@strata/sockets"
import { Effect, Fiber, Schedule, Stream } from "effect"

const file = Uint8Array.from({ length: 2_000_000 }, (_, index) => index ** 2)

/** Is told where to begin, and sends the rest. */
const service = Effect.gen(function*() {
  const server = yield* TcpServer.listen({ port: 80 })
  yield* TcpServer.serve(server, (peer) =>
    peer.incoming.pipe(Stream.decodeText(), Stream.mkString).pipe(
      Effect.flatMap((offset) => peer.write(file.subarray(Number(offset))))
    ))
})

/** Appends to `received` until the server says that this was all. */
const resume = (received: Array<number>) =>
  Effect.gen(function*() {
    const socket = yield* TcpSocket.connect({ remote: "10.0.0.2:80" })
    yield* Effect.andThen(socket.write(String(received.length)), socket.closeWrite)
    yield* socket.incoming.pipe(
      Stream.timeoutOrElse({ duration: "5 seconds", orElse: () => Stream.fail("silence" as const) }),
      Stream.runForEach((chunk) => Effect.sync(() => chunk.forEach((byte) => received.push(byte))))
    )
  }).pipe(Effect.scoped, Effect.retry(Schedule.spaced("1 second")))

it.effect("finishes the download", () =>
  Simulation.run(Effect.gen(function*() {
    const network = yield* Network
    const client = yield* network.host("client")
    const server = yield* network.host("server", { boot: service })
    yield* network.wire(client, server, { latency: Distribution.constant(5), bandwidth: 10_000_000 })

    const received: Array<number> = []
    const download = yield* client.fork(resume(received))
    yield* Effect.sleep("1 second")
    assert.isTrue(received.length > 0 && received.length < file.length, "the crash is in the middle")
    yield* server.crash
    yield* Effect.sleep("1 minute")
    yield* server.start
    yield* Fiber.join(download)
    assert.deepStrictEqual(Uint8Array.from(received), file)
  })))
