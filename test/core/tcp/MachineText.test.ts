import { assert, describe, it } from "@effect/vitest"
import * as Ranges from "@strata/core/tcp/Ranges"
import { established } from "../../support/tcpScript.ts"

const ranges =
  (...expected: ReadonlyArray<readonly [number, number]>) =>
  ({ rcv }: { readonly rcv: { readonly ranges: Ranges.Ranges } }) =>
    assert.deepStrictEqual(rcv.ranges, expected.map(([left, right]) => ({ left, right })))

describe("text in order", () => {
  it("every second full-sized segment is acknowledged at once, a single one after 40 ms", () => {
    established().receives("<SEQ=301><ACK=101><DATA=1460><CTL=ACK>").keeps({ skip: 0, length: 1460, offset: 0 })
      .sendsNothing()
      .receives("<SEQ=1761><ACK=101><DATA=1460><CTL=ACK>").sends("<SEQ=101><ACK=3221><CTL=ACK>")
      .receives("<SEQ=3221><ACK=101><DATA=1460><CTL=ACK>").sendsNothing()
      .passes(39).sendsNothing().passes(1).sends("<SEQ=101><ACK=4681><CTL=ACK>")
      .passes(1000).sendsNothing()
  })

  it("the delay counts from the first octet that waits", () => {
    established().receives("<SEQ=301><ACK=101><DATA=10><CTL=ACK>").passes(30)
      .receives("<SEQ=311><ACK=101><DATA=10><CTL=ACK>").sendsNothing()
      .passes(10).sends("<SEQ=101><ACK=321><CTL=ACK>")
  })

  it("a peer with smaller segments gets as many acknowledgements", () => {
    established().receives("<SEQ=301><ACK=101><DATA=700><CTL=ACK>").sendsNothing()
      .receives("<SEQ=1001><ACK=101><DATA=700><CTL=ACK>").sends("<SEQ=101><ACK=1701><CTL=ACK>")
  })

  it("text of ours carries the acknowledgement", () => {
    established().receives("<SEQ=301><ACK=101><DATA=10><CTL=ACK>").sendsNothing()
      .writes(5).sends("<SEQ=101><ACK=311><DATA=5><CTL=ACK>")
      .receives("<SEQ=311><ACK=106><CTL=ACK>").passes(1000).sendsNothing()
  })

  it("what was received before is cut off in front", () => {
    established().receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>")
      .receives("<SEQ=351><ACK=101><DATA=100><CTL=ACK>").keeps({ skip: 50, length: 50, offset: 0 }).holds(150)
      .passes(40).sends("<SEQ=101><ACK=451><CTL=ACK>")
  })

  it("what is beyond the window is cut off behind: the buffer cannot overflow", () => {
    established({ capacity: 1000 }).receives("<SEQ=301><ACK=101><DATA=5000><CTL=ACK>")
      .keeps({ skip: 0, length: 1000, offset: 0 }).holds(1000)
      .sends("<SEQ=101><ACK=1301><WND=0><CTL=ACK>")
      .receives("<SEQ=1301><ACK=101><DATA=1><CTL=ACK>").keeps({ skip: 0, length: 0, offset: 0 }).holds(1000)
      .sends("<SEQ=101><ACK=1301><WND=0><CTL=ACK>")
  })

  it("goes on across the end of the sequence space", () => {
    established({ irs: 0xffff_fff0, iss: 0xffff_ffff })
      .receives("<SEQ=4294967281><ACK=0><DATA=100><CTL=ACK>").holds(100)
      .receives("<SEQ=85><ACK=0><DATA=100><CTL=ACK>").holds(200)
      .receives("<SEQ=300><ACK=0><DATA=10><CTL=ACK>").holds(200).sends("<SEQ=0><ACK=185><CTL=ACK>")
      .receives("<SEQ=4294967290><ACK=0><DATA=20><CTL=ACK>").sends("<SEQ=0><ACK=185><CTL=ACK>")
      .writes(10).sends("<SEQ=0><ACK=185><DATA=10><CTL=ACK>")
  })
})

describe("text out of order", () => {
  it("a gap is never read over; what is behind it is kept, and acknowledged by duplicates", () => {
    established().receives("<SEQ=401><ACK=101><DATA=100><CTL=ACK>").keeps({ skip: 0, length: 100, offset: 100 })
      .sends("<SEQ=101><ACK=301><CTL=ACK>").holds(0).looks(ranges([401, 501]))
      .receives("<SEQ=501><ACK=101><DATA=100><CTL=ACK>").keeps({ skip: 0, length: 100, offset: 200 })
      .sends("<SEQ=101><ACK=301><CTL=ACK>").looks(ranges([401, 601]))
      .receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>").keeps({ skip: 0, length: 100, offset: 0 })
      .sends("<SEQ=101><ACK=601><CTL=ACK>").holds(300).looks(ranges())
  })

  it("a duplicate carries what was owed: no other acknowledgement follows", () => {
    established().receives("<SEQ=301><ACK=101><DATA=10><CTL=ACK>").sendsNothing()
      .receives("<SEQ=401><ACK=101><DATA=10><CTL=ACK>").sends("<SEQ=101><ACK=311><CTL=ACK>")
      .passes(1000).sendsNothing()
  })

  it("each segment behind a gap has its own duplicate, with the same window (RFC 5681 §2)", () => {
    established().receives(
      "<SEQ=401><ACK=101><DATA=100><CTL=ACK>"
    ).sends("<SEQ=101><ACK=301><WND=65535><CTL=ACK>")
      .receives("<SEQ=601><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=301><WND=65535><CTL=ACK>")
      .receives("<SEQ=401><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=301><WND=65535><CTL=ACK>")
  })

  it("a segment that fills the first of two gaps is acknowledged at once, up to the second", () => {
    established().receives("<SEQ=401><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .receives("<SEQ=601><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .looks(ranges([401, 501], [601, 701]))
      .receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=501><CTL=ACK>")
      .holds(200).looks(ranges([601, 701]))
      .receives("<SEQ=451><ACK=101><DATA=200><CTL=ACK>").keeps({ skip: 50, length: 150, offset: 0 })
      .sends("<SEQ=101><ACK=701><CTL=ACK>").holds(400).looks(ranges())
  })

  it("what is kept lies within the window", () => {
    established({ capacity: 1000 }).receives("<SEQ=1201><ACK=101><DATA=500><CTL=ACK>")
      .keeps({ skip: 0, length: 100, offset: 900 }).sends("<SEQ=101><ACK=301><CTL=ACK>").looks(ranges([1201, 1301]))
      .receives("<SEQ=301><ACK=101><DATA=900><CTL=ACK>").holds(1000).sends("<SEQ=101><ACK=1301><WND=0><CTL=ACK>")
  })

  it("a peer that makes nothing but gaps does not fill our memory", () => {
    const script = established()
    for (let index = 0; index < Ranges.LIMIT + 10; index++) {
      script.receives(`<SEQ=${400 + 2 * index}><ACK=101><DATA=1><CTL=ACK>`).sends("<SEQ=101><ACK=301><CTL=ACK>")
    }
    script.looks(({ rcv }) => assert.strictEqual(rcv.ranges.length, Ranges.LIMIT))
      .keeps({ skip: 0, length: 0, offset: 0 })
      .looks(({ counts }) => assert.strictEqual(counts.gapsRejected, 10))
      // What joins two pieces is kept.
      .receives("<SEQ=401><ACK=101><DATA=1><CTL=ACK>").keeps({ skip: 0, length: 1, offset: 100 })
      .sends("<SEQ=101><ACK=301><CTL=ACK>")
      .looks(({ rcv }) => assert.strictEqual(rcv.ranges.length, Ranges.LIMIT - 1))
      .receives("<SEQ=301><ACK=101><DATA=20000><CTL=ACK>").holds(20_000).sends("<SEQ=101><ACK=20301><CTL=ACK>")
      .looks(ranges())
  })
})

describe("the peer's FIN", () => {
  it("comes with text: RCV.NXT passes both", () => {
    established().receives("<SEQ=301><ACK=101><DATA=50><CTL=FIN,ACK>").is("CLOSE-WAIT").holds(50)
      .sends("<SEQ=101><ACK=352><CTL=ACK>")
  })

  it("comes before the text it follows, and is remembered", () => {
    established().receives("<SEQ=401><ACK=101><DATA=50><CTL=FIN,ACK>").is("ESTABLISHED")
      .sends("<SEQ=101><ACK=301><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>").is("CLOSE-WAIT").holds(150)
      .sends("<SEQ=101><ACK=452><CTL=ACK>")
  })

  it("comes alone before the text it follows, and is remembered", () => {
    established().receives("<SEQ=311><ACK=101><CTL=FIN,ACK>").is("ESTABLISHED").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><DATA=10><CTL=ACK>").is("CLOSE-WAIT").sends("<SEQ=101><ACK=312><CTL=ACK>")
  })

  it("is the end: nothing after it is taken", () => {
    established().receives("<SEQ=311><ACK=101><CTL=FIN,ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>").keeps({ skip: 0, length: 10, offset: 0 })
      .is("CLOSE-WAIT").holds(10).sends("<SEQ=101><ACK=312><CTL=ACK>")
      .receives("<SEQ=312><ACK=101><DATA=100><CTL=ACK>").keeps({ skip: 0, length: 0, offset: 0 }).holds(10)
  })

  it("is not believed where text was already received behind it", () => {
    established().receives("<SEQ=401><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .receives("<SEQ=351><ACK=101><CTL=FIN,ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>").is("ESTABLISHED").holds(200)
      .sends("<SEQ=101><ACK=501><CTL=ACK>")
  })

  it("has no room in a closed window", () => {
    established({ capacity: 1000 }).receives("<SEQ=301><ACK=101><DATA=1000><CTL=FIN,ACK>").is("ESTABLISHED")
      .sends("<SEQ=101><ACK=1301><WND=0><CTL=ACK>")
      .reads(1000).sends("<SEQ=101><ACK=1301><WND=1000><CTL=ACK>")
      .receives("<SEQ=1301><ACK=101><CTL=FIN,ACK>").is("CLOSE-WAIT").sends("<SEQ=101><ACK=1302><CTL=ACK>")
  })

  it("sent again in CLOSE-WAIT is acknowledged again", () => {
    established().receives("<SEQ=301><ACK=101><DATA=10><CTL=FIN,ACK>").sends("<SEQ=101><ACK=312><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><DATA=10><CTL=FIN,ACK>").is("CLOSE-WAIT").sends("<SEQ=101><ACK=312><CTL=ACK>")
      .holds(10)
  })

  it("ends window updates", () => {
    established({ capacity: 10_000 }).receives("<SEQ=301><ACK=101><DATA=9000><CTL=FIN,ACK>")
      .sends("<SEQ=101><ACK=9302><CTL=ACK>").reads().sendsNothing()
  })
})

describe("the receive window (§3.8.6.2.2)", () => {
  it("opens again when the program reads: a window update goes at once", () => {
    established({ capacity: 4000 }).receives("<SEQ=301><ACK=101><DATA=4000><CTL=ACK>")
      .sends("<SEQ=101><ACK=4301><WND=0><CTL=ACK>")
      .reads(1000).sendsNothing()
      .reads(460).sends("<SEQ=101><ACK=4301><WND=1460><CTL=ACK>")
      .reads().sends("<SEQ=101><ACK=4301><WND=4000><CTL=ACK>")
  })

  it("of a small buffer opens by halves", () => {
    established({ capacity: 1000 }).receives("<SEQ=301><ACK=101><DATA=1000><CTL=ACK>")
      .sends("<SEQ=101><ACK=1301><WND=0><CTL=ACK>")
      .reads(499).sendsNothing().reads(1).sends("<SEQ=101><ACK=1301><WND=500><CTL=ACK>")
  })

  it("is not opened by crumbs: the right edge stays where it is", () => {
    established({ capacity: 4000 }).receives("<SEQ=301><ACK=101><DATA=1200><CTL=ACK>").reads().passes(40)
      .sends("<SEQ=101><ACK=1501><WND=2800><CTL=ACK>")
      .receives("<SEQ=1501><ACK=101><DATA=300><CTL=ACK>").reads()
      .sends("<SEQ=101><ACK=1801><WND=4000><CTL=ACK>")
  })

  it("never shrinks: unread text takes what is left of it", () => {
    established({ capacity: 10_000 }).receives("<SEQ=301><ACK=101><DATA=3000><CTL=ACK>")
      .sends("<SEQ=101><ACK=3301><WND=7000><CTL=ACK>")
      .receives("<SEQ=3301><ACK=101><DATA=3000><CTL=ACK>").sends("<SEQ=101><ACK=6301><WND=4000><CTL=ACK>")
      .reads(3000).sendsNothing().writes(1).sends("<SEQ=101><ACK=6301><WND=7000><DATA=1><CTL=ACK>")
  })

  it("is told unasked when it is twice what the peer has, or the peer has less than a segment", () => {
    established({ capacity: 10_000 }).receives("<SEQ=301><ACK=101><DATA=5000><CTL=ACK>")
      .sends("<SEQ=101><ACK=5301><WND=5000><CTL=ACK>")
      .reads(4999).sendsNothing().reads(1).sends("<SEQ=101><ACK=5301><WND=10000><CTL=ACK>")
    established({ capacity: 10_000 }).receives("<SEQ=301><ACK=101><DATA=8541><CTL=ACK>")
      .sends("<SEQ=101><ACK=8842><WND=1459><CTL=ACK>")
      .reads(1459).sendsNothing().reads(1).sends("<SEQ=101><ACK=8842><WND=2919><CTL=ACK>")
  })

  it("is at most 65,535 without window scaling, whatever the buffer holds", () => {
    established({ capacity: 1_000_000 }).receives("<SEQ=301><ACK=101><DATA=60000><CTL=ACK>")
      .sends("<SEQ=101><ACK=60301><WND=65535><CTL=ACK>")
  })

  it("a lost window update is made good by the peer's probe", () => {
    established({ capacity: 1000 }).receives("<SEQ=301><ACK=101><DATA=1000><CTL=ACK>")
      .sends("<SEQ=101><ACK=1301><WND=0><CTL=ACK>")
      .receives("<SEQ=1301><ACK=101><DATA=1><CTL=ACK>").sends("<SEQ=101><ACK=1301><WND=0><CTL=ACK>")
      .reads().sends("<SEQ=101><ACK=1301><WND=1000><CTL=ACK>")
      .receives("<SEQ=1301><ACK=101><DATA=1><CTL=ACK>").holds(1)
      .sends("<SEQ=101><ACK=1302><WND=999><CTL=ACK>")
  })

  it("a probe without text, before the window, is answered", () => {
    established().receives("<SEQ=300><ACK=101><CTL=ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")
  })
})
