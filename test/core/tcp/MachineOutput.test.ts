import { assert, describe, it } from "@effect/vitest"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { connecting, established, listening } from "../../support/tcpScript.ts"

describe("segment sizes (§3.7.1)", () => {
  it("the effective MSS is the smaller of the peer's and ours", () => {
    established({ peerMss: 1000 }).writes(2500).sends(
      "<SEQ=101><ACK=301><DATA=1000><CTL=ACK>",
      "<SEQ=1101><ACK=301><DATA=1000><CTL=ACK>",
      "<SEQ=2101><ACK=301><DATA=500><CTL=PSH,ACK>"
    )
    established({ mss: 500 }).writes(600).sends(
      "<SEQ=101><ACK=301><DATA=500><CTL=ACK>",
      "<SEQ=601><ACK=301><DATA=100><CTL=PSH,ACK>"
    )
  })

  it("a peer that announces none gets 536 octets", () => {
    established({ peerMss: "none" }).writes(600).sends(
      "<SEQ=101><ACK=301><DATA=536><CTL=ACK>",
      "<SEQ=637><ACK=301><DATA=64><CTL=ACK>"
    )
  })

  it("a peer that announces nonsense gets segments of a bearable size", () => {
    for (const mss of [0, 1, 47]) {
      established({ peerMss: mss }).writes(50).sends(
        "<SEQ=101><ACK=301><DATA=48><CTL=ACK>",
        "<SEQ=149><ACK=301><DATA=2><CTL=ACK>"
      )
    }
  })

  it("an MSS option beside no SYN means nothing", () => {
    established().receives("<SEQ=301><ACK=101><MSS=100><CTL=ACK>").writes(1460)
      .sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
  })

  it("a device that cuts gets whole segments together, and the tail with them", () => {
    const { tcb } = established({ peerMss: 1000 })
    const sent = rfc9293.output(tcb, 2500, 0, 65_000)
    assert.strictEqual(sent?.segment.length, 2500)
    const limited = rfc9293.output(tcb, 9500, 0, 3500)
    assert.strictEqual(limited?.segment.length, 3000, "the limit is filled by whole segments only")
    assert.strictEqual(rfc9293.output(tcb, 9500, 0, 10)?.segment.length, 1000, "a limit below the MSS is none")
  })

  it("PSH marks the end of what is queued", () => {
    established().writes(1460 + 10).sends(
      "<SEQ=101><ACK=301><DATA=1460><CTL=ACK>",
      "<SEQ=1561><ACK=301><DATA=10><CTL=PSH,ACK>"
    )
  })
})

describe("the peer's window", () => {
  it("limits what is on its way", () => {
    established({ peerWindow: 2920 }).writes(10_000).sends(
      "<SEQ=101><ACK=301><DATA=1460><CTL=ACK>",
      "<SEQ=1561><ACK=301><DATA=1460><CTL=ACK>"
    ).receives("<SEQ=301><ACK=1561><WND=2920><CTL=ACK>").sends("<SEQ=3021><ACK=301><DATA=1460><CTL=ACK>")
  })

  it("may be taken back: the usable window is then nothing, not a huge number", () => {
    established({ peerWindow: 4380 }).writes(10_000).sendsMany(3)
      .receives("<SEQ=301><ACK=1561><WND=1000><CTL=ACK>").sendsNothing()
      .receives("<SEQ=301><ACK=4481><WND=1460><CTL=ACK>").sends("<SEQ=4481><ACK=301><DATA=1460><CTL=ACK>")
  })

  it("reopens by an acknowledgement of nothing new", () => {
    established({ peerWindow: 1460 }).writes(3000).sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
      .receives("<SEQ=301><ACK=1561><WND=0><CTL=ACK>").sendsNothing()
      .receives("<SEQ=301><ACK=1561><WND=5000><CTL=ACK>").sends(
        "<SEQ=1561><ACK=301><DATA=1460><CTL=ACK>",
        "<SEQ=3021><ACK=301><DATA=80><CTL=ACK>"
      )
  })

  it("is taken from the newest segment only (SND.WL1, SND.WL2)", () => {
    established().writes(10).sends("<SEQ=101><ACK=301><DATA=10><CTL=ACK>")
      .receives("<SEQ=401><ACK=111><WND=5000><DATA=10><CTL=ACK>").sends("<SEQ=111><ACK=301><CTL=ACK>")
      .receives("<SEQ=301><ACK=111><WND=10><DATA=10><CTL=ACK>").sendsMany(1)
      .looks(({ snd }) => assert.strictEqual(snd.wnd, 5000))
      .receives("<SEQ=401><ACK=101><WND=10><DATA=10><CTL=ACK>").sendsMany(1)
      .receives("<SEQ=411><ACK=101><WND=10><DATA=10><CTL=ACK>").sendsMany(1)
      .looks(({ snd }) => assert.strictEqual(snd.wnd, 5000))
  })
})

describe("silly windows, the sender's side (§3.8.6.2.1)", () => {
  it("waits for room for a full segment while something is on its way", () => {
    established({ peerWindow: 4000 }).writes(10_000).sends(
      "<SEQ=101><ACK=301><DATA=1460><CTL=ACK>",
      "<SEQ=1561><ACK=301><DATA=1460><CTL=ACK>"
    ).receives("<SEQ=301><ACK=1561><WND=3000><CTL=ACK>").sends("<SEQ=3021><ACK=301><DATA=1460><CTL=ACK>")
  })

  it("uses half of the largest window a small peer ever offered", () => {
    established({ peerWindow: 600 }).writes(10_000).sends("<SEQ=101><ACK=301><DATA=600><CTL=ACK>")
      .receives("<SEQ=301><ACK=701><WND=299><CTL=ACK>").sendsNothing()
      .receives("<SEQ=301><ACK=701><WND=300><CTL=ACK>").sends("<SEQ=701><ACK=301><DATA=300><CTL=ACK>")
  })

  it("remembers the largest window from the SYN on", () => {
    listening().receives("<SEQ=300><WND=2000><CTL=SYN>").sendsMany(1).receives("<SEQ=301><ACK=101><WND=100><CTL=ACK>")
      .writes(1000).sendsNothing()
      .receives("<SEQ=301><ACK=101><WND=1000><CTL=ACK>").sends("<SEQ=101><ACK=301><DATA=1000><CTL=ACK>")
  })

  it("sends into a silly window when the override timer says so", () => {
    established({ peerWindow: 1460 }).writes(10_000).sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
      .receives("<SEQ=301><ACK=1561><WND=100><CTL=ACK>").sendsNothing()
      .passes(199).sendsNothing().passes(1).sends("<SEQ=1561><ACK=301><DATA=100><CTL=ACK>")
      .receives("<SEQ=301><ACK=1661><WND=0><CTL=ACK>").sendsNothing()
  })

  it("the last octets do not wait", () => {
    established({ peerWindow: 1460 }).writes(1470).sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
      .receives("<SEQ=301><ACK=1561><WND=20><CTL=ACK>").sends("<SEQ=1561><ACK=301><DATA=10><CTL=PSH,ACK>")
  })
})

describe("Nagle's algorithm (§3.7.4, as in appendix A.3)", () => {
  it("a small segment waits while another is unacknowledged", () => {
    established().writes(10).sends("<SEQ=101><ACK=301><DATA=10><CTL=ACK>")
      .writes(10).writes(10).sendsNothing()
      .receives("<SEQ=301><ACK=111><CTL=ACK>").sends("<SEQ=111><ACK=301><DATA=20><CTL=ACK>")
  })

  it("a full segment does not wait, and its tail does not wait for it", () => {
    established().writes(10).sends("<SEQ=101><ACK=301><DATA=10><CTL=ACK>")
      .writes(1470).sends("<SEQ=111><ACK=301><DATA=1460><CTL=ACK>")
      .receives("<SEQ=301><ACK=111><CTL=ACK>").sends("<SEQ=1571><ACK=301><DATA=10><CTL=ACK>")
  })

  it("a CLOSE ends the waiting: the last octets go with the FIN", () => {
    established().writes(10).sends("<SEQ=101><ACK=301><DATA=10><CTL=ACK>").writes(10).sendsNothing()
      .closes().sends("<SEQ=111><ACK=301><DATA=10><CTL=PSH,FIN,ACK>").is("FIN-WAIT-1")
  })

  it("can be turned off", () => {
    established({ settings: { nagle: false } }).writes(10).sends("<SEQ=101><ACK=301><DATA=10><CTL=ACK>")
      .writes(10).sends("<SEQ=111><ACK=301><DATA=10><CTL=ACK>")
  })
})

describe("FIN", () => {
  it("follows the last octet", () => {
    established({ peerWindow: 1460 }).writes(2000).sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
      .closes().is("FIN-WAIT-1").sendsNothing()
      .receives("<SEQ=301><ACK=1561><WND=1460><CTL=ACK>").sends("<SEQ=1561><ACK=301><DATA=540><CTL=FIN,ACK>")
      .receives("<SEQ=301><ACK=2102><CTL=ACK>").is("FIN-WAIT-2")
  })

  it("waits for room in the window, behind text that fills it", () => {
    established({ peerWindow: 500 }).writes(500).sendsMany(1).closes()
      .receives("<SEQ=301><ACK=601><WND=0><CTL=ACK>").is("FIN-WAIT-1").sendsNothing()
      .receives("<SEQ=301><ACK=601><WND=500><CTL=ACK>").sends("<SEQ=601><ACK=301><CTL=FIN,ACK>")
  })

  it("is sent once", () => {
    established().closes().sends("<SEQ=101><ACK=301><CTL=FIN,ACK>").closes().sendsNothing()
      .receives("<SEQ=301><ACK=101><DATA=1><CTL=ACK>").passes(40).sends("<SEQ=102><ACK=302><CTL=ACK>")
  })
})

describe("the congestion window (RFC 5681, RFC 6928)", () => {
  it("begins with ten segments and doubles in slow start", () => {
    const script = established().writes(100_000).sendsMany(10)
    script.receives("<SEQ=301><ACK=1561><CTL=ACK>").sendsMany(2)
      .receives("<SEQ=301><ACK=3021><CTL=ACK>").sendsMany(2)
  })

  it("begins with two segments of jumbo size", () => {
    established({ mss: 9000, peerMss: 9000 }).writes(60_000).sendsMany(2)
  })

  it("begins with one segment when the SYN was lost", () => {
    connecting().sends("<SEQ=100><CTL=SYN>").passes(1000).sends("<SEQ=100><CTL=SYN>")
      .receives("<SEQ=300><ACK=101><CTL=SYN,ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .writes(10_000).sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
  })

  it("does not grow while it is not used", () => {
    const script = established()
    for (let round = 0; round < 20; round++) {
      script.writes(100).sendsMany(1).receives(`<SEQ=301><ACK=${201 + 100 * round}><CTL=ACK>`)
    }
    script.writes(100_000).sendsMany(10)
  })

  it("starts again from its initial size after a pause longer than the RTO (RFC 5681 §4.1)", () => {
    const script = established().writes(100_000).sendsMany(10)
    const acknowledge = (count: number) => {
      for (; count > 0; count--) {
        const flight = script.tcb.snd.nxt - script.tcb.snd.una
        script.receives(`<SEQ=301><ACK=${script.tcb.snd.una + Math.min(1460, flight)}><CTL=ACK>`)
        script.passed()
      }
    }
    acknowledge(80)
    assert.strictEqual(script.queued, 0)
    assert.isAbove(script.tcb.congestion.window, 40_000)
    script.passes(script.tcb.rtt.timeout).writes(60_000).passed()
    assert.isAbove(script.tcb.congestion.window, 40_000, "not longer than the RTO")
    acknowledge(80)
    script.passes(script.tcb.rtt.timeout + 1).writes(60_000).sendsMany(10)
  })
})

describe("acknowledgements", () => {
  it("name SND.NXT, also while everything is sent again", () => {
    established().writes(3000).sendsMany(3).passes(200).sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>")
      .receives("<SEQ=401><ACK=101><DATA=1><CTL=ACK>").sends("<SEQ=3101><ACK=301><CTL=ACK>")
  })

  it("stay within a window that was taken back", () => {
    established({ peerWindow: 5000 }).writes(3000).sendsMany(3)
      .receives("<SEQ=301><ACK=101><WND=1000><DATA=1><CTL=ACK>").passes(40).sends("<SEQ=1101><ACK=302><CTL=ACK>")
  })

  it("a silent listener sends nothing", () => {
    listening().passes(1_000_000).is("LISTEN").sendsNothing()
  })
})
