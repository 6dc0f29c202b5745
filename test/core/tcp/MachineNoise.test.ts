import { assert, describe, it } from "@effect/vitest"
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { chance, checkSpaces, noise } from "../../support/tcpChannel.ts"
import { connecting, established, listening, type TcpScript } from "../../support/tcpScript.ts"

/** The control block at the end of a script, whatever it has sent. */
const after = (script: TcpScript): ControlBlock => {
  script.passed()
  return script.tcb
}

const beginnings: ReadonlyArray<readonly [string, () => ControlBlock]> = [
  ["LISTEN", () => after(listening())],
  ["SYN-SENT", () => after(connecting())],
  ["ESTABLISHED", () => after(established({ capacity: 5000 }))],
  [
    "ESTABLISHED, across the end of the sequence space",
    () => after(established({ iss: 0xffff_fffe, irs: 0xffff_fff0 }))
  ],
  ["FIN-WAIT-1", () => after(established().closes())],
  ["CLOSE-WAIT", () => after(established().receives("<SEQ=301><ACK=101><CTL=FIN,ACK>"))]
]

/** A thousand random segments, writes, reads and pauses; how many segments were sent. */
const endure = (seed: number, beginning: ControlBlock): number => {
  const random = chance(seed)
  let tcb = beginning
  let now = 0
  let queued = 0
  let sent = 0
  for (let step = 0; step < 1000 && tcb.state !== "CLOSED"; step++) {
    const before = tcb
    const segment = noise(random, tcb)
    const outcome = rfc9293.arrives(tcb, segment, now)
    tcb = outcome.tcb
    checkSpaces(tcb)
    assert.isTrue(outcome.acknowledged >= 0 && outcome.acknowledged <= queued, "acknowledged is what was queued")
    assert.isTrue(outcome.textSkip + outcome.textLength <= segment.length, "text is of the segment")
    if (outcome.textLength > 0) {
      const end = before.rcv.unread + outcome.textOffset + outcome.textLength
      assert.isAtMost(end, tcb.rcv.capacity, "text fits the buffer")
    }
    queued -= outcome.acknowledged
    if (random.unit() < 0.5) queued += random.below(3000)
    if (random.unit() < 0.3) tcb = rfc9293.consumed(tcb, random.below(tcb.rcv.unread + 1), now)
    for (let burst = 0;; burst++) {
      assert.isBelow(burst, 2000, "output comes to an end")
      const next = rfc9293.output(tcb, queued, now)
      if (next === undefined) break
      tcb = next.tcb
      sent++
      assert.isAtMost(next.segment.textOffset + next.segment.length, queued, "text is of the queue")
      checkSpaces(tcb)
    }
    now += random.below(300)
    tcb = rfc9293.elapse(tcb, queued, now)
    checkSpaces(tcb)
  }
  return sent
}

describe("noise", () => {
  for (const [name, begin] of beginnings) {
    it(`${name}: no segment breaks the machine`, () => {
      let sent = 0
      for (let seed = 1; seed <= 25; seed++) sent += endure(seed, begin())
      assert.isAbove(sent, 0)
    })
  }
})
