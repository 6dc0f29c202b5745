/**
 * The retransmission timer beside tail loss probes and selective acknowledgements.
 */
import { assert, describe, it } from "@effect/vitest"
import type { TcpSettings } from "@strata/core/tcp/TcpSettings"
import { listening, type TcpScript } from "../../support/tcpScript.ts"

const full = (seq: number) => `<SEQ=${seq}><ACK=301><DATA=1460><CTL=ACK>`
const sack = (ack: number, blocks: string) => `<SEQ=301><ACK=${ack}><SACK=${blocks}><CTL=ACK>`
/** The first octet of the segment with that index. */
const at = (index: number) => 101 + 1460 * index

/** ESTABLISHED with SACK, after many round trips of so many milliseconds. */
const established = (roundTrip: number, settings: Partial<TcpSettings> = {}): TcpScript =>
  listening({ settings: { selectiveAcknowledgement: true, ...settings } })
    .receives("<SEQ=300><MSS=1460><SACKOK=1><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
    .receives("<SEQ=301><ACK=101><CTL=ACK>")
    .meets(`knows ${roundTrip} ms`, (tcb) => ({
      ...tcb,
      rtt: { ...tcb.rtt, smoothed: roundTrip, variance: 1, timeout: roundTrip + 200, minimum: roundTrip }
    }))

describe("a tail loss probe", () => {
  it("comes two round trips after what was sent last (RFC 8985 §7.2), and the timer starts anew (§7.3)", () => {
    established(50).writes(2 * 1460).sends(full(at(0)), full(at(1)))
      .passes(101).sendsNothing().passes(1).sends(full(at(1)))
      .passes(249).sendsNothing().passes(1).sends(full(at(0)))
  })

  it("comes in place of a timeout where that is earlier (§7.2)", () => {
    established(400).writes(2 * 1460).sends(full(at(0)), full(at(1)))
      .passes(599).sendsNothing().passes(1).sends(full(at(1)))
      .looks(({ counts }) => assert.deepInclude(counts, { timeouts: 0, tailProbes: 1 }))
      .passes(599).sendsNothing().passes(1).sends(full(at(0)))
      .looks(({ counts }) => assert.deepInclude(counts, { timeouts: 1, tailProbes: 1 }))
  })
})

/** The first of five segments was sent again after 100 ms. */
const repaired = () =>
  established(100, { tailLossProbe: false }).writes(5 * 1460).sendsMany(5).passes(100)
    .receives(sack(101, `${at(1)}-${at(2)}`), sack(101, `${at(1)}-${at(3)}`), sack(101, `${at(1)}-${at(4)}`))
    .sends(full(at(0)))

describe("the retransmission timer", () => {
  it("starts anew when something is selectively acknowledged that was sent before the first segment was sent last", () => {
    repaired().passes(60).receives(sack(101, `${at(1)}-${at(5)}`))
      // The round-trip time is a little longer now.
      .passes(307).sendsNothing().passes(1).sends(full(at(0)))
      .looks(({ counts }) => assert.strictEqual(counts.timeouts, 1))
  })

  it("is not waited for when something is that was sent later: the first segment is lost again", () => {
    repaired().receives(sack(101, `${at(1)}-${at(5)}`)).passes(1).writes(1460).sends(full(at(5)))
      .passes(100).receives(`<SEQ=301><ACK=101><SACK=${at(1)}-${at(6)}><CTL=ACK>`).sends(full(at(0)))
      .looks(({ counts }) => assert.deepInclude(counts, { timeouts: 0, lostRetransmissions: 1 }))
  })
})
