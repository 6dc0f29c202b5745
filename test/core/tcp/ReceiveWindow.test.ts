import { assert, describe, it } from "@effect/vitest"
import * as ReceiveWindow from "@strata/core/tcp/ReceiveWindow"
import * as Sequence from "@strata/core/tcp/Sequence"
import * as Schema from "effect/Schema"
import { connecting, listening, type TcpScript } from "../../support/tcpScript.ts"

const on = { windowScaling: true }

/** ESTABLISHED by a passive OPEN, both sides scaling; the shift of the peer is `shift`. RCV.NXT is 301. */
const scaled = (capacity: number, shift = 7): TcpScript => {
  const script = listening({ capacity, settings: on }).receives(`<SEQ=300><WS=${shift}><CTL=SYN>`)
  assert.strictEqual(script.passed(), 1)
  return script.receives("<SEQ=301><ACK=101><WND=100><CTL=ACK>").is("ESTABLISHED")
}

describe("the window scale (RFC 7323 §2)", () => {
  it("is the least with which the buffer fits the field", () => {
    for (
      const [capacity, shift] of [[1000, 0], [65_535, 0], [65_536, 1], [131_070, 1], [1_000_000, 4], [6_291_456, 7]]
    ) {
      assert.strictEqual(ReceiveWindow.shiftFor(capacity!), shift)
    }
    assert.strictEqual(ReceiveWindow.shiftFor(2 ** 40), 14)
  })

  it("is offered in the SYN, whose own window is not scaled (§2.2)", () => {
    connecting({ capacity: 1_000_000, settings: on }).sends("<SEQ=100><WND=65535><WS=4><CTL=SYN>")
      .receives("<SEQ=300><ACK=101><WND=1000><WS=7><CTL=SYN,ACK>")
      .sends("<SEQ=101><ACK=301><WND=62500><CTL=ACK>")
      .looks(({ snd }) => {
        assert.strictEqual(snd.wnd, 1000)
        assert.strictEqual(snd.scale, 7)
      })
      .receives("<SEQ=301><ACK=101><WND=1000><CTL=ACK>").looks(({ snd }) => assert.strictEqual(snd.wnd, 128_000))
  })

  it("the window of the acknowledgement that ends the handshake is scaled", () => {
    scaled(1000).looks(({ snd }) => assert.strictEqual(snd.wnd, 12_800))
  })

  it("a shift above 14 means 14 (§2.3)", () => {
    scaled(1000, 15).looks(({ snd }) => assert.strictEqual(snd.scale, 14))
    scaled(1000, 255).looks(({ snd }) => assert.strictEqual(snd.wnd, 100 * 2 ** 14))
  })

  it.each([
    { what: "the peer does not offer it", settings: on, option: "" },
    { what: "we do not want it", settings: {}, option: "<WS=7>" }
  ])("neither window is scaled when $what", ({ option, settings }) => {
    const script = listening({ capacity: 1_000_000, settings }).receives(`<SEQ=300>${option}<CTL=SYN>`)
      .sends("<SEQ=100><ACK=301><WND=65535><WS=none><CTL=SYN,ACK>")
      .receives("<SEQ=301><ACK=101><WND=100><CTL=ACK>").is("ESTABLISHED")
      .looks(({ snd }) => assert.strictEqual(snd.wnd, 100))
    script.receives("<SEQ=301><ACK=101><WND=100><DATA=20000><CTL=ACK>").sends(
      "<SEQ=101><ACK=20301><WND=65535><CTL=ACK>"
    )
  })
})

describe("a window in units of its scale (RFC 7323 §2.4)", () => {
  it("is rounded up, and what was let in by that is taken later, too", () => {
    // A shift of 5: 2,000,000 octets are 62,500 units.
    const script = scaled(2_000_000).receives("<SEQ=301><ACK=101><WND=100><DATA=1999991><CTL=ACK>")
      // 9 octets are left, and 32 announced.
      .sends("<SEQ=101><ACK=2000292><WND=1><CTL=ACK>")
      .receives("<SEQ=2000292><ACK=101><WND=100><DATA=5><CTL=ACK>").sends("<SEQ=101><ACK=2000297><WND=1><CTL=ACK>")
    // The edge that was announced first, and not by the latest rounding.
    script.receives("<SEQ=2000297><ACK=101><WND=100><DATA=100><CTL=ACK>").keeps({ skip: 0, length: 32, offset: 0 })
      .sends("<SEQ=101><ACK=2000329><WND=0><CTL=ACK>")
  })

  const octets = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5000 }))

  it.prop("whatever comes, is read, and was announced: no edge moves left, and the buffer holds it", [
    Schema.Array(Schema.Union([
      Schema.TaggedStruct("text", { octets }),
      Schema.TaggedStruct("read", { octets })
    ]))
  ], ([steps]) => {
    const capacity = 100_000
    const script = scaled(capacity)
    let edge = script.tcb.rcv.edge
    const check = (announced: number) => {
      const { rcv } = script.tcb
      assert.isAtLeast(Sequence.difference(edge, rcv.edge), 0)
      edge = rcv.edge
      const said = Sequence.add(rcv.nxt, ReceiveWindow.field(rcv) * 2 ** rcv.scale)
      if (announced > 0) assert.isAtMost(Sequence.difference(edge, said), 0)
      const within = rcv.unread + Sequence.difference(rcv.nxt, edge)
      assert.isAtMost(within, capacity + ReceiveWindow.slack(rcv.scale))
    }
    for (const step of steps) {
      if (step._tag === "text") {
        script.receives(`<SEQ=${script.tcb.rcv.nxt}><ACK=101><WND=100><DATA=${step.octets * 5}><CTL=ACK>`)
      } else {
        script.reads(Math.min(step.octets, script.tcb.rcv.unread))
      }
      check(script.passed())
    }
  })
})
