/**
 * Tail loss probes (RFC 8985 §7).
 */
import { assert, describe, it } from "@effect/vitest"
import { MSS, sender, type SenderOptions } from "../../../support/lossScript.ts"

/** Three segments left at 100, the round-trip time is 100 ms, and there is nothing more to send. */
const three = (options: SenderOptions = {}) => sender(options).writes(3).sends(0, 1, 2)

describe("§7.2, TLP_calc_PTO()", () => {
  it("two round trips, and a little for coarse clocks, after the last segment", () => {
    three().passes(201).sendsNothing().passes(1).sends(2).counts({ tailProbes: 1, timeouts: 0 })
  })

  it("starts anew with each segment", () => {
    sender().writes(2).sends(0, 1).passes(50).writes(1).sends(2).passes(201).sendsNothing().passes(1).sends(2)
  })

  it("starts anew with each acknowledgement of something", () => {
    three().passes(100).acks(1).passes(201).sendsNothing().passes(1).sends(2)
  })

  it("longer for a single segment, whose acknowledgement may be delayed", () => {
    const script = sender({ roundTrip: 300 }).writes(1).sends(0)
    script.looks(({ deadlines, rtt }) => {
      assert.strictEqual(rtt.timeout, 900)
      assert.strictEqual(deadlines.tail, 300 + 600 + 200)
    })
  })

  it("1 s while no round trip is known", () => {
    const script = sender({ settings: { minimumRetransmissionTimeout: 3000 } })
      .meets("no measurement", (tcb) => ({ ...tcb, rtt: { ...tcb.rtt, smoothed: undefined } }))
    script.writes(3).sends(0, 1, 2).passes(999).sendsNothing().passes(1).sends(2)
  })

  it("not later than the retransmission timer, in whose place it comes", () => {
    // The timer has run since segment 0 was sent at 100.
    const script = sender().writes(1).sends(0).passes(150).writes(1).sends(1).passes(149).sendsNothing()
    script.passes(1).sends(1).counts({ tailProbes: 1, timeouts: 0 }).stands("open")
      .passes(299).sendsNothing().passes(1).sends(0).counts({ timeouts: 1 })
  })

  it("a few milliseconds over a path of microseconds", () => {
    const script = sender({ roundTrip: 0.05 }).writes(3).sends(0, 1, 2)
    script.passes(2.05).sendsNothing().passes(0.1).sends(2)
  })
})

describe("§7.2: none is sent", () => {
  it("when the peer does not know SACK, or the settings say so", () => {
    three({ sack: false }).passes(299).sendsNothing().counts({ tailProbes: 0 })
    three({ settings: { tailLossProbe: false } }).passes(299).sendsNothing().counts({ tailProbes: 0 })
  })

  it("when something is selectively acknowledged: RACK's timer takes over", () => {
    three().passes(100).acks(0, [1, 2]).looks(({ deadlines }) => assert.strictEqual(deadlines.tail, Infinity))
      .passes(25).sends(0).counts({ tailProbes: 0 })
  })

  it("after a timeout", () => {
    const script = three().passes(202).sends(2).passes(300).sends(0).stands("loss")
    script.looks(({ deadlines }) => assert.strictEqual(deadlines.tail, Infinity)).passes(599).sendsNothing()
  })

  it("when everything is acknowledged", () => {
    three().passes(100).acks(3).passes(10_000).sendsNothing()
  })
})

describe("§7.3, TLP_send_probe()", () => {
  it("new text goes first, though the congestion window is full", () => {
    sender({ congestionWindow: 3 }).writes(4).sends(0, 1, 2).passes(202).sends(3)
      .counts({ tailProbes: 1, retransmitted: 0 }).has({ inFlight: 4 })
  })

  it("two segments of it, whose acknowledgement is not kept back", () => {
    sender({ congestionWindow: 3 }).writes(9).sends(0, 1, 2).passes(202).sends(3, 4).counts({ tailProbes: 1 })
  })

  it("in recovery as well, when what was sent again is not acknowledged: what is missing first, where there is nothing new", () => {
    sender().writes(10).sends(..."0123456789").passes(100).acks(0, [1, 10]).sends(0)
      .passes(201).sendsNothing().passes(1).sends(0).counts({ tailProbes: 1, timeouts: 0 })
  })

  it("in recovery as well, new text first: what comes back tells whether the repetition was lost", () => {
    sender().writes(10).sends(..."0123456789").passes(100).acks(0, [1, 10]).sends(0).passes(150).writes(2)
      // The window has room for it, and the timer starts anew.
      .sends(10, 11).passes(100).acks(0, [1, 12]).sends(0).counts({ timeouts: 0, lostRetransmissions: 1 })
  })

  it("the last segment again when the peer's window is full", () => {
    sender({ peerWindow: 3 * MSS }).writes(9).sends(0, 1, 2).passes(202).sends(2)
  })

  it("the last segment again when there is nothing new", () => {
    three().passes(202).sends(2).counts({ retransmitted: 1 })
  })

  it("the FIN again, and the text before it", () => {
    const script = three().closes()
    const { fin } = script.tcb.snd
    script.script.sends(`<SEQ=${fin!}><ACK=301><CTL=FIN,ACK>`)
    script.passes(202)
    const [probe] = script.script.taken()
    assert.deepStrictEqual([probe?.length, (probe!.seq + probe!.length) >>> 0], [MSS, fin])
  })

  it("starts the retransmission timer anew, and no other probe follows", () => {
    three().passes(202).sends(2).passes(299).sendsNothing().passes(1).sends(0).counts({ tailProbes: 1, timeouts: 1 })
  })

  it("one in an episode: the next when everything is acknowledged that was sent before", () => {
    sender({ congestionWindow: 3 }).writes(4).sends(0, 1, 2).passes(202).sends(3)
      .passes(50).acks(3).looks(({ deadlines }) => assert.strictEqual(deadlines.tail, Infinity))
      .passes(10).acks(4).writes(2).sends(4, 5)
      .looks(({ deadlines, ...tcb }) => assert.isAtMost(deadlines.tail, tcb.snd.sentAt + 2 * tcb.rtt.smoothed! + 2))
  })
})

describe("§7.4.1: what the probe finds", () => {
  it("what is missing before it is sent again by RACK, without a timeout", () => {
    sender().writes(10).sends(..."0123456789").passes(100).acks(7).passes(250).sends(9)
      .passes(100).acks(7, [9, 10]).sends(7).stands("recovery").counts({
        timeouts: 0,
        tailProbes: 1,
        sackRecoveries: 1
      })
      .passes(100).acks(8, [9, 10]).sends(8).passes(100).acks(10).sendsNothing().stands("open")
      .counts({ retransmitted: 3 })
  })

  it("new text as a probe does the same", () => {
    const script = sender({ congestionWindow: 3 }).writes(4).sends(0, 1, 2).passes(202).sends(3)
    script.passes(100).acks(0, [3, 4]).sends(0).has({ lost: 2 }).stands("recovery").counts({ timeouts: 0 })
  })
})

const probed = (options: SenderOptions = {}) => three(options).passes(202).sends(2)

describe("§7.4.2, TLP_process_ack()", () => {
  it("new text that arrives is no loss", () => {
    sender({ congestionWindow: 3 }).writes(4).sends(0, 1, 2).passes(202).sends(3).passes(100).acks(4)
      .stands("open", 5).counts({ tailRecoveries: 0 })
      .looks(({ recovery }) => assert.isUndefined(recovery.tail))
  })

  it("case 1: a D-SACK of what was repeated is no loss", () => {
    probed().passes(20).acks(3).acks(3, [2, 3]).stands("open", 10).counts({ tailRecoveries: 0, duplicatesReported: 1 })
      .looks(({ recovery }) => assert.isUndefined(recovery.tail))
      .writes(1).sends(3).passes(100).acks(4).counts({ tailRecoveries: 0 })
  })

  it("case 1: the same when it comes with the first news of anything", () => {
    probed().passes(20).acks(3, [2, 3]).counts({ tailRecoveries: 0, duplicatesReported: 1 }).stands("open", 10)
  })

  it("case 2: a duplicate without SACK is no loss, of a peer that does not know D-SACK", () => {
    probed().passes(20).acks(3).acks(3).looks(({ recovery }) => assert.isUndefined(recovery.tail))
      .writes(1).sends(3).passes(100).acks(4).counts({ tailRecoveries: 0 }).stands("open", 10)
  })

  it("a change of the window is no duplicate", () => {
    probed().passes(20).acks(3).acks(3, { wnd: 50_000 }).looks(({ recovery }) => assert.isDefined(recovery.tail))
      .acks(3, { data: 5 }).looks(({ recovery }) => assert.isDefined(recovery.tail)).passes(40).whatever()
  })

  it("an acknowledgement of everything says nothing yet, and one beyond it that the loss was repaired", () => {
    probed().passes(100).acks(3).stands("open", 10).counts({ tailRecoveries: 0 })
      .writes(2).sends(3, 4).passes(100).acks(4).counts({ tailRecoveries: 1 }).stands("recovery")
      .passes(10).acks(5).stands("open")
  })

  it("the window is lowered as by any loss", () => {
    sender().writes(10).sends(..."0123456789").passes(202).sends(9).passes(100).acks(10).writes(1).sends(10)
      .passes(100).acks(11).stands("open").counts({ tailRecoveries: 1 })
      .looks(({ congestion }) => assert.isBelow(congestion.window, 10 * MSS))
  })

  it("timestamps tell at once that the repetition was needed", () => {
    probed({ timestamps: true }).passes(100).acks(3, { echo: 302 }).counts({ tailRecoveries: 1 }).stands("open", 2, 2)
  })

  it("timestamps tell at once that it was not", () => {
    probed({ timestamps: true }).passes(20).acks(3, { echo: 100 }).counts({ tailRecoveries: 0 }).stands("open", 10)
      .looks(({ recovery }) => assert.isUndefined(recovery.tail))
  })
})
