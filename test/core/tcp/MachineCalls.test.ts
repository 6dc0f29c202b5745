import { assert, describe, it } from "@effect/vitest"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { connecting, established, listening } from "../../support/tcpScript.ts"

const unreachable = (seq: number, hard: boolean) => (tcb: Parameters<typeof rfc9293.unreachable>[0], now: number) =>
  rfc9293.unreachable(tcb, seq, hard, now)
const pathMtu = (seq: number, mtu: number) => (tcb: Parameters<typeof rfc9293.pathMtu>[0], now: number) =>
  rfc9293.pathMtu(tcb, seq, mtu, now)

describe("CLOSE (§3.10.4)", () => {
  it("LISTEN and SYN-SENT: the connection is gone, and nobody is told", () => {
    listening().closes().is("CLOSED", "aborted").sendsNothing()
    connecting().sends("<SEQ=100><CTL=SYN>").closes().is("CLOSED", "aborted").sendsNothing()
  })

  it("is the same the second time", () => {
    established().closes().sends("<SEQ=101><ACK=301><CTL=FIN,ACK>").closes().is("FIN-WAIT-1").sendsNothing()
  })
})

describe("ABORT (§3.10.5)", () => {
  it("LISTEN and SYN-SENT: nobody is told", () => {
    listening().aborts().is("CLOSED", "aborted").sendsNothing()
    connecting().sends("<SEQ=100><CTL=SYN>").aborts().is("CLOSED", "aborted").sendsNothing()
  })

  it("a peer that knows of the connection gets a reset", () => {
    listening().receives("<SEQ=300><CTL=SYN>").sendsMany(1).aborts().is("CLOSED", "aborted").sends("<SEQ=101><CTL=RST>")
    established().aborts().is("CLOSED", "aborted").sends("<SEQ=101><CTL=RST>")
    established().writes(10).sendsMany(1).aborts().sends("<SEQ=111><CTL=RST>")
    established().closes().sendsMany(1).aborts().is("CLOSED", "aborted").sends("<SEQ=102><CTL=RST>")
    established().receives("<SEQ=301><ACK=101><CTL=FIN,ACK>").sendsMany(1).aborts().is("CLOSED", "aborted")
      .sends("<SEQ=101><CTL=RST>")
  })

  it("the reset comes after all that was sent, also after a timeout", () => {
    established().writes(3000).sendsMany(3).passes(200).sendsMany(1).aborts().sends("<SEQ=3101><CTL=RST>")
  })

  it("a peer that has said its last does not", () => {
    established().closes().sendsMany(1).receives("<SEQ=301><ACK=101><CTL=FIN,ACK>").sendsMany(1).is("CLOSING")
      .aborts().is("CLOSED", "aborted").sendsNothing()
  })

  it("stops every timer", () => {
    const script = established().writes(10).sendsMany(1).aborts().sendsMany(1)
    assert.strictEqual(rfc9293.deadline(script.tcb), Infinity)
    script.aborts().is("CLOSED", "aborted").sendsNothing()
  })
})

describe("ICMP errors (§3.9.2.2, RFC 5927)", () => {
  it("a hard error ends a connection that is not established", () => {
    connecting().sends("<SEQ=100><CTL=SYN>").meets("a hard error", unreachable(100, true)).is("CLOSED", "unreachable")
  })

  it("errors about a connection that is gone change nothing", () => {
    const { tcb } = established().writes(10).sendsMany(1).aborts().sendsMany(1)
    assert.strictEqual(unreachable(101, false)(tcb, 0), tcb)
    assert.strictEqual(pathMtu(101, 576)(tcb, 0), tcb)
  })

  it("a soft error is remembered until the connection is given up", () => {
    connecting({ settings: { synRetransmissions: 0 } }).sends("<SEQ=100><CTL=SYN>")
      .meets("a soft error", unreachable(100, false)).is("SYN-SENT")
      .passes(1000).is("CLOSED", "unreachable")
  })

  it("a hard error does not end an established connection", () => {
    established().writes(10).sendsMany(1).meets("a hard error", unreachable(101, true)).is("ESTABLISHED")
      .looks(({ softError }) => assert.isTrue(softError))
  })

  it("errors about what is not on its way are not believed", () => {
    for (const seq of [99, 101, 5000]) {
      connecting().sends("<SEQ=100><CTL=SYN>").meets("a forged error", unreachable(seq, true)).is("SYN-SENT")
    }
    established().writes(10).sendsMany(1)
      .meets("forged errors", (tcb, now) => unreachable(100, false)(unreachable(111, false)(tcb, now), now))
      .looks(({ softError }) => assert.isFalse(softError))
  })
})

describe("a smaller path MTU (RFC 1191)", () => {
  it("what is on its way goes again in smaller segments, without a smaller congestion window", () => {
    established().writes(2920).sendsMany(2).meets("a path of 576 octets", pathMtu(101, 576))
      .sends(
        "<SEQ=101><ACK=301><DATA=536><CTL=ACK>",
        "<SEQ=637><ACK=301><DATA=536><CTL=ACK>",
        "<SEQ=1173><ACK=301><DATA=536><CTL=ACK>",
        "<SEQ=1709><ACK=301><DATA=536><CTL=ACK>",
        "<SEQ=2245><ACK=301><DATA=536><CTL=ACK>",
        "<SEQ=2781><ACK=301><DATA=240><CTL=ACK>"
      )
      .looks(({ congestion }) => assert.strictEqual(congestion.window, 14_600))
  })

  it("a larger one changes nothing, nor does one about what is not on its way", () => {
    established().writes(2920).sendsMany(2)
      .meets("a larger MTU", pathMtu(101, 9000)).sendsNothing()
      .meets("a forged MTU", pathMtu(100, 576)).sendsNothing()
      .meets("a forged MTU", pathMtu(3021, 576)).sendsNothing()
      .looks(({ snd }) => assert.strictEqual(snd.mss, 1460))
  })

  it("nonsense leaves segments of a bearable size", () => {
    established().writes(96).sendsMany(1).meets("an MTU of nothing", pathMtu(101, 0))
      .sends("<SEQ=101><ACK=301><DATA=48><CTL=ACK>", "<SEQ=149><ACK=301><DATA=48><CTL=ACK>")
  })

  it("a repeated segment is not timed", () => {
    established().writes(1460).sendsMany(1).meets("a path of 1000 octets", pathMtu(101, 1000)).sendsMany(2)
      .passes(100).receives("<SEQ=301><ACK=1561><CTL=ACK>")
      .looks(({ rtt }) => assert.strictEqual(rtt.smoothed, 0))
  })
})
