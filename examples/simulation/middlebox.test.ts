/**
 * A connection is idle for an hour, and a middlebox on the way forgets it. The client that keeps the connection must notice.
 */
import { assert, it } from "@effect/vitest"
import { Distribution, Loss } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import { TcpServer, TcpSocket } from "@strata/sockets"
import { Effect, Stream } from "effect"

const echo = Effect.gen(function*() {
  const server = yield* TcpServer.listen({ port: 7 })
  yield* TcpServer.serve(server, (peer) => Stream.run(peer.incoming, peer.outgoing))
})

/** Lets only packets of connections pass whose SYN it saw, as address translators and firewalls do. */
const middlebox = () => {
  const flows = new Set<string>()
  const loss = Loss.matching(({ tcp }) => {
    if (tcp === undefined) return false
    const flow = [tcp.sourcePort, tcp.destinationPort].toSorted().join("-")
    if (tcp.syn) flows.add(flow)
    return !flows.has(flow)
  })
  return { loss, forget: Effect.sync(() => flows.clear()) }
}

const connect = TcpSocket.connect({ remote: "10.0.0.2:7" })
const say = (socket: TcpSocket.TcpSocket, text: string) =>
  socket.write(text).pipe(
    Effect.andThen(socket.incoming.pipe(Stream.decodeText(), Stream.take(1), Stream.mkString)),
    Effect.timeout("5 seconds")
  )

it.effect("connects again when an old connection leads nowhere", () =>
  Simulation.run(Effect.gen(function*() {
    const network = yield* Network
    const [client, server] = [yield* network.host("client"), yield* network.host("server", { boot: echo })]
    const box = middlebox()
    yield* network.wire(client, server, { latency: Distribution.constant(15), loss: box.loss })

    yield* client.run(Effect.gen(function*() {
      const pooled = yield* connect
      assert.strictEqual(yield* say(pooled, "early"), "early")
      yield* Effect.sleep("1 hour")
      yield* box.forget
      const again = Effect.andThen(connect, (fresh) => say(fresh, "late"))
      assert.strictEqual(yield* Effect.catchTag(say(pooled, "late"), "TimeoutError", () => again), "late")
    }))
  })))
