/**
 * What TCP does on a path that loses packets: what was known of a connection while it sent, and what was counted in the end.
 */
import { assert, it } from "@effect/vitest"
import { formatTcpInfo, Netstat, Statistics } from "@strata/core"
import { Distribution, Loss } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import { TcpServer, TcpSocket } from "@strata/sockets"
import { Effect, Fiber, Stream } from "effect"

const sink = Effect.gen(function*() {
  const server = yield* TcpServer.listen({ port: 9 })
  yield* TcpServer.serve(server, (peer) => Stream.runDrain(peer.incoming))
})

const send = Effect.scoped(Effect.gen(function*() {
  const socket = yield* TcpSocket.connect({ remote: "10.0.0.2:9" })
  const watching = yield* Effect.forkChild(Stream.runCollect(socket.infoChanges("100 millis")))
  yield* socket.write(new Uint8Array(1_000_000))
  yield* socket.closeWrite
  yield* socket.closed
  return { history: yield* Fiber.join(watching), counters: yield* (yield* Statistics).snapshot }
}))

it.effect("shows a transfer from its first round trip to its end", () =>
  Simulation.run(
    Effect.gen(function*() {
      const network = yield* Network
      const [client, server] = [yield* network.host("client"), yield* network.host("server", { boot: sink })]
      yield* network.wire(client, server, { latency: Distribution.constant(20), loss: Loss.bernoulli(0.01) })
      const { counters, history } = yield* client.run(send)

      const repairing = history.find(({ phase }) => phase === "recovery")!
      assert.match(formatTcpInfo(repairing), /cubic .* phase:recovery .* cwnd:\d+ ssthresh:\d+ .* retrans:\d+ /)
      const { delivery, roundTrip, traffic } = history.at(-1)!
      assert.deepInclude(traffic, { octetsAcknowledged: 1_000_000, octetsReceived: 0 })
      assert.isAtLeast(roundTrip.minimum!, 40)
      assert.isAbove(delivery.lost, 0)
      // As nstat prints them, and by name.
      assert.match(Netstat.format(counters), /^TcpActiveOpens {18}1$/m)
      assert.isAtLeast(Netstat.toLinux(counters)["TcpRetransSegs"]!, 1)
    }),
    { seed: 7 }
  ))
