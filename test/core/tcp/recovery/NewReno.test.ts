/**
 * Recovery without SACK: limited transmit (RFC 3042) and NewReno (RFC 6582), beside rate reduction (RFC 9937).
 */
import { assert, describe, it } from "@effect/vitest"
import { at, type LossScript, MSS, sender, type SenderOptions } from "../../../support/lossScript.ts"

const twenty = Array.from({ length: 20 }, (_, index) => index)

/** Twenty segments fill the window, there is much more to send, and a round trip is over. */
const full = (options: SenderOptions = {}) =>
  sender({ sack: false, congestionWindow: 20, ...options }).writes(100).sends(...twenty).passes(100)

/** So many duplicates of the acknowledgement up to segment `una`, and what is sent upon them. */
const duplicates = (script: LossScript, una: number, count: number) =>
  Array.from({ length: count }, () => script.acks(una).taken()).flat()

/** In recovery of segment 0, with 22 on their way. */
const recovering = () => {
  const script = full()
  assert.deepStrictEqual(duplicates(script, 0, 3), [20, 21, 0])
  return script.stands("recovery", undefined, 10)
}

describe("limited transmit (RFC 3042 §2)", () => {
  it("the first two duplicates let a new segment go each, and leave the window as it is", () => {
    full().acks(0).sends(20).acks(0).sends(21).stands("open", 20)
  })

  it("unless the peer's window is full", () => {
    full({ peerWindow: 21 * MSS }).acks(0).sends(20).acks(0).sendsNothing()
  })

  it("unless there is nothing new", () => {
    sender({ sack: false }).writes(10).sends(..."0123456789").passes(100).acks(0).sendsNothing().acks(0).sendsNothing()
      .acks(0).sends(0)
  })

  it("with SACK, what was delivered makes the room", () => {
    full({ sack: true }).acks(0, [1, 2]).sends(20).acks(0, [1, 3]).sends(21).stands("open", 20)
  })
})

describe("RFC 6582 §3.2", () => {
  it("step 2: the third duplicate begins recovery, which ends at what was on its way", () => {
    recovering().looks(({ recovery }) => assert.strictEqual(recovery.until, at(22)))
  })

  it("step 3, a partial acknowledgement: what follows it goes at once, and recovery goes on", () => {
    const script = recovering()
    duplicates(script, 0, 16)
    script.passes(100).acks(7)
    assert.include(script.taken(), 7)
    script.stands("recovery", undefined, 10).passes(100).acks(14)
    assert.include(script.taken(), 14)
    script.stands("recovery", undefined, 10).passes(100).acks(22).whatever().stands("open", 10, 10)
      .counts({ timeouts: 0, renoRecoveries: 1 })
  })

  it("step 3: each of them starts the timer anew", () => {
    const script = recovering().passes(100).acks(7).whatever()
    script.looks(({ deadlines, rtt }) => assert.strictEqual(deadlines.retransmit, script.now + rtt.timeout))
  })

  it("step 3: what is in flight is what was not acknowledged, less the duplicates, less what is lost", () => {
    const script = recovering()
    // Twenty more duplicates than one for each segment that can have left.
    duplicates(script, 0, 40)
    script.looks(({ recovery, transmissions }) => {
      assert.isAtLeast(recovery.duplicates * MSS, transmissions.nxt - transmissions.una - transmissions.lost)
    })
    // They cannot let more go than may be in flight after the reduction.
    script.looks(({ congestion }) => assert.isAtMost(congestion.window, 11 * MSS))
  })

  it("step 4, a full acknowledgement: the window is the threshold, and nothing of the duplicates is left", () => {
    recovering().passes(100).acks(22).whatever().stands("open", 10, 10).looks(({ recovery, snd }) => {
      assert.strictEqual(recovery.duplicates, 0)
      assert.strictEqual((snd.nxt - snd.una) | 0, 10 * MSS)
    })
  })

  it("step 2, the careful variant: duplicates that repetitions have caused begin nothing", () => {
    const script = recovering().passes(100).acks(22).whatever()
    duplicates(script, 22, 5)
    script.stands("open").counts({ renoRecoveries: 1, retransmitted: 1 })
  })

  it("step 2: but those of something that was sent later do", () => {
    const script = recovering().passes(100).acks(22).whatever().passes(100).acks(23).whatever()
    duplicates(script, 23, 3)
    script.stands("recovery").counts({ renoRecoveries: 2 })
  })

  it("§4: after a timeout, duplicates of what is sent again begin nothing", () => {
    const script = full({ settings: { tailLossProbe: false } }).passes(200).sends(0).stands("loss")
    script.passes(100).acks(10).whatever()
    duplicates(script, 10, 6)
    script.stands("loss").counts({ renoRecoveries: 0 })
  })

  it("a window of losses: one segment in a round trip, and no timeout", () => {
    const script = recovering()
    duplicates(script, 0, 12)
    for (const lost of [1, 2, 3, 4]) {
      script.passes(100).acks(lost)
      assert.include(script.taken(), lost)
      script.counts({ timeouts: 0 })
    }
    script.passes(100).acks(script.tcb.recovery.until === at(22) ? 22 : 0).whatever().stands("open", 10, 10)
  })
})

const echoed = () => full({ ecn: true }).acks(1, { flags: "ECE" }).whatever().stands("recovery")

describe("a reduction because of an echo of congestion (RFC 3168)", () => {
  it("is nothing that is to be repaired", () => {
    const script = echoed()
    for (let una = 2; una <= 20; una++) script.passes(1).acks(una).whatever()
    script.stands("open").counts({ retransmitted: 0, lostOctets: 0 })
  })

  it("but duplicates prove a loss then, too, which lowers the window no further", () => {
    const script = echoed().acks(2).whatever()
    const threshold = script.tcb.congestion.slowStartThreshold
    assert.include(duplicates(script, 2, 3), 2)
    script.counts({ retransmitted: 1 }).passes(100).acks(9)
    assert.include(script.taken(), 9)
    assert.strictEqual(script.tcb.congestion.slowStartThreshold, threshold)
  })
})

describe("what is no duplicate (RFC 5681 §2)", () => {
  const nothing = { sacked: 0, lost: 0, inFlight: 20 }

  it("a window that changes, closes or opens", () => {
    const script = full({ congestionWindow: 20, peerWindow: 60_000 })
    for (const wnd of [50_000, 60_000, 40_000, 0, 30_000]) script.acks(0, { wnd }).whatever()
    script.has(nothing).stands("open").looks(({ recovery }) => assert.strictEqual(recovery.duplicates, 0))
  })

  it("an acknowledgement that comes with text", () => {
    const script = full()
    for (const _ of "12345") script.acks(0, { data: 1 }).whatever()
    script.has(nothing).looks(({ recovery }) => assert.strictEqual(recovery.duplicates, 0)).passes(40).whatever()
  })

  it("one while nothing is on its way", () => {
    const script = sender({ sack: false }).acks(0).acks(0).acks(0).acks(0)
    script.looks(({ recovery }) => assert.strictEqual(recovery.duplicates, 0))
  })

  it("with SACK, one without blocks", () => {
    const script = full({ sack: true })
    for (const _ of "12345") script.acks(0).sendsNothing()
    script.has(nothing).stands("open")
  })
})
