import { assert, describe, it } from "@effect/vitest"
import { Icmp } from "@strata/core"
import { Distribution, Loss } from "@strata/drivers"
import { Network, Simulation, VirtualTime } from "@strata/simulation"
import { TcpServer, TcpSocket } from "@strata/sockets"
import {
  Clock,
  Config,
  ConfigProvider,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Logger,
  Random,
  References,
  Stream
} from "effect"
import { AddressResolver } from "effect/net"
import { createHash } from "node:crypto"
import { vi } from "vitest"

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

  it.effect("takes the same steps whatever other simulation runs at the same time", () =>
    Effect.gen(function*() {
      const alone = yield* Effect.forEach([1, 2, 3], captureHash)
      assert.deepStrictEqual(yield* Effect.forEach([1, 2, 3], captureHash, { concurrency: "unbounded" }), alone)
    }))

  it.effect("says on the console which seed failed, although the test has a console of its own", () =>
    Effect.gen(function*() {
      const said: Array<unknown> = []
      const logger = Logger.withConsoleLog(Logger.make(({ message }) => message))
      const spy = vi.spyOn(globalThis.console, "log").mockImplementation((...line) => void said.push(...line))
      yield* Effect.exit(Simulation.run(Effect.andThen(Effect.sleep(1500), Effect.fail("on purpose")), { seed: 17 }))
        .pipe(
          Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
          Effect.ensuring(Effect.sync(() => spy.mockRestore()))
        )
      assert.deepStrictEqual(said.flat(), [
        "the simulation failed at 1.500000 s of seed 17; to replay it, set STRATA_SEED=17"
      ])
    }))

  it.effect("gives its program the configuration, the loggers and the log level of the caller, but neither time nor chance", () =>
    Effect.gen(function*() {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const program = Effect.gen(function*() {
        yield* Effect.logInfo("unheard")
        yield* Effect.logWarning("heard")
        return [yield* Config.String("GREETING"), yield* Clock.currentTimeMillis, yield* Random.next] as const
      })
      const inside = Simulation.run(Effect.orDie(program))
      const [greeting, time, chance] = yield* inside.pipe(
        Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
        Effect.provideService(References.MinimumLogLevel, "Warn"),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ GREETING: "hello" })),
        Random.withSeed(99)
      )
      assert.deepStrictEqual([greeting, time, logged.flat()], ["hello", VirtualTime.EPOCH, ["heard"]])
      assert.strictEqual(chance, yield* Simulation.run(Random.next))
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

  it.effect("says so when nobody waits for the network", () =>
    Effect.gen(function*() {
      const hint = /\nnobody waits for the network, but perhaps for a promise of the real world/
      const never = Effect.promise(() => new Promise<void>(() => {}))
      assert.match((yield* Effect.flip(Simulation.run(never))).message, hint)
      const onHost = Effect.flatMap(pair({}), ({ client }) => Effect.andThen(client.run(never), Effect.void))
      const { message } = yield* Effect.flip(Simulation.run(onHost))
      assert.include(message, "client is up, and what runs on it does not wait for the network")
      assert.notMatch(message, hint, "the server waits for it")
    }))
})
