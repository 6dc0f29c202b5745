import { describe, expect, it } from "@effect/vitest"
import type { Connection } from "@strata/core/tcp/Tcp"
import * as Distribution from "@strata/drivers/path/Distribution"
import * as Loss from "@strata/drivers/path/Loss"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import {
  bytes,
  connected,
  inet,
  LEFT,
  leftovers,
  NOTHING,
  pair,
  type PairOptions,
  readAll,
  readText,
  RIGHT,
  text,
  virtually
} from "../../support/tcpHosts.ts"
import { digest, patterned } from "../../support/transfer.ts"

const writeAndClose = (connection: Connection, all: Uint8Array) =>
  Effect.gen(function*() {
    for (let at = 0; at < all.length; at += 40_000) yield* connection.write(all.subarray(at, at + 40_000))
    yield* connection.closeWrite
  })

/** Both sides send at once, and each must get what the other one sent. */
const exchange = (options: PairOptions, length: number) =>
  Effect.gen(function*() {
    const { client, server } = yield* connected(yield* pair(options))
    const toServer = patterned(length, 1)
    const toClient = patterned(length, 2)
    const [, , atServer, atClient] = yield* Effect.all([
      writeAndClose(client, toServer),
      writeAndClose(server, toClient),
      readAll(server),
      readAll(client)
    ], { concurrency: "unbounded" })
    expect(digest(atServer)).toBe(digest(toServer))
    expect(digest(atClient)).toBe(digest(toClient))
    yield* Effect.all([client.closed, server.closed], { concurrency: "unbounded" })
  })

describe("a connection", () => {
  it(
    "is established on both sides, with each other's addresses",
    virtually(Effect.gen(function*() {
      const { client, listener, server } = yield* connected(yield* pair())
      expect(client.state()).toBe("ESTABLISHED")
      expect(server.state()).toBe("ESTABLISHED")
      expect(text(client.remote)).toBe(`${RIGHT}:${listener.local.port}`)
      expect(text(server.local)).toBe(text(client.remote))
      expect(text(server.remote)).toBe(text(client.local))
      expect(text(client.local)).toMatch(new RegExp(`^${LEFT}:`))
    }))
  )

  it("carries 10 MiB each way at once", virtually(exchange({}, 10 * 1024 * 1024)), 60_000)

  it(
    "carries octets over a path that delays, loses, doubles, corrupts and reorders",
    virtually(exchange({
      left: {
        outbound: {
          latency: Distribution.constant(20),
          loss: Loss.bernoulli(0.02),
          duplication: 0.02,
          corruption: 0.01,
          reordering: { probability: 0.05, packets: 3 }
        },
        inbound: { latency: Distribution.constant(20), loss: Loss.bernoulli(0.02), corruption: 0.01 }
      }
    }, 300_000)),
    60_000
  )

  it("carries octets over the smallest MTU there is, in fragments", virtually(exchange({ mtu: 68 }, 20_000)))

  it(
    "stops the writer while the reader is slow, and goes on when it reads",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair(), {
        client: { sendBuffer: 10_000 },
        server: { receiveBuffer: 5000 }
      })
      const all = patterned(100_000, 3)
      let written = 0
      const writing = yield* Effect.forkChild(Effect.gen(function*() {
        for (; written < all.length; written += 1000) yield* client.write(all.subarray(written, written + 1000))
        yield* client.closeWrite
      }))
      yield* Effect.sleep("10 minutes")
      expect(writing.pollUnsafe()).toBeUndefined()
      expect(written).toBeGreaterThan(5000)
      expect(written).toBeLessThanOrEqual(15_000)
      expect(server.status().receiveQueue).toBe(5000)
      const received: Array<Uint8Array> = []
      for (let count = 0; count < all.length;) {
        const chunks = yield* server.read
        received.push(...chunks)
        count += chunks.reduce((sum, chunk) => sum + chunk.length, 0)
        yield* Effect.sleep("30 millis")
      }
      expect(digest(Buffer.concat(received))).toBe(digest(all))
      yield* Fiber.join(writing)
    }))
  )

  it(
    "is half-closed by the client: the server still sends",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair())
      yield* client.write(bytes("question"))
      yield* client.closeWrite
      expect((yield* readAll(server)).toString()).toBe("question")
      yield* Effect.sleep("1 hour")
      expect([client.state(), server.state()]).toEqual(["FIN-WAIT-2", "CLOSE-WAIT"])
      yield* server.write(bytes("answer"))
      expect(yield* readText(client)).toBe("answer")
      yield* server.closeWrite
      expect((yield* readAll(client)).length).toBe(0)
      yield* server.closed
      yield* client.closed
      expect([client.state(), server.state()]).toEqual(["TIME-WAIT", "CLOSED"])
    }))
  )

  it(
    "is half-closed by the server: the client still sends",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair())
      yield* server.closeWrite
      expect((yield* readAll(client)).length).toBe(0)
      yield* client.write(patterned(200_000, 4))
      yield* client.closeWrite
      expect((yield* readAll(server)).length).toBe(200_000)
      yield* client.closed
    }))
  )

  it(
    "is closed by both at once",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ left: { outbound: { latency: Distribution.constant(10) } } })
      const { client, server } = yield* connected(hosts)
      yield* Effect.all([client.closeWrite, server.closeWrite], { concurrency: "unbounded" })
      yield* Effect.all([client.closed, server.closed], { concurrency: "unbounded" })
      expect([client.state(), server.state()]).toEqual(["TIME-WAIT", "TIME-WAIT"])
      yield* Effect.sleep("61 seconds")
      expect([client.state(), server.state()]).toEqual(["CLOSED", "CLOSED"])
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
    }))
  )

  it(
    "delivers what arrived before a reset, then says that it was reset",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair())
      yield* client.write(bytes("last words"))
      yield* Effect.sleep(10)
      yield* client.abort
      yield* Effect.sleep(10)
      expect(server.state()).toBe("CLOSED")
      expect(yield* readText(server)).toBe("last words")
      for (const attempt of [server.read, server.read, server.write(bytes("x")), server.closeWrite, server.closed]) {
        expect(yield* Effect.flip(attempt as Effect.Effect<void, { reason?: { _tag: string } }>)).toMatchObject({
          reason: { _tag: "ConnectionReset", remote: text(client.local) }
        })
      }
    }))
  )

  it(
    "is gone for its own side after an abort",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts)
      yield* server.write(bytes("unread"))
      const waiting = yield* Effect.forkChild(Effect.exit(client.write(new Uint8Array(1_000_000))))
      yield* Effect.sleep(10)
      yield* client.abort
      expect(Exit.isFailure(yield* Fiber.join(waiting))).toBe(true)
      expect(client.status()).toMatchObject({ sendQueue: 0, receiveQueue: 0 })
      for (const attempt of [client.read, client.write(bytes("x")), client.closed]) {
        expect(yield* Effect.flip(attempt as Effect.Effect<void, { reason?: { _tag: string } }>)).toMatchObject({
          reason: { _tag: "ConnectionClosed" }
        })
      }
      yield* Effect.sleep(10)
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
      expect(yield* leftovers(hosts.right)).toEqual({ ...NOTHING, listeners: 1 })
      expect((yield* hosts.left.counters)["tcp.resetsSent"]).toBe(1)
    }))
  )

  it(
    "wakes a reader that waits, whatever happens to the connection",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const first = yield* connected(hosts)
      const reset = yield* Effect.forkChild(Effect.flip(first.client.read))
      const second = yield* connected(hosts)
      const finished = yield* Effect.forkChild(Effect.flip(second.client.read))
      const third = yield* connected(hosts)
      const aborted = yield* Effect.forkChild(Effect.flip(third.client.read))
      yield* Effect.sleep(10)
      yield* first.server.abort
      yield* second.server.closeWrite
      yield* third.client.abort
      expect(yield* Fiber.join(reset)).toMatchObject({ reason: { _tag: "ConnectionReset" } })
      expect(yield* Fiber.join(finished)).toMatchObject({ _tag: "Done" })
      expect(yield* Fiber.join(aborted)).toMatchObject({ reason: { _tag: "ConnectionClosed" } })
    }))
  )

  it(
    "times out when the peer vanishes with octets on their way",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client } = yield* connected(hosts, { client: { settings: { retransmissions: 3 } } })
      yield* hosts.right.impairment.partition
      yield* client.write(bytes("hello?"))
      const reading = yield* Effect.flip(client.read)
      expect(reading).toMatchObject({ reason: { _tag: "ConnectionTimedOut" } })
      expect(yield* Effect.flip(client.closed)).toMatchObject({ reason: { _tag: "ConnectionTimedOut" } })
      // A tail loss probe, and what three timeouts send again.
      expect((yield* hosts.left.counters)["tcp.retransmitted"]).toBe(4)
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
    }))
  )

  it(
    "keeps the order of writes that wait at the same time",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair(), { client: { sendBuffer: 1000 } })
      const writers = yield* Effect.forkChild(
        Effect.forEach(["a", "b", "c", "d"], (letter) => client.write(bytes(letter.repeat(5000))), {
          concurrency: "unbounded"
        }).pipe(Effect.andThen(client.closeWrite))
      )
      expect((yield* readAll(server)).toString()).toMatch(/^a{5000}b{5000}c{5000}d{5000}$/)
      yield* Fiber.join(writers)
    }))
  )

  it(
    "sends a beginning of a write that is interrupted, and then what others write",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair(), {
        client: { sendBuffer: 1000 },
        server: { receiveBuffer: 2000 }
      })
      const long = yield* Effect.forkChild(client.write(bytes("a".repeat(50_000))))
      yield* Effect.sleep(100)
      const next = yield* Effect.forkChild(Effect.andThen(client.write(bytes("bbb")), client.closeWrite))
      yield* Effect.sleep(100)
      yield* Fiber.interrupt(long)
      const received = (yield* readAll(server)).toString()
      expect(received).toMatch(/^a+bbb$/)
      expect(received.length).toBeLessThanOrEqual(3003)
      yield* Fiber.join(next)
    }))
  )

  it(
    "closes behind a write that is interrupted",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair(), { client: { sendBuffer: 1000 } })
      const long = yield* Effect.forkChild(client.write(patterned(50_000, 1)))
      yield* Effect.yieldNow
      yield* client.closeWrite
      yield* Fiber.interrupt(long)
      expect((yield* readAll(server)).length).toBeLessThan(50_000)
      yield* server.closeWrite
      yield* client.closed
    }))
  )

  it(
    "sends in fragments at once where segments cannot be small enough",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair({ mtu: 68 }))
      const started = yield* Clock.currentTimeMillis
      yield* client.write(patterned(60, 1))
      for (let count = 0; count < 60;) for (const chunk of yield* server.read) count += chunk.length
      expect((yield* Clock.currentTimeMillis) - started).toBeLessThan(100)
    }))
  )

  it(
    "forbids fragments, so that it learns of smaller paths",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const flags = new Set<number>()
      // Behind the Ethernet header: the flags of IPv4 in the seventh octet, the protocol in the tenth.
      hosts.wire.onFrame(({ bytes: frame }) => frame[23] === 6 && flags.add(frame[20]! >>> 5))
      const { client, server } = yield* connected(hosts)
      yield* client.write(patterned(5000, 1))
      yield* server.read
      expect([...flags]).toEqual([2])
    }))
  )

  it(
    "tries again soon when the device had no room",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ capacity: 8 })
      const other = yield* connected(hosts)
      const { client, server } = yield* connected(hosts)
      const started = yield* Clock.currentTimeMillis
      // The other connection fills the wire, so that the first segment of this one is lost, and nothing is on its way.
      yield* other.client.write(patterned(8 * 1460, 1))
      yield* client.write(patterned(8 * 1460, 2))
      yield* client.closeWrite
      expect(digest(yield* readAll(server))).toBe(digest(patterned(8 * 1460, 2)))
      // Long before the retransmission timeout.
      expect((yield* Clock.currentTimeMillis) - started).toBeLessThan(150)
    }))
  )

  it(
    "goes on after everything that was sent in one turn is lost",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts)
      const reading = yield* Effect.forkChild(readAll(server))
      let written = 0
      for (; client.controlBlock().congestion.window < 80_000; written += 50_000) {
        yield* client.write(patterned(50_000, 1))
        yield* Effect.sleep(10)
      }
      yield* hosts.left.impairment.set("outbound", { blackhole: true })
      const before = (yield* hosts.left.counters)["tcp.sent"]!
      yield* client.write(patterned(60_000, 2))
      expect((yield* hosts.left.counters)["tcp.sent"]! - before).toBeGreaterThan(32)
      yield* hosts.left.impairment.set("outbound", { blackhole: false })
      yield* client.closeWrite
      const received = yield* Fiber.join(reading)
      expect(digest(received.subarray(written))).toBe(digest(patterned(60_000, 2)))
    }))
  )

  it(
    "does not lose octets to a reader that is interrupted",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair())
      const readers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(server.read))
      yield* Effect.sleep(1)
      yield* Fiber.interrupt(readers[0]!)
      yield* client.write(bytes("for the second"))
      expect(Buffer.concat(yield* Fiber.join(readers[1]!)).toString()).toBe("for the second")
      yield* client.write(bytes("for the third"))
      expect(Buffer.concat(yield* Fiber.join(readers[2]!)).toString()).toBe("for the third")
    }))
  )

  it(
    "is closed in order with its scope: all that was written arrives",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({
        left: { outbound: { latency: Distribution.constant(50), loss: Loss.bernoulli(0.05) } }
      })
      const listener = yield* hosts.right.tcp.listen()
      const all = patterned(150_000, 5)
      const sending = Effect.gen(function*() {
        const client = yield* hosts.left.tcp.connect({ remote: inet(RIGHT, listener.local.port) })
        yield* client.write(all)
        return client
      })
      const client = yield* Effect.scoped(sending)
      expect(yield* Effect.flip(client.write(bytes("x")))).toMatchObject({ reason: { _tag: "ConnectionClosed" } })
      const server = yield* listener.accept
      expect(digest(yield* readAll(server))).toBe(digest(all))
      yield* server.close
      yield* client.closed
      yield* Effect.sleep("61 seconds")
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
    }))
  )

  it(
    "survives the loss of every FIN but the last",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts)
      yield* hosts.left.impairment.set("outbound", { loss: Loss.numbers(1, 2, 3) })
      yield* client.close
      yield* Effect.sleep("10 seconds")
      expect((yield* readAll(server)).length).toBe(0)
      yield* hosts.right.impairment.set("outbound", { loss: Loss.numbers(1, 2) })
      yield* server.close
      yield* server.closed
      expect([client.state(), server.state()]).toEqual(["TIME-WAIT", "CLOSED"])
    }))
  )
})

describe("opening", () => {
  it(
    "is refused at once where nobody listens",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const error = yield* Effect.flip(hosts.left.tcp.connect({ remote: inet(RIGHT, 9) }))
      expect(error.reason).toMatchObject({ _tag: "ConnectionRefused", remote: `${RIGHT}:9` })
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
      const counters = yield* hosts.left.counters
      expect(counters).toMatchObject({ "tcp.activeOpens": 1, "tcp.failedAttempts": 1 })
      expect((yield* hosts.right.counters)["tcp.dropped.noConnection"]).toBe(1)
    }))
  )

  it(
    "gives up when nobody answers",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client } = yield* connected(hosts)
      yield* hosts.right.impairment.partition
      const attempt = hosts.left.tcp.connect({ remote: client.remote, settings: { synRetransmissions: 2 } })
      expect((yield* Effect.flip(attempt)).reason._tag).toBe("ConnectionTimedOut")
    }))
  )

  it(
    "fails where there is no such neighbour, and without a route",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const connect = (address: string) => Effect.flip(hosts.left.tcp.connect({ remote: inet(address, 9) }))
      expect((yield* connect("10.0.0.77")).reason._tag).toBe("Unreachable")
      expect((yield* connect("192.0.2.1")).reason._tag).toBe("Unreachable")
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
    }))
  )

  it(
    "is refused to broadcast, multicast and void addresses",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      for (const address of ["10.0.0.255", "255.255.255.255", "224.0.0.1", "0.0.0.0"]) {
        const error = yield* Effect.flip(hosts.left.tcp.connect({ remote: inet(address, 9) }))
        expect(error.reason._tag).toBe("Unreachable")
      }
      expect((yield* hosts.left.counters)["tcp.sent"]).toBeUndefined()
    }))
  )

  it(
    "from an address that is not the host's is an error",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const localAddress = inet("10.0.0.9", 1).address
      const connect = Effect.flip(hosts.left.tcp.connect({ remote: inet(RIGHT, 9), localAddress }))
      expect((yield* connect).reason).toMatchObject({ _tag: "AddressNotAvailable", address: "10.0.0.9" })
      const listen = Effect.flip(hosts.left.tcp.listen({ address: localAddress }))
      expect((yield* listen).reason._tag).toBe("AddressNotAvailable")
    }))
  )

  it(
    "takes a lost SYN and a lost SYN,ACK",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      yield* connected(hosts)
      yield* hosts.left.impairment.set("outbound", { loss: Loss.numbers(1) })
      yield* hosts.right.impairment.set("outbound", { loss: Loss.numbers(1) })
      const { client, server } = yield* connected(hosts)
      yield* client.write(bytes("at last"))
      expect(yield* readText(server)).toBe("at last")
    }))
  )

  it(
    "that is interrupted leaves nothing",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      yield* connected(hosts)
      yield* hosts.right.impairment.partition
      const scope = yield* Scope.make()
      const attempt = yield* Effect.forkChild(
        Scope.provide(hosts.left.tcp.connect({ remote: inet(RIGHT, 9), localPort: 5000 }), scope)
      )
      yield* Effect.sleep(100)
      expect((yield* leftovers(hosts.left)).connections).toBe(2)
      yield* Fiber.interrupt(attempt)
      expect((yield* leftovers(hosts.left)).connections).toBe(1)
      // The port is free again.
      yield* hosts.right.impairment.heal
      const error = yield* Effect.flip(hosts.left.tcp.connect({ remote: inet(RIGHT, 9), localPort: 5000 }))
      expect(error.reason._tag).toBe("ConnectionRefused")
    }))
  )

  it(
    "a thousand connections at once, which all carry and all end",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const listener = yield* hosts.right.tcp.listen({ backlog: 1000 })
      const serve = Effect.scoped(Effect.gen(function*() {
        const connection = yield* listener.accept
        yield* connection.write(yield* readAll(connection))
      }))
      yield* Effect.forkScoped(Effect.forEach(Array.from({ length: 1000 }), () => serve, { concurrency: "unbounded" }))
      const talk = (index: number) =>
        Effect.scoped(Effect.gen(function*() {
          const client = yield* hosts.left.tcp.connect({ remote: inet(RIGHT, listener.local.port) })
          const message = patterned(3000 + index, index)
          yield* client.write(message)
          yield* client.closeWrite
          expect(digest(yield* readAll(client))).toBe(digest(message))
        }))
      yield* Effect.forEach(Array.from({ length: 1000 }, (_, index) => index), talk, { concurrency: "unbounded" })
      yield* Effect.sleep("61 seconds")
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
      expect(yield* leftovers(hosts.right)).toEqual({ ...NOTHING, listeners: 1 })
      expect(yield* hosts.left.counters).toMatchObject({ "tcp.activeOpens": 1000 })
      expect(yield* hosts.right.counters).toMatchObject({ "tcp.passiveOpens": 1000 })
    })),
    60_000
  )
})
