import { assert, describe, it } from "@effect/vitest"
import { Icmp } from "@strata/core"
import { Distribution, Loss } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import { TcpServer, TcpSocket } from "@strata/sockets"
import { Clock, Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { AddressResolver } from "effect/net"
import { createHash } from "node:crypto"

const echo = Effect.gen(function*() {
  const server = yield* TcpServer.listen({ port: 7 })
  yield* TcpServer.serve(server, (peer) => Stream.run(peer.incoming, peer.outgoing))
})

/** What comes back from an echo server, by the host's name. */
const ask = Effect.fnUntraced(function*(name: string, payload: Uint8Array) {
  const resolver = yield* AddressResolver.AddressResolver
  const [remote] = yield* resolver.resolve({ host: name, port: 7 }, { family: "IPv4" })
  const socket = yield* TcpSocket.connect({ remote })
  yield* Effect.forkChild(Effect.andThen(socket.write(payload), socket.closeWrite))
  const chunks = yield* Stream.runCollect(socket.incoming)
  return Buffer.concat([...chunks])
})

const pair = Effect.fnUntraced(function*(options: Parameters<Network["Service"]["wire"]>[2]) {
  const network = yield* Network
  const client = yield* network.host("client")
  const server = yield* network.host("server", { boot: echo })
  const wire = yield* network.wire(client, server, options)
  return { client, server, wire }
})

const payload = (size: number) => Uint8Array.from({ length: size }, (_, index) => (index * 7919) >>> 3)

/** Of the whole capture of a lossy exchange. */
const captureHash = Effect.fnUntraced(function*(seed: number) {
  const digest = createHash("sha256")
  const program = Effect.gen(function*() {
    const { client } = yield* pair({ latency: Distribution.normal(10, 3), loss: Loss.bernoulli(0.05) })
    yield* client.run(ask("server", payload(200_000)))
  })
  yield* Simulation.run(program, { seed, capture: (block) => digest.update(block) })
  return digest.digest("hex")
})

describe("Simulation", () => {
  it.effect("carries an echo between hosts that find each other by name", () =>
    Simulation.run(Effect.gen(function*() {
      const { client } = yield* pair({ latency: Distribution.constant(10) })
      const before = yield* Clock.currentTimeMillis
      const reply = yield* client.run(ask("server", payload(100_000)))
      assert.deepStrictEqual(Uint8Array.from(reply), payload(100_000))
      assert.isAtLeast((yield* Clock.currentTimeMillis) - before, 60)
    })))

  it.effect("takes the same steps for the same seed, to the last byte of the capture", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* captureHash(1), yield* captureHash(1))
      assert.notStrictEqual(yield* captureHash(1), yield* captureHash(2))
    }))

  it.effect("pings, and loses what is partitioned", () =>
    Simulation.run(Effect.gen(function*() {
      const { client, server, wire } = yield* pair({ latency: Distribution.constant(25) })
      const ping = client.run(Effect.flatMap(Icmp, (icmp) => icmp.ping(server.addresses()[0]!)))
      assert.closeTo((yield* ping).roundTrip, 75, 0.001, "the server announces itself on the way")
      assert.closeTo((yield* ping).roundTrip, 50, 0.001)
      yield* wire.partition
      assert.isTrue(Exit.isFailure(yield* Effect.exit(ping)))
      yield* wire.heal
      assert.closeTo((yield* ping).roundTrip, 50, 0.001)
    })))

  it.effect("crashes a host without a word, and starts it again", () =>
    Simulation.run(Effect.gen(function*() {
      const { client, server } = yield* pair({ latency: Distribution.constant(1) })
      const connected = yield* Deferred.make<void>()
      const reader = yield* client.fork(Effect.gen(function*() {
        const socket = yield* TcpSocket.connect({ remote: "10.0.0.2:7" })
        yield* socket.write("hello")
        yield* Deferred.succeed(connected, undefined)
        yield* Stream.runDrain(socket.incoming)
      }))
      yield* Deferred.await(connected)
      yield* server.crash
      yield* Effect.sleep("1 minute")
      assert.isUndefined(reader.pollUnsafe(), "nobody told the client")
      assert.strictEqual((yield* Effect.flip(server.run(Effect.void)))._tag, "HostDown")
      yield* server.start
      const reply = yield* client.run(ask("server", payload(10)))
      assert.strictEqual(reply.length, 10)
      yield* Fiber.interrupt(reader)
    })))

  it.effect("fails at once when everybody waits for ever, and says who", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Simulation.run(Effect.gen(function*() {
        const { client } = yield* pair({})
        yield* client.run(Effect.gen(function*() {
          const socket = yield* TcpSocket.connect({ remote: "10.0.0.2:7" })
          yield* Stream.runDrain(socket.incoming)
        }))
      })))
      assert.strictEqual(error._tag, "Deadlock")
      assert.match(error.message, /client is up, and waits:\n {2}reading from 10\.0\.0\.2:7 \(ESTABLISHED\)\n/)
      assert.match(error.message, /\(10\.0\.0\.1:\d+ to 10\.0\.0\.2:7 is in ESTABLISHED, with 0 octets/)
      assert.include(error.message, "waiting to accept on 0.0.0.0:7")
    }))
})
