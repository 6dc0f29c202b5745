import { assert, describe, it } from "@effect/vitest"
import { Tcp } from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import { Distribution, Loss } from "@strata/drivers"
import { type Host, Network, Simulation } from "@strata/simulation"
import { Clock, Effect } from "effect"
import { patterned } from "../support/transfer.ts"

/** A number that stands for all octets of a capture, and for their order. */
class Digest {
  private state = 0x811c_9dc5
  readonly add = (block: Uint8Array): void => {
    const words = new Uint32Array(block.buffer, block.byteOffset, block.length >>> 2)
    let state = this.state
    for (const word of words) state = Math.imul(state ^ word, 0x0100_0193)
    this.state = Math.imul(state ^ (state >>> 15) ^ block.length, 0x9e37_79b1)
  }
  get value(): number {
    return this.state >>> 0
  }
}

const listen = (port: number) => Effect.flatMap(Tcp, (tcp) => tcp.listen({ port }))
const connect = (to: Host, port: number) =>
  Effect.flatMap(Tcp, (tcp) => tcp.connect({ remote: toInet(fromIpv4(to.addresses()[0]!), port) }))

/** Reads to the end, and sees that it is what was to be sent. */
const expectAll = Effect.fnUntraced(function*(connection: Connection, expected: Uint8Array) {
  let at = 0
  yield* Effect.forever(Effect.map(connection.read, (chunks) => {
    for (const chunk of chunks) {
      assert.isTrue(Buffer.compare(chunk, expected.subarray(at, at + chunk.length)) === 0)
      at += chunk.length
    }
  })).pipe(Effect.catchTag("Done", () => Effect.void))
  assert.strictEqual(at, expected.length)
})

const send = Effect.fnUntraced(function*(connection: Connection, bytes: Uint8Array) {
  yield* connection.write(bytes)
  yield* connection.closeWrite
  yield* connection.closed
})

const MEBIBYTE = patterned(1 << 20, 1)

const lossyTransfer = Effect.gen(function*() {
  const network = yield* Network
  const client = yield* network.host("client")
  const server = yield* network.host("server")
  const wire = yield* network.wire(client, server, {
    latency: Distribution.normal(10, 1),
    loss: Loss.bernoulli(0.01),
    duplication: 0.005,
    reordering: { probability: 0.005, delay: 5 }
  })
  yield* client.fork(Effect.flatMap(connect(server, 7), (connection) => send(connection, MEBIBYTE)))
  yield* server.run(Effect.gen(function*() {
    const listener = yield* listen(7)
    yield* expectAll(yield* listener.accept, MEBIBYTE)
  }))
  const { back, forth } = yield* wire.counters
  assert.isAbove(back.lost + forth.lost, 0)
})

const digestOf = (program: Effect.Effect<void, unknown, Network>, seed: number) =>
  Effect.gen(function*() {
    const digest = new Digest()
    yield* Simulation.run(Effect.orDie(program), { seed, capture: digest.add })
    return digest.value
  })

describe("large simulations", () => {
  it.effect("carry a mebibyte over a bad wire, a thousand times, and do the same again", () =>
    Effect.gen(function*() {
      const digests = new Set<number>()
      const seeds = yield* Simulation.seeds(1000)
      for (const seed of seeds) {
        const digest = yield* digestOf(lossyTransfer, seed)
        assert.strictEqual(digest, yield* digestOf(lossyTransfer, seed), `seed ${seed}`)
        digests.add(digest)
      }
      assert.strictEqual(digests.size, seeds.length)
    }), 600_000)

  it.effect("let ten connections idle for an hour", () =>
    Simulation.run(Effect.gen(function*() {
      const network = yield* Network
      const client = yield* network.host("client")
      const server = yield* network.host("server")
      const wire = yield* network.wire(client, server, { latency: Distribution.constant(10) })
      const before = yield* Clock.currentTimeMillis
      yield* server.fork(Effect.gen(function*() {
        const listener = yield* listen(7)
        const serve = Effect.flatMap(listener.accept, (connection) =>
          Effect.forever(Effect.flatMap(connection.read, (chunks) => connection.write(chunks[0]))))
        yield* Effect.all(
          Array.from({ length: 10 }, () =>
            serve),
          { concurrency: "unbounded" }
        )
      }))
      yield* client.run(Effect.gen(function*() {
        const connections = yield* Effect.all(Array.from({ length: 10 }, () => connect(server, 7)))
        yield* Effect.sleep("1 hour")
        for (const [index, connection] of connections.entries()) {
          yield* connection.write(Uint8Array.of(index))
          assert.deepStrictEqual((yield* connection.read)[0], Uint8Array.of(index))
        }
      }))
      assert.isAtLeast((yield* Clock.currentTimeMillis) - before, 3_600_000)
      assert.isBelow((yield* wire.counters).forth.offered, 100, "nobody says anything without a reason")
    })), 60_000)

  const neighbours = Effect.gen(function*() {
    const network = yield* Network
    const hosts = yield* Effect.forEach(Array.from({ length: 100 }), (_, index) => network.host(`host-${index}`))
    yield* network.lan(hosts, { conditions: { latency: Distribution.constant(1), loss: Loss.bernoulli(0.01) } })
    const payloads = hosts.map((_, index) => patterned(100 * 1024, index))
    yield* Effect.forEach(hosts, (host, index) =>
      host.fork(Effect.gen(function*() {
        const listener = yield* listen(7)
        yield* send(yield* listener.accept, payloads[index]!)
      })))
    yield* Effect.forEach(hosts, (host, index) => {
      const next = (index + 1) % hosts.length
      return host.run(Effect.flatMap(connect(hosts[next]!, 7), (connection) => expectAll(connection, payloads[next]!)))
    }, { concurrency: "unbounded" })
  })

  it.effect("let a hundred hosts on a switch talk to their neighbours", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* digestOf(neighbours, 1), yield* digestOf(neighbours, 1))
    }), 300_000)
})
