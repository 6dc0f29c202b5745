/**
 * Two simulated hosts, a bad line, and 100 kB.
 */
import { Distribution, Loss } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import { TcpServer, TcpSocket } from "@strata/sockets"
import { Clock, Console, Effect, Stream } from "effect"

const source = Effect.flatMap(
  TcpServer.listen({ port: 80 }),
  (server) => TcpServer.serve(server, (peer) => peer.write(new Uint8Array(100_000)))
)

const fetch = Effect.gen(function*() {
  const socket = yield* TcpSocket.connect({ remote: "10.0.0.2:80" })
  return yield* Stream.runFold(socket.incoming, () => 0, (sum, chunk) => sum + chunk.length)
}).pipe(Effect.scoped)

const program = Effect.gen(function*() {
  const network = yield* Network
  const client = yield* network.host("client")
  const server = yield* network.host("server", { boot: source })
  yield* network.wire(client, server, { latency: Distribution.constant(100), loss: Loss.bernoulli(0.01) })
  const start = yield* Clock.currentTimeMillis
  const received = yield* client.run(fetch)
  return { received, virtual: (yield* Clock.currentTimeMillis) - start }
})

Effect.runPromise(Effect.flatMap(Simulation.run(program, { seed: 1 }), (result) => Console.log(JSON.stringify(result))))
