import { assert, describe, expect, it } from "@effect/vitest"
import * as Distribution from "@strata/drivers/path/Distribution"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import {
  bytes,
  connected,
  inet,
  pair,
  type PairOptions,
  readAll,
  readText,
  RIGHT,
  virtually
} from "../../support/tcpHosts.ts"
import { listening, type ScriptOptions, type TcpScript } from "../../support/tcpScript.ts"

/** TIME-WAIT at RCV.NXT = 302 and SND.NXT = 102; the peer's last timestamp was 5000 when it is `stamped`. */
const timeWait = (isStamped: boolean, settings: ScriptOptions["settings"] = {}): TcpScript => {
  const stamp = isStamped ? "<TS=5000/0>" : ""
  return listening({ settings })
    .receives(`<SEQ=300>${stamp}<CTL=SYN>`).sendsMany(1)
    .receives(`<SEQ=301><ACK=101>${stamp}<CTL=ACK>`)
    .closes().sendsMany(1)
    .receives(`<SEQ=301><ACK=102>${stamp}<CTL=FIN,ACK>`).sendsMany(1).is("TIME-WAIT")
}
const plain = () => timeWait(false)
const stamped = () => timeWait(true, { timestamps: true })

describe("a SYN in TIME-WAIT (RFC 6191 §2)", () => {
  const cases: ReadonlyArray<readonly [string, () => TcpScript, string, boolean]> = [
    ["beyond what was received, both without timestamps", plain, "<SEQ=500><CTL=SYN>", true],
    ["not beyond it", plain, "<SEQ=302><CTL=SYN>", false],
    ["far behind it", plain, "<SEQ=3000000000><CTL=SYN>", false],
    [
      "not beyond it, but with the first timestamp there was",
      () => timeWait(false, { timestamps: true }),
      "<SEQ=200><TS=1/0><CTL=SYN>",
      true
    ],
    ["the same, where timestamps are off here", plain, "<SEQ=200><TS=1/0><CTL=SYN>", false],
    ["behind, with a later timestamp", stamped, "<SEQ=200><TS=5001/0><CTL=SYN>", true],
    ["behind, with the same timestamp", stamped, "<SEQ=200><TS=5000/0><CTL=SYN>", false],
    ["beyond, with the same timestamp", stamped, "<SEQ=500><TS=5000/0><CTL=SYN>", true],
    ["beyond, with an earlier timestamp", stamped, "<SEQ=500><TS=4999/0><CTL=SYN>", false],
    ["beyond, without the timestamps of before", stamped, "<SEQ=500><CTL=SYN>", true],
    ["behind, without the timestamps of before", stamped, "<SEQ=200><CTL=SYN>", false],
    ["that acknowledges", plain, "<SEQ=500><ACK=102><CTL=SYN,ACK>", false]
  ]
  for (const [what, make, segment, reopens] of cases) {
    it(`${what}: ${reopens ? "may open the next connection" : "is answered only"}`, () => {
      const script = make()
      script.receives(segment).is("TIME-WAIT").sendsMany(1)
      assert.strictEqual(script.outcome?.reopens, reopens)
    })
  }

  it("a reset ends TIME-WAIT only when it names the next octet (RFC 1337, RFC 9293 §3.10.7.4)", () => {
    plain().receives("<SEQ=300><CTL=RST>", "<SEQ=301><CTL=RST>").is("TIME-WAIT").sendsNothing()
      .receives("<SEQ=303><CTL=RST>").is("TIME-WAIT").sendsMany(1)
      .receives("<SEQ=302><CTL=RST>").is("CLOSED", "finished")
  })
})

/** A host whose port 5000 is in TIME-WAIT towards port 7 of the other one, where someone still listens. */
const waiting = Effect.fnUntraced(function*(options: PairOptions = {}) {
  const hosts = yield* pair(options)
  const listener = yield* hosts.right.tcp.listen({ port: 7 })
  const connect = (localPort?: number) =>
    hosts.left.tcp.connect({ remote: inet(RIGHT, 7), ...(localPort === undefined ? {} : { localPort }) })
  const once = Effect.gen(function*() {
    const client = yield* connect(5000)
    const server = yield* listener.accept
    yield* client.closeWrite
    yield* readAll(server)
    yield* server.closeWrite
    yield* Effect.all([client.closed, server.closed])
    expect([client.state(), server.state()]).toEqual(["TIME-WAIT", "CLOSED"])
    return client.controlBlock()
  })
  return { hosts, listener, connect, before: yield* once }
})

describe("connecting from a port in TIME-WAIT (RFC 6191 §3)", () => {
  it(
    "is possible after a second, from beyond what was sent, and works",
    virtually(Effect.gen(function*() {
      const { before, connect, hosts, listener } = yield* waiting()
      yield* Effect.sleep(900)
      expect((yield* Effect.flip(connect(5000))).reason._tag).toBe("AddressInUse")
      yield* Effect.sleep(100)
      const client = yield* connect(5000)
      expect((client.controlBlock().snd.iss - before.snd.max) >>> 0).toBe(0x1_0000)
      yield* client.write(bytes("again"))
      expect(yield* readText(yield* listener.accept)).toBe("again")
      const counters = yield* hosts.left.counters
      expect(counters["tcp.timeWaitsReused"]).toBe(1)
      expect(counters["tcp.connections"]).toBe(1)
    }))
  )

  it(
    "waits for the end of TIME-WAIT without timestamps",
    virtually(Effect.gen(function*() {
      const { connect } = yield* waiting({ leftDefaults: { settings: { timestamps: false } } })
      yield* Effect.sleep("59 seconds")
      expect((yield* Effect.flip(connect(5000))).reason._tag).toBe("AddressInUse")
      yield* Effect.sleep("2 seconds")
      yield* connect(5000)
    }))
  )

  it(
    "is what is left when all other ports are taken; a free port is better",
    virtually(Effect.gen(function*() {
      const { before, connect, hosts } = yield* waiting()
      yield* Effect.sleep("2 seconds")
      for (let port = 49_152; port < 65_535; port++) yield* hosts.left.tcp.listen({ port })
      const last = yield* connect()
      expect(last.local.port).toBe(65_535)
      yield* last.closeWrite
      expect((yield* Effect.flip(connect())).reason._tag).toBe("PortsExhausted")
      expect(before.endpoints.localPort).toBe(5000)
    })),
    30_000
  )

  it(
    "is what is left when all other ports are in TIME-WAIT, too, once they are a second old",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      for (let port = 49_152; port < 65_530; port++) yield* hosts.left.tcp.listen({ port })
      const listener = yield* hosts.right.tcp.listen({ port: 7 })
      const once = Effect.gen(function*() {
        const client = yield* hosts.left.tcp.connect({ remote: inet(RIGHT, 7) })
        const server = yield* listener.accept
        yield* client.closeWrite
        yield* server.closeWrite
        yield* Effect.all([client.closed, server.closed])
        return client.local.port
      })
      const ports = new Set<number>()
      for (let count = 0; count < 6; count++) ports.add(yield* once)
      expect(ports.size).toBe(6)
      expect((yield* Effect.flip(once)).reason._tag).toBe("PortsExhausted")
      yield* Effect.sleep("1 second")
      for (let count = 0; count < 6; count++) yield* once
      expect((yield* hosts.left.counters)["tcp.timeWaitsReused"]).toBe(6)
      expect((yield* Effect.flip(once)).reason._tag).toBe("PortsExhausted")
    })),
    30_000
  )
})

describe("a listener whose peer comes again from the same port", () => {
  it(
    "lets it in at once by its later timestamp, though its sequence numbers begin anew",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const listener = yield* hosts.right.tcp.listen({ port: 7 })
      const scope = yield* Scope.make()
      const { client, server } = yield* Scope.provide(
        Effect.gen(function*() {
          const opened = yield* hosts.left.tcp.connect({
            remote: inet(RIGHT, 7),
            localPort: 5000,
            settings: { maximumSegmentLifetime: 1 }
          })
          return { client: opened, server: yield* listener.accept }
        }),
        scope
      )
      // Far more than the clock of initial sequence numbers gains.
      yield* Effect.forkChild(Effect.forever(server.read))
      yield* client.write(new Uint8Array(5_000_000))
      yield* server.closeWrite
      yield* client.closeWrite
      yield* Effect.all([client.closed, server.closed])
      yield* Scope.close(scope, Exit.void)
      expect(server.state()).toBe("TIME-WAIT")
      yield* Effect.sleep(10)
      const again = yield* hosts.left.tcp.connect({ remote: inet(RIGHT, 7), localPort: 5000 })
      expect((again.controlBlock().snd.iss - server.controlBlock().rcv.nxt) | 0).toBeLessThan(0)
      yield* again.write(bytes("new"))
      expect(yield* readText(yield* listener.accept)).toBe("new")
      expect(server.state()).toBe("CLOSED")
    }))
  )
})

describe("orphans", () => {
  it(
    "are as many as the stack allows; of more, the one let go of first is reset",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ leftDefaults: { orphans: 3 } })
      const all = []
      for (let count = 0; count < 5; count++) {
        const { client, server } = yield* connected(hosts, { server: { receiveBuffer: 1000 } })
        // Its window is too small for what is written, and nobody reads.
        yield* client.write(new Uint8Array(200_000))
        all.push({ client, server })
      }
      for (const { client } of all) yield* client.close
      yield* Effect.sleep(10)
      expect(all.map(({ client }) => client.state())).toEqual([
        "CLOSED",
        "CLOSED",
        "FIN-WAIT-1",
        "FIN-WAIT-1",
        "FIN-WAIT-1"
      ])
      expect((yield* hosts.left.counters)["tcp.orphansReset"]).toBe(2)
      // What ends leaves room.
      yield* all[2]!.server.abort
      yield* Effect.sleep(10)
      yield* (yield* connected(hosts)).client.close
      expect(all[3]!.client.state()).toBe("FIN-WAIT-1")
      expect((yield* hosts.left.counters)["tcp.orphansReset"]).toBe(2)
    }))
  )
})

/** Milliseconds that an effect takes. */
const elapsed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const before = yield* Clock.currentTimeMillis
    yield* effect
    return (yield* Clock.currentTimeMillis) - before
  })

describe("octets that orphans have not delivered", () => {
  it(
    "are as many as the stack allows, counted again as they are delivered",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ leftDefaults: { orphanOctets: 500_000 } })
      const one = Effect.gen(function*() {
        const both = yield* connected(hosts, { server: { receiveBuffer: 1000 } })
        yield* both.client.write(new Uint8Array(200_000))
        return both
      })
      const all = yield* Effect.forEach([0, 1, 2, 3], () => one)
      const states = () => all.map(({ client }) => client.state())
      yield* all[0]!.client.close
      yield* all[1]!.client.close
      expect(states()).toEqual(["FIN-WAIT-1", "FIN-WAIT-1", "ESTABLISHED", "ESTABLISHED"])
      // The first one delivers, and so the third one has room.
      yield* readAll(all[0]!.server)
      yield* Effect.sleep(10)
      yield* all[2]!.client.close
      expect(states()).toEqual(["FIN-WAIT-2", "FIN-WAIT-1", "FIN-WAIT-1", "ESTABLISHED"])
      yield* all[3]!.client.close
      expect(states()).toEqual(["CLOSED", "CLOSED", "FIN-WAIT-1", "FIN-WAIT-1"])
      expect((yield* hosts.left.counters)["tcp.orphansReset"]).toBe(2)
    }))
  )
})

describe("linger", () => {
  const distant: PairOptions = { left: { outbound: { latency: Distribution.constant(20) } } }

  it(
    "of 0 resets the connection at once, whatever is unsent",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts, { client: { linger: 0 } })
      yield* client.write(bytes("never mind"))
      yield* client.close
      expect(client.state()).toBe("CLOSED")
      yield* Effect.sleep(10)
      expect(server.state()).toBe("CLOSED")
      expect((yield* hosts.left.counters)["tcp.resetsSent"]).toBe(1)
    }))
  )

  it(
    "waits until all is acknowledged, the FIN included",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair(distant)
      const { client, server } = yield* connected(hosts, { client: { linger: 5000 } })
      yield* client.write(new Uint8Array(100_000))
      const reading = yield* Effect.forkChild(readAll(server))
      expect(yield* elapsed(client.close)).toBeLessThan(1000)
      expect(client.state()).toBe("FIN-WAIT-2")
      expect((yield* Fiber.join(reading)).length).toBe(100_000)
    }))
  )

  it(
    "is what the end of the scope waits, too",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ ...distant, leftDefaults: { linger: 3000 } })
      const listener = yield* hosts.right.tcp.listen({ port: 7, receiveBuffer: 1000 })
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(hosts.left.tcp.connect({ remote: inet(RIGHT, 7) }), scope)
      yield* listener.accept
      yield* client.write(new Uint8Array(100_000))
      expect(yield* elapsed(Scope.close(scope, Exit.void))).toBe(3000)
      expect(client.state()).toBe("CLOSED")
    }))
  )

  it(
    "that is over resets the connection",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair(distant)
      const { client, server } = yield* connected(hosts, {
        client: { linger: 3000 },
        server: { receiveBuffer: 1000 }
      })
      yield* client.write(new Uint8Array(100_000))
      expect(yield* elapsed(client.close)).toBe(3000)
      expect(client.state()).toBe("CLOSED")
      yield* Effect.sleep(100)
      expect(server.state()).toBe("CLOSED")
    }))
  )

  it(
    "is not there by default: closing returns at once",
    virtually(Effect.gen(function*() {
      const { client } = yield* connected(yield* pair(distant), { server: { receiveBuffer: 1000 } })
      yield* client.write(new Uint8Array(100_000))
      expect(yield* elapsed(client.close)).toBe(0)
      expect(client.state()).toBe("FIN-WAIT-1")
    }))
  )
})
