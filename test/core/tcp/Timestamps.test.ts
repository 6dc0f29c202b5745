import { assert, describe, it } from "@effect/vitest"
import { OUTDATED } from "@strata/core/tcp/Timestamps"
import { connecting, established, listening, type ScriptOptions, type TcpScript } from "../../support/tcpScript.ts"

const on = { timestamps: true }

/** ESTABLISHED by a passive OPEN; the peer's SYN said 1000, its acknowledgement 1005. RCV.NXT is 301. */
const stamped = (options: ScriptOptions = {}): TcpScript =>
  listening({ ...options, settings: { ...on, ...options.settings } })
    .receives("<SEQ=300><TS=1000/0><CTL=SYN>").sends("<SEQ=100><ACK=301><TS=0/1000><CTL=SYN,ACK>")
    .receives("<SEQ=301><ACK=101><TS=1005/0><CTL=ACK>").is("ESTABLISHED")

const recent = (value: number) => ({ timestamps }: TcpScript["tcb"]) => assert.strictEqual(timestamps.recent, value)
const counted = (name: "pawsRejected" | "timestampsMissing", value: number) => ({ counts }: TcpScript["tcb"]) =>
  assert.strictEqual(counts[name], value)

describe("the timestamps option (RFC 7323 §3)", () => {
  it("a SYN echoes nothing, the SYN,ACK the SYN, and each segment from then on what came last", () => {
    connecting({ settings: on }).sends("<SEQ=100><TS=0/0><CTL=SYN>").passes(20)
      .receives("<SEQ=300><ACK=101><TS=7000/0><CTL=SYN,ACK>").is("ESTABLISHED")
      .sends("<SEQ=101><ACK=301><TS=20/7000><CTL=ACK>").passes(5)
      .writes(10).sends("<SEQ=101><ACK=301><DATA=10><TS=25/7000><CTL=ACK>")
  })

  it("a SYN that crosses ours is echoed in our SYN,ACK", () => {
    connecting({ settings: on }).sends("<SEQ=100><TS=0/0><CTL=SYN>").passes(20)
      .receives("<SEQ=300><TS=7000/0><CTL=SYN>").is("SYN-RECEIVED")
      .sends("<SEQ=100><ACK=301><TS=20/7000><CTL=SYN,ACK>")
      .receives("<SEQ=300><ACK=101><TS=7020/20><CTL=SYN,ACK>").is("ESTABLISHED").looks(recent(7020))
  })

  it("a SYN that comes again is echoed by what it says now", () => {
    listening({ settings: on }).receives("<SEQ=300><TS=1000/0><CTL=SYN>").sends(
      "<SEQ=100><ACK=301><TS=0/1000><CTL=SYN,ACK>"
    )
      .passes(500).receives("<SEQ=300><TS=1500/0><CTL=SYN>").sends("<SEQ=100><ACK=301><TS=500/1500><CTL=SYN,ACK>")
  })

  it.each([
    { what: "the peer does not offer", settings: on, option: "", used: false },
    { what: "we do not want", settings: { timestamps: false }, option: "<TS=1000/0>", used: false },
    { what: "both offer", settings: on, option: "<TS=1000/0>", used: true }
  ])("what $what: used is $used", ({ option, settings, used }) => {
    const script = listening({ settings }).receives(`<SEQ=300>${option}<CTL=SYN>`)
    assert.strictEqual(script.passed(), 1)
    script.receives(`<SEQ=301><ACK=101>${used ? "<TS=1000/0>" : ""}<CTL=ACK>`).is("ESTABLISHED").writes(10)
    script.sends(`<SEQ=101><ACK=301><DATA=10>${used ? "<TS=0/1000>" : "<TS=none>"}<CTL=ACK>`)
    // RFC 6691: the option has its room in every segment.
    assert.strictEqual(script.tcb.snd.mss, used ? 1448 : 1460)
  })

  it("a segment without it is dropped in silence, where it was agreed on (§3.2)", () => {
    stamped().receives("<SEQ=301><ACK=101><DATA=10><CTL=ACK>").holds(0).sendsNothing()
      .looks(counted("timestampsMissing", 1))
      .receives("<SEQ=301><ACK=101><DATA=10><TS=1010/0><CTL=ACK>").holds(10)
      .passes(40).sends("<SEQ=101><ACK=311><TS=40/1010><CTL=ACK>")
  })

  it("but not a reset, …", () => {
    stamped().receives("<SEQ=301><CTL=RST>").is("CLOSED", "reset")
  })

  it("… and not the SYN of a peer that knows nothing of the connection", () => {
    stamped().receives("<SEQ=301><CTL=SYN>").sends("<SEQ=101><ACK=301><TS=0/1005><CTL=ACK>")
  })

  it("the reset that ends a connection has it (§3.2)", () => {
    stamped().aborts().sends("<SEQ=101><TS=0/1005><CTL=RST>").is("CLOSED", "aborted")
  })
})

describe("TS.Recent (RFC 7323 §4.3)", () => {
  it("is taken from what moves the left edge of the window", () => {
    stamped().receives("<SEQ=301><ACK=101><DATA=10><TS=1010/0><CTL=ACK>").looks(recent(1010)).passed()
  })

  it("is that of the first of two segments when one acknowledgement answers both", () => {
    stamped().passes(1)
      .receives("<SEQ=301><ACK=101><DATA=10><TS=1010/0><CTL=ACK>", "<SEQ=311><ACK=101><DATA=10><TS=1012/0><CTL=ACK>")
      .looks(recent(1010)).passes(40).sends("<SEQ=101><ACK=321><TS=41/1010><CTL=ACK>")
      .receives("<SEQ=321><ACK=101><DATA=10><TS=1060/0><CTL=ACK>").looks(recent(1060)).passed()
  })

  it("is not taken from behind a gap, but from what fills it", () => {
    stamped().receives("<SEQ=401><ACK=101><DATA=100><TS=1020/0><CTL=ACK>").looks(recent(1005))
      .sends("<SEQ=101><ACK=301><TS=0/1005><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><DATA=100><TS=1010/0><CTL=ACK>").looks(recent(1010))
      .sends("<SEQ=101><ACK=501><TS=0/1010><CTL=ACK>")
  })

  it("is not taken from a segment that acknowledges what was never sent", () => {
    stamped().receives("<SEQ=301><ACK=9999><DATA=10><TS=1900/0><CTL=ACK>").looks(recent(1005))
      .sends("<SEQ=101><ACK=301><TS=0/1005><CTL=ACK>")
  })

  it("is not taken from a reset (§5.2)", () => {
    stamped().receives("<SEQ=400><ACK=101><TS=1900/0><CTL=RST,ACK>").looks(recent(1005))
      .sends("<SEQ=101><ACK=301><TS=0/1005><CTL=ACK>")
  })
})

describe("PAWS (RFC 7323 §5)", () => {
  it("a segment with an older timestamp is not taken, but answered by an acknowledgement (R1)", () => {
    stamped().receives("<SEQ=301><ACK=101><DATA=10><TS=1004/0><CTL=ACK>").holds(0).looks(counted("pawsRejected", 1))
      .sends("<SEQ=101><ACK=301><TS=0/1005><CTL=ACK>").is("ESTABLISHED")
      .receives("<SEQ=301><ACK=101><DATA=10><TS=1005/0><CTL=ACK>").holds(10).looks(counted("pawsRejected", 1)).passed()
  })

  it("the clock may have gone round", () => {
    listening({ settings: on }).receives("<SEQ=300><TS=4294967290/0><CTL=SYN>")
      .sends("<SEQ=100><ACK=301><TS=0/4294967290><CTL=SYN,ACK>")
      .receives("<SEQ=301><ACK=101><TS=4/0><CTL=ACK>").is("ESTABLISHED")
      .receives("<SEQ=301><ACK=101><DATA=10><TS=4294967295/0><CTL=ACK>").holds(0)
      .sends("<SEQ=101><ACK=301><TS=0/4><CTL=ACK>")
  })

  it("an old acknowledgement does not move SND.UNA", () => {
    stamped().writes(10).sends("<SEQ=101><ACK=301><DATA=10><CTL=ACK>")
      .receives("<SEQ=301><ACK=111><TS=900/0><CTL=ACK>").sends("<SEQ=111><ACK=301><TS=0/1005><CTL=ACK>")
      .looks(({ snd }) => assert.strictEqual(snd.una, 101))
      .receives("<SEQ=301><ACK=111><TS=1006/0><CTL=ACK>").looks(({ snd }) => assert.strictEqual(snd.una, 111))
  })

  it("an old FIN does not close", () => {
    stamped().receives("<SEQ=301><ACK=101><TS=1/0><CTL=FIN,ACK>").is("ESTABLISHED")
      .sends("<SEQ=101><ACK=301><TS=0/1005><CTL=ACK>")
  })

  it("a reset is believed whatever its timestamp (§5.2)", () => {
    stamped().receives("<SEQ=301><TS=1/0><CTL=RST>").is("CLOSED", "reset")
  })

  it("two hosts do not go on answering each other: of segments without text, one in 500 ms is answered", () => {
    stamped().receives("<SEQ=301><ACK=101><TS=1/0><CTL=ACK>").sends("<SEQ=101><ACK=301><TS=0/1005><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><TS=1/0><CTL=ACK>").sendsNothing()
      .passes(500).receives("<SEQ=301><ACK=101><TS=1/0><CTL=ACK>").sends("<SEQ=101><ACK=301><TS=500/1005><CTL=ACK>")
  })

  it("after 24 days of silence, TS.Recent is worth nothing (§5.5)", () => {
    const late = "<SEQ=301><ACK=101><DATA=10><TS=3/0><CTL=ACK>"
    stamped().passes(OUTDATED).receives(late).holds(0).passed()
    stamped().passes(OUTDATED + 1).receives(late).holds(10).looks(recent(3)).passed()
  })

  it("a TS.Recent of 0 says nothing: some hosts have it in their SYN only", () => {
    listening({ settings: on }).receives("<SEQ=300><TS=0/0><CTL=SYN>").sends("<SEQ=100><ACK=301><TS=0/0><CTL=SYN,ACK>")
      .receives("<SEQ=301><ACK=101><TS=4000000000/0><CTL=ACK>").is("ESTABLISHED").looks(recent(4_000_000_000))
  })

  it("without timestamps, nothing is old", () => {
    established().receives("<SEQ=301><ACK=101><DATA=10><TS=5/0><CTL=ACK>")
      .receives("<SEQ=311><ACK=101><DATA=10><TS=4/0><CTL=ACK>").holds(20).passed()
  })

  it("a segment of the connection before does not reopen one in TIME-WAIT", () => {
    stamped().closes().sends("<SEQ=101><ACK=301><CTL=FIN,ACK>")
      .receives("<SEQ=301><ACK=102><TS=1010/0><CTL=FIN,ACK>").is("TIME-WAIT").sends("<SEQ=102><ACK=302><CTL=ACK>")
      .receives("<SEQ=900><TS=1001/0><CTL=SYN>")
      .looks((tcb) => assert.strictEqual(tcb.state, "TIME-WAIT"))
      .sends("<SEQ=102><ACK=302><TS=0/1010><CTL=ACK>")
  })
})
