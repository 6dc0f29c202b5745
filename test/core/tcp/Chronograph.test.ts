import { describe, expect, it } from "@effect/vitest"
import { Chronograph, limitOf } from "@strata/core/tcp/Chronograph"
import { established, type TcpScript } from "../../support/tcpScript.ts"

const MSS = 1460

const limit = ({ queued, tcb }: TcpScript, isWaiting = false) => limitOf(tcb, queued, isWaiting)

/** The segments that leave are of no interest. */
const writes = (script: TcpScript, octets: number): TcpScript => {
  script.writes(octets).passed()
  return script
}

describe("what keeps a sender from going faster", () => {
  it("is nothing while all is acknowledged", () => {
    expect(limit(established())).toBe("idle")
    const script = writes(established(), MSS)
    expect(limit(script)).toBe("network")
    script.receives("<SEQ=301><ACK=1561><CTL=ACK>")
    expect(limit(script)).toBe("idle")
  })

  it("is the congestion window where that is used up, whatever else is", () => {
    // Ten segments are the initial window, and the peer's as well.
    expect(limit(writes(established({ peerWindow: 10 * MSS }), 20 * MSS), true)).toBe("network")
    expect(limit(writes(established(), 10 * MSS), true)).toBe("network")
  })

  it("is the peer's window where that alone is used up", () => {
    const script = established({ peerWindow: 4 * MSS })
    expect(limit(writes(script, 4 * MSS))).toBe("network")
    expect(limit(writes(script, 1))).toBe("receiveWindow")
  })

  it("is the send buffer where all is sent, and a write waits", () => {
    const script = writes(established(), 4 * MSS)
    expect(limit(script)).toBe("network")
    expect(limit(script, true)).toBe("sendBuffer")
  })

  it("is the network while full segments wait for their time, though a write waits as well", () => {
    const pace = { congestion: { ...established().tcb.congestion, pacingRate: 1 } }
    const script = writes(established().meets("pacing", (tcb) => ({ ...tcb, ...pace })), 4 * MSS)
    expect(script.tcb.snd.nxt).toBeLessThan(script.tcb.snd.una + 4 * MSS)
    expect(limit(script, true)).toBe("network")
  })
})

describe("a chronograph", () => {
  it("adds up what was spent how", () => {
    const chronograph = new Chronograph()
    expect(chronograph.busy(50)).toBe(0)
    chronograph.note("network", 100)
    chronograph.note("sendBuffer", 110)
    chronograph.note("sendBuffer", 120)
    chronograph.note("idle", 150)
    chronograph.note("receiveWindow", 1000)
    expect([chronograph.spent("sendBuffer", 1005), chronograph.spent("receiveWindow", 1005)]).toEqual([40, 5])
    expect(chronograph.busy(1005)).toBe(55)
  })
})
