import { assert, describe, it } from "@effect/vitest"
import type { TcpSettings } from "@strata/core/tcp/TcpSettings"
import { listening, type TcpScript } from "../../support/tcpScript.ts"

const RTT = 100
const SEGMENT = 1448
const INITIAL = 131_072
const MAXIMUM = 33_554_432

interface Bounds {
  readonly capacity?: number
  readonly maximum?: number
  readonly settings?: Partial<TcpSettings>
}

/** ESTABLISHED after a round trip of 100 ms. */
const opened = ({ capacity = INITIAL, maximum = MAXIMUM, settings = { timestamps: true } }: Bounds = {}): TcpScript => {
  const script = listening({ capacity, maximum, settings: { windowScaling: true, ...settings } })
    .receives("<SEQ=300><WS=10><TS=1000/0><CTL=SYN>")
  script.passed()
  return script.passes(RTT).receives("<SEQ=301><ACK=101><TS=1100/0><CTL=ACK>").is("ESTABLISHED")
}

/** A round trip: so many octets arrive, sent when our acknowledgements of the round trip before came. */
const arrive = (script: TcpScript, octets: number, read = true): void => {
  script.passes(RTT).passed()
  for (let left = octets; left > 0; left -= SEGMENT) {
    const { now, tcb: { rcv } } = script
    const stamp = tcbHasStamps(script) ? `<TS=${1000 + now}/${now - RTT}>` : ""
    script.receives(`<SEQ=${rcv.nxt}><ACK=101><DATA=${Math.min(left, SEGMENT)}>${stamp}<CTL=ACK>`).passed()
    if (read) script.reads().passed()
  }
}

const tcbHasStamps = ({ tcb }: TcpScript): boolean => tcb.options.timestamps

/** What the sender of the next round trip may have on its way. */
const window = ({ tcb: { rcv } }: TcpScript): number => rcv.wnd

describe("the receive buffer (dynamic right-sizing)", () => {
  it("is ahead of a sender that doubles its rate with each round trip", () => {
    const script = opened()
    let octets = 10 * SEGMENT
    for (let round = 0; octets < MAXIMUM / 4; round++) {
      arrive(script, octets)
      octets *= 2
      assert.isAtLeast(window(script), octets, `round ${round}`)
    }
  })

  it("is twice what is read in a round trip, once that does not grow any more", () => {
    const script = opened()
    const rate = 500_000
    for (const part of [0.05, 0.1, 0.2, 0.4, 0.8]) arrive(script, rate * part)
    for (let round = 0; round < 20; round++) arrive(script, rate)
    assert.isAtLeast(script.tcb.rcv.capacity, 2 * rate)
    assert.isAtMost(script.tcb.rcv.capacity, 6 * rate)
    const { capacity } = script.tcb.rcv
    for (let round = 0; round < 20; round++) arrive(script, rate / 10)
    assert.strictEqual(script.tcb.rcv.capacity, capacity, "what was given is not taken back")
  })

  it("stays as it is for a sender that is slow", () => {
    const script = opened()
    for (let round = 0; round < 50; round++) arrive(script, 10 * SEGMENT)
    assert.strictEqual(script.tcb.rcv.capacity, INITIAL)
  })

  it("stays as it is for a program that does not read", () => {
    const script = opened()
    for (let round = 0; round < 8; round++) arrive(script, 16_000, false)
    assert.strictEqual(script.tcb.rcv.capacity, INITIAL)
    assert.strictEqual(script.tcb.rcv.unread, 128_000)
  })

  it("has a bound, and the window its scale from the beginning (RFC 7323 §2.2)", () => {
    const script = opened({ maximum: 400_000 })
    assert.strictEqual(script.tcb.rcv.scale, 3)
    for (let octets = 20_000; octets < 1_000_000; octets *= 2) arrive(script, Math.min(octets, 400_000))
    assert.strictEqual(script.tcb.rcv.capacity, 400_000)
    assert.isAtMost(script.tcb.rcv.wnd, 400_000)
  })

  it("does not change where both bounds are one", () => {
    const script = opened({ maximum: INITIAL })
    for (let round = 0; round < 10; round++) arrive(script, 100_000)
    assert.strictEqual(script.tcb.rcv.capacity, INITIAL)
    assert.strictEqual(script.tcb.tuning.rtt, undefined)
  })
})

describe("the round-trip time that the receiver sees", () => {
  it("is that of our timestamps", () => {
    const script = opened()
    for (let round = 0; round < 3; round++) arrive(script, 10 * SEGMENT)
    assert.strictEqual(script.tcb.tuning.rtt, RTT)
  })

  it("is not longer for a while in which the peer had nothing to send", () => {
    const script = opened()
    for (let round = 0; round < 3; round++) arrive(script, 10 * SEGMENT)
    script.passes(8000).passed()
    const { now, tcb: { rcv } } = script
    script.receives(`<SEQ=${rcv.nxt}><ACK=101><DATA=1448><TS=${1000 + now}/${now - 900}><CTL=ACK>`).passed()
    assert.strictEqual(script.tcb.tuning.rtt, 200)
    script.reads().passed()
    arrive(script, 10 * SEGMENT)
    assert.strictEqual(script.tcb.tuning.rtt, RTT)
  })

  it("is that of a whole window without them", () => {
    const script = opened({ settings: {} })
    for (let round = 0; round < 30; round++) arrive(script, 80_000)
    assert.isAtLeast(script.tcb.tuning.rtt!, RTT)
    assert.isAtMost(script.tcb.tuning.rtt!, 3 * RTT)
    assert.isAtLeast(script.tcb.rcv.capacity, 160_000)
  })
})
