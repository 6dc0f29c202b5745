import { assert, describe, it } from "@effect/vitest"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import { Reno } from "@strata/core/tcp/Reno"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { established, type TcpScript } from "../../support/tcpScript.ts"

const QUEUED = 100_000

/** A window of a hundred segments, and `rate` octets per millisecond. */
const paced = (rate: number): CongestionAlgorithm => {
  const state = { window: 146_000, slowStartThreshold: Infinity, pacingRate: rate }
  return { ...Reno, keep: undefined, initial: () => state, onAck: () => state }
}

const writing = (rate: number): TcpScript => established({ congestion: paced(rate) }).writes(QUEUED)

/** Octets sent by the millisecond, until `end`; timers come `late` milliseconds late. */
const sent = (script: TcpScript, end: number, late = 0): number => {
  const { iss } = script.tcb.snd
  let tcb = script.tcb
  let now = script.now
  let octets = tcb.snd.nxt - iss - 1
  for (;;) {
    const next = rfc9293.output(tcb, QUEUED, now)
    if (next !== undefined) {
      tcb = next.tcb
      octets += next.segment.length
      continue
    }
    now = rfc9293.deadline(tcb) + late
    if (now > end) return octets
    tcb = rfc9293.elapse(tcb, QUEUED, now)
  }
}

describe("pacing", () => {
  it("lets a millisecond's worth go at once, and one segment at least", () => {
    writing(14_600).sendsMany(11)
    writing(1460).sendsMany(2)
    writing(146).sendsMany(1)
  })

  it("lets the next ones go when it is their time", () => {
    const script = writing(146).sendsMany(1)
    script.passes(9.9).sendsNothing().passes(0.1).sendsMany(1)
    script.passes(9.9).sendsNothing().passes(0.1).sendsMany(1)
  })

  it("keeps the rate over time, though timers are late", () => {
    for (const late of [0, 0.4, 1, 4, 9]) {
      const script = writing(1460)
      script.passed()
      assert.closeTo(sent(script, 40, late), 40 * 1460, (late + 4) * 1460, `${late} ms late`)
    }
  })

  it("does not make up for a pause", () => {
    const script = established({ congestion: paced(1460) }).writes(1460).sendsMany(1)
    script.passes(1).receives("<SEQ=301><ACK=1561><CTL=ACK>").passes(100).writes(50_000).sendsMany(2)
  })

  it("knows no rate where the algorithm names none", () => {
    established({
      congestion: { ...Reno, keep: undefined, initial: () => ({ window: 29_200, slowStartThreshold: Infinity }) }
    })
      .writes(100_000).sendsMany(20)
  })
})
