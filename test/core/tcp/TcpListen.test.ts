import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import {
  bytes,
  connected,
  type Host,
  inet,
  LEFT,
  leftovers,
  NOTHING,
  pair,
  readAll,
  readText,
  RIGHT,
  text,
  virtually
} from "../../support/tcpHosts.ts"

const connect = (host: Host, port: number, options: { readonly localPort?: number } = {}) =>
  host.tcp.connect({ ...options, remote: inet(RIGHT, port), settings: { synRetransmissions: 1 } })

const open = (host: Host, port: number, mode: "active" | "passive", foreign?: [string, number]) =>
  host.tcp.open({ mode, local: { port }, foreign: foreign === undefined ? undefined : inet(...foreign) })

describe("a listener", () => {
  it(
    "chooses a free port when none is asked for",
    virtually(Effect.gen(function*() {
      const { right } = yield* pair()
      const ports = new Set<number>()
      for (let count = 0; count < 50; count++) ports.add((yield* right.tcp.listen()).local.port)
      expect(ports.size).toBe(50)
      for (const port of ports) expect(port).toBeGreaterThanOrEqual(49_152)
    }))
  )

  it(
    "has its port alone, until its scope closes",
    virtually(Effect.gen(function*() {
      const { right } = yield* pair()
      const address = inet(RIGHT, 1).address
      const scope = yield* Scope.make()
      yield* Scope.provide(right.tcp.listen({ port: 7 }), scope)
      for (const options of [{ port: 7 }, { port: 7, address }]) {
        const error = yield* Effect.flip(right.tcp.listen(options))
        expect(error.reason._tag).toBe("AddressInUse")
      }
      yield* right.tcp.listen({ port: 8, address })
      expect((yield* Effect.flip(right.tcp.listen({ port: 8 }))).reason).toMatchObject({ address: "0.0.0.0:8" })
      yield* Scope.close(scope, Exit.void)
      yield* right.tcp.listen({ port: 7, address })
    }))
  )

  it(
    "on one address does not answer for another",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      yield* hosts.right.tcp.listen({ port: 7, address: inet("127.0.0.1", 1).address }).pipe(Effect.exit)
      yield* hosts.right.tcp.listen({ port: 8, address: inet(RIGHT, 1).address })
      yield* connect(hosts.left, 8)
      expect((yield* Effect.flip(connect(hosts.left, 7))).reason._tag).toBe("ConnectionRefused")
    }))
  )

  it(
    "keeps as many connections as its backlog says, ignores more, and takes them later",
    virtually(
      Effect.gen(function*() {
        const hosts = yield* pair()
        const listener = yield* hosts.right.tcp.listen({ port: 7, backlog: 3 })
        for (let count = 0; count < 3; count++) yield* connect(hosts.left, 7)
        const late = yield* Effect.forkChild(connect(hosts.left, 7))
        yield* Effect.sleep(500)
        expect(late.pollUnsafe()).toBeUndefined()
        expect((yield* hosts.right.counters)["tcp.dropped.acceptQueueFull"]).toBe(1)
        yield* listener.accept
        // Its SYN, sent again, is let in.
        yield* Fiber.join(late)
        yield* Effect.sleep(10)
        expect(yield* leftovers(hosts.right)).toEqual({ connections: 4, established: 4, listeners: 1 })
      })
    )
  )

  it(
    "holds no more half-open connections than its backlog",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      yield* connected(hosts)
      yield* hosts.right.tcp.listen({ port: 7, backlog: 5, synCookies: "off" })
      // The SYNs arrive, the answers do not.
      yield* hosts.right.impairment.set("outbound", { blackhole: true })
      const attempts = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => Effect.forkChild(Effect.exit(connect(hosts.left, 7)))
      )
      yield* Effect.sleep(500)
      expect(yield* leftovers(hosts.right)).toMatchObject({ connections: 6, listeners: 2 })
      expect((yield* hosts.right.counters)["tcp.dropped.synQueueFull"]).toBe(15)
      yield* Effect.forEach(attempts, Fiber.join)
      yield* Effect.sleep("10 minutes")
      expect(yield* leftovers(hosts.right)).toMatchObject({ connections: 1 })
      yield* hosts.right.impairment.set("outbound", { blackhole: false })
      yield* connect(hosts.left, 7)
    }))
  )

  it(
    "forgets a connection that was reset before it was accepted",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const listener = yield* hosts.right.tcp.listen({ port: 7, backlog: 1 })
      const first = yield* connect(hosts.left, 7)
      yield* Effect.sleep(10)
      expect((yield* leftovers(hosts.right)).established).toBe(1)
      yield* first.abort
      yield* Effect.sleep(10)
      const second = yield* connect(hosts.left, 7)
      const accepted = yield* listener.accept
      expect(text(accepted.remote)).toBe(text(second.local))
    }))
  )

  it(
    "still gives a connection that the peer has closed, with what it sent",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const listener = yield* hosts.right.tcp.listen({ port: 7 })
      const client = yield* connect(hosts.left, 7)
      yield* client.write(bytes("before you looked"))
      yield* client.closeWrite
      yield* Effect.sleep(10)
      expect((yield* readAll(yield* listener.accept)).toString()).toBe("before you looked")
    }))
  )

  it(
    "resets the connections that nobody accepted when it closes, and ends those who wait",
    virtually(
      Effect.gen(function*() {
        const hosts = yield* pair()
        const scope = yield* Scope.make()
        const listener = yield* Scope.provide(hosts.right.tcp.listen({ port: 7 }), scope)
        const client = yield* connect(hosts.left, 7)
        const accepted = yield* connected(hosts)
        const other = yield* Scope.provide(hosts.right.tcp.listen({ port: 8 }), scope)
        const waiting = yield* Effect.forkChild(Effect.flip(other.accept))
        yield* Effect.sleep(10)
        yield* Scope.close(scope, Exit.void)
        expect((yield* Fiber.join(waiting)).reason._tag).toBe("ConnectionClosed")
        expect((yield* Effect.flip(listener.accept)).reason._tag).toBe("ConnectionClosed")
        expect(yield* Effect.flip(client.read)).toMatchObject({ reason: { _tag: "ConnectionReset" } })
        // Accepted connections are none of its business.
        yield* accepted.client.write(bytes("still here"))
        expect(yield* readText(accepted.server)).toBe("still here")
        expect(yield* leftovers(hosts.right)).toEqual({ connections: 1, established: 1, listeners: 1 })
      })
    )
  )

  it(
    "does not lose a connection to an accept that is interrupted",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const listener = yield* hosts.right.tcp.listen({ port: 7 })
      const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(listener.accept))
      yield* Effect.sleep(1)
      yield* Fiber.interrupt(waiting[0]!)
      const [first, second, third] = [
        yield* connect(hosts.left, 7),
        yield* connect(hosts.left, 7),
        yield* connect(hosts.left, 7)
      ]
      expect(text((yield* Fiber.join(waiting[1]!)).remote)).toBe(text(first.local))
      expect(text((yield* Fiber.join(waiting[2]!)).remote)).toBe(text(second.local))
      expect(text((yield* listener.accept).remote)).toBe(text(third.local))
    }))
  )

  it(
    "closes an accepted connection with the scope it was accepted in",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const listener = yield* hosts.right.tcp.listen({ port: 7 })
      const client = yield* connect(hosts.left, 7)
      yield* Effect.scoped(Effect.flatMap(listener.accept, (server) => server.write(bytes("bye"))))
      expect((yield* readAll(client)).toString()).toBe("bye")
    }))
  )
})

describe("ports", () => {
  it(
    "are random, in the ephemeral range, and the ones on the wire",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const seen: Array<number> = []
      hosts.wire.onFrame(({ bytes: frame, from }) => {
        // Ethernet, IPv4 without options, then the source port in network order.
        if (from === "left" && frame[23] === 6) seen.push(frame[34]! * 256 + frame[35]!)
      })
      const listener = yield* hosts.right.tcp.listen({ backlog: 200 })
      const chosen: Array<number> = []
      for (let count = 0; count < 100; count++) {
        chosen.push((yield* connect(hosts.left, listener.local.port)).local.port)
      }
      expect(new Set(seen)).toEqual(new Set(chosen))
      expect(new Set(chosen).size).toBe(100)
      expect(Math.min(...chosen)).toBeGreaterThanOrEqual(49_152)
      expect(Math.max(...chosen)).toBeLessThan(65_536)
      // Of a hundred random ones some lie in each quarter, and hardly any next to the one before.
      for (let quarter = 0; quarter < 4; quarter++) {
        expect(chosen.filter((port) => (port - 49_152) >>> 12 === quarter).length).toBeGreaterThan(5)
      }
      expect(chosen.filter((port, index) => port === chosen[index - 1]! + 1).length).toBeLessThan(5)
    }))
  )

  it(
    "given explicitly are in use once per peer, and free again afterwards",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      yield* hosts.right.tcp.listen({ port: 7 })
      yield* hosts.right.tcp.listen({ port: 8 })
      const client = yield* connect(hosts.left, 7, { localPort: 5000 })
      const again = yield* Effect.flip(connect(hosts.left, 7, { localPort: 5000 }))
      expect(again.reason).toMatchObject({ _tag: "AddressInUse", address: `${LEFT}:5000` })
      // The four numbers differ.
      yield* connect(hosts.left, 8, { localPort: 5000 })
      yield* client.abort
      yield* connect(hosts.left, 7, { localPort: 5000 })
      yield* hosts.left.tcp.listen({ port: 6000 })
      expect((yield* Effect.flip(connect(hosts.left, 7, { localPort: 6000 }))).reason._tag).toBe("AddressInUse")
    }))
  )

  it(
    "run out one day, and the error says so",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      for (let port = 49_152; port < 65_536; port++) yield* hosts.right.tcp.listen({ port })
      expect((yield* Effect.flip(hosts.right.tcp.listen())).reason._tag).toBe("PortsExhausted")
      const error = yield* Effect.flip(hosts.right.tcp.connect({ remote: inet(LEFT, 7) }))
      expect(error.reason._tag).toBe("PortsExhausted")
    })),
    30_000
  )

  it(
    "of failed attempts are free again",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      for (let count = 0; count < 50; count++) {
        const error = yield* Effect.flip(connect(hosts.left, 9, { localPort: 5000 }))
        expect(error.reason._tag).toBe("ConnectionRefused")
      }
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
      expect(yield* hosts.left.tcp.status).toEqual([])
    }))
  )
})

describe("OPEN and STATUS (RFC 9293 §3.9.1)", () => {
  it(
    "passive, takes the first peer that comes",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const passive = yield* open(hosts.right, 7, "passive")
      expect(passive.state()).toBe("LISTEN")
      expect((yield* hosts.right.tcp.status).map((each) => [text(each.local), text(each.remote), each.state])).toEqual([
        ["0.0.0.0:7", "0.0.0.0:0", "LISTEN"]
      ])
      const client = yield* connect(hosts.left, 7)
      yield* passive.established
      expect(text(passive.remote)).toBe(text(client.local))
      // The port is nobody's now: this was one connection, not a listener.
      expect((yield* Effect.flip(connect(hosts.left, 7))).reason._tag).toBe("ConnectionRefused")
      yield* open(hosts.right, 7, "passive")
      expect((yield* hosts.right.tcp.status).map((each) => each.state)).toEqual(["LISTEN", "ESTABLISHED"])
    }))
  )

  it(
    "passive, lets in only the peer it was opened for",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const first = yield* open(hosts.right, 7, "passive", [LEFT, 5000])
      const second = yield* open(hosts.right, 7, "passive", [LEFT, 5001])
      expect((yield* Effect.flip(open(hosts.right, 7, "passive", [LEFT, 5000]))).reason._tag).toBe("AddressInUse")
      yield* connect(hosts.left, 7, { localPort: 5001 })
      yield* second.established
      expect((yield* Effect.flip(connect(hosts.left, 7, { localPort: 5002 }))).reason._tag).toBe("ConnectionRefused")
      yield* connect(hosts.left, 7, { localPort: 5000 })
      yield* first.established
    }))
  )

  it(
    "passive, for one peer, goes before a listener for all",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const listener = yield* hosts.right.tcp.listen({ port: 7 })
      const passive = yield* open(hosts.right, 7, "passive", [LEFT, 5000])
      yield* connect(hosts.left, 7, { localPort: 5000 })
      yield* passive.established
      const other = yield* connect(hosts.left, 7, { localPort: 5001 })
      expect(text((yield* listener.accept).remote)).toBe(text(other.local))
    }))
  )

  it(
    "passive, listens again when its peer resets before it is established",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      yield* connected(hosts)
      const passive = yield* open(hosts.right, 7, "passive")
      const queued = yield* Effect.forkChild(passive.write(bytes("written while listening")))
      yield* hosts.right.impairment.set("outbound", { blackhole: true })
      const attempt = yield* Effect.forkChild(connect(hosts.left, 7, { localPort: 5000 }))
      yield* Effect.sleep(10)
      expect(passive.state()).toBe("SYN-RECEIVED")
      yield* Fiber.interrupt(attempt)
      // The SYN,ACK finds nobody any more.
      yield* hosts.right.impairment.set("outbound", { blackhole: false })
      yield* Effect.sleep("2 seconds")
      expect(passive.state()).toBe("LISTEN")
      expect((yield* leftovers(hosts.right)).connections).toBe(1)
      const client = yield* connect(hosts.left, 7)
      yield* passive.established
      expect(yield* readText(client)).toBe("written while listening")
      yield* Fiber.join(queued)
    }))
  )

  it(
    "active from both sides at once makes one connection",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      yield* connected(hosts)
      const left = yield* open(hosts.left, 5000, "active", [RIGHT, 6000])
      const right = yield* open(hosts.right, 6000, "active", [LEFT, 5000])
      expect([left.state(), right.state()]).toEqual(["SYN-SENT", "SYN-SENT"])
      yield* left.established
      yield* right.established
      yield* left.write(bytes("both"))
      expect(yield* readText(right)).toBe("both")
    }))
  )

  it(
    "active, queues what is written before it is established",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const passive = yield* open(hosts.right, 7, "passive")
      const active = yield* open(hosts.left, 0, "active", [RIGHT, 7])
      yield* active.write(bytes("early"))
      expect(yield* readText(passive)).toBe("early")
    }))
  )

  it(
    "ends a connection in SYN-SENT with CLOSE (§3.10.4)",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const active = yield* open(hosts.left, 0, "active", [RIGHT, 7])
      yield* active.closeWrite
      expect(active.state()).toBe("CLOSED")
      expect(yield* leftovers(hosts.left)).toEqual(NOTHING)
    }))
  )

  it(
    "active without a peer is an error",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      expect((yield* Effect.flip(open(hosts.left, 0, "active"))).reason._tag).toBe("Unreachable")
    }))
  )

  it(
    "is closed with its scope, in LISTEN too",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const passive = yield* Effect.scoped(open(hosts.right, 7, "passive"))
      expect(passive.state()).toBe("CLOSED")
      expect(yield* leftovers(hosts.right)).toEqual(NOTHING)
      expect(yield* Effect.flip(passive.established)).toMatchObject({ reason: { _tag: "ConnectionClosed" } })
    }))
  )
})
