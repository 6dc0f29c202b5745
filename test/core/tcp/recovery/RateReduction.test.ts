/**
 * Proportional rate reduction (RFC 9937): what may be sent while losses are repaired.
 */
import { assert, describe, it } from "@effect/vitest"
import { Bbr } from "@strata/core/tcp/Bbr"
import { MSS, sender, type SenderOptions } from "../../../support/lossScript.ts"

const twenty = Array.from({ length: 20 }, (_, index) => index)

/** Twenty segments fill the window, there is much more to send, and a round trip is over. The threshold will be ten. */
const full = (options: SenderOptions = {}) =>
  sender({ congestionWindow: 20, ...options }).writes(60).sends(...twenty).passes(100)

/** What is sent upon acknowledgements of segment after segment from `left` on, when the first of those in flight are lost. */
const answers = (script: ReturnType<typeof full>, una: number, left: number, count: number) =>
  Array.from({ length: count }, (_, index) => {
    script.acks(una, [left, left + index + 1])
    return script.taken()
  })

/** Limited transmit, the loss, and a segment for each second one that is delivered. */
const EVERY_SECOND = "20,21,0,,,22,,23,,24,,25,,26,,27,,,28".split(",").map((sent) => sent === "" ? [] : [Number(sent)])

describe("one loss in twenty segments (§6.2, proportional part)", () => {
  it("the first retransmission goes at once, and then a segment for each second one that is delivered", () => {
    const script = full()
    const sent = answers(script, 0, 1, 19)
    assert.deepStrictEqual(sent, EVERY_SECOND)
    script.stands("recovery", undefined, 10).has({ inFlight: 10, sacked: 19 })
  })

  it("ends with the threshold as window", () => {
    const script = full()
    answers(script, 0, 1, 19)
    script.passes(100).acks(0, [1, 22]).whatever().acks(22).whatever().stands("open", 10, 10).has({ inFlight: 10 })
  })

  it("the window is what is in flight and what may be added", () => {
    const script = full()
    answers(script, 0, 1, 6)
    // Four were delivered in recovery, of which half may be sent; one had been.
    script.looks(({ congestion, recovery, ...tcb }) => {
      assert.deepStrictEqual(recovery.reduction, { flight: 20 * MSS, delivered: 4 * MSS, out: 2 * MSS })
      const inFlight = 23 * MSS - tcb.transmissions.sacked
      assert.strictEqual(congestion.window, inFlight)
    })
  })

  it("a threshold of seven tenths lets seven of ten go", () => {
    const script = full({
      congestion: {
        name: "gentle",
        initial: () => ({ window: 20 * MSS, slowStartThreshold: Infinity }),
        onAck: (state) => state,
        onCongestion: (state) => ({ ...state, slowStartThreshold: 14 * MSS }),
        onRecovered: (state) => state,
        onTimeout: (state) => state
      }
    })
    const sent = answers(script, 0, 1, 19).slice(2).flat().length
    // 17 were delivered in recovery, and more than fourteen were in flight all the time.
    assert.strictEqual(sent, Math.round(17 * 0.7))
    script.has({ inFlight: 14 })
  })
})

describe("ten losses in twenty segments (conservation bound)", () => {
  it("as much goes as is delivered, and no more", () => {
    const script = full()
    assert.deepStrictEqual(answers(script, 0, 10, 10), [[20], [21], [0], [1], [2], [3], [4], [5], [6], [7]])
    script.has({ inFlight: 10, lost: 2, sacked: 10 })
  })

  it("an acknowledgement that tells of all of them at once brings no burst beyond what it delivers", () => {
    const script = full().acks(0, [16, 20])
    // Sixteen are lost, four were delivered.
    assert.deepStrictEqual(script.taken(), [0, 1, 2, 3])
    script.has({ inFlight: 4, lost: 12 })
  })
})

describe("most of twenty segments lost (slow start bound)", () => {
  it("one more than is delivered goes when SND.UNA advances and nothing more is lost", () => {
    const script = full().acks(0, [16, 20]).sends(0, 1, 2, 3).passes(100)
    script.acks(1, [16, 20]).sends(4, 5).acks(2, [16, 20]).sends(6, 7).acks(3, [16, 20]).sends(8, 9).acks(4, [16, 20])
      .sends(10, 11).has({ inFlight: 8 })
  })

  it("not when more is found to be lost", () => {
    const script = full().acks(0, [16, 20]).sends(0, 1, 2, 3).passes(100)
    // Segment 1 was lost again.
    script.acks(1, [2, 3], [16, 20]).counts({ lostRetransmissions: 1 }).sends(1, 4).has({ inFlight: 3 })
  })

  it("nor while SND.UNA stands still", () => {
    const script = full().acks(0, [16, 20]).sends(0, 1, 2, 3).passes(100)
    script.acks(0, [1, 2], [16, 20])
    assert.strictEqual(script.taken().length, 1)
  })

  it("and never more than the threshold is in flight", () => {
    const script = full().acks(0, [16, 20]).sends(0, 1, 2, 3).passes(100)
    const flights = Array.from({ length: 15 }, (_, index) => {
      script.passes(index === 4 || index === 12 ? 100 : 0).acks(index + 1, [16, 20]).whatever()
      const { lost, nxt, sacked, una } = script.tcb.transmissions
      return (((nxt - una) | 0) - sacked - lost) / MSS
    })
    assert.deepStrictEqual(flights, [5, 6, 7, 8, 9, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10])
  })
})

describe("the program has less to send than may be sent", () => {
  it("what was not used up to the threshold can be used later", () => {
    const script = sender({ congestionWindow: 20 }).writes(20).sends(...twenty).passes(100)
    script.acks(0, [1, 4]).sends(0)
    for (let right = 5; right <= 20; right++) script.acks(0, [1, right]).sendsNothing()
    script.has({ inFlight: 1 }).writes(30).sends(20, 21, 22, 23, 24, 25, 26, 27, 28).has({ inFlight: 10 })
  })
})

describe("beside it", () => {
  it("a reordering timer that finds a loss lets the first retransmission go", () => {
    full().acks(0, [1, 2]).sends(20).passes(25).sends(0).stands("recovery", undefined, 10)
  })

  it("an algorithm that owns its recovery is left alone", () => {
    const script = sender({ congestion: Bbr }).writes(60).whatever().passes(100).whatever()
    const { window } = script.tcb.congestion
    script.acks(0, [1, 4]).whatever().stands("recovery")
    assert.isAtLeast(script.tcb.congestion.window, window / 2)
    assert.strictEqual(script.tcb.recovery.reduction.delivered, 0)
  })

  it("without SACK each duplicate stands for a segment (§6.1)", () => {
    const script = full({ sack: false })
    const sent = Array.from({ length: 19 }, () => {
      script.acks(0)
      return script.taken()
    })
    assert.deepStrictEqual(sent, EVERY_SECOND)
    script.passes(100).acks(22).whatever().stands("open", 10, 10)
  })
})
