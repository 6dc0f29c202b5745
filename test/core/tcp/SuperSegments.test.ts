/**
 * Segments that stand for several on the wire: what leaves in one for a device that cuts, and what came together.
 */
import { assert, describe, it } from "@effect/vitest"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import { Reno } from "@strata/core/tcp/Reno"
import { wireSegments } from "@strata/core/tcp/Segment"
import * as SendWindow from "@strata/core/tcp/SendWindow"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import * as Schema from "effect/Schema"
import { established, listening, type ScriptOptions, segment, type TcpScript } from "../../support/tcpScript.ts"

const MSS = 1460
const LIMIT = 65_495

const window = (octets: number, pacingRate?: number): CongestionAlgorithm => {
  const state = { window: octets, slowStartThreshold: octets, pacingRate }
  return { ...Reno, keep: undefined, initial: () => state, onAck: (before) => before }
}

/** A device that cuts, and a congestion window of a hundred segments. */
const open = (options: ScriptOptions & { readonly peerWindow?: number } = {}): TcpScript =>
  established({ limit: LIMIT, congestion: window(100 * MSS), ...options })

/** With SACK. */
const selective = (octets = 100 * MSS): TcpScript =>
  listening({
    limit: LIMIT,
    congestion: window(octets),
    settings: { selectiveAcknowledgement: true, tailLossProbe: false }
  })
    .receives("<SEQ=300><SACKOK=1><CTL=SYN>").sendsMany(1).passes(100)
    .receives("<SEQ=301><ACK=101><CTL=ACK>").is("ESTABLISHED")

/** Octets that leave now, and after each of thirty pauses, at a pace of `rate`. */
const sentBy = (limit: number, rate: number) => {
  const script = open({ limit, congestion: window(100 * MSS, rate) }).writes(44 * MSS)
  const octets = () => script.taken().reduce((sum, { length }) => sum + length, 0)
  return [
    octets(),
    ...Array.from({ length: 30 }, (_, step) => {
      script.passes(0.1 + 0.4 * (step % 3))
      return octets()
    })
  ]
}

describe("what leaves together", () => {
  it("is as much as the device cuts, in whole segments, and the rest", () => {
    open({ limit: 10_000 }).writes(20_000).sends(
      `<SEQ=101><ACK=301><DATA=${6 * MSS}><SIZE=${MSS}><CTL=ACK>`,
      `<SEQ=8861><ACK=301><DATA=${6 * MSS}><SIZE=${MSS}><CTL=ACK>`,
      `<SEQ=17621><ACK=301><DATA=${20_000 - 12 * MSS}><SIZE=${MSS}><CTL=PSH,ACK>`
    )
  })

  it("is one segment where the device cuts none, or not two", () => {
    for (const limit of [0, MSS, 2 * MSS - 1]) {
      const texts = open({ limit }).writes(4 * MSS).taken()
      assert.deepStrictEqual(
        texts.map(({ length, segmentSize }) => [length, segmentSize]),
        Array.from({ length: 4 }, () => [MSS, 0])
      )
    }
  })

  it("fits the peer's window", () => {
    open({ peerWindow: 5 * MSS + 700 }).writes(50_000).sends(
      `<SEQ=101><ACK=301><DATA=${5 * MSS}><SIZE=${MSS}><CTL=ACK>`
    )
      .receives(`<SEQ=301><ACK=${101 + 5 * MSS}><WND=${3 * MSS}><CTL=ACK>`)
      .sends(`<SEQ=${101 + 5 * MSS}><ACK=301><DATA=${3 * MSS}><SIZE=${MSS}><CTL=ACK>`)
  })

  it("fits the congestion window, in slow start as well", () => {
    established({ limit: LIMIT }).writes(60_000).sends(`<SEQ=101><ACK=301><DATA=${10 * MSS}><SIZE=${MSS}><CTL=ACK>`)
      .receives(`<SEQ=301><ACK=${101 + 2 * MSS}><CTL=ACK>`)
      .sends(`<SEQ=${101 + 10 * MSS}><ACK=301><DATA=${4 * MSS}><SIZE=${MSS}><CTL=ACK>`)
  })

  it("ends with a small segment only as Nagle's algorithm lets it", () => {
    const script = open().writes(100).sends("<SEQ=101><ACK=301><DATA=100><SIZE=0><CTL=ACK>")
    script.writes(3 * MSS + 10).sends(`<SEQ=201><ACK=301><DATA=${3 * MSS}><SIZE=${MSS}><CTL=ACK>`)
      .receives("<SEQ=301><ACK=201><CTL=ACK>").sends("<SEQ=4581><ACK=301><DATA=10><SIZE=0><CTL=PSH,ACK>")
  })

  it("carries the FIN with the last octet", () => {
    open({ peerWindow: 3 * MSS }).writes(5 * MSS).sends(`<SEQ=101><ACK=301><DATA=${3 * MSS}><SIZE=${MSS}><CTL=ACK>`)
      .closes()
      .receives(`<SEQ=301><ACK=${101 + 3 * MSS}><CTL=ACK>`)
      .sends(`<SEQ=${101 + 3 * MSS}><ACK=301><DATA=${2 * MSS}><SIZE=${MSS}><CTL=FIN,PSH,ACK>`)
  })

  it("holds what is due within a millisecond at a pace, and the segment that ends beyond it", () => {
    const at = (rate: number) => open({ congestion: window(100 * MSS, rate) }).writes(60_000).taken()
    assert.deepStrictEqual(at(10 * MSS).map(({ length }) => length), [11 * MSS])
    assert.deepStrictEqual(at(100).map(({ length }) => length), [MSS])
    assert.deepStrictEqual(at(1_000_000).map(({ length }) => length), [60_000])
  })

  it("is what leaves one by one at a pace, at the same times", () => {
    for (const rate of [0.31, 0.93, 2.37, 7.11, 60.3].map((segments) => segments * MSS)) {
      assert.deepStrictEqual(sentBy(LIMIT, rate), sentBy(0, rate))
    }
  })

  it("is a single segment when a timer demands it", () => {
    const script = open().writes(10 * MSS).sendsMany(1)
    script.passes(200).sends(`<SEQ=101><ACK=301><DATA=${MSS}><SIZE=0><CTL=ACK>`)
  })

  it("waits at a closed window, whose probe is small", () => {
    const script = open({ peerWindow: 4 * MSS }).writes(30_000).sendsMany(1)
    script.receives(`<SEQ=301><ACK=${101 + 4 * MSS}><WND=0><CTL=ACK>`).sendsNothing()
      .passes(200).sends(`<SEQ=${101 + 4 * MSS}><ACK=301><DATA=1><SIZE=0><CTL=ACK>`)
      .receives(`<SEQ=301><ACK=${101 + 4 * MSS}><WND=${8 * MSS}><CTL=ACK>`)
      .sends(`<SEQ=${101 + 4 * MSS}><ACK=301><DATA=${8 * MSS}><SIZE=${MSS}><CTL=ACK>`)
  })

  it("says CWR once, and the device puts it on the first", () => {
    const script = listening({
      limit: LIMIT,
      congestion: window(100 * MSS),
      settings: { explicitCongestionNotification: "active" }
    })
      .receives("<SEQ=300><CTL=SYN,ECE,CWR>").sendsMany(1).receives("<SEQ=301><ACK=101><CTL=ACK>")
      .writes(20 * MSS).sendsMany(1)
      .receives(`<SEQ=301><ACK=${101 + 10 * MSS}><CTL=ACK,ECE>`).passes(1)
    script.writes(40 * MSS)
    const texts = script.taken()
    assert.isTrue(texts.every(({ congestionCapable }) => congestionCapable === true))
    assert.strictEqual(texts.filter(({ flags }) => (flags & 128) !== 0).length, 1)
  })

  it.prop("is what would have left one by one", [
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40_000 }))),
    Schema.Int.check(Schema.isBetween({ minimum: MSS, maximum: 65_535 })),
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 })),
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: LIMIT }))
  ], ([writes, peerWindow, segments, limit]) => {
    const run = (most: number) => {
      const script = open({ limit: most, peerWindow, congestion: window(segments * MSS) })
      const sent: Array<readonly [number, number]> = []
      const note = () => {
        for (const text of script.taken()) {
          assert.isAtMost(text.length, Math.max(most, MSS))
          assert.isTrue(text.segmentSize === 0 ? text.length <= MSS : text.segmentSize === MSS && text.length > MSS)
          for (let at = 0; at < text.length; at += MSS) sent.push([text.seq + at, Math.min(MSS, text.length - at)])
        }
        assert.isAtMost(SendWindow.inFlight(script.tcb), Math.min(peerWindow, segments * MSS))
      }
      for (const octets of writes) {
        script.writes(octets)
        note()
        script.receives(`<SEQ=301><ACK=${script.tcb.snd.nxt}><WND=${peerWindow}><CTL=ACK>`)
        note()
      }
      return sent
    }
    assert.deepStrictEqual(run(limit), run(0))
  }, { arbitrary: { runs: 100 } })
})

describe("what goes again together", () => {
  it("are adjoining lost segments, as many as recovery lets go", () => {
    const script = selective().writes(30 * MSS).sendsMany(1)
    const una = 101
    const nxt = una + 30 * MSS
    script.passes(100).receives(`<SEQ=301><ACK=${una}><SACK=${una + 10 * MSS}-${nxt}><CTL=ACK>`)
    const texts = script.taken()
    const octets = texts.reduce((sum, { length }) => sum + length, 0)
    assert.isAbove(texts[0]!.length, MSS)
    assert.strictEqual(texts[0]!.segmentSize, MSS)
    assert.strictEqual(texts[0]!.length % MSS, 0)
    script.looks(({ counts }) => {
      assert.strictEqual(counts.retransmitted, octets / MSS)
      assert.strictEqual(counts.fastRetransmits, octets / MSS)
      assert.strictEqual(counts.retransmittedOctets, octets)
    })
  })

  it("is never what was selectively acknowledged in between", () => {
    const script = selective().writes(30 * MSS).sendsMany(1)
    script.passes(100)
      .receives(
        `<SEQ=301><ACK=101><SACK=${101 + 2 * MSS}-${101 + 3 * MSS},${101 + 5 * MSS}-${101 + 30 * MSS}><CTL=ACK>`
      )
    assert.deepStrictEqual(script.taken().map(({ length, seq }) => [(seq - 101) / MSS, length / MSS]), [[0, 2], [3, 2]])
  })

  it("is a FIN with the text before it", () => {
    const script = open().writes(4 * MSS).sendsMany(1).closes().sendsMany(1)
    script.passes(200).sends(`<SEQ=101><ACK=301><DATA=${MSS}><SIZE=0><CTL=ACK>`)
      .meets("a window that opens", (tcb) => ({ ...tcb, congestion: { ...tcb.congestion, window: 100 * MSS } }))
      .sends(`<SEQ=${101 + MSS}><ACK=301><DATA=${3 * MSS}><SIZE=${MSS}><CTL=FIN,PSH,ACK>`)
  })
})

describe("a path that carries less", () => {
  it("is given smaller segments from then on, together as well", () => {
    const script = open().writes(10 * MSS).sendsMany(1)
    script.meets("ICMP: fragmentation needed", (tcb, now) => rfc9293.pathMtu(tcb, 101, 1040, now))
      .sends(`<SEQ=101><ACK=301><DATA=${10 * MSS}><SIZE=1000><CTL=PSH,ACK>`)
  })

  it("is asked by a single larger segment", () => {
    const script = listening({
      limit: LIMIT,
      congestion: window(100 * MSS),
      settings: { selectiveAcknowledgement: true, tailLossProbe: false, pathMtuProbing: true }
    })
      .receives("<SEQ=300><SACKOK=1><CTL=SYN>").sendsMany(1).receives("<SEQ=301><ACK=101><CTL=ACK>")
      .meets("a path that was found to carry 1,024 octets", (tcb) => ({
        ...tcb,
        snd: { ...tcb.snd, mss: 1024 },
        path: { ...tcb.path, probeAt: 0 }
      }))
    script.writes(20_000).sends(
      `<SEQ=101><ACK=301><DATA=${MSS}><SIZE=0><CTL=ACK>`,
      `<SEQ=1561><ACK=301><DATA=${20_000 - MSS}><SIZE=1024><CTL=PSH,ACK>`
    )
  })
})

describe("what came together", () => {
  it("is kept as one segment, and acknowledged once", () => {
    established({ capacity: 65_535 }).receives(`<SEQ=301><ACK=101><DATA=${20 * MSS}><SIZE=${MSS}><CTL=ACK>`)
      .keeps({ skip: 0, length: 20 * MSS, offset: 0 }).sends(`<SEQ=101><ACK=${301 + 20 * MSS}><CTL=ACK>`)
  })

  it("shows how long the peer's segments are", () => {
    established().receives(`<SEQ=301><ACK=101><DATA=${4 * 1200 + 7}><SIZE=1200><CTL=PSH,ACK>`).sendsMany(1)
      .looks(({ rcv }) => {
        assert.strictEqual(rcv.fullSize, 1200)
        assert.strictEqual(rcv.latestSize, 7)
      })
  })

  it("counts as many segments for what is acknowledged quickly", () => {
    const script = established({ settings: { quickAcknowledgements: 16 } })
    script.receives(`<SEQ=301><ACK=101><DATA=${10 * MSS}><SIZE=${MSS}><CTL=ACK>`).sendsMany(1)
      .looks(({ rcv }) => assert.strictEqual(rcv.quick, 6))
  })

  it("is taken as far as it fits the window", () => {
    established({ capacity: 4 * MSS + 100 }).receives(`<SEQ=301><ACK=101><DATA=${10 * MSS}><SIZE=${MSS}><CTL=ACK>`)
      .keeps({ skip: 0, length: 4 * MSS + 100, offset: 0 }).sendsMany(1)
  })

  it("behind a gap, and in part once more, is told of as it is", () => {
    const script = listening({ settings: { selectiveAcknowledgement: true } })
      .receives("<SEQ=300><SACKOK=1><CTL=SYN>").sendsMany(1).receives("<SEQ=301><ACK=101><CTL=ACK>")
    const from = 301 + 2 * MSS
    const to = from + 8 * MSS
    script.receives(`<SEQ=${from}><ACK=101><DATA=${8 * MSS}><SIZE=${MSS}><CTL=ACK>`)
      .sends(`<SEQ=101><ACK=301><SACK=${from}-${to}><CTL=ACK>`)
      .receives(`<SEQ=301><ACK=101><DATA=${4 * MSS}><SIZE=${MSS}><CTL=ACK>`)
      .sends(`<SEQ=101><ACK=${to}><SACK=${from}-${from + 2 * MSS}><CTL=ACK>`)
  })

  it("is as many segments where segments are counted", () => {
    assert.strictEqual(wireSegments(segment("<DATA=2920><SIZE=1460>")), 2)
    assert.strictEqual(wireSegments(segment("<DATA=2921><SIZE=1460>")), 3)
    assert.strictEqual(wireSegments(segment("<DATA=1460><SIZE=1460>")), 1)
    assert.strictEqual(wireSegments(segment("<DATA=5000>")), 1)
    assert.strictEqual(wireSegments(segment("<CTL=ACK>")), 1)
  })
})
