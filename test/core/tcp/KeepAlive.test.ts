import { assert, describe, expect, it } from "@effect/vitest"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import * as Effect from "effect/Effect"
import { connected, pair, virtually } from "../../support/tcpHosts.ts"
import { established, listening, type ScriptOptions, type TcpScript } from "../../support/tcpScript.ts"

const settings = { keepAlive: true, keepAliveIdle: 10_000, keepAliveInterval: 1000, keepAliveProbes: 3 } as const
const asking = (more: ScriptOptions["settings"] = {}): TcpScript => established({ settings: { ...settings, ...more } })

const question = "<SEQ=100><ACK=301><WND=65535><CTL=ACK>"
const answer = "<SEQ=301><ACK=101><CTL=ACK>"

describe("keep-alives (RFC 9293 §3.8.4)", () => {
  it("are not sent unless somebody wants them", () => {
    const script = established()
    assert.strictEqual(rfc9293.deadline(script.tcb), Infinity)
    script.passes(100_000_000).sendsNothing()
  })

  it("ask after a time of silence, with the octet before SND.NXT, and ask again after as long when there is an answer", () => {
    const script = asking()
    for (let count = 0; count < 5; count++) {
      script.passes(9_999).sendsNothing().passes(1).sends(question).receives(answer).sendsNothing()
    }
    script.looks(({ counts, keepAlive }) => {
      assert.strictEqual(counts.keepAlives, 5)
      assert.strictEqual(keepAlive.asked, 0)
    })
  })

  it("give the connection up after as many questions as the settings say", () => {
    asking().passes(10_000).sends(question).passes(1000).sends(question).passes(1000).sends(question)
      .passes(999).is("ESTABLISHED").passes(1).is("CLOSED", "timedOut").sendsNothing()
  })

  it("begin anew with an answer to the last question", () => {
    asking().passes(10_000).sends(question).passes(1000).sends(question).passes(1000).sends(question)
      .passes(999).receives(answer).passes(9_999).sendsNothing().passes(1).sends(question)
  })

  it("count from whatever was heard last", () => {
    asking().passes(6000).receives("<SEQ=301><ACK=101><DATA=10><CTL=ACK>").passes(40)
      .sends("<SEQ=101><ACK=311><CTL=ACK>")
      .passes(9_959).sendsNothing().passes(1).sends("<SEQ=100><ACK=311><CTL=ACK>")
  })

  it("do not ask while something is on its way, which asks already", () => {
    asking({ retransmissions: 20 }).passes(9_900).writes(10).sends("<SEQ=101><ACK=301><DATA=10><CTL=ACK>")
      .passes(60_000).looks(({ counts }) => assert.strictEqual(counts.keepAlives, 0))
      .passed()
  })

  it("do not ask while text waits for the peer's window, either", () => {
    const script = asking().receives("<SEQ=301><ACK=101><WND=0><CTL=ACK>").writes(10)
    for (let count = 0; count < 30; count++) {
      script.passes(1000)
      if (script.passed() > 0) script.receives("<SEQ=301><ACK=101><WND=0><CTL=ACK>")
    }
    script.looks(({ counts }) => assert.strictEqual(counts.keepAlives, 0))
  })

  it("believe nobody who guesses", () => {
    asking().passes(10_000).sends(question)
      // Neither the sequence number nor the acknowledgement is the peer's.
      .receives("<SEQ=900000000><ACK=101><CTL=ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .receives("<SEQ=301><ACK=900000000><CTL=ACK>").sendsNothing()
      .passes(1000).sends(question).passes(1000).sends(question).passes(1000).is("CLOSED", "timedOut")
  })

  it("go on after half the connection was closed, and end with it", () => {
    asking().closes().sends("<SEQ=101><ACK=301><CTL=FIN,ACK>").receives("<SEQ=301><ACK=102><CTL=ACK>").is("FIN-WAIT-2")
      .passes(10_000).sends("<SEQ=101><ACK=301><CTL=ACK>")
      .receives("<SEQ=301><ACK=102><CTL=FIN,ACK>").sends("<SEQ=102><ACK=302><CTL=ACK>").is("TIME-WAIT")
      .passes(59_999).sendsNothing().passes(1).is("CLOSED", "finished")
  })

  it("start when the connection is established, not before", () => {
    listening({ settings: { ...settings, keepAliveIdle: 100 } }).receives("<SEQ=300><CTL=SYN>").sendsMany(1)
      .passes(900).sendsNothing().receives(answer).passes(99).sendsNothing().passes(1).sends(question)
  })

  it("give up by the user timeout where there is one, as Linux does", () => {
    asking({ userTimeout: 15_500 }).passes(10_000).sends(question)
      .passes(5000).sendsMany(5)
      .is("ESTABLISHED").passes(1000).is("CLOSED", "timedOut")
  })
})

describe("two hosts", () => {
  it(
    "keep an idle connection for ever when both are there",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts, {
        client: { settings: { keepAlive: true } },
        server: { settings: { keepAlive: true, keepAliveIdle: 100_000 } }
      })
      yield* Effect.sleep("3 days")
      expect([client.state(), server.state()]).toEqual(["ESTABLISHED", "ESTABLISHED"])
      // An answer to the one tells the other as much.
      expect((yield* hosts.left.counters)["tcp.keepAlives"]).toBeGreaterThan(30)
      expect((yield* hosts.right.counters)["tcp.keepAlives"]).toBeGreaterThan(2000)
    }))
  )

  it(
    "notice when the other one is gone",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts, { client: { settings } })
      yield* hosts.left.impairment.set("outbound", { blackhole: true })
      yield* Effect.sleep("12 seconds")
      expect(client.state()).toBe("ESTABLISHED")
      yield* Effect.sleep("2 seconds")
      expect(yield* Effect.flip(client.read)).toMatchObject({ reason: { _tag: "ConnectionTimedOut" } })
      expect(server.state()).toBe("ESTABLISHED")
    }))
  )
})
