/**
 * RACK (RFC 8985 §6), step by step.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Rack from "@strata/core/tcp/Rack"
import { at, type LossScript, sender, type SenderOptions } from "../../../support/lossScript.ts"

/** Ten segments have been on their way for a round trip of 100 ms, and nothing more is to be sent. */
const ten = (options: SenderOptions = {}) => sender(options).writes(10).sends(..."0123456789").passes(100)

/** The path changed the places of segments 0 and 1 once; ten more, from 10 on, have been on their way for a round trip. */
const reordered = (options: SenderOptions = {}) =>
  ten(options).acks(0, [1, 2]).acks(10).sendsNothing().counts({ reorderings: 1 })
    .writes(10).sends(10, 11, 12, 13, 14, 15, 16, 17, 18, 19).passes(100)

describe("step 1: the least round-trip time", () => {
  it("is that of segments sent once, selectively acknowledged ones as well", () => {
    sender().writes(2).sends(0, 1).passes(60).acks(0, [1, 2])
      .looks(({ rtt }) => assert.strictEqual(rtt.minimum, 60))
      .passes(15).sends(0).passes(20).acks(2)
      .looks(({ rtt }) => assert.strictEqual(rtt.minimum, 60))
  })
})

describe("step 2: the segment that was sent last of those delivered", () => {
  it("and how long it took", () => {
    sender({ settings: { nagle: false } }).writes(1).sends(0).passes(10).writes(1).sends(1).passes(10).writes(1).sends(
      2
    )
      .passes(100).acks(0, [1, 2])
      .looks(({ rack }) => {
        assert.strictEqual(rack.sentAt, 110)
        assert.strictEqual(rack.end, at(2))
        assert.strictEqual(rack.rtt, 110)
      })
      .whatever()
  })

  it("§6.2: of those sent at the same time the one with the highest octets", () => {
    ten().acks(0, [3, 4]).looks(({ rack }) => assert.strictEqual(rack.end, at(4)))
      .acks(0, [2, 4]).looks(({ rack }) => assert.strictEqual(rack.end, at(4)))
  })

  it("the round-trip time is that of the latest delivery, though it was sent earlier", () => {
    sender({ settings: { nagle: false } }).writes(1).sends(0).passes(5).writes(1).sends(1).passes(60)
      .acks(0, [1, 2]).passes(5).acks(2)
      .looks(({ rack }) => assert.deepStrictEqual([rack.sentAt, rack.rtt], [105, 70]))
  })

  it("no retransmission that is acknowledged in less than the least round-trip time: that was the original", () => {
    ten().acks(0, [1, 4]).sends(0).passes(99).acks(1).whatever()
      .looks(({ rack }) => assert.deepStrictEqual([rack.sentAt, rack.end], [100, at(4)]))
    ten().acks(0, [1, 4]).sends(0).passes(100).acks(1).whatever()
      .looks(({ rack }) => assert.deepStrictEqual([rack.sentAt, rack.end], [200, at(1)]))
  })

  it("no retransmission whose original is echoed", () => {
    ten({ timestamps: true }).acks(0, [1, 4], { echo: 100 }).sends(0).passes(150).acks(1, [2, 4], { echo: 100 })
      .whatever()
      .looks(({ rack }) => assert.deepStrictEqual([rack.sentAt, rack.end], [100, at(4)]))
    ten({ timestamps: true }).acks(0, [1, 4], { echo: 100 }).sends(0).passes(150).acks(1, [2, 4], { echo: 200 })
      .whatever()
      .looks(({ rack }) => assert.deepStrictEqual([rack.sentAt, rack.end], [200, at(1)]))
  })

  it("but another one that the same acknowledgement is about", () => {
    // Segment 0 was not lost. Segment 10 was sent when it was sent again.
    sender().writes(11).sends(..."0123456789").passes(100).acks(0, [1, 4]).sends(0)
      .acks(0, [1, 7]).whatever().passes(50).acks(11).looks(({ rack }) => {
        assert.deepStrictEqual([rack.sentAt, rack.end], [200, at(11)])
      })
  })
})

describe("step 3: reordering", () => {
  it("is seen when something arrives late that was sent once", () => {
    ten().acks(0, [1, 2]).counts({ reorderings: 0 }).acks(2).counts({ reorderings: 1 })
      .looks(({ rack }) => assert.isTrue(rack.reordering))
  })

  it("is seen in selective acknowledgements", () => {
    ten().acks(0, [4, 5]).counts({ reorderings: 0 }).acks(0, [2, 3], [4, 5]).counts({ reorderings: 1 })
  })

  it("is not seen when a retransmission arrives", () => {
    ten().acks(0, [1, 4]).sends(0).passes(100).acks(4).whatever().counts({ reorderings: 0 })
  })

  it("is not seen in blocks that one acknowledgement tells from the highest to the lowest", () => {
    ten().acks(0, [6, 7], [4, 5], [2, 3]).counts({ reorderings: 0 }).whatever()
  })
})

const waits = (script: LossScript, milliseconds: number, ...lost: ReadonlyArray<number>) =>
  script.passes(milliseconds - 1).sendsNothing().passes(1).sends(...lost)

describe("step 4: the reordering window", () => {
  it("is a quarter of the least round-trip time", () => {
    waits(ten().acks(0, [1, 2]).sendsNothing(), 25, 0).stands("recovery")
    waits(ten().acks(0, [1, 3]).sendsNothing(), 25, 0).stands("recovery")
  })

  it("is none once three segments have overtaken, while no reordering was seen", () => {
    ten().acks(0, [1, 2]).sendsNothing().acks(0, [1, 3]).sendsNothing().acks(0, [1, 4]).sends(0)
    ten().acks(0, [2, 3], [4, 5], [6, 7]).sends(0, 1).has({ lost: 2 })
  })

  it("is none in recovery, while no reordering was seen", () => {
    ten().acks(0, [1, 4]).sends(0).acks(0, [5, 6], [1, 4]).has({ lost: 1 }).whatever()
  })

  it("is there for three segments and in recovery when reordering was seen", () => {
    waits(reordered().acks(10, [11, 17]).sendsNothing(), 25, 10).stands("recovery")
      .acks(10, [18, 19], [11, 17]).counts({ lostOctets: 1000 }).passes(24).counts({ lostOctets: 1000 })
      .passes(1).counts({ lostOctets: 2000 }).whatever()
  })

  it("grows by a quarter with a D-SACK", () => {
    const script = reordered()
    waits(script.acks(10, [11, 12]), 25, 10).passes(5).acks(12).whatever().passes(70)
    // The original had come after 30 ms.
    script.acks(12, [10, 11]).whatever().looks(({ rack }) =>
      assert.deepStrictEqual([rack.multiplier, rack.persist], [2, 16])
    )
  })

  it("grows once in a round, that is until what was on its way then is acknowledged", () => {
    const script = reordered({ congestionWindow: 30 })
    waits(script.acks(10, [11, 19]), 25, 10).passes(5).acks(19).whatever()
    script.meets(
      "more retransmissions than D-SACKs",
      (tcb) => ({ ...tcb, counts: { ...tcb.counts, retransmitted: 9 } })
    )
    const multiplier = () => script.tcb.rack.multiplier
    script.acks(19, [10, 11]).whatever()
    assert.strictEqual(multiplier(), 2)
    script.acks(19, [10, 11]).acks(19, [11, 12]).whatever()
    assert.strictEqual(multiplier(), 2)
    script.acks(20, [10, 11]).whatever()
    assert.strictEqual(multiplier(), 3)
  })

  it("is the smoothed round-trip time at most", () => {
    const script = reordered()
      .meets("many D-SACKs", (tcb) => ({ ...tcb, rack: { ...tcb.rack, multiplier: 100 } }))
    const smoothed = script.tcb.rtt.smoothed!
    assert.closeTo(smoothed, 100, 1)
    waits(script.acks(10, [11, 12]).sendsNothing(), 100, 10)
  })

  it("is narrow again after 16 recoveries without a D-SACK", () => {
    const script = reordered().meets("a D-SACK", (tcb) => ({ ...tcb, rack: { ...tcb.rack, multiplier: 3 } }))
    script.acks(10, [11, 20]).passes(75).sends(10).passes(100).acks(20).stands("open")
    assert.deepInclude(script.tcb.rack, { multiplier: 3, persist: 15 })
    let { rack } = script.tcb
    for (let recovery = 2; recovery <= 15; recovery++) rack = Rack.recovered(rack)
    assert.deepInclude(rack, { multiplier: 3, persist: 1 })
    assert.deepInclude(Rack.recovered(rack), { multiplier: 1, persist: 16 })
    assert.strictEqual(Rack.recovered(Rack.initial), Rack.initial)
  })

  it("is not widened by what the network has doubled, or a probe that was not needed", () => {
    ten().acks(10).acks(10, [4, 5]).looks(({ rack }) => assert.strictEqual(rack.multiplier, 1)).counts({
      duplicatesReported: 1
    })
    ten().passes(102).sends(9).passes(50).acks(10, [9, 10]).looks(({ rack }) => assert.strictEqual(rack.multiplier, 1))
      .counts({ duplicatesReported: 1, tailProbes: 1, tailRecoveries: 0 })
  })
})

describe("step 5: loss", () => {
  it("is of what was sent before, and that long ago; the timer is for the last of it", () => {
    const script = sender({ settings: { nagle: false } })
    for (const _ of "0123") script.writes(1).whatever().passes(5)
    // Sent at 100, 105, 110 and 115.
    script.passes(95).acks(0, [3, 4]).sendsNothing()
      .looks(({ deadlines }) => assert.strictEqual(deadlines.reorder, 110 + 100 + 25 + (215 - 115 - 100)))
      .passes(19).sendsNothing().passes(1).has({ lost: 2 }).sends(0).stands("recovery")
  })

  it("is not of what was sent later, or at the same time behind it", () => {
    ten().acks(0, [1, 4]).sends(0).has({ lost: 0, inFlight: 7 }).passes(60).has({ lost: 0 })
  })

  it("is of a retransmission as well, when something was delivered that was sent later", () => {
    const script = sender().writes(40).sends(..."0123456789").passes(100).acks(0, [1, 4]).sends(0)
      .passes(1).acks(0, [1, 10]).sends(10, 11, 12, 13).counts({ lostRetransmissions: 0 })
    // Segment 10 left 1 ms after segment 0 was sent again.
    script.passes(100).acks(0, [1, 11]).sends(0, 14).counts({ lostRetransmissions: 1, timeouts: 0, retransmitted: 2 })
      .passes(100).acks(15).whatever().stands("open")
  })

  it("is of a retransmission that another one has overtaken that was sent together with it", () => {
    sender().writes(10).sends(..."0123456789").passes(100).acks(0, [2, 10]).sends(0, 1)
      .passes(100).acks(0, [1, 10]).sends(0).counts({ lostRetransmissions: 1 })
  })

  it("is not of a retransmission when only new text has overtaken that left at the same moment", () => {
    sender().writes(40).sends(..."0123456789").passes(100).acks(0, [1, 2]).sends(10).acks(0, [1, 4]).whatever()
      .passes(100).acks(0, [1, 11]).counts({ lostRetransmissions: 0 }).whatever()
  })

  it("has its timer off when everything has arrived", () => {
    ten().acks(0, [1, 2]).looks(({ deadlines }) => assert.isBelow(deadlines.reorder, Infinity))
      .acks(10).looks(({ deadlines }) => assert.strictEqual(deadlines.reorder, Infinity))
  })

  it("has its timer start anew with what is delivered", () => {
    ten().acks(0, [1, 2]).passes(10).acks(0, [1, 3])
      // RACK.rtt is 110 ms now.
      .looks(({ deadlines }) => assert.strictEqual(deadlines.reorder, 100 + 110 + 25))
      .passes(24).sendsNothing().passes(1).sends(0)
  })

  it("has no limit that fractions of a millisecond could cross", () => {
    const script = sender({ roundTrip: 0.1 }).passes(0.2).writes(10).whatever()
    script.passes(0.1).acks(0, [1, 4]).sends(0)
    const slow = sender({ roundTrip: 0.3 }).passes(1_000_000.7).writes(10).whatever()
    slow.passes(0.3).acks(0, [1, 4]).sends(0)
  })
})

describe("§6.3: a timeout", () => {
  it("is of the first segment, and of what RACK would take for lost by now", () => {
    sender({ settings: { tailLossProbe: false } }).writes(2).sends(0, 1).passes(250).writes(1).sends(2)
      .meets("RACK has a round-trip time", (tcb) => ({ ...tcb, rack: { ...tcb.rack, rtt: 100 } }))
      // Sent at 100 and 350, with a timeout at 400.
      .passes(50).sends(0).stands("loss", 1).has({ lost: 1, inFlight: 2 }).counts({ timeouts: 1 })
  })

  it("is of the first segment alone when all was sent lately", () => {
    const script = sender().writes(3).sends(0, 1, 2)
      .meets("a slow path", (tcb) => ({
        ...tcb,
        rack: { ...tcb.rack, rtt: 1000 },
        deadlines: { ...tcb.deadlines, tail: Infinity }
      }))
    script.passes(300).sends(0).stands("loss", 1).has({ lost: 0, inFlight: 3 })
  })

  it("leaves what is selectively acknowledged as it is", () => {
    const script = ten().acks(0, [1, 4]).sends(0)
    script.passes(202).sends(0).passes(script.tcb.rtt.timeout).sends(0)
    script.has({ sacked: 3, lost: 6, inFlight: 1 }).counts({ timeouts: 1 })
  })
})
