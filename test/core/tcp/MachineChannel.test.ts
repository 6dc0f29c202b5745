import { assert, describe, it } from "@effect/vitest"
import { type ChannelOptions, converse } from "../../support/tcpChannel.ts"

const kind: ChannelOptions = { loss: 0, duplication: 0, delay: 5, text: 60_000, open: "passive" }

const conditions: ReadonlyArray<readonly [string, ChannelOptions]> = [
  ["a kind channel that reorders", kind],
  ["one segment in twenty lost", { ...kind, loss: 0.05 }],
  ["one in four lost, one in ten doubled, long delays", {
    loss: 0.25,
    duplication: 0.1,
    delay: 300,
    text: 20_000,
    open: "passive"
  }],
  ["a simultaneous open", { loss: 0.1, duplication: 0.1, delay: 50, text: 10_000, open: "simultaneous" }],
  ["nothing to say but FIN", { loss: 0.3, duplication: 0.3, delay: 20, text: 1, open: "passive" }]
]

describe("two machines and an adversarial channel", () => {
  for (const [name, options] of conditions) {
    it(`${name}: everything arrives in order, and both close`, () => {
      for (let seed = 1; seed <= 100; seed++) {
        try {
          const { a, b } = converse(seed, options)
          for (const host of [a, b]) {
            assert.strictEqual(host.tcb.state, "CLOSED")
            assert.strictEqual(host.tcb.reason, "finished")
            assert.strictEqual(host.queued, 0)
          }
          assert.strictEqual(a.delivered, b.written)
          assert.strictEqual(b.delivered, a.written)
        } catch (cause) {
          throw new Error(`seed ${seed}: ${String(cause)}`, { cause })
        }
      }
    })
  }
})
