import { assert, describe, it } from "@effect/vitest"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { connecting, type ScriptOptions, type TcpScript } from "../../support/tcpScript.ts"

/** Established with a round-trip time of 100 ms, and so a retransmission timeout of 300 ms. */
const connected = (userTimeout: number, settings: ScriptOptions["settings"] = {}): TcpScript =>
  connecting({ settings: { ...settings, userTimeout } }).sends("<SEQ=100><CTL=SYN>").passes(100)
    .receives("<SEQ=300><ACK=101><CTL=SYN,ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")

const text = "<SEQ=101><ACK=301><DATA=10><CTL=ACK>"

describe("the user timeout (RFC 5482)", () => {
  it("ends a connection whose text nobody acknowledges, as long after it first left", () => {
    connected(5000).writes(10).sends(text)
      .passes(300).sends(text).passes(600).sends(text).passes(1200).sends(text).passes(2400).sends(text)
      .passes(499).is("ESTABLISHED").passes(1).is("CLOSED", "timedOut").sendsNothing()
  })

  it("is told as unreachable when ICMP said so", () => {
    connected(500).writes(10).sends(text)
      .meets("a soft error", (tcb, now) => rfc9293.unreachable(tcb, 101, false, now))
      .passes(300).sends(text).passes(200).is("CLOSED", "unreachable")
  })

  it("is seen at the first retransmission timeout when it is shorter than that", () => {
    connected(50).writes(10).sends(text).passes(299).is("ESTABLISHED").passes(1).is("CLOSED", "timedOut").sendsNothing()
  })

  it("counts anew after each acknowledgement of something", () => {
    const script = connected(2000).writes(20).sends("<SEQ=101><ACK=301><DATA=20><CTL=ACK>")
      .passes(300).sendsMany(1).passes(600).sendsMany(1)
      .passes(1000).receives("<SEQ=301><ACK=111><CTL=ACK>")
    script.passed()
    script.passes(1500).is("ESTABLISHED").passed()
    script.passes(3000).is("CLOSED", "timedOut").passed()
  })

  it("does not count while nothing waits", () => {
    const script = connected(2000).writes(10).sends(text).passes(300).sends(text)
      .receives("<SEQ=301><ACK=111><CTL=ACK>").passes(1_000_000).sendsNothing().is("ESTABLISHED")
    assert.strictEqual(rfc9293.deadline(script.tcb), Infinity)
    // A second stall has the whole time again.
    script.writes(10).sendsMany(1).passes(1999).is("ESTABLISHED").passed()
    script.passes(1).is("CLOSED", "timedOut")
  })

  it("may be longer than as many retransmissions as there may be, which then count", () => {
    connected(1_000_000, { retransmissions: 1 }).writes(10).sends(text).passes(300).sends(text)
      .passes(600).is("CLOSED", "timedOut")
  })

  it("ends an attempt to connect", () => {
    connecting({ settings: { userTimeout: 2500 } }).sends("<SEQ=100><CTL=SYN>").passes(1000).sends("<SEQ=100><CTL=SYN>")
      .passes(1499).is("SYN-SENT").passes(1).is("CLOSED", "timedOut").sendsNothing()
  })

  it("ends a connection whose peer answers each probe, and never opens its window", () => {
    const script = connected(5000).writes(10).sends(text).passes(100)
      .receives("<SEQ=301><ACK=111><WND=0><CTL=ACK>").writes(1000).sendsNothing()
    let passed = 0
    for (; passed < 20_000 && script.tcb.state === "ESTABLISHED"; passed += 10) {
      script.passes(10)
      if (script.passed() > 0) script.receives("<SEQ=301><ACK=111><WND=0><CTL=ACK>")
    }
    // From the first probe, after 300 ms.
    assert.strictEqual(passed, 5300)
    script.is("CLOSED", "timedOut")
  })

  it("leaves a window alone that opens in time", () => {
    connected(5000).writes(10).sends(text).passes(100)
      .receives("<SEQ=301><ACK=111><WND=0><CTL=ACK>").writes(1000).sendsNothing()
      .passes(300).sendsMany(1).receives("<SEQ=301><ACK=111><WND=0><CTL=ACK>")
      .passes(600).sendsMany(1).receives("<SEQ=301><ACK=111><WND=5000><CTL=ACK>").sendsMany(1)
      .receives("<SEQ=301><ACK=1111><WND=5000><CTL=ACK>").passes(1_000_000).is("ESTABLISHED").sendsNothing()
  })
})
