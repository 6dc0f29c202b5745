import { assert, describe, it } from "@effect/vitest"
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { established, listening, type ScriptOptions, segment, type TcpScript } from "../../support/tcpScript.ts"

const SEGMENT = 1460
const quick = (options: ScriptOptions = {}) =>
  established({ capacity: 65_535, ...options, settings: { quickAcknowledgements: 16, ...options.settings } })

/** The next segments in order: how many acknowledgements they bring. */
const receive = (script: TcpScript, count: number, { octets = SEGMENT, flags = "ACK" } = {}): number => {
  let answers = 0
  for (let index = 0; index < count; index++) {
    const { rcv, snd } = script.tcb
    script.receives(`<SEQ=${rcv.nxt}><ACK=${snd.nxt}><DATA=${octets}><CTL=${flags}>`)
    answers += script.passed()
    script.reads()
    answers += script.passed()
  }
  return answers
}

describe("quick acknowledgements", () => {
  it("the first 16 segments of a connection are acknowledged one by one, then every second", () => {
    const script = quick()
    assert.strictEqual(receive(script, 16), 16)
    assert.strictEqual(receive(script, 20), 10)
  })

  it("so are those after a pause longer than the retransmission timeout", () => {
    const script = quick()
    receive(script, 40)
    script.passes(script.tcb.rtt.timeout)
    assert.strictEqual(receive(script, 10), 5)
    script.passes(script.tcb.rtt.timeout + 1)
    assert.strictEqual(receive(script, 16), 16)
    assert.strictEqual(receive(script, 10), 5)
  })

  it("and those after a segment that came twice: the peer may have begun slowly again", () => {
    const selective = listening({ settings: { selectiveAcknowledgement: true, quickAcknowledgements: 16 } })
      .receives("<SEQ=300><SACKOK=1><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
      .receives("<SEQ=301><ACK=101><CTL=ACK>").is("ESTABLISHED")
    receive(selective, 20)
    selective.receives("<SEQ=301><ACK=101><DATA=1460><CTL=ACK>").passed()
    assert.strictEqual(receive(selective, 16), 16)
    assert.strictEqual(receive(selective, 10), 5)
  })

  it("not where the program answers: its answers carry them", () => {
    const script = quick()
    assert.strictEqual(receive(script, 1, { octets: 100 }), 1)
    script.passes(5).writes(200).sends("<SEQ=101><ACK=401><DATA=200><CTL=ACK>")
      .receives("<SEQ=401><ACK=301><DATA=100><CTL=PSH,ACK>").sendsNothing().reads().sendsNothing()
      .passes(5).writes(200).sends("<SEQ=301><ACK=501><DATA=200><CTL=ACK>")
  })

  it("until it does not any more", () => {
    const script = quick()
    receive(script, 1, { octets: 100 })
    script.passes(5).writes(200).sends("<SEQ=101><ACK=401><DATA=200><CTL=ACK>")
      .receives("<SEQ=401><ACK=301><DATA=100><CTL=PSH,ACK>").passes(40).sends("<SEQ=301><ACK=501><CTL=ACK>")
    assert.strictEqual(receive(script, 3, { octets: 100 }), 3)
  })

  it("a FIN is no answer", () => {
    const script = quick()
    receive(script, 1, { octets: 100 })
    script.passes(5).closes().sends("<SEQ=101><ACK=401><CTL=FIN,ACK>")
    assert.strictEqual(receive(script, 3, { octets: 100 }), 3)
  })

  it("what the program writes long after it has read is no answer", () => {
    const script = quick()
    receive(script, 1, { octets: 100 })
    script.passes(40).writes(200).sends("<SEQ=101><ACK=401><DATA=200><CTL=ACK>")
    script.receives("<SEQ=401><ACK=301><DATA=100><CTL=ACK>").sends("<SEQ=301><ACK=501><CTL=ACK>")
  })
})

describe("delayed acknowledgements (RFC 9293 §3.8.6.3)", () => {
  it("full-sized segments are those with room for timestamps, too", () => {
    const stamped = listening({ settings: { timestamps: true } }).receives("<SEQ=300><TS=1/0><CTL=SYN>")
    stamped.passed()
    stamped.receives("<SEQ=301><ACK=101><TS=1/0><CTL=ACK>").is("ESTABLISHED")
      .receives("<SEQ=301><ACK=101><DATA=1448><TS=1/0><CTL=ACK>").sendsNothing()
      .receives("<SEQ=1749><ACK=101><DATA=1448><TS=1/0><CTL=ACK>").sends("<SEQ=101><ACK=3197><CTL=ACK>")
  })

  it("more than a full-sized segment is acknowledged at once: its sender counts on that (RFC 8985 §7.2)", () => {
    established().receives("<SEQ=301><ACK=101><DATA=1460><CTL=ACK>").sendsNothing()
      .receives("<SEQ=1761><ACK=101><DATA=12><CTL=PSH,ACK>").sends("<SEQ=101><ACK=1773><CTL=ACK>")
  })

  it("segments become smaller with the path: two of a size tell", () => {
    const script = established()
    assert.strictEqual(receive(script, 10), 5)
    assert.strictEqual(receive(script, 20, { octets: 1000 }), 10)
  })

  it("what ends a write says nothing of the path", () => {
    const script = established()
    assert.strictEqual(receive(script, 2), 1)
    script.receives(`<SEQ=3221><ACK=101><DATA=700><CTL=PSH,ACK>`).sendsNothing()
      .receives(`<SEQ=3921><ACK=101><DATA=700><CTL=PSH,ACK>`).sendsNothing()
  })

  it("the end of a write is acknowledged once it is read: the peer may wait for that alone", () => {
    established().receives("<SEQ=301><ACK=101><DATA=100><CTL=PSH,ACK>").sendsNothing()
      .reads(50).sendsNothing().reads(50).sends("<SEQ=101><ACK=401><CTL=ACK>")
    established().receives("<SEQ=301><ACK=101><DATA=1460><CTL=ACK>").sendsNothing().reads().sendsNothing()
      .passes(40).sends("<SEQ=101><ACK=1761><CTL=ACK>")
  })

  it("text of 64 KiB at once is many segments, and acknowledged at once", () => {
    established().receives("<SEQ=301><ACK=101><DATA=30000><CTL=ACK>").sends("<SEQ=101><ACK=30301><CTL=ACK>")
      .looks(({ rcv }) => assert.strictEqual(rcv.fullSize, SEGMENT))
  })

  it("a write of ours that the acknowledgement travels with stops its delay", () => {
    established().receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>").passes(30).writes(10)
      .sends("<SEQ=101><ACK=401><DATA=10><CTL=ACK>").passes(20).sendsNothing()
      .looks(({ deadlines, rcv }) => {
        assert.strictEqual(deadlines.acknowledge, Infinity)
        assert.strictEqual(rcv.acknowledge, "none")
      })
      .receives("<SEQ=401><ACK=111><CTL=ACK>")
  })
})

/** `count` segments in order that arrive in one turn: how many acknowledgements leave before its end, and at it. */
const batch = (before: ControlBlock, count: number, octets = SEGMENT) => {
  let tcb = before
  let atOnce = 0
  for (let index = 0; index < count; index++) {
    const text = `<SEQ=${tcb.rcv.nxt}><ACK=${tcb.snd.nxt}><DATA=${octets}><SIZE=${SEGMENT}><CTL=ACK>`
    const outcome = rfc9293.arrives(tcb, segment(text), 0)
    tcb = rfc9293.consumed(outcome.tcb, outcome.textLength, 0)
    if (outcome.reply !== undefined) atOnce++
  }
  const last = rfc9293.output(tcb, 0, 0)
  return { tcb: last?.tcb ?? tcb, atOnce, atEnd: last === undefined ? 0 : 1 }
}

const WIDE = { capacity: 4_000_000, settings: { windowScaling: true, quickAcknowledgements: 0 } } as const
const wide = (): ControlBlock =>
  listening(WIDE).receives("<SEQ=300><WS=7><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
    .receives("<SEQ=301><ACK=101><CTL=ACK>").is("ESTABLISHED").tcb

describe("what arrives in one turn", () => {
  it("is acknowledged once, at its end, and a long batch every 32 segments besides", () => {
    for (const [count, atOnce, atEnd] of [[2, 0, 1], [31, 0, 1], [32, 1, 0], [40, 1, 1], [64, 2, 0]] as const) {
      const { tcb: _, ...answers } = batch(wide(), count)
      assert.deepStrictEqual(answers, { atOnce, atEnd }, `${count} segments`)
    }
  })

  it("the same where segments came together", () => {
    for (const [count, atOnce, atEnd] of [[1, 0, 1], [3, 0, 1], [4, 1, 0], [9, 2, 1]] as const) {
      const { tcb: _, ...answers } = batch(wide(), count, 8 * SEGMENT)
      assert.deepStrictEqual(answers, { atOnce, atEnd }, `${count} packets`)
    }
  })

  it("is acknowledged pair by pair where something was missing lately (RFC 5681 §4.2): the one acknowledgement may be lost as well", () => {
    const text = (tcb: ControlBlock, ahead: number) =>
      segment(`<SEQ=${tcb.rcv.nxt + ahead * SEGMENT}><ACK=101><DATA=${SEGMENT}><CTL=ACK>`)
    const gap = wide()
    const ahead = rfc9293.arrives(gap, text(gap, 1), 0).tcb
    const filled = rfc9293.arrives(ahead, text(ahead, 0), 0).tcb
    assert.strictEqual(filled.rcv.nxt, 301 + 2 * SEGMENT)
    const { atOnce, tcb } = batch(filled, 40)
    assert.strictEqual(atOnce, 20)
    assert.strictEqual(batch(batch(tcb, 959).tcb, 40).atOnce, 1)
  })

  it("and where something came twice: what was lost may have been its acknowledgement", () => {
    const once = batch(wide(), 2).tcb
    const twice = rfc9293.arrives(once, segment(`<SEQ=301><ACK=101><DATA=${SEGMENT}><CTL=ACK>`), 0)
    assert.isDefined(twice.reply)
    assert.strictEqual(batch(twice.tcb, 40).atOnce, 20)
  })

  it("but what lies behind a gap is told of segment by segment, at once (RFC 5681 §4.2)", () => {
    let tcb = wide()
    for (let index = 1; index <= 5; index++) {
      const outcome = rfc9293.arrives(
        tcb,
        segment(`<SEQ=${301 + index * SEGMENT}><ACK=101><DATA=${SEGMENT}><CTL=ACK>`),
        0
      )
      assert.isDefined(outcome.reply)
      tcb = outcome.tcb
    }
    assert.isDefined(rfc9293.arrives(tcb, segment(`<SEQ=301><ACK=101><DATA=${SEGMENT}><CTL=ACK>`), 0).reply)
  })
})
