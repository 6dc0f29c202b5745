import { assert, describe, it } from "@effect/vitest"
import { TcpFlag } from "@strata/core/tcp/Segment"
import * as Sequence from "@strata/core/tcp/Sequence"
import { type Emission, rfc9293 } from "@strata/core/tcp/TcpMachine"
import { connecting, listening, segment, type TcpScript } from "../../support/tcpScript.ts"

const active = { settings: { explicitCongestionNotification: "active" } } as const
const passive = { settings: { explicitCongestionNotification: "passive" } } as const
const off = { settings: { explicitCongestionNotification: "off" } } as const

/** ESTABLISHED after an ECN-setup SYN and SYN,ACK. */
const capable = (): TcpScript =>
  listening(passive)
    .receives("<SEQ=300><CTL=SYN,ECE,CWR>")
    .sends("<SEQ=100><ACK=301><CTL=SYN,ACK,ECE>")
    .receives("<SEQ=301><ACK=101><CTL=ACK>")
    .is("ESTABLISHED")

describe("ECN, negotiation (RFC 3168 §6.1.1)", () => {
  it("an active host asks with both bits, and is answered by ECE", () => {
    connecting(active).sends("<SEQ=100><CTL=SYN,ECE,CWR>")
      .receives("<SEQ=300><ACK=101><CTL=SYN,ACK,ECE>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .looks(({ options }) => assert.isTrue(options.ecn))
  })

  it("a passive host does not ask, and takes no answer", () => {
    connecting(passive).sends("<SEQ=100><CTL=SYN>")
      .receives("<SEQ=300><ACK=101><CTL=SYN,ACK,ECE>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .looks(({ options }) => assert.isFalse(options.ecn))
  })

  it("a passive host grants what is asked for", () => {
    capable().looks(({ options }) => assert.isTrue(options.ecn))
  })

  it("a SYN with one of the bits asks for nothing, nor does an answer that repeats both", () => {
    listening(passive).receives("<SEQ=300><CTL=SYN,ECE>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
    connecting(active).sends("<SEQ=100><CTL=SYN,ECE,CWR>")
      .receives("<SEQ=300><ACK=101><CTL=SYN,ACK,ECE,CWR>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .looks(({ options }) => assert.isFalse(options.ecn))
  })

  it("a host without it neither asks nor grants", () => {
    connecting(off).sends("<SEQ=100><CTL=SYN>")
    listening(off).receives("<SEQ=300><CTL=SYN,ECE,CWR>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
  })

  it("a SYN that got no answer is sent again without (§6.1.1.1): somebody on the way may not like it", () => {
    connecting(active).sends("<SEQ=100><CTL=SYN,ECE,CWR>").passes(1000).sends("<SEQ=100><CTL=SYN>")
      .receives("<SEQ=300><ACK=101><CTL=SYN,ACK,ECE>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .looks(({ options }) => assert.isFalse(options.ecn))
  })
})

describe("ECN, negotiation where SYNs cross or come again", () => {
  it("SYNs that cross both ask, and both grant; their bits are no echoes", () => {
    connecting(active).sends("<SEQ=100><ECT=0><CTL=SYN,ECE,CWR>")
      .receives("<SEQ=300><CTL=SYN,ECE,CWR>").sends("<SEQ=100><ACK=301><ECT=0><CTL=SYN,ACK,ECE>")
      .receives("<SEQ=300><ACK=101><CTL=SYN,ACK,ECE>").is("ESTABLISHED")
      .looks(({ congestion }) => assert.strictEqual(congestion.slowStartThreshold, Infinity))
      .writes(10).sends("<SEQ=101><ACK=301><DATA=10><ECT=1><CTL=ACK>")
  })

  it("a host whose SYN did not ask does not grant to one that crosses it", () => {
    connecting(passive).sends("<SEQ=100><CTL=SYN>")
      .receives("<SEQ=300><CTL=SYN,ECE,CWR>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
  })

  it("a peer that asks again without the bits is answered without", () => {
    listening(passive).receives("<SEQ=300><CTL=SYN,ECE,CWR>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK,ECE>")
      .receives("<SEQ=300><CTL=SYN,ECE,CWR>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK,ECE>")
      .receives("<SEQ=300><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
      .receives("<SEQ=301><ACK=101><CTL=ACK>").writes(10).sends("<SEQ=101><ACK=301><DATA=10><ECT=0><CTL=ACK>")
  })
})

describe("ECN, the receiver (RFC 3168 §6.1.3)", () => {
  it("a mark is echoed at once, and on every acknowledgement until the sender has heard of it", () => {
    capable().receives("<SEQ=301><ACK=101><DATA=10><CTL=ACK><CE=1>").sends("<SEQ=101><ACK=311><CTL=ACK,ECE>")
      .receives("<SEQ=311><ACK=101><DATA=10><CTL=ACK>").passes(40).sends("<SEQ=101><ACK=321><CTL=ACK,ECE>")
      .writes(10).sends("<SEQ=101><ACK=321><DATA=10><CTL=ACK,ECE>")
      .receives("<SEQ=321><ACK=111><DATA=10><CTL=ACK,CWR>").sends("<SEQ=111><ACK=331><CTL=ACK>")
      .receives("<SEQ=331><ACK=111><DATA=10><CTL=ACK>").passes(40).sends("<SEQ=111><ACK=341><CTL=ACK>")
  })

  it("a mark behind a gap counts; one outside of the window, or on what is not text, does not", () => {
    capable().receives("<SEQ=1761><ACK=101><DATA=1460><CTL=ACK><CE=1>").sends("<SEQ=101><ACK=301><CTL=ACK,ECE>")
    capable().receives("<SEQ=99><ACK=101><DATA=10><CTL=ACK><CE=1>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><CTL=ACK><CE=1>").sendsNothing()
      .receives("<SEQ=301><ACK=101><DATA=10><CTL=ACK>").passes(40).sends("<SEQ=101><ACK=311><CTL=ACK>")
  })

  it("a mark on the very segment that says CWR begins anew", () => {
    const script = capable()
    script.receives("<SEQ=301><ACK=101><DATA=10><CTL=ACK><CE=1>")
    script.passed()
    script.receives("<SEQ=311><ACK=101><DATA=10><CTL=ACK,CWR><CE=1>")
    script.sends("<SEQ=101><ACK=321><CTL=ACK,ECE>")
  })

  it("a mark means nothing where ECN was not agreed on", () => {
    const script = listening(off).receives("<SEQ=300><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
      .receives("<SEQ=301><ACK=101><CTL=ACK>")
    script.receives("<SEQ=301><ACK=101><DATA=10><CTL=ACK><CE=1>")
    script.passes(40).sends("<SEQ=101><ACK=311><CTL=ACK>")
  })
})

const ack = (index: number, control = "ACK") => `<SEQ=301><ACK=${101 + 1460 * index}><CTL=${control}>`

describe("ECN, the sender (RFC 3168 §6.1.2)", () => {
  it("lowers its window once for a round trip of echoes, sends nothing again, and says so on the next text", () => {
    const script = capable().writes(100_000).sendsMany(10)
    const before = script.tcb.congestion.window
    script.receives(ack(2, "ACK,ECE"))
    const lowered = script.tcb.congestion.slowStartThreshold
    assert.isBelow(lowered, before)
    const sent: Array<Emission> = [...script.taken()]
    for (const index of [4, 6, 8, 10]) {
      script.receives(ack(index, "ACK,ECE"))
      sent.push(...script.taken())
    }
    assert.strictEqual(script.tcb.congestion.slowStartThreshold, lowered)
    assert.strictEqual(script.tcb.counts.congestionEchoes, 1)
    assert.strictEqual(script.tcb.counts.retransmitted, 0)
    const saying = sent.filter(({ flags }) => (flags & TcpFlag.cwr) !== 0)
    assert.deepStrictEqual(saying.map(({ seq }) => seq), [101 + 1460 * 10])
  })

  it("an echo of another round trip lowers it again", () => {
    const script = capable().writes(200_000).sendsMany(10).receives(ack(10, "ACK,ECE"))
    script.passed()
    const first = script.tcb.congestion.slowStartThreshold
    const { nxt } = script.tcb.snd
    script.receives(`<SEQ=301><ACK=${nxt}><CTL=ACK,ECE>`)
    script.passed()
    script.receives(`<SEQ=301><ACK=${script.tcb.snd.nxt}><CTL=ACK,ECE>`)
    script.passed()
    assert.isBelow(script.tcb.congestion.slowStartThreshold, first)
    assert.strictEqual(script.tcb.counts.congestionEchoes, 3)
  })

  it("only new text may be marked: not what is sent again, nor an acknowledgement (§6.1.4, §6.1.5)", () => {
    const { tcb } = capable()
    const text = rfc9293.output(tcb, 1460, 0)!
    assert.isTrue(text.segment.congestionCapable)
    const late = rfc9293.elapse(text.tcb, 1460, 5000)
    assert.notStrictEqual(rfc9293.output(late, 1460, 5000)!.segment.congestionCapable, true)
    const answered = rfc9293.arrives(tcb, segment("<SEQ=311><ACK=101><DATA=10><CTL=ACK>"), 0)
    assert.notStrictEqual(answered.reply!.congestionCapable, true)
  })

  it("a FIN without text and the probe of a closed window may not be marked", () => {
    capable().closes().sends("<SEQ=101><ACK=301><ECT=0><CTL=FIN,ACK>")
    const closed = capable().receives("<SEQ=301><ACK=101><WND=0><CTL=ACK>").writes(10)
    closed.passes(closed.tcb.deadlines.persist).sends("<SEQ=101><ACK=301><DATA=1><ECT=0><CTL=ACK>")
  })

  it("the first new text after a timeout says that the window was lowered, and nothing else does", () => {
    const script = capable().writes(1460).sends("<SEQ=101><ACK=301><DATA=1460><ECT=1><CTL=ACK>")
    script.passes(script.tcb.rtt.timeout).sends("<SEQ=101><ACK=301><DATA=1460><ECT=0><CTL=ACK>")
      .receives(ack(1)).writes(10).sends("<SEQ=1561><ACK=301><DATA=10><ECT=1><CTL=ACK,CWR>")
      .receives("<SEQ=301><ACK=1571><CTL=ACK>").writes(10).sends("<SEQ=1571><ACK=301><DATA=10><ECT=1><CTL=ACK>")
  })

  it("more than 2^31 octets without congestion do not make it deaf", () => {
    const script = capable().meets("2^30 octets were acknowledged", (tcb) => ({
      ...tcb,
      recovery: { ...tcb.recovery, until: Sequence.add(tcb.snd.una, -(2 ** 30) - 1) }
    }))
    script.writes(1460).sends("<SEQ=101><ACK=301><DATA=1460><CTL=ACK>").receives(ack(1))
    assert.strictEqual(script.tcb.recovery.until, 1561)
  })
})
