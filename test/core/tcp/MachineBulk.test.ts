import { assert, describe, it } from "@effect/vitest"
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { Reno } from "@strata/core/tcp/Reno"
import { type Segment, TcpFlag } from "@strata/core/tcp/Segment"
import { type OpenParameters, rfc9293 } from "@strata/core/tcp/TcpMachine"
import { defaultSettings } from "@strata/core/tcp/TcpSettings"
import { chance } from "../../support/tcpChannel.ts"

const OCTETS = 2_000_000
const BUFFER = 262_144

interface Side {
  tcb: ControlBlock
  queued: number
  received: number
}

const parameters = (iss: number): OpenParameters => ({
  endpoints: { localAddress: 1, localPort: 1, remoteAddress: 2, remotePort: 2 },
  iss,
  receiveMaximumSegmentSize: 1460,
  receiveCapacity: BUFFER,
  congestion: Reno,
  settings: defaultSettings,
  timestampOffset: 0
})

/** Sends `OCTETS` over a path that keeps the order and loses a fraction; how long it takes, and what it takes. */
const transfer = (loss: number, roundTrip: number) => {
  const random = chance(1)
  const sender: Side = { tcb: rfc9293.connect(parameters(4_000_000_000), 0), queued: 0, received: 0 }
  const receiver: Side = { tcb: rfc9293.listen(parameters(3_000_000_000)), queued: 0, received: 0 }
  const path: Array<{ readonly at: number; readonly to: Side; readonly segment: Segment }> = []
  let now = 0
  let unwritten = OCTETS
  let timeouts = 0
  let sent = 0

  const transmit = (to: Side, segment: Segment) => {
    if (segment.length > 0) sent++
    const isSyn = (segment.flags & TcpFlag.syn) !== 0
    if (isSyn || random.unit() >= loss) path.push({ at: now + roundTrip / 2, to, segment })
  }
  const flush = (side: Side) => {
    const octets = side === sender ? Math.min(unwritten, BUFFER - side.queued) : 0
    side.queued += octets
    unwritten -= octets
    for (let next; (next = rfc9293.output(side.tcb, side.queued, now)) !== undefined;) {
      side.tcb = next.tcb
      transmit(side === sender ? receiver : sender, next.segment)
    }
  }
  const arrive = (side: Side, segment: Segment) => {
    const { acknowledged, reply, tcb } = rfc9293.arrives(side.tcb, segment, now)
    side.received += tcb.rcv.unread
    side.queued -= acknowledged
    side.tcb = tcb.rcv.unread > 0 ? rfc9293.consumed(tcb, tcb.rcv.unread, now) : tcb
    if (reply !== undefined) transmit(side === sender ? receiver : sender, reply)
    flush(side)
  }
  const elapse = (side: Side) => {
    if (rfc9293.deadline(side.tcb) > now) return
    const { attempts } = side.tcb
    side.tcb = rfc9293.elapse(side.tcb, side.queued, now)
    if (side.tcb.attempts > attempts) timeouts++
    flush(side)
  }

  flush(sender)
  for (let index = 0; receiver.received < OCTETS;) {
    const first = path[index]
    const timer = Math.min(rfc9293.deadline(sender.tcb), rfc9293.deadline(receiver.tcb))
    assert.isTrue(first !== undefined || timer < Infinity, "something will happen")
    if (first !== undefined && first.at <= timer) {
      now = Math.max(now, first.at)
      index++
      arrive(first.to, first.segment)
    } else {
      now = Math.max(now, timer)
      elapse(sender)
      elapse(receiver)
    }
  }
  return { milliseconds: now, timeouts, sent }
}

/** With timestamps, a segment carries 1,448 octets. */
const SEGMENTS = Math.ceil(OCTETS / 1448)

describe("bulk transfer, in virtual time", () => {
  it("fills the window of 64 KiB each round trip, and sends nothing twice", () => {
    const { milliseconds, sent, timeouts } = transfer(0, 10)
    // 45 windows, and slow start before.
    assert.isBelow(milliseconds, (OCTETS / 65_535 + 6) * 10)
    assert.strictEqual(timeouts, 0)
    // A few are short, since the program wrote in pieces.
    assert.isAtMost(sent, SEGMENTS + 8)
  })

  it("one loss in a hundred is repaired without a timeout", () => {
    const { milliseconds, sent, timeouts } = transfer(0.01, 10)
    assert.strictEqual(timeouts, 0)
    assert.isBelow(milliseconds, 1500)
    assert.isBelow(sent, SEGMENTS * 1.02)
  })

  it("one loss in twenty is repaired mostly without timeouts", () => {
    const { sent, timeouts } = transfer(0.05, 10)
    assert.isBelow(timeouts, 0.2 * 0.05 * SEGMENTS)
    assert.isBelow(sent, SEGMENTS * 1.1)
  })
})
