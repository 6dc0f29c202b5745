import { assert, describe, it } from "@effect/vitest"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { connecting, listening, type ScriptOptions, type TcpScript } from "../../support/tcpScript.ts"

/** Established by an active OPEN with the given round-trip time, in milliseconds. */
const connected = (roundTrip: number, options: ScriptOptions = {}): TcpScript =>
  connecting(options).sends("<SEQ=100><CTL=SYN>").passes(roundTrip)
    .receives("<SEQ=300><ACK=101><CTL=SYN,ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")

const text = "<SEQ=101><ACK=301><DATA=10><CTL=ACK>"

describe("the SYN", () => {
  it("is sent again after 1 s, then at doubled intervals, and given up after six times (§3.8.3)", () => {
    const script = connecting().sends("<SEQ=100><MSS=1460><CTL=SYN>")
    for (const interval of [1000, 2000, 4000, 8000, 16_000, 32_000]) {
      script.passes(interval - 1).sendsNothing().passes(1).sends("<SEQ=100><MSS=1460><CTL=SYN>")
    }
    script.passes(59_999).is("SYN-SENT").passes(1).is("CLOSED", "timedOut").sendsNothing()
    assert.strictEqual(rfc9293.deadline(script.tcb), Infinity)
  })

  it("SYN,ACK likewise", () => {
    const script = listening({ settings: { synRetransmissions: 2 } }).receives("<SEQ=300><CTL=SYN>")
      .sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
      .passes(1000).sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
      .passes(2000).sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
    script.passes(4000).is("CLOSED", "timedOut")
  })

  it("that was lost leaves an RTO of 3 s behind (RFC 6298 §5.7)", () => {
    connecting().sends("<SEQ=100><CTL=SYN>").passes(1000).sends("<SEQ=100><CTL=SYN>")
      .receives("<SEQ=300><ACK=101><CTL=SYN,ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .writes(10).sends(text)
      .passes(2999).sendsNothing().passes(1).sends(text)
  })

  it("is not timed when a simultaneous open sends it twice (Karn)", () => {
    connecting().sends("<SEQ=100><CTL=SYN>").passes(100)
      .receives("<SEQ=300><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>").passes(50)
      .receives("<SEQ=301><ACK=101><CTL=ACK>").is("ESTABLISHED")
      .looks(({ rtt }) => assert.deepStrictEqual([rtt.smoothed, rtt.timeout], [undefined, 1000]))
  })

  it("measures the round-trip time", () => {
    connected(100).looks(({ rtt }) => {
      assert.strictEqual(rtt.smoothed, 100)
      assert.strictEqual(rtt.variance, 50)
      assert.strictEqual(rtt.timeout, 300)
    })
  })
})

describe("the retransmission timer (RFC 6298 §5)", () => {
  it("sends the oldest segment again, at doubled intervals up to the maximum", () => {
    const script = connected(100).writes(10).sends(text)
    for (const interval of [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 60_000, 60_000]) {
      script.passes(interval - 1).sendsNothing().passes(1).sends(text)
    }
  })

  it("gives up after as many times as the settings say", () => {
    connected(100, { settings: { retransmissions: 3 } }).writes(10).sends(text)
      .passes(300).sends(text).passes(600).sends(text).passes(1200).sends(text)
      .passes(2399).is("ESTABLISHED").passes(1).is("CLOSED", "timedOut").sendsNothing()
  })

  it("counts anew after an acknowledgement", () => {
    connected(100, { settings: { retransmissions: 1 } }).writes(10).sends(text).passes(300).sends(text)
      .receives("<SEQ=301><ACK=111><CTL=ACK>")
      .writes(10).sends("<SEQ=111><ACK=301><DATA=10><CTL=ACK>")
      .passes(600).is("ESTABLISHED").sends("<SEQ=111><ACK=301><DATA=10><CTL=ACK>")
      .passes(1200).is("CLOSED", "timedOut")
  })

  it("is told as unreachable when ICMP said so", () => {
    connected(100, { settings: { retransmissions: 1 } }).writes(10).sends(text)
      .meets("a soft error", (tcb, now) => rfc9293.unreachable(tcb, 101, false, now)).is("ESTABLISHED")
      .passes(300).sends(text).passes(600).is("CLOSED", "unreachable")
  })

  it("forgets what ICMP said when the peer answers after all", () => {
    connected(100, { settings: { retransmissions: 0 } }).writes(10).sends(text)
      .meets("a soft error", (tcb, now) => rfc9293.unreachable(tcb, 101, false, now))
      .receives("<SEQ=301><ACK=111><CTL=ACK>").writes(10).sendsMany(1).passes(1000).is("CLOSED", "timedOut")
  })

  it("5.2: is off when everything is acknowledged", () => {
    const script = connected(100).writes(10).sends(text).receives("<SEQ=301><ACK=111><CTL=ACK>")
    assert.strictEqual(rfc9293.deadline(script.tcb), Infinity)
    script.passes(1_000_000).sendsNothing()
  })

  it("5.3: starts anew with each acknowledgement of something", () => {
    connected(100).writes(2920).sendsMany(2).passes(250)
      .receives("<SEQ=301><ACK=1561><CTL=ACK>")
      .looks(({ deadlines, rtt }) => assert.strictEqual(deadlines.retransmit, 350 + rtt.timeout))
      .passes(51).sendsNothing()
  })

  it("a timer that fires late acts by the time it is, not the time it was due", () => {
    const script = connected(100).writes(10).sends(text)
    const late = rfc9293.elapse(script.tcb, script.queued, 10_000)
    const sent = rfc9293.output(late, script.queued, 10_000)
    assert.strictEqual(sent?.tcb.deadlines.retransmit, 10_600)
  })

  it("a call before the deadline does nothing", () => {
    const script = connected(100).writes(10).sends(text)
    assert.strictEqual(rfc9293.elapse(script.tcb, script.queued, 399), script.tcb)
  })

  it("Karn: what was sent twice is not timed, and the longer timeout stays until something else is", () => {
    const script = connected(100).writes(10).sends(text).passes(300).sends(text).passes(500)
      .receives("<SEQ=301><ACK=111><CTL=ACK>")
    script.looks(({ rtt }) => {
      assert.strictEqual(rtt.smoothed, 100)
      assert.strictEqual(rtt.timeout, 600)
    })
    script.writes(10).sends("<SEQ=111><ACK=301><DATA=10><CTL=ACK>").passes(100)
      .receives("<SEQ=301><ACK=121><CTL=ACK>")
      .looks(({ rtt }) => {
        assert.strictEqual(rtt.smoothed, 100)
        assert.strictEqual(rtt.timeout, 100 + 200)
      })
  })

  it("goes back to SND.UNA: what follows is sent again as the window opens (slow start from one segment)", () => {
    connected(100).writes(7300).sendsMany(5).passes(300)
      .sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>").sendsNothing()
      .receives("<SEQ=301><ACK=1561><CTL=ACK>").sends(
        "<SEQ=1561><ACK=301><DATA=1460><CTL=ACK>",
        "<SEQ=3021><ACK=301><DATA=1460><CTL=ACK>"
      )
  })

  it("an acknowledgement of what was sent before the timeout is accepted, and nothing of it goes again", () => {
    connected(100).writes(7300).sendsMany(5).passes(300).sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
      .receives("<SEQ=301><ACK=5941><CTL=ACK>").sends("<SEQ=5941><ACK=301><DATA=1460><CTL=ACK>")
      .receives("<SEQ=301><ACK=7401><CTL=ACK>").sendsNothing()
      .looks(({ snd }) => assert.strictEqual(snd.nxt, snd.max))
  })

  it("several small segments are sent again as one", () => {
    connected(100, { settings: { nagle: false } }).writes(10).sendsMany(1).writes(10).sendsMany(1)
      .passes(300).sends("<SEQ=101><ACK=301><DATA=20><CTL=ACK>")
  })

  it("a FIN is sent again, alone or with the text before it", () => {
    connected(100).writes(10).sends(text).closes().sends("<SEQ=111><ACK=301><CTL=FIN,ACK>")
      .passes(300).sends("<SEQ=101><ACK=301><DATA=10><CTL=FIN,ACK>")
      .receives("<SEQ=301><ACK=111><CTL=ACK>").is("FIN-WAIT-1").sendsNothing()
      .passes(600).sends("<SEQ=111><ACK=301><CTL=FIN,ACK>")
      .receives("<SEQ=301><ACK=112><CTL=ACK>").is("FIN-WAIT-2")
  })
})

/** Ten octets were acknowledged by a window of nothing, and a thousand more wait. */
const closed = (options: ScriptOptions = {}) =>
  connected(100, options).writes(10).sends(text).passes(100)
    .receives("<SEQ=301><ACK=111><WND=0><CTL=ACK>").writes(1000).sendsNothing()

const probe = "<SEQ=111><ACK=301><DATA=1><CTL=ACK>"

describe("zero windows (§3.8.6.1)", () => {
  it("are probed by one octet, at doubled intervals", () => {
    const script = closed()
    // After two measurements of 100 ms, four times RTTVAR is less than the least distance of 200 ms.
    for (const interval of [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 60_000, 60_000]) {
      script.passes(interval - 1).sendsNothing().passes(1).sends(probe)
        .receives("<SEQ=301><ACK=111><WND=0><CTL=ACK>").sendsNothing()
    }
  })

  it("are probed for ever while the peer answers", () => {
    const script = closed({ settings: { retransmissions: 3, maximumRetransmissionTimeout: 1000 } })
    for (const interval of [300, 600, ...Array.from({ length: 50 }, () => 1000)]) {
      script.passes(interval).sends(probe).receives("<SEQ=301><ACK=111><WND=0><CTL=ACK>")
    }
    script.is("ESTABLISHED")
  })

  it("end the connection when the peer answers no more", () => {
    closed({ settings: { retransmissions: 3 } })
      .passes(300).sends(probe).passes(600).sends(probe).passes(1200).sends(probe)
      .passes(2399).is("ESTABLISHED").passes(1).is("CLOSED", "timedOut")
  })

  it("that reopen let the text go at once", () => {
    closed().passes(300).sends(probe)
      .receives("<SEQ=301><ACK=111><WND=5000><CTL=ACK>").sends("<SEQ=111><ACK=301><DATA=1000><CTL=ACK>")
      .receives("<SEQ=301><ACK=1111><WND=5000><CTL=ACK>").passes(100_000).sendsNothing()
  })

  it("may take the probe's octet", () => {
    closed().passes(300).sends(probe)
      .receives("<SEQ=301><ACK=112><WND=0><CTL=ACK>").sendsNothing()
      .receives("<SEQ=301><ACK=112><WND=5000><CTL=ACK>").sends("<SEQ=112><ACK=301><DATA=999><CTL=ACK>")
  })

  it("answers to probes are no duplicates: nothing is thought lost", () => {
    const script = closed()
    for (const interval of [300, 600, 1200, 2400]) {
      script.passes(interval).sends(probe).receives("<SEQ=301><ACK=111><WND=0><CTL=ACK>")
    }
    script.looks(({ recovery }) => assert.deepStrictEqual([recovery.duplicates, recovery.phase], [0, "open"]))
  })

  it("that close while everything is sent again leave the persist timer alone to run", () => {
    connected(100).writes(2920).sendsMany(2).passes(300).sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
      .receives("<SEQ=301><ACK=1561><WND=0><CTL=ACK>").sendsNothing()
      .looks(({ deadlines }) => {
        assert.strictEqual(deadlines.retransmit, Infinity)
        assert.strictEqual(deadlines.persist, 400 + 600)
      })
  })

  it("are probed by a FIN when there is nothing else", () => {
    connected(100).writes(10).sends(text).passes(100).receives("<SEQ=301><ACK=111><WND=0><CTL=ACK>").closes()
      .sendsNothing()
      .is("FIN-WAIT-1").passes(300).sends("<SEQ=111><ACK=301><CTL=FIN,ACK>")
      .receives("<SEQ=301><ACK=112><WND=0><CTL=ACK>").is("FIN-WAIT-2").passes(100_000).sendsNothing()
  })

  it("of a peer that shrank its window below what is on its way are probed after the timeout", () => {
    connected(100).writes(2920).sendsMany(2).receives("<SEQ=301><ACK=101><WND=0><CTL=ACK>").sendsNothing()
      .passes(300).sends("<SEQ=101><ACK=301><DATA=1><CTL=ACK>")
      .passes(1200).sends("<SEQ=101><ACK=301><DATA=1><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><WND=65535><CTL=ACK>").sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
  })

  it("from the first segment on are probed too", () => {
    connecting().sends("<SEQ=100><CTL=SYN>").receives("<SEQ=300><ACK=101><WND=0><CTL=SYN,ACK>")
      .sends("<SEQ=101><ACK=301><CTL=ACK>").writes(10).sendsNothing()
      .passes(200).sends("<SEQ=101><ACK=301><DATA=1><CTL=ACK>")
    listening().receives("<SEQ=300><WND=0><CTL=SYN>").sendsMany(1).receives("<SEQ=301><ACK=101><WND=0><CTL=ACK>")
      .writes(10).sendsNothing().passes(200).sends("<SEQ=101><ACK=301><DATA=1><CTL=ACK>")
  })

  it("mean nothing once everything was said and acknowledged", () => {
    const script = connected(100).closes().sendsMany(1).receives("<SEQ=301><ACK=102><WND=0><CTL=ACK>").is("FIN-WAIT-2")
    assert.strictEqual(rfc9293.deadline(script.tcb), Infinity)
  })

  it("cost nothing but a timer while there is nothing to send", () => {
    connected(100).writes(10).sends(text).passes(100).receives("<SEQ=301><ACK=111><WND=0><CTL=ACK>")
      .passes(100_000).sendsNothing().is("ESTABLISHED").writes(1)
      .passes(300).sends("<SEQ=111><ACK=301><DATA=1><CTL=ACK>")
  })
})
