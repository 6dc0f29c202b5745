/**
 * A client that asks again gets its answer, through loss and through ten seconds without a network.
 */
import { assert, it } from "@effect/vitest"
import { Distribution, Loss } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import { TcpServer, TcpSocket } from "@strata/sockets"
import { Effect, Fiber, Schedule, Stream } from "effect"
import { AddressResolver } from "effect/net"

const allText = <E>(incoming: Stream.Stream<Uint8Array, E>) => incoming.pipe(Stream.decodeText(), Stream.mkString)

const shout = (peer: TcpSocket.TcpSocket) =>
  Effect.flatMap(allText(peer.incoming), (question) => peer.write(question.toUpperCase()))

const service = Effect.flatMap(TcpServer.listen({ port: 80 }), (server) => TcpServer.serve(server, shout))

const askOnce = Effect.fnUntraced(function*(question: string) {
  const [remote] = yield* (yield* AddressResolver.AddressResolver).resolve("server:80", { family: "IPv4" })
  const socket = yield* TcpSocket.connect({ remote })
  yield* Effect.andThen(socket.write(question), socket.closeWrite)
  return yield* allText(socket.incoming)
}, Effect.scoped)

const ask = (question: string) =>
  askOnce(question).pipe(Effect.timeout("2 seconds"), Effect.retry(Schedule.spaced("1 second")))

it.effect("asks until it is answered", () =>
  Simulation.run(
    Effect.gen(function*() {
      const network = yield* Network
      const client = yield* network.host("client")
      const server = yield* network.host("server", { boot: service })
      const wire = yield* network.wire(client, server, {
        latency: Distribution.around(20, 5),
        loss: Loss.bernoulli(0.05)
      })

      assert.strictEqual(yield* client.run(ask("hello")), "HELLO")
      yield* wire.partition
      const answer = yield* client.fork(ask("anybody there?"))
      yield* Effect.sleep("10 seconds")
      yield* wire.heal
      assert.strictEqual(yield* Fiber.join(answer), "ANYBODY THERE?")
    }),
    { seed: 7 }
  ))
