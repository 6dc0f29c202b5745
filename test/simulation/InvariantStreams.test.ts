import { assert, describe, it } from "@effect/vitest"
import { Tcp } from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import { Distribution } from "@strata/drivers"
import { type Host, Network, Simulation } from "@strata/simulation"
import { makeWatch, type Watch } from "@strata/simulation/Invariants"
import * as InvariantStreams from "@strata/simulation/InvariantStreams"
import { Deferred, Effect, Fiber } from "effect"
import { patterned, readAll } from "../support/transfer.ts"

const wired = Effect.gen(function*() {
  const network = yield* Network
  const client = yield* network.host("client")
  const server = yield* network.host("server")
  yield* network.wire(client, server, { latency: Distribution.constant(5) })
  return { client, server }
})
const listen = (receiveBuffer?: number) => Effect.flatMap(Tcp, (tcp) => tcp.listen({ port: 7, receiveBuffer }))
const connect = (to: Host, localPort?: number) =>
  Effect.flatMap(
    Tcp,
    (tcp) => tcp.connect({ remote: toInet(fromIpv4(to.addresses()[0]!), 7), localPort, sendBuffer: 4000 })
  )

/** Both ends of a connection, for programs that do odd things with them; nothing may be found wrong with that. */
const connection = (program: (client: Connection, server: Connection) => Effect.Effect<void, unknown>) =>
  Simulation.run(Effect.orDie(Effect.gen(function*() {
    const { client, server } = yield* wired
    const other = yield* Deferred.make<Connection>()
    yield* server.fork(Effect.gen(function*() {
      yield* Deferred.succeed(other, yield* (yield* listen(3000)).accept)
      yield* Effect.never
    }))
    yield* client.run(Effect.gen(function*() {
      const connected = yield* connect(server)
      yield* program(connected, yield* Deferred.await(other))
    }))
  })))

describe("streams are compared", () => {
  it.effect("when writes wait for one another", () =>
    connection((client, server) =>
      Effect.gen(function*() {
        const reading = yield* Effect.forkChild(readAll(server))
        yield* Effect.all([
          client.write(patterned(9000, 1)),
          client.write(patterned(5, 2)),
          client.write(patterned(9000, 3))
        ], {
          concurrency: "unbounded"
        })
        yield* client.closeWrite
        assert.strictEqual((yield* Fiber.join(reading)).length, 18_005)
      })
    ))

  it.effect("when the plain face refuses to take some", () =>
    connection((client, server) =>
      Effect.gen(function*() {
        const { plain } = client
        assert.isFalse(plain.offer(patterned(5000, 1)))
        assert.isTrue(plain.offer(patterned(100, 2)))
        assert.deepStrictEqual((yield* server.read)[0], patterned(100, 2))
        assert.isTrue(plain.offer(patterned(3000, 3)))
        assert.isFalse(plain.offer(patterned(2000, 4)))
        yield* client.closeWrite
        assert.deepStrictEqual(yield* readAll(server), patterned(3000, 3))
      })
    ))

  it.effect("when a program changes octets that it has written", () =>
    connection((client, server) =>
      Effect.gen(function*() {
        const bytes = patterned(100, 1)
        yield* client.write(bytes)
        bytes.fill(0)
        assert.deepStrictEqual((yield* server.read)[0], patterned(100, 1))
      })
    ))

  it.effect("when a program uses a Buffer again that it has written", () =>
    connection((client, server) =>
      Effect.gen(function*() {
        const bytes = Buffer.from(patterned(100, 1))
        yield* client.write(bytes)
        bytes.fill(0)
        yield* client.closeWrite
        assert.deepStrictEqual(yield* readAll(server), patterned(100, 1))
      })
    ))

  it.effect("as far as is known, when a write is interrupted and more is written", () =>
    connection((client, server) =>
      Effect.gen(function*() {
        yield* Effect.timeoutOption(client.write(new Uint8Array(50_000).fill(1)), 20)
        yield* client.write(new Uint8Array(10).fill(2)).pipe(Effect.forkChild)
        const all = yield* Effect.forkChild(readAll(server))
        yield* Effect.sleep("5 seconds")
        yield* client.closeWrite
        const octets = yield* Fiber.join(all)
        assert.isBelow(octets.length, 50_000)
        assert.deepStrictEqual([...octets.subarray(-11)], [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2])
      })
    ))

  it.effect("as far as is known, when a write is interrupted for which another one waits", () =>
    connection((client, server) =>
      Effect.gen(function*() {
        const first = yield* Effect.forkChild(client.write(new Uint8Array(50_000).fill(1)))
        yield* Effect.sleep(1)
        yield* Effect.forkChild(client.write(new Uint8Array(10).fill(2)))
        yield* Effect.sleep(20)
        yield* Fiber.interrupt(first)
        const all = yield* Effect.forkChild(readAll(server))
        yield* Effect.sleep("5 seconds")
        yield* client.closeWrite
        assert.deepStrictEqual([...(yield* Fiber.join(all)).subarray(-11)], [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2])
      })
    ))

  it.effect("to the end, when the last write is interrupted", () =>
    connection((client, server) =>
      Effect.gen(function*() {
        yield* client.write(patterned(1000, 1))
        yield* Effect.timeoutOption(client.write(patterned(50_000, 2)), 20)
        yield* client.closeWrite
        assert.isAbove((yield* readAll(server)).length, 1000)
      })
    ))

  it.effect("whichever face of a connection a program has", () =>
    connection((client, server) =>
      Effect.gen(function*() {
        const { plain } = server
        yield* client.write(patterned(100, 1))
        yield* Effect.sleep(20)
        assert.deepStrictEqual(plain.take()?.map((chunk) => chunk.length), [100])
        // What one face did not see would not fit what the other one sees.
        const settled: Array<unknown> = []
        client.plain.write([patterned(10, 2), patterned(9000, 3)], (error) => settled.push(error))
        const reading = yield* Effect.forkChild(readAll(server))
        yield* Effect.sleep(100)
        assert.deepStrictEqual(settled, [undefined])
        client.plain.closeWrite()
        assert.strictEqual((yield* Fiber.join(reading)).length, 9010)
        assert.strictEqual(plain.behind(), "end")
      })
    ))

  it.effect("when reads are interrupted", () =>
    connection((client, server) =>
      Effect.gen(function*() {
        yield* Effect.forkChild(
          Effect.forEach([1, 2, 3, 4], (seed) => Effect.andThen(client.write(patterned(100, seed)), Effect.sleep(7)))
        )
        let octets = 0
        for (let read = 0; read < 20; read++) {
          const chunks = yield* Effect.timeoutOption(server.read, 3)
          if (chunks._tag === "Some") octets += chunks.value[0].length
        }
        assert.strictEqual(octets, 400)
      })
    ))

  it.effect("apart from those of an older connection between the same ports", () =>
    Simulation.run(Effect.gen(function*() {
      const { client, server } = yield* wired
      const reads = yield* server.fork(Effect.gen(function*() {
        const listener = yield* listen()
        const one = Effect.scoped(Effect.gen(function*() {
          const accepted = yield* listener.accept
          const octets = yield* readAll(accepted)
          yield* accepted.closeWrite
          yield* accepted.closed
          return octets.length
        }))
        return [yield* one, yield* one]
      }))
      for (const [octets, seed] of [[3000, 1], [2000, 2]] as const) {
        yield* client.run(Effect.gen(function*() {
          const connected = yield* connect(server, 50_000)
          yield* connected.write(patterned(octets, seed))
          yield* connected.closeWrite
          yield* Effect.ignore(readAll(connected))
          yield* connected.closed
        }))
        yield* Effect.sleep("2 minutes")
      }
      assert.deepStrictEqual(yield* Fiber.join(reads), [3000, 2000])
    })))
})

/** A connection of which nothing is known but what is asked for here. */
const fake = (endpoints: { local: number; remote: number }, iss: number, irs: number): Connection =>
  ({
    controlBlock: () => ({
      state: "ESTABLISHED",
      endpoints: {
        localAddress: endpoints.local,
        localPort: 1,
        remoteAddress: endpoints.remote,
        remotePort: 1
      },
      snd: { iss },
      rcv: { irs, nxt: irs + 1, unread: 0, fin: undefined }
    })
  }) as never

const pair = () => {
  const watch: Watch = makeWatch({ seed: 1, now: () => 0, onViolation: () => {} })
  const streams = InvariantStreams.make(watch)
  return {
    what: () => watch.violation()?.what,
    sender: streams.connected("a", fake({ local: 1, remote: 2 }, 100, 200)),
    receiver: streams.connected("b", fake({ local: 2, remote: 1 }, 200, 100)),
    stranger: streams.connected("c", fake({ local: 2, remote: 1 }, 200, 101))
  }
}

describe("a difference is found", () => {
  it("wherever it is", () => {
    for (const place of [0, 1, 3, 4, 7, 98, 99]) {
      const { receiver, sender, what } = pair()
      sender.writing(patterned(33, 1)).done()
      sender.writing(patterned(100, 1).subarray(33)).done()
      const chunk = patterned(100, 1)
      chunk[place]! ^= 1
      receiver.wasRead([chunk.subarray(0, 50), chunk.subarray(50)])
      assert.include(what(), `octet ${place} is `)
    }
  })

  it("when more is read than was written", () => {
    const { receiver, sender, what } = pair()
    sender.writing(patterned(10, 1))
    receiver.wasRead([patterned(11, 1)])
    assert.strictEqual(what(), "11 octets were read, but only 10 written")
  })

  it("when the end comes early, but not when the rest was never taken", () => {
    const early = pair()
    early.sender.writing(patterned(10, 1)).done()
    early.receiver.wasRead([patterned(9, 1)])
    early.receiver.wasFinished()
    assert.strictEqual(early.what(), "the stream ended after 9 octets, but 10 had been written before its end")

    const cut = pair()
    cut.sender.writing(patterned(10, 1)).interrupted()
    cut.receiver.wasRead([patterned(9, 1)])
    cut.receiver.wasFinished()
    assert.isUndefined(cut.what())
  })

  it("when nobody wrote to that connection", () => {
    const { sender, stranger, what } = pair()
    sender.writing(patterned(10, 1)).done()
    stranger.wasRead([patterned(10, 1)])
    assert.strictEqual(what(), "octets were read that nobody wrote")
  })
})
