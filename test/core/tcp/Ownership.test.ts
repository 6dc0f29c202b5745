/**
 * A connection's own control block says what the machine has made, and shares nothing with it that will change.
 */
import { assert, describe, it } from "@effect/vitest"
import { Bbr } from "@strata/core/tcp/Bbr"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { NEVER } from "@strata/core/tcp/ControlBlock"
import { Cubic } from "@strata/core/tcp/Cubic"
import * as HyStart from "@strata/core/tcp/HyStart"
import { make } from "@strata/core/tcp/Opened"
import { own, takeOver } from "@strata/core/tcp/Ownership"
import { Reno } from "@strata/core/tcp/Reno"
import { remember } from "@strata/core/tcp/Spurious"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { defaultSettings } from "@strata/core/tcp/TcpSettings"

const OWNED = [
  "snd",
  "rcv",
  "transmissions",
  "rtt",
  "rack",
  "delivery",
  "congestion",
  "deadlines",
  "timestamps",
  "tuning"
] as const

const opened = (iss: number, congestion: CongestionAlgorithm = Cubic): ControlBlock =>
  make("SYN-SENT", {
    endpoints: { localAddress: 1, localPort: 2, remoteAddress: 3, remotePort: 4 },
    iss,
    receiveMaximumSegmentSize: 1460,
    receiveCapacity: 65_536,
    receiveMaximum: 65_536,
    congestion,
    settings: defaultSettings,
    timestampOffset: 0
  })

/** Another value in every place. */
const changed = (tcb: ControlBlock): ControlBlock => {
  let next = 1000
  const different = <A extends object>(record: A): A =>
    Object.fromEntries(Object.keys(record).map((key) => [key, next++])) as A
  const other = different(tcb) as unknown as Record<string, unknown>
  for (const name of OWNED) other[name] = different(tcb[name])
  other.algorithm = tcb.algorithm
  if (tcb.algorithm === Cubic) {
    other.congestion = { ...tcb.congestion, window: next++, hyStart: different(HyStart.initial) }
  }
  return other as unknown as ControlBlock
}

describe("a control block of one's own", () => {
  it("is equal to the one it was made of, and to each it takes over", () => {
    for (const algorithm of [Cubic, Reno, Bbr]) {
      const first = opened(1, algorithm)
      const mine = own(first)
      assert.deepStrictEqual(mine, first)
      const second = changed(first)
      takeOver(mine, second)
      assert.deepStrictEqual(mine, second)
      const third = changed(opened(2, algorithm === Cubic ? Reno : Cubic))
      takeOver(mine, third)
      assert.deepStrictEqual(mine, third)
    }
  })

  it("is not what is remembered of the time before a loss", () => {
    for (const algorithm of [Cubic, Reno]) {
      const mine = own(opened(1, algorithm))
      const { congestion } = remember(mine)
      const kept = structuredClone(congestion)
      takeOver(mine, changed(mine))
      assert.notDeepEqual(mine.congestion, kept)
      assert.deepStrictEqual(congestion, kept)
    }
  })

  it("shares no record with them that it changes", () => {
    const first = opened(1)
    const kept = structuredClone(first.deadlines)
    const mine = own(first)
    for (const tcb of [first, { ...opened(2), deadlines: NEVER }]) {
      takeOver(mine, tcb)
      assert.notStrictEqual(mine, tcb)
      for (const name of OWNED) assert.notStrictEqual(mine[name], tcb[name], name)
    }
    takeOver(mine, changed(first))
    assert.deepStrictEqual(first.deadlines, kept)
    assert.strictEqual(NEVER.retransmit, Infinity)
  })

  it("can be what the next step of the machine is made of", () => {
    const mine = own(opened(1))
    const sent = rfc9293.output(mine, 0, 0)!
    takeOver(mine, sent.tcb)
    assert.strictEqual(rfc9293.output(mine, 0, 0), undefined)
    assert.strictEqual(mine.snd.nxt, 2)
    const over = rfc9293.abort(mine, 1).tcb
    takeOver(mine, over)
    assert.strictEqual(mine.state, "CLOSED")
    assert.deepStrictEqual(mine.deadlines, NEVER)
  })
})
