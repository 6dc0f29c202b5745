/**
 * Fast retransmissions that were not needed: Eifel (RFC 3522, RFC 4015) and D-SACK (RFC 2883, RFC 3708).
 */
import { assert, describe, it } from "@effect/vitest"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import { Reno } from "@strata/core/tcp/Reno"
import { at, type LossScript, MSS, sender, type SenderOptions } from "../../../support/lossScript.ts"

/** Ten of many segments left at 100; at 200, three of them seem to have overtaken the first, which goes again. */
const recovering = (options: SenderOptions = {}) =>
  sender({ settings: { tailLossProbe: false }, ...options }).writes(40).sends(..."0123456789").passes(100)
    .acks(0, [1, 4], { echo: 100 }).sends(0).stands("recovery", undefined, 5)

/** The windows are as they were, and grow on. */
const isUndone = (script: LossScript, window = 10) =>
  script.stands("open").has({ lost: 0 }).looks(({ congestion, recovery }) => {
    assert.isAtLeast(congestion.window, window * MSS)
    assert.strictEqual(congestion.slowStartThreshold, Infinity)
    assert.isUndefined(recovery.undo)
  })

const stamped = (options: SenderOptions = {}) => recovering({ timestamps: true, ...options })

describe("Eifel (RFC 3522)", () => {
  it("the original was under way: its timestamp says so", () => {
    isUndone(stamped().passes(5).acks(4, { echo: 100 }).whatever()).counts({ timestampUndos: 1, retransmitted: 1 })
  })

  it("the retransmission was needed: its timestamp says so", () => {
    stamped().passes(100).acks(10, { echo: 200 }).whatever().stands("open", 5, 5).counts({ timestampUndos: 0 })
  })

  it("a timestamp of the same millisecond decides nothing", () => {
    const script = sender({ timestamps: true, roundTrip: 0.2, settings: { tailLossProbe: false } }).passes(0.8)
    script.writes(40).whatever().passes(0.2).acks(0, [1, 4], { echo: 1 }).sends(0).passes(0.3).acks(4, { echo: 1 })
      .counts({ timestampUndos: 0 }).stands("recovery").whatever()
  })

  it("only the first acknowledgement of what was sent again first is asked", () => {
    // Segment 0 was lost. Segment 5 was late, and has an old timestamp for that reason.
    stamped().acks(0, [1, 5], [6, 7], { echo: 100 }).whatever().passes(100).acks(5, [6, 7], { echo: 200 }).whatever()
      .acks(10, { echo: 100 }).counts({ timestampUndos: 0 }).whatever().stands("open", 5)
  })

  it("what an earlier recovery has sent again is not taken for an original", () => {
    // Segment 0 is sent again at 200, after which D-SACK of a doubled packet ends the recovery.
    const script = stamped().meets("the recovery ends", (tcb) => ({
      ...tcb,
      recovery: { ...tcb.recovery, phase: "open", until: at(-1), undo: undefined }
    })).whatever()
    // Segments 4 and 5 are found lost at 210, and segment 4 goes again.
    script.passes(10).acks(0, [6, 9], [1, 4], { echo: 100 })
    assert.deepStrictEqual(script.taken(), [4])
    // The repetition of segment 0 is what arrives.
    script.passes(90).acks(4, [6, 9], { echo: 200 }).counts({ timestampUndos: 0 }).stands("recovery").whatever()
  })

  it("reordering is known from then on", () => {
    stamped().looks(({ rack }) => assert.isFalse(rack.reordering)).passes(5).acks(4, { echo: 100 }).whatever()
      .looks(({ rack }) => assert.isTrue(rack.reordering))
  })

  it("what is lost all the same is found again, and lowers the windows once", () => {
    // Segment 4 has not been sent again when the original of segment 0 arrives.
    const script = stamped().acks(0, [1, 4], [5, 6], { echo: 100 }).sendsNothing().counts({ lostOctets: 2 * MSS })
    script.passes(5).acks(4, [5, 6], { echo: 100 }).counts({ timestampUndos: 1 }).has({ lost: 0 }).stands("open")
      .whatever()
    // There is a reordering window now, of 25 ms.
    script.passes(19).sendsNothing().passes(1)
    assert.include(script.taken(), 4)
    script.stands("recovery").counts({ sackRecoveries: 2 })
  })

  it("the algorithm says what to do with its windows", () => {
    const told: Array<readonly [number, number]> = []
    const congestion: CongestionAlgorithm = {
      ...Reno,
      onSpurious: (state, before) => {
        told.push([state.window, before.window])
        return { ...before, window: 7 * MSS }
      }
    }
    stamped({ congestion }).passes(5).acks(4, { echo: 100 }).whatever()
    assert.strictEqual(told.length, 1)
    assert.strictEqual(told[0]![1], 10 * MSS)
  })

  it("without one that does, the larger window counts (RFC 4015 §3.2)", () => {
    const { onSpurious: _, ...congestion } = Reno
    isUndone(stamped({ congestion }).passes(5).acks(4, { echo: 100 }).whatever())
  })
})

describe("without timestamps", () => {
  it("an answer within half of the least round-trip time is that of the original", () => {
    isUndone(recovering().passes(49).acks(4).whatever()).counts({ timestampUndos: 1 })
    recovering().passes(50).acks(4).counts({ timestampUndos: 0 }).stands("recovery").whatever()
  })

  it("without SACK, one segment that is late does not bring all those after it again", () => {
    const script = sender({ sack: false }).writes(40).sends(..."0123456789").passes(100)
    for (const _ of "123") script.acks(0).whatever()
    script.counts({ retransmitted: 1 }).stands("recovery").passes(1).acks(4).whatever()
    isUndone(script)
    for (let una = 5; una <= 10; una++) script.passes(1).acks(una).whatever()
    script.counts({ retransmitted: 1 })
  })
})

describe("D-SACK (RFC 2883)", () => {
  it("all that was sent again had arrived already", () => {
    isUndone(recovering().passes(60).acks(4, [0, 1]).whatever()).counts({ duplicateUndos: 1, retransmitted: 1 })
  })

  it("so it had, when the peer tells after everything is repaired", () => {
    isUndone(recovering().passes(60).acks(10).whatever().stands("open", 5, 5).passes(50).acks(12, [0, 1]).whatever())
      .counts({ duplicateUndos: 1 })
  })

  it("some of it is not enough", () => {
    const script = recovering().acks(0, [1, 4], [7, 10]).sends(4, 5, 6, 10).passes(60).acks(10, [0, 1]).whatever()
    for (const segment of [4, 5]) script.acks(10, [segment, segment + 1]).counts({ duplicateUndos: 0 }).whatever()
    isUndone(script.acks(10, [6, 7]).whatever()).counts({ duplicatesReported: 4, duplicateUndos: 1 })
  })

  it("of which one segment was lost a second time is not enough, either", () => {
    // Segment 0 is sent three times.
    const script = recovering().passes(1).acks(0, [1, 10]).whatever().passes(100).acks(0, [1, 11])
    assert.include(script.taken(), 0)
    script.passes(5).acks(11, [0, 1]).counts({ duplicateUndos: 0, lostRetransmissions: 1 }).whatever()
  })

  it("what the network doubled before, or after, is something else", () => {
    // Segment 12 was sent after the repair began.
    recovering().passes(5).acks(10).whatever().passes(100).acks(14, [12, 13]).counts({ duplicateUndos: 0 }).whatever()
    sender().writes(10).sends(..."0123456789").passes(100).acks(2).writes(20).whatever()
      .acks(2, [3, 6]).whatever().stands("recovery").acks(2, [0, 1], [3, 6]).counts({ duplicateUndos: 0 }).whatever()
  })

  it("a block about nothing that was ever sent, or long ago, is none", () => {
    const script = recovering()
    script.acks(4, [-90, -89]).whatever().acks(4, [50, 51]).counts({ duplicatesReported: 0 }).whatever()
  })

  it("a block within the second one is one, of what is not acknowledged yet (RFC 2883 §4.2)", () => {
    recovering().acks(0, [2, 3], [1, 4]).counts({ duplicatesReported: 1 }).has({ sacked: 3 }).whatever()
  })

  it("after a timeout, too", () => {
    const script = sender({ settings: { tailLossProbe: false } }).writes(10).sends(..."0123456789").passes(300).sends(0)
    isUndone(script.passes(20).acks(10, [0, 1]).whatever()).counts({ timeoutUndos: 1, timeouts: 1 })
  })

  it("probes that were not needed do not count for a repair that was", () => {
    // Segment 9 goes again as a probe, and is reported only when segment 10 is being repaired.
    sender().writes(10).sends(..."0123456789").passes(202).sends(9).passes(20).acks(10).writes(10).whatever()
      .passes(100).acks(10, [11, 14]).whatever().stands("recovery").acks(10, [9, 10], [11, 14])
      .counts({ duplicateUndos: 0 }).whatever()
  })
})

describe("a reduction because of an echo of congestion (RFC 3168)", () => {
  it("is not undone", () => {
    const script = sender({ ecn: true }).writes(40).sends(..."0123456789").passes(100)
      .acks(1, { flags: "ECE" }).whatever().stands("recovery")
      .looks(({ recovery }) => assert.isUndefined(recovery.undo))
    script.acks(1, [2, 5]).whatever().passes(5).acks(5, [1, 2]).counts({ duplicateUndos: 0 }).whatever().stands(
      "recovery"
    )
  })

  it("happens once for what was on its way, and its last acknowledgement may still echo", () => {
    sender({ ecn: true }).writes(40).sends(..."0123456789").passes(100)
      .acks(1, { flags: "ECE" }).whatever().acks(5, { flags: "ECE" }).whatever().acks(10, { flags: "ECE" }).whatever()
      .counts({ congestionEchoes: 1 }).passes(100).acks(11, { flags: "ECE" }).whatever().counts({ congestionEchoes: 2 })
  })
})
