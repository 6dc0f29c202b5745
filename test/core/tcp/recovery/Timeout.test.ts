/**
 * The retransmission timer (RFC 6298), and whether it was right (F-RTO, RFC 5682).
 */
import { assert, describe, it } from "@effect/vitest"
import { type LossScript, MSS, sender, type SenderOptions } from "../../../support/lossScript.ts"

/** Without probes, which are what a timeout is to be seen without. */
const settings = { tailLossProbe: false }

/** Ten segments left at 100, and time has passed until the timeout at 400. */
const ten = (options: SenderOptions = {}) => sender({ settings, ...options }).writes(10).sends(..."0123456789")
const timedOut = (options: SenderOptions = {}, more = 0) => {
  const script = ten(options)
  if (more > 0) script.writes(more).sendsNothing()
  return script.passes(300).sends(0).stands("loss", 1, 5).counts({ timeouts: 1 })
}

describe("RFC 6298 §5", () => {
  it("5.1: the timer runs from the first segment on, and later ones leave it alone", () => {
    sender({ settings }).writes(1).sends(0).passes(200).writes(1).sends(1).passes(99).sendsNothing().passes(1).sends(0)
  })

  it("5.2: it is off when everything is acknowledged, selectively acknowledged text not counted", () => {
    ten().passes(100).acks(10).looks(({ deadlines }) => assert.strictEqual(deadlines.retransmit, Infinity))
    ten().passes(100).acks(0, [1, 10]).whatever().looks(({ deadlines }) => assert.isBelow(deadlines.retransmit, 1000))
  })

  it("5.3: it starts anew with an acknowledgement of something", () => {
    ten().passes(100).acks(3).looks(({ deadlines, rtt }) => assert.strictEqual(deadlines.retransmit, 200 + rtt.timeout))
  })

  it("5.3: a duplicate leaves it alone", () => {
    ten().passes(100).acks(0).acks(0).looks(({ deadlines }) => assert.strictEqual(deadlines.retransmit, 400))
  })

  it("5.4 to 5.6: the first segment goes, the timeout is doubled, and the timer starts", () => {
    timedOut().looks(({ deadlines, rtt }) => {
      assert.strictEqual(rtt.timeout, 600)
      assert.strictEqual(deadlines.retransmit, 1000)
    }).passes(599).sendsNothing().passes(1).sends(0).passes(1199).sendsNothing().passes(1).sends(0)
  })

  it("5.5: the longer timeout stays until something new is measured", () => {
    const script = timedOut().passes(100).acks(10)
    script.looks(({ rtt }) => assert.strictEqual(rtt.timeout, 600)).writes(1).sends(10).passes(100).acks(11)
      .looks(({ rtt }) => assert.isBelow(rtt.timeout, 400))
  })

  it("5.5: timestamps measure what was sent again as well (RFC 7323 §4.1)", () => {
    timedOut({ timestamps: true }).passes(100).acks(10, { echo: 400 }).looks(({ rtt }) => {
      assert.isBelow(rtt.timeout, 400)
      assert.strictEqual(rtt.latest, 100)
    })
  })

  it("5.4: what follows goes again as acknowledgements arrive, in slow start", () => {
    timedOut().passes(100).acks(1).sends(1, 2).passes(100).acks(2).sends(3, 4).acks(3).sends(5, 6).acks(10)
      .sendsNothing()
      .stands("open")
  })

  it("what was selectively acknowledged does not go again", () => {
    const script = ten().passes(100).acks(0, [3, 5], [8, 9]).whatever()
    script.passes(script.tcb.rtt.timeout).sends(0).stands("loss")
    const sent: Array<number> = []
    for (const una of [1, 2, 5, 6, 7, 9]) {
      script.passes(100).acks(una, ...(una < 5 ? [[3, 5] as const] : []), ...(una < 9 ? [[8, 9] as const] : []))
      sent.push(...script.taken())
    }
    assert.deepStrictEqual(sent.toSorted((a, b) => a - b), [1, 2, 5, 6, 7, 9])
  })

  it("a timeout in fast recovery repeats what was lost again, and lowers the window no further than to one segment", () => {
    const script = ten().passes(100).acks(0, [1, 10]).sends(0).stands("recovery", undefined, 5)
    script.passes(script.tcb.rtt.timeout).sends(0).stands("loss", 1, 5).counts({ timeouts: 1 })
  })

  it("a second one of the same segment lowers the threshold no further", () => {
    timedOut().passes(600).sends(0).stands("loss", 1, 5)
  })
})

describe("round-trip times (RFC 6298 §3, Karn's algorithm)", () => {
  it("not of what was sent again", () => {
    ten().passes(100).acks(0, [1, 4]).sends(0).passes(250).acks(1, [1, 4])
      .looks(({ rtt }) => assert.strictEqual(rtt.latest, 100)).whatever()
  })

  it("not of what an acknowledgement of something that was sent again uncovers: it may have arrived long ago", () => {
    // The acknowledgements that would have told of segments 4 to 9 were lost.
    const script = ten().passes(100).acks(0, [1, 4]).sends(0)
    script.passes(150).acks(10).looks(({ rtt }) => assert.strictEqual(rtt.latest, 100))
  })

  it("of what is selectively acknowledged for the first time", () => {
    ten().passes(70).acks(0, [1, 2]).looks(({ rtt }) => assert.strictEqual(rtt.latest, 70))
      .passes(10).acks(0, [1, 2]).looks(({ rtt }) => assert.strictEqual(rtt.latest, 70))
  })

  it("of the latest segment when several are acknowledged", () => {
    sender({ settings: { ...settings, nagle: false } }).writes(1).sends(0).passes(30).writes(1).sends(1).passes(90)
      .acks(2).looks(({ rtt }) => assert.strictEqual(rtt.latest, 90))
  })

  it("not by an echo from the future", () => {
    timedOut({ timestamps: true }).passes(100).acks(10, { echo: 90_000 })
      .looks(({ rtt }) => assert.deepStrictEqual([rtt.latest, rtt.minimum, rtt.timeout], [100, 100, 600]))
  })
})

/** Nothing has changed but time: the windows are as they were, and nothing counts as lost. */
const isAsBefore = (script: LossScript) =>
  script.stands("open").has({ lost: 0 }).looks(({ congestion, counts }) => {
    assert.isAtLeast(congestion.window, 10 * MSS)
    assert.strictEqual(congestion.slowStartThreshold, Infinity)
    assert.strictEqual(counts.timeoutUndos, 1)
  })

for (const sack of [true, false]) {
  describe(`F-RTO (RFC 5682 §${sack ? "3.1, with" : "2.1, without"} SACK)`, () => {
    it("2b, 3b: new text goes first, and when the next acknowledgement is of originals, the timeout was spurious", () => {
      const script = timedOut({ sack }, 20).passes(20).acks(1).sends(10, 11).stands("loss")
      isAsBefore(script.acks(2).whatever())
      script.counts({ spuriousTimeouts: 1, retransmitted: 1 })
      for (let una = 3; una <= 10; una++) script.acks(una).whatever()
      script.counts({ retransmitted: 1 }).stands("open")
    })

    it("3a: when the next one is a duplicate, it was not, and what was lost goes again", () => {
      const script = timedOut({ sack }, 20).passes(20).acks(1).sends(10, 11).passes(100)
      if (sack) script.acks(1, [10, 11]).sends(1)
      else script.acks(1).sendsNothing().passes(100).acks(2).whatever()
      script.stands("loss").counts({ spuriousTimeouts: 0 }).whatever()
    })

    it("2a: when the first one is a duplicate, it was not", () => {
      const script = timedOut({ sack }, 20).passes(20)
      if (sack) script.acks(0, [4, 5]).sendsNothing()
      else script.acks(0).sendsNothing()
      script.stands("loss").passes(80).acks(1).sends(1, 2).acks(2).whatever().counts({ spuriousTimeouts: 0 })
    })

    it("2a: when the first one is of everything, nothing can be told", () => {
      timedOut({ sack }, 20).passes(20).acks(10).whatever().stands("open").counts({ spuriousTimeouts: 0 })
        .looks(({ congestion }) => assert.isAtMost(congestion.window, 2 * MSS))
    })

    it("2b: without new text nothing can be told", () => {
      timedOut({ sack }).passes(20).acks(1).sends(1, 2).acks(2).whatever().acks(10).counts({ spuriousTimeouts: 0 })
    })

    it("2b: nor when the peer's window is full", () => {
      timedOut({ sack, peerWindow: 10 * MSS }, 20).passes(20).acks(1, { wnd: 9 * MSS }).sends(1, 2)
        .acks(2, { wnd: 8 * MSS }).whatever().counts({ spuriousTimeouts: 0 }).stands("loss")
    })

    it("1: not when the timer expired during a repair", () => {
      const script = ten({ sack }).writes(20).passes(100)
      if (sack) script.acks(0, [1, 4])
      else script.acks(0).whatever().acks(0).whatever().acks(0)
      script.whatever().stands("recovery").passes(script.tcb.rtt.timeout).whatever().stands("loss")
        .passes(20).acks(1).whatever().acks(2).whatever().counts({ spuriousTimeouts: 0 })
    })

    it("1: also when the segment timed out twice", () => {
      const script = timedOut({ sack }, 20).passes(600).sends(0).passes(20).acks(1).sends(10, 11)
      isAsBefore(script.acks(2).whatever())
    })
  })
}

describe("F-RTO with SACK", () => {
  it("3b: originals may be selectively acknowledged as well", () => {
    const script = timedOut({}, 20).passes(20).acks(1).sends(10, 11)
    isAsBefore(script.acks(1, [3, 4]).whatever())
  })

  it("3b: what is found lost after that lowers the windows in its own right", () => {
    const script = timedOut({}, 20).passes(20).acks(1).sends(10, 11).acks(1, [2, 5]).whatever()
    script.counts({ spuriousTimeouts: 1 }).passes(100).acks(1, [2, 10]).whatever().stands("recovery")
  })
})

describe("Eifel after a timeout (RFC 3522)", () => {
  it("the first acknowledgement tells by its timestamp that the original has arrived", () => {
    const script = timedOut({ timestamps: true }, 20).passes(20).acks(1, { echo: 100 })
    isAsBefore(script.whatever()).counts({ spuriousTimeouts: 0, retransmitted: 1 })
  })

  it("or that it has not, and then F-RTO is not asked", () => {
    timedOut({ timestamps: true }, 20).passes(100).acks(1, { echo: 400 }).sends(1, 2).stands("loss")
      // Its acknowledgements were lost, but segment 3 was not.
      .acks(1, [3, 4], { echo: 400 }).counts({ timeoutUndos: 0 }).whatever()
  })
})
