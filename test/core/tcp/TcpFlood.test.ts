/**
 * Those who open connections and do not mean it: the SYN queue, cookies, and the accept queue.
 */
import { describe, expect, it } from "@effect/vitest"
import { Loss } from "@strata/drivers"
import * as Distribution from "@strata/drivers/path/Distribution"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { address, forge } from "../../support/forgery.ts"
import {
  bytes,
  connected,
  type Host,
  inet,
  ip,
  leftovers,
  pair,
  type PairOptions,
  readAll,
  readText,
  RIGHT,
  virtually
} from "../../support/tcpHosts.ts"
import { patterned } from "../../support/transfer.ts"

/** SYNs to a port of the right host that come from everywhere: 50 in each ten milliseconds, for ever. */
const flood = (from: Host, port: number) => {
  let sent = 0
  const one = Effect.suspend(() => {
    sent++
    return forge(from, {
      source: address(ip("10.0.0.3")) + sent % 200,
      destination: address(ip(RIGHT)),
      from: 1024 + sent % 50_000,
      to: port,
      seq: sent * 7919
    })
  })
  const burst = Effect.forEach(Array.from({ length: 50 }), () => one, { discard: true })
  return Effect.forkChild(Effect.forever(Effect.andThen(burst, Effect.sleep(10))))
}

const patient: PairOptions = {
  left: { inbound: { latency: Distribution.constant(5) }, outbound: { latency: Distribution.constant(5) } }
}

describe("a flood of SYNs (RFC 4987)", () => {
  it(
    "does not keep an honest client out, however long it goes on, and takes no more room than the backlog",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair(patient)
      const listener = yield* hosts.right.tcp.listen({ port: 80, backlog: 64 })
      yield* flood(hosts.left, 80)
      for (let round = 0; round < 8; round++) {
        yield* Effect.sleep(250)
        const before = yield* Clock.currentTimeMillis
        const client = yield* hosts.left.tcp.connect({ remote: inet(RIGHT, 80) })
        expect((yield* Clock.currentTimeMillis) - before).toBe(10)
        const server = yield* listener.accept
        yield* client.write(bytes(`round ${round}`))
        expect(yield* readText(server)).toBe(`round ${round}`)
        yield* client.close
        yield* server.close
        expect((yield* leftovers(hosts.right)).connections).toBeLessThanOrEqual(64 + round + 1)
      }
      const counters = yield* hosts.right.counters
      expect(counters["tcp.synCookiesSent"]).toBeGreaterThan(8000)
      expect(counters["tcp.synCookiesReceived"]).toBe(8)
      expect(counters["tcp.synCookiesFailed"]).toBeUndefined()
    }))
  )

  it(
    "without cookies, keeps it out",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair(patient)
      yield* hosts.right.tcp.listen({ port: 80, backlog: 64, synCookies: "off" })
      yield* flood(hosts.left, 80)
      yield* Effect.sleep(500)
      const attempt = yield* Effect.forkChild(
        hosts.left.tcp.connect({ remote: inet(RIGHT, 80), settings: { synRetransmissions: 2 } })
      )
      yield* Effect.sleep(400)
      expect(attempt.pollUnsafe()).toBeUndefined()
      expect((yield* hosts.right.counters)["tcp.dropped.synQueueFull"]).toBeGreaterThan(2000)
    }))
  )
})

describe("a connection that began with a cookie", () => {
  const whole = patterned(400_000, 1)

  it(
    "has all its options, and carries what it should",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair(patient)
      const { client, server } = yield* connected(hosts, {
        server: { synCookies: "always", receiveBuffer: 1_000_000 },
        client: { receiveBuffer: 500_000 }
      })
      const ours = server.controlBlock()
      const theirs = client.controlBlock()
      expect(ours.options).toEqual(theirs.options)
      expect(ours.options).toMatchObject({ windowScale: true, sack: true, timestamps: true })
      expect([ours.snd.scale, ours.rcv.scale]).toEqual([theirs.rcv.scale, theirs.snd.scale])
      expect(ours.rcv.scale).toBeGreaterThan(0)
      expect([ours.snd.mss, ours.snd.iss, ours.rcv.irs]).toEqual([theirs.snd.mss, theirs.rcv.irs, theirs.snd.iss])
      // The handshake was not timed, as nobody knows when it began.
      expect(ours.rtt.smoothed).toBeUndefined()
      const reading = yield* Effect.forkChild(Effect.all([readAll(server), readAll(client)], {
        concurrency: "unbounded"
      }))
      for (const end of [client, server]) {
        yield* Effect.forkChild(Effect.andThen(end.write(whole), end.closeWrite))
      }
      for (const read of yield* Fiber.join(reading)) expect(read.equals(whole)).toBe(true)
      expect(server.controlBlock().rtt.minimum).toBeCloseTo(10, 0)
    }))
  )

  it(
    "has no options but the MSS with a peer that has no timestamps",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ ...patient, leftDefaults: { settings: { timestamps: false } } })
      const { client, server } = yield* connected(hosts, { server: { synCookies: "always" } })
      for (const end of [client, server]) {
        expect(end.controlBlock().options).toMatchObject({ windowScale: false, sack: false, timestamps: false })
      }
      const reading = yield* Effect.forkChild(readAll(server))
      yield* Effect.andThen(client.write(whole), client.closeWrite)
      expect((yield* Fiber.join(reading)).equals(whole)).toBe(true)
    }))
  )

  it(
    "begins with its first text when the acknowledgement before was lost",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair(patient)
      const listener = yield* hosts.right.tcp.listen({ port: 80, synCookies: "always" })
      yield* connected(hosts)
      // The SYN passes; what acknowledges the SYN,ACK does not.
      const opening = yield* Effect.forkChild(hosts.left.tcp.connect({ remote: inet(RIGHT, 80) }))
      yield* Effect.sleep(7)
      yield* hosts.right.impairment.set("inbound", { loss: Loss.bernoulli(1) })
      const client = yield* Fiber.join(opening)
      yield* Effect.sleep(10)
      yield* hosts.right.impairment.set("inbound", { loss: Loss.bernoulli(0) })
      yield* client.write(bytes("hello"))
      expect(yield* readText(yield* listener.accept)).toBe("hello")
    }))
  )
})
