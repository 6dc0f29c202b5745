/**
 * The scoreboard of RFC 6675, and the selective acknowledgements of RFC 2018 that it believes.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Transmissions from "@strata/core/tcp/Transmissions"
import { at, sender } from "../../../support/lossScript.ts"

/** Ten segments have been on their way for a round trip, and nothing more is to be sent. */
const ten = () => sender().writes(10).sends(..."0123456789").passes(100)

/** The same, with much more to send. */
const busy = () => sender().writes(40).sends(..."0123456789").passes(100)

describe("RFC 6675 §4, Update()", () => {
  it("marks what is selectively acknowledged, and only that", () => {
    ten().acks(1, [3, 5], [7, 8]).sends(1, 2, 5).has({ sacked: 3, lost: 1 })
      .looks(({ transmissions }) => {
        const states = Array.from({ length: Transmissions.size(transmissions) }, (_, index) => {
          const { right, state } = Transmissions.at(transmissions, index)
          return [right, state]
        })
        assert.deepStrictEqual(states, [
          [at(3), "sent"],
          [at(5), "sacked"],
          [at(6), "sent"],
          [at(7), "lost"],
          [at(8), "sacked"],
          [at(10), "sent"]
        ])
      })
  })

  it("keeps octets apart within what was sent as one segment", () => {
    ten().acks(0, [2.25, 2.5]).has({ sacked: 0.25, inFlight: 9.75 })
      .acks(0, [2.25, 2.75]).has({ sacked: 0.5, inFlight: 9.5 })
  })

  it("drops what is acknowledged cumulatively", () => {
    ten().acks(0, [2, 3]).has({ sacked: 1 }).acks(3).has({ sacked: 0, inFlight: 7 })
  })

  it("counts what comes again once", () => {
    ten().acks(0, [2, 3]).acks(0, [2, 3]).acks(0, [2, 3]).has({ sacked: 1, inFlight: 9, lost: 0 })
      .looks(({ delivery }) => assert.strictEqual(delivery.delivered, 1000))
  })

  it("joins blocks that meet, in whatever order they come", () => {
    ten().acks(0, [6, 7], [4, 5]).acks(0, [5, 6], [8, 9]).has({ sacked: 4 })
      .looks(({ transmissions }) =>
        assert.strictEqual(transmissions.board.filter(({ state }) => state === "sacked").length, 2)
      )
      .whatever()
  })
})

describe("blocks that are not believed (RFC 2018 §4, RFC 6675 §2)", () => {
  const nothing = { sacked: 0, lost: 0, inFlight: 10 }

  it("of octets that were never sent", () => {
    ten().acks(0, [9, 11]).has(nothing).acks(0, [10, 12]).has(nothing).acks(0, [20, 30]).has(nothing)
  })

  it("of octets that are acknowledged already, or touch them", () => {
    ten().acks(4, [1, 2]).acks(4, [3, 5]).acks(4, [4, 5]).has({ sacked: 0, inFlight: 6 })
  })

  it("that are empty or turned round", () => {
    ten().acks(0, [3, 3]).acks(0, [5, 3]).has(nothing)
  })

  it("half of the sequence space away", () => {
    ten().acks(0, [2_147_484, 2_147_485]).acks(0, [-2_147_483, 5]).has(nothing)
  })

  it("but the others beside them are", () => {
    ten().acks(0, [20, 30], [2, 3], [5, 5], [9, 12]).has({ sacked: 1, inFlight: 9 })
  })

  it("of an acknowledgement older than SND.UNA", () => {
    ten().acks(4).acks(3, [6, 7]).has({ sacked: 0, inFlight: 6 })
  })

  it("where SACK was not agreed on", () => {
    sender({ sack: false }).writes(10).sends(..."0123456789").acks(0, [2, 3], [4, 5], [6, 9], { data: 1 })
      .has({ sacked: 0, lost: 0 }).passes(40).whatever()
  })
})

describe("RFC 6675 §4, SetPipe() and NextSeg()", () => {
  it("what was delivered, and what is lost, leaves room for new text", () => {
    // Limited transmit (RFC 3042): before anything is known to be lost.
    busy().acks(0, [1, 2]).sends(10).acks(0, [1, 3]).sends(11).has({ inFlight: 10, sacked: 2 })
  })

  it("rule 1: what is lost goes before new text, the lowest first", () => {
    const script = busy().acks(0, [1, 2]).sends(10).acks(0, [1, 3]).sends(11)
    // Twelve are on their way, and one of them is lost: the window is to be half of what it was.
    script.acks(0, [1, 4]).sends(0).stands("recovery", undefined, 5)
    script.acks(0, [6, 7], [1, 4]).has({ lost: 2, sacked: 4 })
    const order: Array<number> = []
    for (const right of [8, 9, 10, 11, 12]) {
      if (right === 11) script.passes(100)
      script.acks(0, [6, right], [1, 4])
      order.push(...script.taken())
    }
    assert.deepStrictEqual(order, [4, 5, 12, 13])
  })

  it("rule 2: new text when nothing is lost any more", () => {
    const script = busy().acks(0, [1, 2]).sends(10).acks(0, [1, 3]).sends(11).acks(0, [1, 4]).sends(0)
    const order: Array<number> = []
    for (const right of [5, 6, 7, 8, 9, 10]) {
      script.acks(0, [1, right])
      order.push(...script.taken())
    }
    assert.deepStrictEqual(order, [12, 13])
  })
})

describe("RFC 6675 §5", () => {
  it("step 4.1: recovery ends when everything is acknowledged that was on its way when it began, and not before", () => {
    const script = busy().acks(0, [1, 2]).sends(10).acks(0, [1, 3]).sends(11).acks(0, [1, 4]).sends(0)
    script.looks(({ recovery }) => assert.strictEqual(recovery.until, at(12)))
    script.passes(100).acks(11).whatever().stands("recovery").acks(12).whatever().stands("open", 5, 5)
  })

  it("step 4.2: the window is lowered once, however much is lost", () => {
    const script = busy().acks(0, [1, 4]).whatever().stands("recovery", undefined, 5)
    script.acks(0, [6, 7], [1, 4]).whatever().acks(0, [9, 10], [6, 7], [1, 4]).whatever().stands(
      "recovery",
      undefined,
      5
    )
      .counts({ sackRecoveries: 1 })
  })

  it("what is lost of what was sent in recovery is another loss", () => {
    const script = busy().acks(0, [1, 4]).sends(0).acks(0, [1, 8]).sends(10, 11)
      .looks(({ recovery }) => assert.strictEqual(recovery.until, at(10)))
    script.acks(0, [1, 10]).sends(12, 13).passes(100)
    // Segment 10 is lost; it was sent when the recovery had begun, and so it is another one.
    script.acks(10).sends(14).stands("open", 5, 5).acks(10, [11, 12]).sends(15).acks(10, [11, 13]).sends(16).acks(10, [
      11,
      14
    ]).sends(10)
      .stands("recovery", undefined, 2.5).counts({ sackRecoveries: 2 })
  })

  it("three segments that have overtaken are enough, as many octets as they may be (§2, IsLost)", () => {
    const script = sender({ settings: { nagle: false } })
    for (const part of [0, 0.1, 0.2, 0.3]) {
      script.writes(0.1).sendsParts([part, part + 0.1])
    }
    script.passes(100).acks(0, [0.1, 0.2]).sendsNothing().acks(0, [0.1, 0.4]).stands("open")
      // RACK has a quarter of a round trip for them.
      .passes(24).sendsNothing().passes(1).sendsParts([0, 0.1])
  })
})

const renegade = () => ten().passes(100).acks(0, [1, 10]).sends(0).has({ sacked: 9 })

describe("RFC 2018 §8, a peer that drops what it has acknowledged selectively", () => {
  it("is believed until the timeout; then everything is sent again", () => {
    const script = renegade().passes(100).acks(1).sendsNothing().has({ sacked: 9, inFlight: 0 })
    script.passes(script.tcb.rtt.timeout).sends(1).counts({ renegings: 1, timeouts: 1 }).has({ sacked: 0, lost: 8 })
      .acks(2).sends(2, 3).acks(4).sends(4, 5, 6).acks(10).sendsNothing().has({ inFlight: 0 })
  })

  it("is not suspected when the first segment itself is late", () => {
    const script = renegade()
    script.passes(300).sends(0).passes(script.tcb.rtt.timeout).sends(0)
    script.counts({ renegings: 0, tailProbes: 1, timeouts: 1 }).has({ sacked: 9 })
  })
})
