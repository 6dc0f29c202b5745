import { assert, describe, it } from "@effect/vitest"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { connecting, established, format, listening, segment } from "../../support/tcpScript.ts"

/** ESTABLISHED with SND.NXT 100 and RCV.NXT 300, as TCP Peer A stands in most figures. */
const peerA = () => established({ iss: 99, irs: 299 })
/** ESTABLISHED with SND.NXT 300 and RCV.NXT 100. */
const peerB = () => established({ iss: 299, irs: 99 })

/** What a TCP that knows of no connection answers. */
const rejects = (text: string, answer: string) => {
  const reply = rfc9293.reject(segment(text))
  assert.strictEqual(reply === undefined ? "nothing" : format(reply, answer), answer)
}

describe("RFC 9293, the figures", () => {
  it("figure 6: basic three-way handshake for connection synchronization", () => {
    const a = connecting({ iss: 100 })
    const b = listening({ iss: 300 })
    a.is("SYN-SENT").sends("<SEQ=100><CTL=SYN>")
    b.receives("<SEQ=100><CTL=SYN>").is("SYN-RECEIVED").sends("<SEQ=300><ACK=101><CTL=SYN,ACK>")
    a.receives("<SEQ=300><ACK=101><CTL=SYN,ACK>").is("ESTABLISHED").sends("<SEQ=101><ACK=301><CTL=ACK>")
    b.receives("<SEQ=101><ACK=301><CTL=ACK>").is("ESTABLISHED").sendsNothing()
    a.writes(10).sends("<SEQ=101><ACK=301><DATA=10><CTL=ACK>")
    b.receives("<SEQ=101><ACK=301><DATA=10><CTL=ACK>").is("ESTABLISHED").holds(10)
  })

  it("figure 7: simultaneous connection synchronization", () => {
    const a = connecting({ iss: 100 })
    const b = connecting({ iss: 300 })
    a.sends("<SEQ=100><CTL=SYN>").is("SYN-SENT")
    b.sends("<SEQ=300><CTL=SYN>").is("SYN-SENT")
    a.receives("<SEQ=300><CTL=SYN>").is("SYN-RECEIVED").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
    b.receives("<SEQ=100><CTL=SYN>").is("SYN-RECEIVED").sends("<SEQ=300><ACK=101><CTL=SYN,ACK>")
    a.receives("<SEQ=300><ACK=101><CTL=SYN,ACK>").is("ESTABLISHED").sendsNothing()
    b.receives("<SEQ=100><ACK=301><CTL=SYN,ACK>").is("ESTABLISHED").sendsNothing()
    a.writes(1).sends("<SEQ=101><ACK=301><DATA=1><CTL=ACK>")
  })

  it("figure 7, when both of the peer's segments come before anything has left in between", () => {
    const b = connecting({ iss: 300 }).sends("<SEQ=300><CTL=SYN>")
    const heard = rfc9293.arrives(b.tcb, segment("<SEQ=100><CTL=SYN>"), 0).tcb
    assert.strictEqual(heard.state, "SYN-RECEIVED")
    const { reply, tcb } = rfc9293.arrives(heard, segment("<SEQ=100><ACK=301><CTL=SYN,ACK>"), 0)
    assert.strictEqual(tcb.state, "ESTABLISHED")
    assert.isUndefined(reply)
    const answer = "<SEQ=301><ACK=101><CTL=ACK>"
    assert.strictEqual(format(rfc9293.output(tcb, 0, 0)!.segment, answer), answer)
  })

  it("figure 8: recovery from an old duplicate SYN", () => {
    const a = connecting({ iss: 100 })
    const b = listening({ iss: 300 })
    a.sends("<SEQ=100><CTL=SYN>")
    b.receives("<SEQ=90><CTL=SYN>").is("SYN-RECEIVED").sends("<SEQ=300><ACK=91><CTL=SYN,ACK>")
    a.receives("<SEQ=300><ACK=91><CTL=SYN,ACK>").is("SYN-SENT").sends("<SEQ=91><CTL=RST>")
    b.receives("<SEQ=91><CTL=RST>").is("LISTEN").sendsNothing()
    b.receives("<SEQ=100><CTL=SYN>").is("SYN-RECEIVED").sends("<SEQ=300><ACK=101><CTL=SYN,ACK>")
    a.receives("<SEQ=300><ACK=101><CTL=SYN,ACK>").is("ESTABLISHED").sends("<SEQ=101><ACK=301><CTL=ACK>")
    b.receives("<SEQ=101><ACK=301><CTL=ACK>").is("ESTABLISHED")
  })

  it("figure 9: half-open connection discovery", () => {
    const a = connecting({ iss: 400 })
    const b = peerB()
    a.is("SYN-SENT").sends("<SEQ=400><CTL=SYN>")
    b.receives("<SEQ=400><CTL=SYN>").is("ESTABLISHED").sends("<SEQ=300><ACK=100><CTL=ACK>")
    a.receives("<SEQ=300><ACK=100><CTL=ACK>").is("SYN-SENT").sends("<SEQ=100><CTL=RST>")
    b.receives("<SEQ=100><CTL=RST>").is("CLOSED", "reset").sendsNothing()
    a.passes(1000).is("SYN-SENT").sends("<SEQ=400><CTL=SYN>")
  })

  it("figure 10: active side causes half-open connection discovery", () => {
    const b = peerB()
    b.writes(10).sends("<SEQ=300><ACK=100><DATA=10><CTL=ACK>")
    rejects("<SEQ=300><ACK=100><DATA=10><CTL=ACK>", "<SEQ=100><CTL=RST>")
    b.receives("<SEQ=100><CTL=RST>").is("CLOSED", "reset")
  })

  it("figure 11: an old duplicate SYN initiates a reset on two passive sockets", () => {
    const a = listening({ iss: 400 })
    const b = listening({ iss: 300 })
    b.receives("<SEQ=90><CTL=SYN>").is("SYN-RECEIVED").sends("<SEQ=300><ACK=91><CTL=SYN,ACK>")
    a.receives("<SEQ=300><ACK=91><CTL=SYN,ACK>").is("LISTEN").sends("<SEQ=91><CTL=RST>")
    b.receives("<SEQ=91><CTL=RST>").is("LISTEN").sendsNothing()
  })

  it("figure 12: normal close sequence", () => {
    const a = peerA()
    const b = peerB()
    a.closes().is("FIN-WAIT-1").sends("<SEQ=100><ACK=300><CTL=FIN,ACK>")
    b.receives("<SEQ=100><ACK=300><CTL=FIN,ACK>").is("CLOSE-WAIT").sends("<SEQ=300><ACK=101><CTL=ACK>")
    a.receives("<SEQ=300><ACK=101><CTL=ACK>").is("FIN-WAIT-2").sendsNothing()
    b.closes().is("LAST-ACK").sends("<SEQ=300><ACK=101><CTL=FIN,ACK>")
    a.receives("<SEQ=300><ACK=101><CTL=FIN,ACK>").is("TIME-WAIT").sends("<SEQ=101><ACK=301><CTL=ACK>")
    b.receives("<SEQ=101><ACK=301><CTL=ACK>").is("CLOSED", "finished").sendsNothing()
    a.passes(59_999).is("TIME-WAIT").passes(1).is("CLOSED", "finished").sendsNothing()
  })

  it("figure 13: simultaneous close sequence", () => {
    const a = peerA()
    const b = peerB()
    a.closes().is("FIN-WAIT-1").sends("<SEQ=100><ACK=300><CTL=FIN,ACK>")
    b.closes().is("FIN-WAIT-1").sends("<SEQ=300><ACK=100><CTL=FIN,ACK>")
    a.receives("<SEQ=300><ACK=100><CTL=FIN,ACK>").is("CLOSING").sends("<SEQ=101><ACK=301><CTL=ACK>")
    b.receives("<SEQ=100><ACK=300><CTL=FIN,ACK>").is("CLOSING").sends("<SEQ=301><ACK=101><CTL=ACK>")
    a.receives("<SEQ=301><ACK=101><CTL=ACK>").is("TIME-WAIT").sendsNothing()
    b.receives("<SEQ=101><ACK=301><CTL=ACK>").is("TIME-WAIT").sendsNothing()
    a.passes(60_000).is("CLOSED", "finished")
    b.passes(60_000).is("CLOSED", "finished")
  })
})

describe("half-open connections, beyond the figures", () => {
  it("a connection request to a closed port is refused", () => {
    rejects("<SEQ=100><CTL=SYN>", "<SEQ=0><ACK=101><CTL=RST,ACK>")
    connecting({ iss: 100 }).sends("<SEQ=100><CTL=SYN>")
      .receives("<SEQ=0><ACK=101><CTL=RST,ACK>").is("CLOSED", "refused").sendsNothing()
  })

  it("a reset is never answered by a reset", () => {
    rejects("<SEQ=100><CTL=RST>", "nothing")
    rejects("<SEQ=100><ACK=5><CTL=RST,ACK>", "nothing")
  })

  it("the reset of a segment without ACK acknowledges all of it", () => {
    rejects("<SEQ=100><DATA=10><CTL=FIN>", "<SEQ=0><ACK=111><CTL=RST,ACK>")
    rejects("<SEQ=4294967295><DATA=10><CTL=SYN>", "<SEQ=0><ACK=10><CTL=RST,ACK>")
  })

  it("a peer that restarted and takes the same port again is first reset, then let in", () => {
    const b = peerB()
    // In the window: a SYN is not believed, only challenged (RFC 5961 §4).
    b.receives("<SEQ=200><CTL=SYN>").is("ESTABLISHED").sends("<SEQ=300><ACK=100><CTL=ACK>")
    connecting({ iss: 200 }).sends("<SEQ=200><CTL=SYN>")
      .receives("<SEQ=300><ACK=100><CTL=ACK>").is("SYN-SENT").sends("<SEQ=100><CTL=RST>")
    b.receives("<SEQ=100><CTL=RST>").is("CLOSED", "reset")
  })

  it("a half-closed connection still takes text", () => {
    const a = peerA()
    a.closes().sends("<SEQ=100><ACK=300><CTL=FIN,ACK>").receives("<SEQ=300><ACK=101><CTL=ACK>").is("FIN-WAIT-2")
      .receives("<SEQ=300><ACK=101><DATA=100><CTL=ACK>").holds(100)
      .passes(40).sends("<SEQ=101><ACK=400><CTL=ACK>")
      .receives("<SEQ=400><ACK=101><CTL=FIN,ACK>").is("TIME-WAIT").sends("<SEQ=101><ACK=401><CTL=ACK>")
  })

  it("a half-closed peer still gets text, and the FIN behind it", () => {
    const b = peerB()
    b.receives("<SEQ=100><ACK=300><CTL=FIN,ACK>").is("CLOSE-WAIT").sends("<SEQ=300><ACK=101><CTL=ACK>")
      .writes(100).sends("<SEQ=300><ACK=101><DATA=100><CTL=ACK>")
      .closes().is("LAST-ACK").sends("<SEQ=400><ACK=101><CTL=FIN,ACK>")
      .receives("<SEQ=101><ACK=400><CTL=ACK>").is("LAST-ACK")
      .receives("<SEQ=101><ACK=401><CTL=ACK>").is("CLOSED", "finished")
  })
})
