/**
 * Losses beside other things: closed windows, a smaller path, the end of the connection, large segments.
 */
import { assert, describe, it } from "@effect/vitest"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { at, type LossScript, MSS, sender, type SenderOptions } from "../../../support/lossScript.ts"

const settings = { tailLossProbe: false }
const ten = (options: SenderOptions = {}) =>
  sender({ settings, ...options }).writes(40).sends(..."0123456789").passes(100)

/** Whether a timer will see to what is to be sent. */
const isAwake = (script: LossScript): LossScript =>
  script.looks(({ deadlines }) => assert.isBelow(Math.min(deadlines.retransmit, deadlines.persist), Infinity))

describe("a window that closes", () => {
  it("in recovery: what is lost waits for it, and is probed by one octet", () => {
    const script = ten().acks(0, [2, 5]).sends(0)
    script.passes(100).acks(1, [2, 10], { wnd: 0 }).sendsNothing().has({ lost: 1, inFlight: 0 })
    isAwake(script).looks(({ deadlines }) => assert.strictEqual(deadlines.retransmit, Infinity))
    script.passes(script.tcb.deadlines.persist - script.now).sendsParts([1, 1.001])
    // The probe is counted as lost still: the peer is expected to drop it.
    script.has({ lost: 1 }).passes(50).acks(1, [2, 10], { wnd: 0 }).sendsNothing()
    isAwake(script).acks(1, [2, 10], { wnd: 20 * MSS })
    assert.strictEqual(script.taken()[0], 1)
    script.has({ lost: 0 })
  })

  it("while things are on their way: the retransmission timer sees to them, and then the persist timer to the window", () => {
    const script = ten().acks(2, { wnd: 0 }).sendsNothing().has({ inFlight: 8 })
    script.looks(({ deadlines }) => assert.isBelow(deadlines.retransmit, Infinity))
    script.passes(script.tcb.rtt.timeout).sendsParts([2, 2.001]).has({ inFlight: 0, lost: 8 })
    isAwake(script).looks(({ deadlines }) => assert.strictEqual(deadlines.retransmit, Infinity))
      .passes(1000).whatever()
    isAwake(script).acks(10, { wnd: 20 * MSS })
    assert.isAbove(script.taken().length, 0)
  })

  it("at a timeout that leaves later segments on their way: there is a timer at every time", () => {
    const script = ten().acks(2, { wnd: 8 * MSS })
    script.whatever().passes(20).meets("the latter half was sent just now", (tcb, now) => ({
      ...tcb,
      rack: { ...tcb.rack, rtt: 10_000 },
      deadlines: { ...tcb.deadlines, retransmit: now + 1 }
    }))
    script.acks(2, { wnd: 0 }).passes(1).sendsParts([2, 2.001])
    for (let round = 0; round < 8; round++) {
      isAwake(script).passes(Math.min(script.tcb.deadlines.retransmit, script.tcb.deadlines.persist) - script.now)
      assert.isAbove(script.taken().length, 0)
      script.acks(2, { wnd: 0 }).whatever()
    }
    isAwake(script).acks(2, { wnd: 60_000 }).whatever()
    script.passes(script.tcb.rtt.timeout)
    assert.isAbove(script.taken().length, 0)
  })

  it("and answers of the peer to probes are no duplicates", () => {
    const script = ten({ sack: false }).acks(10, { wnd: 0 }).sendsNothing()
    for (let round = 0; round < 5; round++) {
      script.passes(script.tcb.deadlines.persist - script.now).sendsParts([10, 10.001]).acks(10, { wnd: 0 })
    }
    script.stands("open").counts({ renoRecoveries: 0, timeouts: 0 })
      .looks(({ recovery }) => assert.strictEqual(recovery.duplicates, 0))
  })

  it("of less than is on its way: what was sent may be sent again only as far as it reaches", () => {
    ten().acks(0, [1, 4], { wnd: 500 }).sendsParts([0, 0.5]).has({ lost: 0.5 })
  })
})

const shrunk = () =>
  ten().acks(0, [1, 4]).sends(0).passes(50)
    .meets("the path takes 540 octets", (tcb, now) => rfc9293.pathMtu(tcb, at(0), 540, now))

describe("a smaller path in the middle of recovery (RFC 1191)", () => {
  it("what is on its way is lost, and goes again in smaller pieces, as far as the window allows", () => {
    const script = shrunk()
    script.looks(({ snd }) => assert.strictEqual(snd.mss, 500)).stands("recovery")
    const sent = script.script.taken()
    assert.isAbove(sent.length, 0)
    for (const { length } of sent) assert.strictEqual(length, 500)
    assert.strictEqual(sent[0]!.seq, at(0))
    script.looks(({ transmissions }) => assert.strictEqual(transmissions.sacked, 3 * MSS))
  })

  it("is no congestion: without a recovery the windows stay", () => {
    const script = ten().meets("a smaller path", (tcb, now) => rfc9293.pathMtu(tcb, at(0), 540, now))
    assert.strictEqual(script.taken().length, 20)
    script.passes(100).acks(0.5).whatever().acks(1, [1.5, 2]).whatever()
    script.stands("open").looks(({ congestion }) => {
      assert.strictEqual(congestion.slowStartThreshold, Infinity)
      assert.isAtLeast(congestion.window, 10 * MSS)
    }).counts({ sackRecoveries: 0 })
  })

  it("ends all the same", () => {
    const script = shrunk().whatever()
    for (let una = 0.5; una <= 10; una += 0.5) script.passes(10).acks(una).whatever()
    script.stands("open").has({ lost: 0, sacked: 0 }).counts({ timeouts: 0 })
  })
})

const fin = (script: LossScript) => {
  const { snd } = script.tcb
  return `<SEQ=${snd.fin!}><ACK=${script.tcb.rcv.nxt}><CTL=FIN,ACK>`
}

/** Four segments, the last one with the FIN. */
const last = () => {
  const script = sender({ settings })
  script.script.queued = 4 * MSS
  assert.deepStrictEqual(script.closes().taken(), [0, 1, 2, 3])
  return script.passes(100)
}

/** Everything was acknowledged but the FIN. */
const closed = (options: SenderOptions = {}) => {
  const script = sender({ settings, ...options }).writes(1).sends(0).passes(100).acks(1).closes()
  script.script.sends(fin(script))
  return script
}

describe("a FIN that is lost", () => {
  it("FIN-WAIT-1: goes again after a timeout", () => {
    const script = closed().is("FIN-WAIT-1")
    script.passes(script.tcb.rtt.timeout).script.sends(fin(script))
    script.passes(50).acks(1.001).is("FIN-WAIT-2").passes(10_000).sendsNothing()
  })

  it("FIN-WAIT-1: goes again as a probe", () => {
    const script = closed({ settings: {} })
    script.passes(script.tcb.deadlines.tail - script.now).script.sends(fin(script))
    script.counts({ tailProbes: 1, timeouts: 0 }).passes(50).acks(1.001).is("FIN-WAIT-2")
  })

  it("CLOSING: the peer has closed as well", () => {
    const script = closed()
    script.script.receives(`<SEQ=301><ACK=${at(1)}><CTL=FIN,ACK>`).is("CLOSING")
      .sends(`<SEQ=${(script.tcb.snd.fin! + 1) >>> 0}><ACK=302><CTL=ACK>`)
    script.passes(script.tcb.rtt.timeout).script.sends(fin(script))
    script.script.receives(`<SEQ=302><ACK=${(script.tcb.snd.fin! + 1) >>> 0}><CTL=ACK>`).is("TIME-WAIT")
  })

  it("LAST-ACK: the peer closed first", () => {
    const script = sender({ settings })
    script.script.receives(`<SEQ=301><ACK=${at(0)}><CTL=FIN,ACK>`).is("CLOSE-WAIT").sends(
      `<SEQ=${at(0)}><ACK=302><CTL=ACK>`
    )
    script.writes(1).sends(0).closes().is("LAST-ACK").script.sends(fin(script))
    script.passes(script.tcb.rtt.timeout)
    // Text and FIN together are one segment.
    script.script.sends(`<SEQ=${at(0)}><ACK=302><DATA=${MSS}><CTL=FIN,ACK>`)
      .receives(`<SEQ=302><ACK=${(script.tcb.snd.fin! + 1) >>> 0}><CTL=ACK>`).is("CLOSED", "finished")
  })

  it("behind text that is lost, too: they go together", () => {
    const script = last().acks(0, [1, 2]).passes(25).sends(0).passes(100).acks(2).sends(2).passes(100).acks(3)
    const [again] = script.script.taken()
    assert.deepStrictEqual([again?.seq, again?.length], [at(3), MSS])
    assert.strictEqual((again!.seq + again!.length) >>> 0, script.tcb.snd.fin)
    script.passes(100).acks(4.001).is("FIN-WAIT-2").counts({ timeouts: 0, retransmitted: 3 })
  })

  it("is not sent again when it was selectively acknowledged", () => {
    last().acks(0, [1, 4.001]).sends(0).passes(100).acks(4.001).is("FIN-WAIT-2").counts({ retransmitted: 1 })
  })
})

describe("large segments that a device cuts", () => {
  it("are sent at once, and repaired octet by octet", () => {
    const script = sender({ settings })
    script.script.queued = 10 * MSS
    script.meets("a device that cuts takes as much as may be sent", (tcb, now) => {
      const next = rfc9293.output(tcb, 10 * MSS, now, 64 * MSS)
      assert.strictEqual(next?.segment.length, 10 * MSS)
      return next!.tcb
    }).sendsNothing().has({ inFlight: 10 })
    script.passes(100).acks(2, [4, 10]).sends(2, 3)
  })
})
