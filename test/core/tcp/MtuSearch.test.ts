/**
 * Paths that carry less than their ends believe, and do not say so.
 */
import { assert, describe, expect, it } from "@effect/vitest"
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { type Impairment, Loss } from "@strata/drivers"
import * as Distribution from "@strata/drivers/path/Distribution"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { connected, pair, type PairOptions, readAll, virtually } from "../../support/tcpHosts.ts"
import { listening, type TcpScript } from "../../support/tcpScript.ts"
import { patterned } from "../../support/transfer.ts"

/** With SACK, at a round-trip time of 100 ms; SND.NXT is 101, RCV.NXT 301. */
const open = (more: { readonly pathMtuProbing?: boolean } = {}): TcpScript =>
  listening({ settings: { selectiveAcknowledgement: true, tailLossProbe: false, pathMtuProbing: true, ...more } })
    .receives("<SEQ=300><SACKOK=1><CTL=SYN>").sendsMany(1).passes(100)
    .receives("<SEQ=301><ACK=101><CTL=ACK>").is("ESTABLISHED")

const mss = (script: TcpScript): number => script.tcb.snd.mss
const RTO = 300

describe("a black hole (RFC 8899 §4.4)", () => {
  it("is suspected when a large segment times out twice, and then given smaller ones, and smaller ones again", () => {
    const script = open().writes(4 * 1460).sendsMany(4)
    for (const [times, octets] of [[1, 1460], [2, 1024], [4, 1024], [8, 536], [16, 536]] as const) {
      // What else the window allows may follow.
      script.passes(times * RTO).sends(`<SEQ=101><ACK=301><DATA=${octets}><CTL=ACK>`).passed()
    }
    script.looks(({ counts }) => assert.strictEqual(counts.blackHoles, 2))
  })

  it("is none for a segment that was small anyway", () => {
    open().writes(1000).sendsMany(1).passes(RTO).sendsMany(1).passes(2 * RTO)
      .sends("<SEQ=101><ACK=301><DATA=1000><CTL=ACK>").passes(4 * RTO)
      .sends("<SEQ=101><ACK=301><DATA=1000><CTL=ACK>").passes(8 * RTO)
      .sends("<SEQ=101><ACK=301><DATA=536><CTL=ACK>").passed()
  })

  it("is not looked for where the settings say so", () => {
    const script = open({ pathMtuProbing: false }).writes(4 * 1460).sendsMany(4)
    for (const times of [1, 2, 4, 8, 16]) script.passes(times * RTO).sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
  })

  it("is none when the handshake times out", () => {
    listening({ settings: { pathMtuProbing: true } }).receives("<SEQ=300><CTL=SYN>").sendsMany(1)
      .passes(1000).sendsMany(1).passes(2000).sendsMany(1).passes(1).receives("<SEQ=301><ACK=101><CTL=ACK>")
      .writes(1460).sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
  })
})

/** After a black hole, with a window that is open wide, and much to send. */
const searching = (): TcpScript => {
  const script = open().writes(2 * 1460).sendsMany(2).passes(RTO).sendsMany(1).passes(2 * RTO).sendsMany(2)
  assert.strictEqual(mss(script), 1024)
  script.receives("<SEQ=301><ACK=3021><CTL=ACK>").passed()
  return script
    .meets("a window that grew", (tcb: ControlBlock) => ({
      ...tcb,
      congestion: { ...tcb.congestion, window: 60_000, slowStartThreshold: 60_000 },
      recovery: { ...tcb.recovery, phase: "open" }
    }))
    .writes(20_000)
}

describe("a probe (RFC 8899 §4.1)", () => {
  it("is one larger segment of new text, the largest first, and the rest is of the size that passes", () => {
    const script = searching()
    script.sends("<SEQ=3021><ACK=301><DATA=1460><CTL=ACK>", "<SEQ=4481><ACK=301><DATA=1024><CTL=ACK>").passed()
    script.receives("<SEQ=301><ACK=4481><CTL=ACK>").passed()
    assert.strictEqual(mss(script), 1460)
    script.looks(({ counts, path }) => {
      assert.strictEqual(counts.mtuProbesAnswered, 1)
      assert.strictEqual(path.probeAt, Infinity)
    })
  })

  it("that is lost is no congestion; its octets go again in smaller segments", () => {
    const script = searching()
    script.sends("<SEQ=3021><ACK=301><DATA=1460><CTL=ACK>").passed()
    const window = script.tcb.congestion.window
    script.passes(100).receives("<SEQ=301><ACK=3021><SACK=4481-8577><CTL=ACK>")
      .sends("<SEQ=3021><ACK=301><DATA=1024><CTL=ACK>", "<SEQ=4045><ACK=301><DATA=436><CTL=ACK>")
    script.passed()
    script.looks(({ congestion, recovery }) => {
      assert.strictEqual(recovery.phase, "open")
      assert.isAtLeast(congestion.window, window)
    })
    script.passes(100).receives(`<SEQ=301><ACK=${script.tcb.snd.nxt}><CTL=ACK>`)
    script.looks(({ counts, path, snd }) => {
      assert.deepStrictEqual([counts.mtuProbesLost, path.losses, path.failed, snd.mss], [1, 1, 1461, 1024])
    })
    script.passed()
  })

  it("beside which other segments are lost leaves those to count", () => {
    const script = searching()
    script.sends("<SEQ=3021><ACK=301><DATA=1460><CTL=ACK>").passed()
    script.passes(100).receives("<SEQ=301><ACK=3021><SACK=5505-9601><CTL=ACK>").passed()
    script.looks(({ recovery }) => assert.strictEqual(recovery.phase, "recovery"))
  })

  it("is not sent without enough text behind it, nor a window for both", () => {
    const script = searching()
    script.sends("<SEQ=3021><ACK=301><DATA=1460><CTL=ACK>").passed()
    const short = open().writes(2 * 1460).sendsMany(2).passes(RTO).sendsMany(1).passes(2 * RTO).sendsMany(2)
      .receives("<SEQ=301><ACK=3021><CTL=ACK>")
    short.passed()
    short.writes(3000).sends("<SEQ=3021><ACK=301><DATA=1024><CTL=ACK>").passed()
  })
})

const told = (script: TcpScript, seq: number, mtu: number) =>
  script.meets(`an MTU of ${mtu}`, (tcb, now) => rfc9293.pathMtu(tcb, seq, mtu, now))

describe("ICMP (RFC 1191)", () => {
  it("makes segments smaller at once, and larger ones are tried again after ten minutes", () => {
    const script = told(open().writes(2 * 1460).sendsMany(2), 101, 1300)
    script.sends("<SEQ=101><ACK=301><DATA=1260><CTL=ACK>").passed()
    script.receives("<SEQ=301><ACK=3021><CTL=ACK>").passed()
    script.meets("a window that grew", (tcb) => ({
      ...tcb,
      congestion: { ...tcb.congestion, window: 60_000, slowStartThreshold: 1 }
    })).passes(599_000).writes(10_000).sends("<SEQ=3021><ACK=301><DATA=1260><CTL=ACK>").passed()
    script.receives("<SEQ=301><ACK=13021><CTL=ACK>").passed()
    script.meets("a window that grew", (tcb) => ({
      ...tcb,
      congestion: { ...tcb.congestion, window: 60_000, slowStartThreshold: 1 },
      // The window is not to start anew after the pause.
      snd: { ...tcb.snd, sentAt: 600_000 }
    })).passes(1000).writes(10_000).sends("<SEQ=13021><ACK=301><DATA=1460><CTL=ACK>").passed()
  })

  it("says of a probe how much less will do", () => {
    const script = searching()
    script.sends("<SEQ=3021><ACK=301><DATA=1460><CTL=ACK>").passed()
    told(script, 3021, 1240).sends("<SEQ=3021><ACK=301><DATA=1024><CTL=ACK>").passed()
    script.looks(({ path, recovery, snd }) => {
      assert.deepStrictEqual([path.failed, snd.mss, recovery.phase], [1201, 1024, "open"])
    })
  })

  it("is not believed about what is not on its way", () => {
    const script = told(open().writes(1460).sendsMany(1), 1561, 600)
    script.looks(({ snd }) => assert.strictEqual(snd.mss, 1460))
    told(script, 100, 600).looks(({ snd }) => assert.strictEqual(snd.mss, 1460))
  })
})

/** Frames of more than `mtu` octets vanish on the way to the right. */
const narrow = (mtu: number): Impairment.Options => ({ inbound: { mtu, latency: Distribution.constant(10) } })

describe("a path that carries less than both ends believe, and does not tell", () => {
  const whole = patterned(1_500_000, 1)

  const transfer = Effect.fnUntraced(function*(options: PairOptions) {
    const hosts = yield* pair(options)
    const { client, server } = yield* connected(hosts)
    const send = Effect.gen(function*() {
      const before = yield* Clock.currentTimeMillis
      yield* client.write(whole)
      while (client.status().sendQueue > 0) yield* Effect.sleep(100)
      return (yield* Clock.currentTimeMillis) - before
    })
    const reading = yield* Effect.forkChild(readAll(server))
    return { hosts, client, reading, send }
  })

  for (const mtu of [1400, 1280, 1100, 800, 600]) {
    it(
      `${mtu} octets: gets all the same, in segments near to the largest that pass`,
      virtually(Effect.gen(function*() {
        const { client, reading, send } = yield* transfer({ right: narrow(mtu) })
        expect(yield* send).toBeLessThan(20_000)
        const { counts, snd } = client.controlBlock()
        // Headers of 40 octets, and timestamps of 12.
        const most = mtu - 52
        expect(snd.mss).toBeLessThanOrEqual(most)
        expect(snd.mss).toBeGreaterThan(most - 40)
        expect(counts.blackHoles).toBe(mtu < 1064 ? 2 : 1)
        yield* client.closeWrite
        expect((yield* Fiber.join(reading)).equals(Buffer.from(whole))).toBe(true)
      }))
    )
  }

  it(
    "is used in full again when it has healed",
    virtually(Effect.gen(function*() {
      const { client, hosts, send } = yield* transfer({ right: narrow(1200) })
      yield* send
      expect(client.controlBlock().snd.mss).toBeLessThan(1200)
      yield* hosts.right.impairment.set("inbound", { mtu: Infinity })
      yield* send
      expect(client.controlBlock().snd.mss).toBeLessThan(1200)
      yield* Effect.sleep("10 minutes")
      yield* send
      expect(client.controlBlock().snd.mss).toBe(1448)
    }))
  )

  it(
    "is not suspected for good after an outage",
    virtually(Effect.gen(function*() {
      const { client, hosts, send } = yield* transfer({ right: narrow(Infinity) })
      const sending = yield* Effect.forkChild(send)
      yield* Effect.sleep(50)
      yield* hosts.right.impairment.set("inbound", { loss: Loss.bernoulli(1) })
      yield* Effect.sleep("5 seconds")
      expect(client.controlBlock().snd.mss).toBe(524)
      yield* hosts.right.impairment.set("inbound", { loss: Loss.bernoulli(0) })
      yield* Fiber.join(sending)
      expect(client.controlBlock().snd.mss).toBe(1448)
    }))
  )
})

describe("the largest segment that a program allows", () => {
  it(
    "is announced, and kept to",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ leftDefaults: { settings: { maximumSegmentSize: 1000 } } })
      const { client, server } = yield* connected(hosts)
      expect([client.controlBlock().snd.mss, server.controlBlock().snd.mss]).toEqual([988, 988])
      const other = yield* connected(hosts, { client: { settings: { maximumSegmentSize: 100_000 } } })
      expect([other.client.controlBlock().snd.mss, other.server.controlBlock().snd.mss]).toEqual([1448, 1448])
    }))
  )
})
