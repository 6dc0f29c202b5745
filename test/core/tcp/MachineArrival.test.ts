import { assert, describe, it } from "@effect/vitest"
import type { State } from "@strata/core/tcp/ControlBlock"
import { connecting, established, listening, type TcpScript } from "../../support/tcpScript.ts"

/** A connection in each state with a peer; RCV.NXT is 301, or 302 after the peer's FIN, and SND.NXT 101, or 102 after ours. */
const inState: Record<Exclude<State, "CLOSED" | "LISTEN" | "SYN-SENT">, () => TcpScript> = {
  "SYN-RECEIVED": () => listening().receives("<SEQ=300><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>"),
  "ESTABLISHED": () => established(),
  "FIN-WAIT-1": () => established().closes().sends("<SEQ=101><ACK=301><CTL=FIN,ACK>"),
  "FIN-WAIT-2": () => inState["FIN-WAIT-1"]().receives("<SEQ=301><ACK=102><CTL=ACK>"),
  "CLOSE-WAIT": () => established().receives("<SEQ=301><ACK=101><CTL=FIN,ACK>").sends("<SEQ=101><ACK=302><CTL=ACK>"),
  "CLOSING": () =>
    inState["FIN-WAIT-1"]().receives("<SEQ=301><ACK=101><CTL=FIN,ACK>").sends("<SEQ=102><ACK=302><CTL=ACK>"),
  "LAST-ACK": () => inState["CLOSE-WAIT"]().closes().sends("<SEQ=101><ACK=302><CTL=FIN,ACK>"),
  "TIME-WAIT": () =>
    inState["FIN-WAIT-2"]().receives("<SEQ=301><ACK=102><CTL=FIN,ACK>").sends("<SEQ=102><ACK=302><CTL=ACK>")
}

const each = Object.entries(inState) as ReadonlyArray<[State, () => TcpScript]>
const synchronized = each.filter(([state]) => state !== "SYN-RECEIVED")

const sndNxt = ({ tcb }: TcpScript) => tcb.snd.nxt
const rcvNxt = ({ tcb }: TcpScript) => tcb.rcv.nxt

const opening = () => connecting({ iss: 100 }).sends("<SEQ=100><CTL=SYN>")

/** In these everything was said; a reset changes nothing for the programs. */
const isOver = (state: State) => state === "CLOSING" || state === "LAST-ACK" || state === "TIME-WAIT"

describe("LISTEN (§3.10.7.2)", () => {
  it("first: ignores a reset", () => {
    listening().receives("<SEQ=300><CTL=RST>", "<SEQ=300><ACK=101><CTL=SYN,RST,ACK>").is("LISTEN").sendsNothing()
  })

  it("second: resets whoever acknowledges something", () => {
    listening().receives("<SEQ=300><ACK=77><CTL=ACK>").is("LISTEN").sends("<SEQ=77><CTL=RST>")
    listening().receives("<SEQ=300><ACK=77><CTL=SYN,ACK>").is("LISTEN").sends("<SEQ=77><CTL=RST>")
  })

  it("third: answers a SYN and announces window and MSS", () => {
    listening({ mss: 1400, capacity: 10_000 }).receives("<SEQ=300><CTL=SYN>").is("SYN-RECEIVED")
      .sends("<SEQ=100><ACK=301><WND=10000><MSS=1400><CTL=SYN,ACK>")
  })

  it("third: text that comes with the SYN is kept and acknowledged", () => {
    listening().receives("<SEQ=300><DATA=50><CTL=SYN>").is("SYN-RECEIVED")
      .keeps({ skip: 0, length: 50, offset: 0 })
      .sends("<SEQ=100><ACK=351><CTL=SYN,ACK>")
      .receives("<SEQ=351><ACK=101><CTL=ACK>").is("ESTABLISHED").holds(50)
  })

  it("third: a FIN that comes with the SYN is left for the peer to send again", () => {
    listening().receives("<SEQ=300><CTL=SYN,FIN>").is("SYN-RECEIVED").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
      .receives("<SEQ=301><ACK=101><CTL=FIN,ACK>").is("CLOSE-WAIT").sends("<SEQ=101><ACK=302><CTL=ACK>")
  })

  it("fourth: ignores the rest", () => {
    listening().receives("<SEQ=300><DATA=10><CTL=>", "<SEQ=300><CTL=FIN>").is("LISTEN").sendsNothing()
  })
})

describe("SYN-SENT (§3.10.7.3)", () => {
  it("first: resets an acknowledgement of what was never sent", () => {
    for (const ack of [100, 99, 102, 5000, 0x8000_0064]) {
      opening().receives(`<SEQ=300><ACK=${ack}><CTL=ACK>`).is("SYN-SENT").sends(`<SEQ=${ack}><CTL=RST>`)
      opening().receives(`<SEQ=300><ACK=${ack}><CTL=RST,ACK>`).is("SYN-SENT").sendsNothing()
    }
  })

  it("second: believes a reset only with the acknowledgement of its SYN", () => {
    opening().receives("<SEQ=0><CTL=RST>").is("SYN-SENT").sendsNothing()
      .receives("<SEQ=0><ACK=101><CTL=RST,ACK>").is("CLOSED", "refused")
  })

  it("fourth: is established by a SYN,ACK, and takes text and FIN that come with it", () => {
    opening().receives("<SEQ=300><ACK=101><DATA=20><CTL=SYN,ACK>").is("ESTABLISHED")
      .keeps({ skip: 0, length: 20, offset: 0 }).sends("<SEQ=101><ACK=321><CTL=ACK>").holds(20)
  })

  it("fourth: goes to SYN-RECEIVED by a SYN alone, and queues what comes with it", () => {
    opening().receives("<SEQ=300><DATA=20><CTL=SYN>").is("SYN-RECEIVED")
      .sends("<SEQ=100><ACK=321><CTL=SYN,ACK>")
      .receives("<SEQ=321><ACK=101><CTL=ACK>").is("ESTABLISHED").holds(20)
  })

  it("fifth: ignores an acknowledgement of its SYN without SYN", () => {
    opening().receives("<SEQ=300><ACK=101><CTL=ACK>").is("SYN-SENT").sendsNothing()
  })

  it("text written before the connection is established follows the handshake", () => {
    opening().writes(10).sendsNothing().receives("<SEQ=300><ACK=101><CTL=SYN,ACK>")
      .sends("<SEQ=101><ACK=301><DATA=10><CTL=ACK>")
  })
})

describe("SYN-RECEIVED", () => {
  it("answers the same SYN again by the same SYN,ACK", () => {
    inState["SYN-RECEIVED"]().receives("<SEQ=300><CTL=SYN>").is("SYN-RECEIVED")
      .sends("<SEQ=100><ACK=301><MSS=1460><CTL=SYN,ACK>")
  })

  it("resets an acknowledgement of what was never sent", () => {
    for (const ack of [100, 102, 5000]) {
      inState["SYN-RECEIVED"]().receives(`<SEQ=301><ACK=${ack}><CTL=ACK>`).is("SYN-RECEIVED")
        .sends(`<SEQ=${ack}><CTL=RST>`)
    }
  })

  it("takes text that comes with the last step of the handshake", () => {
    inState["SYN-RECEIVED"]().receives("<SEQ=301><ACK=101><DATA=10><CTL=ACK>").is("ESTABLISHED").holds(10)
  })

  it("returns to LISTEN by a reset after a passive OPEN, and forgets the peer", () => {
    listening({ capacity: 1000 }).receives("<SEQ=300><DATA=600><CTL=SYN>").sends("<SEQ=100><ACK=901><CTL=SYN,ACK>")
      .receives("<SEQ=901><CTL=RST>").is("LISTEN").holds(0)
      .receives("<SEQ=7000><CTL=SYN>").is("SYN-RECEIVED").sends("<SEQ=100><ACK=7001><WND=1000><CTL=SYN,ACK>")
  })

  it("returns to LISTEN by another SYN in the window after a passive OPEN", () => {
    inState["SYN-RECEIVED"]().receives("<SEQ=400><CTL=SYN>").is("LISTEN").sendsNothing()
  })

  it("is refused by a reset after an active OPEN", () => {
    connecting().sends("<SEQ=100><CTL=SYN>").receives("<SEQ=300><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
      .receives("<SEQ=301><CTL=RST>").is("CLOSED", "refused")
  })

  it("challenges another SYN in the window after an active OPEN", () => {
    connecting().sends("<SEQ=100><CTL=SYN>").receives("<SEQ=300><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
      .receives("<SEQ=400><CTL=SYN>").is("SYN-RECEIVED").sends("<SEQ=101><ACK=301><CTL=ACK>")
  })

  it("a SYN,ACK sent twice is not timed (Karn)", () => {
    inState["SYN-RECEIVED"]().passes(100).receives("<SEQ=300><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
      .passes(50).receives("<SEQ=301><ACK=101><CTL=ACK>").is("ESTABLISHED")
      .looks(({ rtt }) => assert.strictEqual(rtt.smoothed, undefined))
  })

  it("text beyond a window that the SYN's own text has filled does not complete the handshake", () => {
    listening({ capacity: 10 }).receives("<SEQ=300><DATA=10><CTL=SYN>").sends("<SEQ=100><ACK=311><WND=0><CTL=SYN,ACK>")
      .receives("<SEQ=311><ACK=101><DATA=5><CTL=ACK>").is("SYN-RECEIVED").sends("<SEQ=101><ACK=311><CTL=ACK>")
      .receives("<SEQ=311><ACK=101><CTL=ACK>").is("ESTABLISHED").holds(10)
  })

  it("a CLOSE waits for the handshake", () => {
    inState["SYN-RECEIVED"]().closes().is("SYN-RECEIVED").sendsNothing()
      .receives("<SEQ=301><ACK=101><CTL=ACK>").is("FIN-WAIT-1").sends("<SEQ=101><ACK=301><CTL=FIN,ACK>")
  })

  it("is not a LISTEN to return to after a CLOSE", () => {
    inState["SYN-RECEIVED"]().closes().receives("<SEQ=301><CTL=RST>").is("CLOSED", "refused")
  })

  it("nothing is sent before the handshake is complete", () => {
    inState["SYN-RECEIVED"]().writes(10).sendsNothing()
      .receives("<SEQ=301><ACK=101><CTL=ACK>").sends("<SEQ=101><ACK=301><DATA=10><CTL=ACK>")
  })
})

describe("CLOSED", () => {
  it("rejects everything but resets", () => {
    established().aborts().sends("<SEQ=101><CTL=RST>")
      .receives("<SEQ=301><ACK=101><DATA=1><CTL=ACK>").is("CLOSED", "aborted").sends("<SEQ=101><CTL=RST>")
      .receives("<SEQ=301><CTL=RST>").sendsNothing()
  })
})

describe("other states, first: the sequence number (§3.10.7.4)", () => {
  /** SEG.LEN, RCV.WND and SEG.SEQ − RCV.NXT against the table of acceptability. */
  const table: ReadonlyArray<readonly [number, number, number, boolean]> = [
    [0, 0, 0, true],
    [0, 0, -1, false],
    [0, 0, 1, false],
    [0, 1000, -1, false],
    [0, 1000, 0, true],
    [0, 1000, 999, true],
    [0, 1000, 1000, false],
    [10, 0, 0, false],
    [10, 1000, -10, false],
    [10, 1000, -9, true],
    [10, 1000, 0, true],
    [10, 1000, 999, true],
    [10, 1000, 1000, false],
    [2000, 1000, -500, true]
  ]
  for (const [length, wnd, offset, isAcceptable] of table) {
    it(`length ${length}, window ${wnd}, offset ${offset}: ${isAcceptable ? "acceptable" : "not acceptable"}`, () => {
      const script = established({ capacity: 1000 })
      if (wnd === 0) script.receives("<SEQ=301><ACK=101><DATA=1000><CTL=ACK>").sends("<SEQ=101><ACK=1301><CTL=ACK>")
      const base = rcvNxt(script)
      script.writes(5).sends(`<SEQ=101><ACK=${base}><DATA=5><CTL=ACK>`)
      const data = length === 0 ? "" : `<DATA=${length}>`
      script.receives(`<SEQ=${base + offset}><ACK=106>${data}<CTL=ACK>`)
      const isAcked = script.tcb.snd.una === 106
      // Before a closed window, text is refused but its acknowledgement is not.
      assert.strictEqual(isAcked, isAcceptable || (wnd === 0 && offset === 0))
      if (isAcceptable) script.passed()
      else script.sends(`<SEQ=106><ACK=${base}><CTL=ACK>`)
    })
  }

  for (const [state, make] of synchronized) {
    it(`${state}: an old segment is answered by an acknowledgement`, () => {
      const script = make()
      const answer = `<SEQ=${sndNxt(script)}><ACK=${rcvNxt(script)}><CTL=ACK>`
      script.receives("<SEQ=200><ACK=101><DATA=10><CTL=ACK>").is(state).sends(answer)
        .receives("<SEQ=200><CTL=SYN>").is(state).sends(answer)
    })

    it(`${state}: a reset outside of the window is ignored`, () => {
      const script = make()
      const outside = [rcvNxt(script) - 1, rcvNxt(script) + script.tcb.rcv.wnd, 5]
      for (const seq of outside) script.receives(`<SEQ=${seq}><CTL=RST>`).is(state).sendsNothing()
    })
  }
})

describe("other states, second: the reset", () => {
  for (const [state, make] of synchronized) {
    it(`${state}: a reset at exactly RCV.NXT closes`, () => {
      const script = make()
      script.receives(`<SEQ=${rcvNxt(script)}><CTL=RST>`).is("CLOSED", isOver(state) ? "finished" : "reset")
        .sendsNothing()
    })

    it(`${state}: a blind reset elsewhere in the window is only challenged (RFC 5961 §3.2)`, () => {
      const script = make()
      script.receives(`<SEQ=${rcvNxt(script) + 1}><CTL=RST>`).is(state)
        .sends(`<SEQ=${sndNxt(script)}><ACK=${rcvNxt(script)}><CTL=ACK>`)
    })
  }

  it("LAST-ACK: a reset before the peer has all the text is an error", () => {
    inState["CLOSE-WAIT"]().writes(10).sends("<SEQ=101><ACK=302><DATA=10><CTL=ACK>")
      .closes().sends("<SEQ=111><ACK=302><CTL=FIN,ACK>")
      .receives("<SEQ=302><CTL=RST>").is("CLOSED", "reset")
  })
})

describe("other states, fourth: a SYN", () => {
  for (const [state, make] of synchronized) {
    it(`${state}: a SYN in the window is challenged (RFC 5961 §4.2)`, () => {
      const script = make()
      script.receives(`<SEQ=${rcvNxt(script) + 5}><CTL=SYN>`).is(state)
        .sends(`<SEQ=${sndNxt(script)}><ACK=${rcvNxt(script)}><CTL=ACK>`)
    })
  }

  it("challenges are at least 500 ms apart, so that two hosts cannot go on for ever (RFC 5961 §7)", () => {
    established().receives("<SEQ=400><CTL=SYN>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .receives("<SEQ=400><CTL=SYN>", "<SEQ=400><CTL=RST>", "<SEQ=300><ACK=101><CTL=ACK>").sendsNothing()
      .passes(499).receives("<SEQ=400><CTL=SYN>").sendsNothing()
      .passes(1).receives("<SEQ=400><CTL=SYN>").sends("<SEQ=101><ACK=301><CTL=ACK>")
  })

  it("text and FIN that come again are answered each time: the acknowledgement was lost", () => {
    const script = inState["CLOSE-WAIT"]().receives("<SEQ=300><ACK=101><CTL=ACK>").sends("<SEQ=101><ACK=302><CTL=ACK>")
    for (let count = 0; count < 3; count++) {
      script.receives("<SEQ=301><ACK=101><CTL=FIN,ACK>").sends("<SEQ=101><ACK=302><CTL=ACK>")
        .receives("<SEQ=300><ACK=101><DATA=1><CTL=ACK>").sends("<SEQ=101><ACK=302><CTL=ACK>")
    }
  })

  it("TIME-WAIT: a SYN beyond all that was received may open the next connection (§3.6.1)", () => {
    const script = inState["TIME-WAIT"]().receives("<SEQ=5000><CTL=SYN>").sends("<SEQ=102><ACK=302><CTL=ACK>")
    assert.isTrue(script.outcome?.reopens)
    const far = inState["TIME-WAIT"]().receives("<SEQ=500000><CTL=SYN>").sends("<SEQ=102><ACK=302><CTL=ACK>")
    assert.isTrue(far.outcome?.reopens)
  })

  it("TIME-WAIT: an old SYN, a SYN,ACK, or a SYN in another state may not", () => {
    for (const text of ["<SEQ=200><CTL=SYN>", "<SEQ=302><CTL=SYN>", "<SEQ=5000><ACK=102><CTL=SYN,ACK>"]) {
      const script = inState["TIME-WAIT"]().receives(text).sends("<SEQ=102><ACK=302><CTL=ACK>")
      assert.isFalse(script.outcome?.reopens, text)
    }
    const script = established().receives("<SEQ=5000><CTL=SYN>").sends("<SEQ=101><ACK=301><CTL=ACK>")
    assert.isFalse(script.outcome?.reopens)
  })
})

describe("other states, fifth: the acknowledgement", () => {
  for (const [state, make] of synchronized) {
    it(`${state}: a segment without ACK is dropped`, () => {
      const script = make()
      script.receives(`<SEQ=${rcvNxt(script)}><DATA=10><CTL=>`).is(state).sendsNothing().holds(0)
    })

    it(`${state}: an acknowledgement of what was never sent is challenged`, () => {
      const script = make()
      const answer = `<SEQ=${sndNxt(script)}><ACK=${rcvNxt(script)}><CTL=ACK>`
      script.receives(`<SEQ=${rcvNxt(script)}><ACK=${sndNxt(script) + 1}><DATA=3><CTL=ACK>`).is(state)
        .sends(answer).holds(0)
    })
  }

  it("an acknowledgement older than any window is challenged, and its text is not taken (RFC 5961 §5)", () => {
    const script = established({ peerWindow: 1000 }).writes(100).sends("<SEQ=101><ACK=301><DATA=100><CTL=ACK>")
      .receives("<SEQ=301><ACK=201><CTL=ACK><WND=1000>")
    const oldest = (201 - 1000) >>> 0
    script.receives(`<SEQ=301><ACK=${(oldest - 1) >>> 0}><DATA=10><CTL=ACK>`).sends("<SEQ=201><ACK=301><CTL=ACK>")
      .holds(0)
    script.receives(`<SEQ=301><ACK=${oldest}><DATA=10><CTL=ACK>`).sendsNothing().holds(10)
  })

  it("FIN-WAIT-1: text may be acknowledged before the FIN", () => {
    established().writes(10).sends("<SEQ=101><ACK=301><DATA=10><CTL=ACK>")
      .closes().sends("<SEQ=111><ACK=301><CTL=FIN,ACK>")
      .receives("<SEQ=301><ACK=111><CTL=ACK>").is("FIN-WAIT-1")
      .receives("<SEQ=301><ACK=112><CTL=ACK>").is("FIN-WAIT-2")
  })

  it("FIN-WAIT-1: FIN and the acknowledgement of ours in one segment lead to TIME-WAIT", () => {
    inState["FIN-WAIT-1"]().receives("<SEQ=301><ACK=102><CTL=FIN,ACK>").is("TIME-WAIT")
      .sends("<SEQ=102><ACK=302><CTL=ACK>")
  })

  it("TIME-WAIT: the peer's FIN again is acknowledged, and starts the 2 MSL anew", () => {
    inState["TIME-WAIT"]().passes(59_000).receives("<SEQ=301><ACK=102><CTL=FIN,ACK>").sends(
      "<SEQ=102><ACK=302><CTL=ACK>"
    )
      .passes(59_999).is("TIME-WAIT").passes(1).is("CLOSED", "finished")
  })

  it("TIME-WAIT: nothing else prolongs it", () => {
    inState["TIME-WAIT"]().passes(59_000)
      .receives("<SEQ=302><ACK=102><CTL=ACK>").sendsNothing()
      .receives("<SEQ=290><ACK=102><DATA=5><CTL=ACK>").sends("<SEQ=102><ACK=302><CTL=ACK>")
      .passes(1000).is("CLOSED", "finished")
  })

  it("the urgent pointer is remembered, and its octets stay in line (§3.8.5)", () => {
    established().receives("<SEQ=301><ACK=101><DATA=10><UP=4><CTL=URG,ACK>").holds(10)
      .looks(({ rcv }) => assert.strictEqual(rcv.up, 311))
      .receives("<SEQ=311><ACK=101><UP=500><CTL=URG,ACK>")
      .looks(({ rcv }) => assert.strictEqual(rcv.up, 811))
      .receives("<SEQ=311><ACK=101><DATA=10><UP=2><CTL=URG,ACK>").sendsNothing().holds(20)
      .looks(({ rcv }) => assert.strictEqual(rcv.up, 811))
  })
})
