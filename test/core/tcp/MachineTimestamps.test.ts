import { assert, describe, it } from "@effect/vitest"
import { listening, type TcpScript } from "../../support/tcpScript.ts"

const settings = { timestamps: true, selectiveAcknowledgement: true }

/** ESTABLISHED by a passive OPEN, with timestamps and SACK, after `rtt`; the peer's clock stands at 5000. */
const opened = (rtt = 0): TcpScript =>
  listening({ settings })
    .receives("<SEQ=300><CTL=SYN><TS=5000/0><SACKOK=1>")
    .sends("<SEQ=100><ACK=301><CTL=SYN,ACK><TS=0/5000>")
    .passes(rtt)
    .receives("<SEQ=301><ACK=101><CTL=ACK><TS=5000/0>")
    .is("ESTABLISHED")

describe("the timestamp that is echoed (RFC 7323 §4.3)", () => {
  it("is that of the earliest segment that was not acknowledged yet", () => {
    opened()
      .receives("<SEQ=301><ACK=101><DATA=1448><CTL=ACK><TS=5010/0>").sendsNothing()
      .receives("<SEQ=1749><ACK=101><DATA=1448><CTL=ACK><TS=5020/0>")
      .sends("<SEQ=101><ACK=3197><CTL=ACK><TS=0/5010>")
      .receives("<SEQ=3197><ACK=101><DATA=1448><CTL=ACK><TS=5030/0>").sendsNothing()
      .receives("<SEQ=4645><ACK=101><DATA=1448><CTL=ACK><TS=5040/0>")
      .sends("<SEQ=101><ACK=6093><CTL=ACK><TS=0/5030>")
  })

  it("stays as it is after a gap, and is that of the segment that fills it", () => {
    opened()
      .receives("<SEQ=1749><ACK=101><DATA=1448><CTL=ACK><TS=5020/0>")
      .sends("<SEQ=101><ACK=301><CTL=ACK><SACK=1749-3197><TS=0/5000>")
      .receives("<SEQ=301><ACK=101><DATA=1448><CTL=ACK><TS=5200/0>")
      .sends("<SEQ=101><ACK=3197><CTL=ACK><TS=0/5200>")
  })

  it("does not go back, when something arrives late", () => {
    opened()
      .receives("<SEQ=301><ACK=101><CTL=ACK><TS=5010/0>")
      .receives("<SEQ=301><ACK=101><CTL=ACK><TS=5005/0>").sends("<SEQ=101><ACK=301><CTL=ACK><TS=0/5010>")
      .looks(({ timestamps }) => assert.strictEqual(timestamps.recent, 5010))
  })
})

/** The first octet of the segment with that index. */
const at = (index: number) => 101 + 1448 * index
const ack = (index: number, echo: number, ...sack: ReadonlyArray<readonly [number, number]>) =>
  `<SEQ=301><ACK=${at(index)}><CTL=ACK><TS=5100/${echo}>` +
  (sack.length === 0 ? "" : `<SACK=${sack.map(([from, to]) => `${at(from)}-${at(to)}`).join(",")}>`)

/** Lets what is sent pass. */
const receives = (script: TcpScript, milliseconds: number, text: string): TcpScript => {
  script.passes(milliseconds).passed()
  script.receives(text).passed()
  return script
}

/** Ten segments sent at 100, of which the first is lost, and sent again at 200. */
const recovering = (): TcpScript => {
  const script = opened(100).writes(200_000)
  assert.strictEqual(script.passed(), 10)
  return receives(script, 100, ack(0, 100, [1, 4]))
}

describe("a recovery that timestamps prove mistaken (RFC 3522)", () => {
  it("is undone when the original is what arrived", () => {
    receives(recovering(), 1, ack(4, 100)).looks(({ congestion, counts, recovery }) => {
      assert.strictEqual(recovery.phase, "open")
      assert.strictEqual(counts.timestampUndos, 1)
      assert.isAtLeast(congestion.window, 14_480)
    })
  })

  it("is not when it is the repetition", () => {
    receives(recovering(), 100, ack(4, 200)).looks(({ counts }) => assert.strictEqual(counts.timestampUndos, 0))
  })
})
