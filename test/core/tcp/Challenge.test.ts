/**
 * Blind attacks (RFC 5961), and how many answers they get.
 */
import { assert, describe, expect, it } from "@effect/vitest"
import { NetworkStack, Statistics, Tcp, TcpDefaults } from "@strata/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { Probe, tcp, TcpFlag } from "../../support/Probe.ts"
import { established, listening } from "../../support/tcpScript.ts"

const { ack, fin, psh, rst, syn } = TcpFlag
const answer = "<SEQ=101><ACK=301><CTL=ACK>"

describe("challenge acknowledgements (RFC 5961)", () => {
  const attacks: ReadonlyArray<readonly [string, string]> = [
    ["a reset in the window", "<SEQ=400><CTL=RST>"],
    ["a SYN in the window", "<SEQ=400><CTL=SYN>"],
    ["a SYN outside of it", "<SEQ=900000000><CTL=SYN>"],
    ["text that acknowledges what was never sent", "<SEQ=301><ACK=900000000><DATA=100><CTL=ACK>"],
    ["text that acknowledges what is long gone", "<SEQ=301><ACK=3900000000><DATA=100><CTL=ACK>"]
  ]
  for (const [what, segment] of attacks) {
    it(`${what} gets one, and no other within 500 ms (§7)`, () => {
      established().receives(segment).sends(answer)
        .passes(499).receives(segment, segment).sendsNothing()
        .passes(1).receives(segment).sends(answer)
        .is("ESTABLISHED").holds(0)
        .looks(({ counts }) => assert.strictEqual(counts.challenges, 2))
    })
  }

  it("a segment that is only late is answered, and is no challenge", () => {
    established().receives("<SEQ=201><ACK=101><CTL=ACK>").sends(answer)
      .receives("<SEQ=201><ACK=101><DATA=10><CTL=ACK>").sends(answer)
      .receives("<SEQ=201><ACK=101><DATA=10><CTL=ACK>").sends(answer)
      .looks(({ counts }) => assert.strictEqual(counts.challenges, 0))
  })

  it("a reset outside of the window gets nothing", () => {
    established().receives("<SEQ=900000000><CTL=RST>").sendsNothing().is("ESTABLISHED")
  })

  it("a reset for the next octet is believed", () => {
    established().receives("<SEQ=301><CTL=RST>").is("CLOSED", "reset")
    listening().receives("<SEQ=300><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
      .receives("<SEQ=302><CTL=RST>").sends("<SEQ=101><ACK=301><CTL=ACK>").is("SYN-RECEIVED")
      .receives("<SEQ=301><CTL=RST>").is("LISTEN")
  })
})

const limited = (defaults: typeof TcpDefaults.Service) =>
  Probe.layer().pipe(
    Layer.provideMerge(NetworkStack.layer),
    Layer.provide(Layer.succeed(TcpDefaults, defaults))
  )

const count = Effect.map(
  Effect.flatMap(Statistics, (statistics) => statistics.snapshot),
  (all) => (name: string) => all[`tcp.${name}`] ?? 0
)

describe("the answers of a whole stack", () => {
  it.effect("to segments of no connection have a limit in each second", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const storm = () => {
        for (let from = 1024; from < 6024; from++) {
          probe.send(tcp({ from, to: 4444, seq: from, ack: 1, flags: [ack, syn, fin | ack, psh][from % 4]! }))
        }
        return probe.takeTcp().length
      }
      const first = storm()
      expect(first).toBeGreaterThanOrEqual(50)
      expect(first).toBeLessThan(150)
      expect(storm()).toBe(0)
      yield* TestClock.adjust("1 second")
      const second = storm()
      expect(second).toBeGreaterThanOrEqual(50)
      const counted = yield* count
      expect(counted("resetsSent")).toBe(first + second)
      expect(counted("dropped.noConnection")).toBe(first + second)
      expect(counted("dropped.resetLimited")).toBe(15_000 - first - second)
      // A reset is never answered, and uses nothing up.
      yield* TestClock.adjust("1 second")
      probe.send(tcp({ from: 5000, to: 4444, seq: 1, flags: rst }))
      expect(probe.takeTcp()).toEqual([])
      expect((yield* count)("dropped.noConnection")).toBe(first + second + 1)
    }).pipe(Effect.provide(limited({ resetsPerSecond: 100 }), { local: true })))

  it.effect("to acknowledgements of SYNs that were never sent have the same", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      yield* (yield* Tcp).listen({ port: 7 })
      probe.send(tcp({ from: 5000, to: 7, seq: 1000, flags: syn }))
      probe.takeTcp()
      for (let guess = 0; guess < 200; guess++) probe.send(tcp({ from: 5000, to: 7, seq: 1001, ack: guess }))
      const sent = probe.takeTcp().length
      expect(sent).toBeGreaterThanOrEqual(5)
      expect(sent).toBeLessThan(15)
      expect((yield* count)("resetsLimited")).toBe(200 - sent)
    }).pipe(Effect.provide(limited({ resetsPerSecond: 10 }), { local: true })))

  it.effect("that challenge have one, however many connections are attacked", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const listener = yield* (yield* Tcp).listen({ port: 7 })
      const ports = Array.from({ length: 100 }, (_, index) => 5000 + index)
      for (const from of ports) {
        probe.send(tcp({ from, to: 7, seq: 1000, flags: syn }))
        const [answered] = probe.takeTcp()
        probe.send(tcp({ from, to: 7, seq: 1001, ack: answered!.seq + 1 }))
        const connection = yield* listener.accept
        // Nobody would answer a FIN.
        yield* Effect.addFinalizer(() => connection.abort)
      }
      for (const from of ports) probe.send(tcp({ from, to: 7, seq: 1500, flags: rst }))
      const sent = probe.takeTcp().length
      expect(sent).toBeGreaterThanOrEqual(10)
      expect(sent).toBeLessThan(30)
      const counted = yield* count
      expect(counted("challengesLimited")).toBe(100 - sent)
      expect(counted("established")).toBe(100)
    }).pipe(Effect.scoped, Effect.provide(limited({ challengesPerSecond: 20 }), { local: true })))
})
