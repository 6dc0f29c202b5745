import { describe, expect, it } from "@effect/vitest"
import * as Distribution from "@strata/drivers/path/Distribution"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import {
  bytes,
  connected,
  inet,
  leftovers,
  NOTHING,
  pair,
  readAll,
  readText,
  RIGHT,
  virtually
} from "../../support/tcpHosts.ts"
import { patterned } from "../../support/transfer.ts"

describe("letting go of a connection", () => {
  it(
    "with octets unread resets it (RFC 1122 §4.2.2.13)",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts)
      yield* client.write(bytes("nobody reads this"))
      yield* Effect.sleep(10)
      yield* server.close
      expect(yield* Effect.flip(client.read)).toMatchObject({ reason: { _tag: "ConnectionReset" } })
      expect(yield* leftovers(hosts.right)).toEqual({ ...NOTHING, listeners: 1 })
    }))
  )

  it(
    "resets it when octets arrive later",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts)
      yield* server.close
      yield* Effect.sleep(10)
      expect(client.state()).toBe("CLOSE-WAIT")
      yield* client.write(bytes("too late"))
      yield* Effect.sleep(10)
      expect(client.state()).toBe("CLOSED")
      expect(yield* Effect.flip(client.closed)).toMatchObject({ reason: { _tag: "ConnectionReset" } })
      expect(yield* leftovers(hosts.right)).toEqual({ ...NOTHING, listeners: 1 })
    }))
  )

  for (const lets of ["close", "abort"] as const) {
    it(
      `is no end of the stream to those who still read, when octets before it are lost (${lets})`,
      virtually(Effect.gen(function*() {
        const { client, server } = yield* connected(yield* pair())
        yield* client.write(bytes("never read"))
        yield* client.closeWrite
        yield* Effect.sleep(10)
        expect(server.state()).toBe("CLOSE-WAIT")
        yield* server[lets]
        expect(yield* Effect.flip(server.read)).toMatchObject({ reason: { _tag: "ConnectionClosed" } })
      }))
    )
  }

  it(
    "is no end of the stream after the peer has reset the connection, either",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair())
      yield* client.write(bytes("never read"))
      yield* client.closeWrite
      yield* Effect.sleep(10)
      yield* client.abort
      yield* server.write(bytes("rejected"))
      yield* Effect.sleep(10)
      expect(server.state()).toBe("CLOSED")
      yield* server.close
      expect(yield* Effect.flip(server.read)).toMatchObject({ reason: { _tag: "ConnectionReset" } })
    }))
  )

  it(
    "is an ordinary end when everything was read",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts)
      yield* client.write(bytes("read"))
      expect(yield* readText(server)).toBe("read")
      yield* server.close
      expect((yield* readAll(client)).length).toBe(0)
      yield* client.closeWrite
      yield* client.closed
      yield* server.closed
      expect((yield* hosts.right.counters)["tcp.resetsSent"]).toBeUndefined()
    }))
  )

  it(
    "gives up writes that wait, and still sends what is in the buffer",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair(), {
        client: { sendBuffer: 5000 },
        server: { receiveBuffer: 2000 }
      })
      const writing = yield* Effect.forkChild(Effect.flip(client.write(patterned(50_000, 1))))
      yield* Effect.sleep(100)
      const buffered = server.status().receiveQueue + client.status().sendQueue
      expect(buffered).toBeGreaterThan(5000)
      yield* client.close
      expect(yield* Fiber.join(writing)).toMatchObject({ reason: { _tag: "ConnectionClosed" } })
      const received = yield* readAll(server)
      expect(received).toEqual(Buffer.from(patterned(50_000, 1).subarray(0, received.length)))
      expect(received.length).toBe(buffered)
    }))
  )

  it(
    "lets a half-close that was asked for first pass behind the writes that wait",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair(), { client: { sendBuffer: 1000 } })
      const writing = yield* Effect.forkChild(client.write(patterned(50_000, 1)))
      yield* Effect.yieldNow
      yield* client.closeWrite
      expect(yield* Effect.flip(client.write(bytes("x")))).toMatchObject({ reason: { _tag: "ConnectionClosed" } })
      expect((yield* readAll(server)).length).toBe(50_000)
      yield* Fiber.join(writing)
    }))
  )

  it(
    "gives FIN-WAIT-2 a minute, since nobody would ever end it",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts)
      yield* client.close
      yield* Effect.sleep("59 seconds")
      expect(client.state()).toBe("FIN-WAIT-2")
      yield* Effect.sleep("2 seconds")
      expect(client.state()).toBe("CLOSED")
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
      expect(server.state()).toBe("CLOSED")
    }))
  )

  it(
    "gives it a minute too when it was half-closed before",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client } = yield* connected(hosts)
      yield* client.closeWrite
      yield* Effect.sleep("1 hour")
      expect(client.state()).toBe("FIN-WAIT-2")
      yield* client.close
      yield* Effect.sleep("61 seconds")
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
    }))
  )

  it(
    "gives a peer that never opens its window a minute",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts, { server: { receiveBuffer: 1000 } })
      yield* client.write(patterned(5000, 1))
      yield* client.close
      yield* Effect.sleep("30 seconds")
      expect(client.state()).toBe("FIN-WAIT-1")
      yield* Effect.sleep("90 seconds")
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
      expect(yield* server.read).toHaveLength(1)
      expect(yield* Effect.flip(server.read)).toMatchObject({ reason: { _tag: "ConnectionReset" } })
    }))
  )

  it(
    "waits as long as a slow reader makes progress",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts, { server: { receiveBuffer: 1000 } })
      yield* client.write(patterned(5000, 1))
      yield* client.close
      let received = 0
      while (received < 5000) {
        yield* Effect.sleep("40 seconds")
        for (const chunk of yield* server.read) received += chunk.length
      }
      expect(received).toBe(5000)
      expect((yield* readAll(server)).length).toBe(0)
    }))
  )
})

describe("TIME-WAIT", () => {
  it(
    "lasts two maximum segment lifetimes, and then nothing is left",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts, { client: { settings: { maximumSegmentLifetime: 10_000 } } })
      yield* client.closeWrite
      yield* server.closeWrite
      yield* client.closed
      yield* Effect.sleep("19 seconds")
      expect((yield* leftovers(hosts.left)).connections).toBe(1)
      yield* Effect.sleep("2 seconds")
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
    }))
  )

  it(
    "does not keep a server from starting again on its port",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const first = yield* Effect.scoped(Effect.gen(function*() {
        const { client, server } = yield* connected(hosts, { server: { port: 7 } })
        yield* server.closeWrite
        yield* client.closeWrite
        yield* Effect.all([server.closed, client.closed])
        return server
      }))
      expect(first.state()).toBe("TIME-WAIT")
      const { client, server } = yield* connected(hosts, { server: { port: 7 } })
      yield* client.write(bytes("again"))
      expect(yield* readText(server)).toBe("again")
    }))
  )

  it(
    "gives way to a new connection of the same four numbers (RFC 6191)",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const listener = yield* hosts.right.tcp.listen({ port: 7 })
      // Faster than the clock of initial sequence numbers, so that the next one must be put beyond what was sent.
      const all = patterned(3_000_000, 1)
      const once = Effect.gen(function*() {
        const client = yield* hosts.left.tcp.connect({
          remote: inet(RIGHT, 7),
          localPort: 5000,
          settings: { maximumSegmentLifetime: 1 }
        })
        const server = yield* listener.accept
        const max = server.controlBlock().snd.iss
        const reading = yield* Effect.forkChild(readAll(client))
        yield* server.write(all)
        yield* server.closeWrite
        expect((yield* Fiber.join(reading)).equals(all)).toBe(true)
        yield* client.closeWrite
        yield* Effect.all([client.closed, server.closed])
        expect(server.state()).toBe("TIME-WAIT")
        return { iss: max, last: server.controlBlock().snd.max }
      })
      const first = yield* once
      yield* Effect.sleep(100)
      const second = yield* once
      expect((second.iss - first.last) >>> 0).toBeGreaterThan(0)
      expect((second.iss - first.last) >>> 0).toBeLessThan(0x8000_0000)
      expect((yield* hosts.right.counters)["tcp.connections"]).toBe(1)
    }))
  )

  it(
    "holds as many connections as the stack allows, and forgets the oldest",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ leftDefaults: { timeWaits: 50 } })
      const listener = yield* hosts.right.tcp.listen({ port: 7 })
      const other = yield* hosts.right.tcp.listen({ port: 8 })
      const once = Effect.fnUntraced(function*(from: typeof listener) {
        const [client, server] = yield* Effect.all([
          hosts.left.tcp.connect({
            remote: inet(RIGHT, from.local.port),
            settings: { maximumSegmentLifetime: 3_600_000 }
          }),
          from.accept
        ], { concurrency: "unbounded" })
        yield* client.closeWrite
        yield* server.closeWrite
        yield* Effect.all([client.closed, server.closed])
        return client
      }, Effect.scoped)
      const first = yield* once(listener)
      const second = yield* once(listener)
      for (let count = 2; count < 50; count++) yield* once(count % 2 === 0 ? listener : other)
      expect([first.state(), second.state()]).toEqual(["TIME-WAIT", "TIME-WAIT"])
      yield* once(listener)
      expect([first.state(), second.state()]).toEqual(["CLOSED", "TIME-WAIT"])
      expect((yield* leftovers(hosts.left)).connections).toBe(50)
    }))
  )
})

describe("the end of a stack", () => {
  it(
    "closes what is open: the peer gets all that was written, and a FIN",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ left: { outbound: { latency: Distribution.constant(20) } } })
      const { client, server } = yield* connected(hosts)
      yield* client.write(patterned(20_000, 1))
      const reading = yield* Effect.forkChild(readAll(server))
      yield* hosts.left.closeTcp
      expect((yield* Fiber.join(reading)).length).toBe(20_000)
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
    }))
  )

  it(
    "takes a second at the most, and resets what is left then",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts, { server: { receiveBuffer: 1000 } })
      yield* client.write(patterned(20_000, 1))
      yield* Effect.sleep(10)
      const before = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      yield* hosts.left.closeTcp
      expect((yield* Effect.clockWith((clock) => clock.currentTimeMillis)) - before).toBe(1000)
      yield* Effect.sleep(10)
      expect(server.state()).toBe("CLOSED")
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
    }))
  )
})
