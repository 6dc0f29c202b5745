import { assert, describe, it } from "@effect/vitest"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { Reno } from "@strata/core/tcp/Reno"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { established, segment, type TcpScript } from "../../support/tcpScript.ts"

const ack = (seq: number) => `<SEQ=301><ACK=${seq}><CTL=ACK>`
const full = (seq: number) => `<SEQ=${seq}><ACK=301><DATA=1460><CTL=ACK>`
/** The first octet of the segment with that index. */
const at = (index: number) => 101 + 1460 * index

/** Ten full segments are on their way, and there is more to send. */
const sending = (): TcpScript => established().writes(100_000).sendsMany(10)

/** Where fast recovery ends, if there is one. */
const untilOf = ({ recovery }: Pick<ControlBlock, "recovery">): number | undefined =>
  recovery.phase === "recovery" ? recovery.until : undefined

/** In fast recovery with twelve segments on their way. */
const recovering = (): TcpScript =>
  sending().receives(ack(101)).sendsMany(1).receives(ack(101)).sendsMany(1).receives(ack(101)).sends(full(101))

describe("fast retransmit (RFC 5681 §3.2)", () => {
  it("the third duplicate brings the missing segment, and nothing else of what was sent", () => {
    sending().receives(ack(101)).sends(full(at(10)))
      .receives(ack(101)).sends(full(at(11)))
      .receives(ack(101)).sends(full(101)).sendsNothing()
      .looks(({ congestion, ...tcb }) => {
        assert.strictEqual(untilOf(tcb), at(12))
        // Half of the ten segments that were on their way before the duplicates (RFC 3042 §2).
        assert.strictEqual(congestion.slowStartThreshold, 5 * 1460)
      })
  })

  it("the first two duplicates let new segments go (RFC 3042), but only two", () => {
    sending().receives(ack(101)).sends(full(at(10))).receives(ack(101)).sends(full(at(11)))
      .looks(({ congestion }) => assert.strictEqual(congestion.window, 14_600))
  })

  it("further duplicates let one segment go for every two that have left, the repeated one among them (RFC 9937)", () => {
    const script = recovering()
    let sent = 0
    for (const duplicate of [4, 5, 6, 7, 8, 9]) {
      script.receives(ack(101))
      sent += script.passed()
      assert.strictEqual(script.tcb.recovery.duplicates, duplicate)
    }
    assert.strictEqual(sent, 2)
  })

  it("ends with the acknowledgement of all that was on its way, and the window is halved", () => {
    recovering().receives(ack(at(12)))
      .looks(({ congestion, ...tcb }) => {
        assert.deepStrictEqual([tcb.recovery.duplicates, untilOf(tcb)], [0, undefined])
        assert.strictEqual(congestion.window, 5 * 1460)
      })
      .sendsMany(5)
  })

  it("the segment that was lost is not timed (Karn)", () => {
    const script = sending().passes(100)
    script.receives(ack(101)).sendsMany(1).receives(ack(101)).sendsMany(1).receives(ack(101)).sendsMany(1)
      .passes(50).receives(ack(at(12))).sendsMany(5)
      .looks(({ rtt }) => assert.strictEqual(rtt.smoothed, 0))
  })

  it("is forgotten when the acknowledgement comes before there was time for it", () => {
    const { tcb } = established().writes(1460).sendsMany(1)
    const lost = [1, 2, 3].reduce((before) => rfc9293.arrives(before, segment(ack(101)), 0).tcb, tcb)
    assert.strictEqual(lost.transmissions.lost, 1460)
    assert.strictEqual(rfc9293.output(lost, 1460, 0)?.segment.seq, 101)
    const found = rfc9293.arrives(lost, segment(ack(1561)), 0).tcb
    assert.strictEqual(rfc9293.output(found, 0, 0), undefined)
    const timedOut = rfc9293.elapse(tcb, 1460, 200)
    const late = rfc9293.arrives(timedOut, segment(ack(1561)), 200).tcb
    assert.isFalse(late.snd.forced)
  })

  it("of a FIN alone works too", () => {
    const script = established({ settings: { nagle: false } }).writes(10).sendsMany(1).writes(10).sendsMany(1)
      .writes(10).sendsMany(1).closes().sends("<SEQ=131><ACK=301><CTL=FIN,ACK>")
    script.receives(ack(131), ack(131), ack(131), ack(131)).sends("<SEQ=131><ACK=301><CTL=FIN,ACK>")
      .receives(ack(132)).is("FIN-WAIT-2")
  })

  it("takes the FIN along when it follows the missing text", () => {
    established({ settings: { nagle: false } }).writes(10).sendsMany(1).closes().sendsMany(1)
      .receives(ack(101), ack(101), ack(101)).sends("<SEQ=101><ACK=301><DATA=10><CTL=PSH,FIN,ACK>")
  })
})

describe("what is a duplicate (RFC 5681 §2)", () => {
  it("not an acknowledgement while nothing is on its way", () => {
    const script = established().receives(ack(101), ack(101), ack(101), ack(101)).sendsNothing()
    assert.strictEqual(script.tcb.recovery.duplicates, 0)
  })

  it("not one that comes with text", () => {
    const script = sending()
    for (let index = 0; index < 5; index++) {
      script.receives(`<SEQ=${301 + index}><ACK=101><DATA=1><CTL=ACK>`)
    }
    assert.strictEqual(untilOf(script.tcb), undefined)
    assert.strictEqual(script.tcb.recovery.duplicates, 0)
  })

  it("not one that changes the window", () => {
    const script = sending()
    for (const wnd of [60_000, 50_000, 60_000, 50_000, 40_000]) {
      script.receives(`<SEQ=301><ACK=101><WND=${wnd}><CTL=ACK>`).sendsNothing()
    }
    assert.strictEqual(untilOf(script.tcb), undefined)
    assert.strictEqual(script.tcb.recovery.duplicates, 0)
  })

  it("not one that comes with a FIN", () => {
    const script = sending().receives("<SEQ=301><ACK=101><CTL=FIN,ACK>").sendsMany(1)
    assert.strictEqual(script.tcb.recovery.duplicates, 0)
  })

  it("not one that is older than SND.UNA", () => {
    const script = sending().receives(ack(at(2))).sendsMany(4)
    script.receives(ack(101), ack(at(1)), ack(101), ack(at(1))).sendsNothing()
    assert.strictEqual(script.tcb.recovery.duplicates, 0)
  })

  it("an acknowledgement of something new starts the count anew", () => {
    const script = sending().receives(ack(101)).sendsMany(1).receives(ack(101)).sendsMany(1).receives(ack(at(1)))
    script.passed()
    script.receives(ack(at(1))).sendsMany(1).receives(ack(at(1))).sendsMany(1)
    assert.strictEqual(untilOf(script.tcb), undefined)
    script.receives(ack(at(1))).sends(full(at(1)))
    assert.isDefined(untilOf(script.tcb))
  })
})

describe("a window of losses (RFC 6582)", () => {
  it("each partial acknowledgement brings the next missing segment", () => {
    recovering().receives(ack(at(3))).sends(full(at(3)))
      .receives(ack(at(7))).sends(full(at(7)))
      .looks((tcb) => assert.strictEqual(untilOf(tcb), at(12)))
      .receives(ack(at(12))).sendsMany(5)
      .looks((tcb) => assert.strictEqual(untilOf(tcb), undefined))
  })

  it("is one loss event: the threshold is halved once", () => {
    const script = recovering().receives(ack(at(3)))
    for (let duplicate = 0; duplicate < 5; duplicate++) {
      script.passed()
      script.receives(ack(at(3)))
    }
    script.passed()
    script.looks(({ congestion }) => assert.strictEqual(congestion.slowStartThreshold, 5 * 1460))
  })

  it("duplicates at its end do not begin another (step 2)", () => {
    const script = recovering().receives(ack(at(12))).sendsMany(5)
    script.receives(ack(at(12)))
    script.passed()
    script.receives(ack(at(12)))
    script.passed()
    script.receives(ack(at(12)), ack(at(12)))
      .looks((tcb) => assert.strictEqual(untilOf(tcb), undefined))
  })

  it("restarts the retransmission timer with each segment repaired", () => {
    recovering().passes(150).receives(ack(at(3))).sends(full(at(3)))
      .looks(({ deadlines, rtt }) => assert.strictEqual(deadlines.retransmit, 150 + rtt.timeout))
  })
})

describe("a timeout", () => {
  it("leaves one segment of congestion window, and half of what was on its way as threshold", () => {
    sending().passes(200).sends(full(101))
      .looks(({ congestion, ...tcb }) => {
        assert.strictEqual(congestion.window, 1460)
        assert.strictEqual(congestion.slowStartThreshold, 5 * 1460)
        assert.strictEqual(untilOf(tcb), undefined)
      })
  })

  it("halves the threshold once, however often the same segment times out (RFC 5681, equation 4)", () => {
    sending().passes(200).sends(full(101)).passes(400).sends(full(101)).passes(800).sends(full(101))
      .looks(({ congestion }) => assert.strictEqual(congestion.slowStartThreshold, 5 * 1460))
  })

  it("tells the algorithm which timeouts are repetitions", () => {
    const firsts: Array<boolean> = []
    const congestion: CongestionAlgorithm = {
      ...Reno,
      onTimeout: (state, first, view) => {
        firsts.push(first)
        return Reno.onTimeout(state, first, view)
      }
    }
    established({ congestion }).writes(10).sendsMany(1).passes(200).sendsMany(1).passes(400).sendsMany(1)
      .receives(ack(111)).writes(10).sendsMany(1).passes(800).sendsMany(1)
    assert.deepStrictEqual(firsts, [true, false, true])
  })

  it("ends fast recovery", () => {
    sending().receives(ack(101)).sendsMany(1).receives(ack(101)).sendsMany(1).receives(ack(101)).sends(full(101))
      .passes(200).sends(full(101)).looks((tcb) => assert.strictEqual(untilOf(tcb), undefined))
  })

  it("is followed by duplicates of its own making, which start no recovery", () => {
    const script = established().writes(14_600).sendsMany(10)
    script.passes(200).sends(full(101)).receives(ack(at(4))).sends(full(at(4)), full(at(5)))
    script.receives(ack(at(4)), ack(at(4)), ack(at(4)), ack(at(4))).sendsNothing()
      .looks((tcb) => assert.strictEqual(untilOf(tcb), undefined))
  })

  it("slow start goes on to the threshold, then a segment for each round trip", () => {
    const script = sending().passes(200).sends(full(101)).receives(ack(at(10)))
    const windows: Array<number> = []
    for (let una = at(10), flight = script.passed(); windows.length < 6;) {
      windows.push(script.tcb.congestion.window / 1460)
      const acknowledgements = flight
      flight = 0
      for (let index = 0; index < acknowledgements; index++) {
        una += 1460
        script.receives(ack(una))
        flight += script.passed()
      }
    }
    // Two segments after the first acknowledgement, doubled each round, and one more each from the threshold of five.
    assert.deepStrictEqual(windows, [2, 4, 5, 6, 7, 8])
  })
})
