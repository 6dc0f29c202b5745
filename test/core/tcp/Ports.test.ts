import { assert, describe, it } from "@effect/vitest"
import { Entropy } from "@strata/core/Entropy"
import * as Ports from "@strata/core/tcp/Ports"
import { Effect } from "effect"

const all = Array.from({ length: Ports.EPHEMERAL_PORTS }, (_, index) => Ports.FIRST_EPHEMERAL + index)

describe("ephemeral ports (RFC 6056)", () => {
  it.effect("are all found, each once, and then there is none", () =>
    Effect.gen(function*() {
      const entropy = yield* Entropy
      const taken = new Set<number>()
      for (const _ of all) taken.add(Ports.choose(entropy, (port) => !taken.has(port))!)
      assert.deepStrictEqual([...taken].toSorted((a, b) => a - b), all)
      assert.isUndefined(Ports.choose(entropy, (port) => !taken.has(port)))
    }).pipe(Effect.provide(Entropy.layerSeeded(1))))

  it.effect("are found soon though others were taken one after the other, and 95 of 100 are", () =>
    Effect.gen(function*() {
      const entropy = yield* Entropy
      const busy = Ports.FIRST_EPHEMERAL + 0.95 * Ports.EPHEMERAL_PORTS
      let asked = 0
      for (let times = 0; times < 1000; times++) {
        Ports.choose(entropy, (port) => {
          asked++
          return port >= busy
        })
      }
      // A search from one to the next would ask about half of all ports each time.
      assert.isBelow(asked / 1000, 200)
    }).pipe(Effect.provide(Entropy.layerSeeded(2))))

  it.effect("may be used again when there are hardly any others, and all are asked about when there is nothing else", () =>
    Effect.gen(function*() {
      const entropy = yield* Entropy
      let asked = 0
      const never = () => {
        asked++
        return false
      }
      assert.isDefined(Ports.choose(entropy, never, () => true))
      assert.isBelow(asked, 1000)
      const last = Ports.FIRST_EPHEMERAL + 77
      assert.strictEqual(Ports.choose(entropy, never, (port) => port === last), last)
      // Of half of them that are free, one of these is taken and not one that is merely reusable.
      for (let times = 0; times < 100; times++) {
        assert.strictEqual(Ports.choose(entropy, (port) => port % 2 === 0, () => true)! % 2, 0)
      }
    }).pipe(Effect.provide(Entropy.layerSeeded(3))))
})
