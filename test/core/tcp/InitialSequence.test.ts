import { assert, describe, it } from "@effect/vitest"
import { Entropy } from "@strata/core/Entropy"
import * as InitialSequence from "@strata/core/tcp/InitialSequence"
import * as Sequence from "@strata/core/tcp/Sequence"
import * as SipHash from "@strata/core/tcp/SipHash"
import { Effect } from "effect"

/** The key 00 01 … 0f. */
const key: SipHash.Key = [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c]

const hex = (word: number) => word.toString(16).padStart(8, "0")

describe("SipHash-2-4", () => {
  // Of the messages 00 01 02 …, by their length; the one of fifteen octets is worked out in the paper's appendix A.
  const vectors: ReadonlyArray<readonly [number, string]> = [
    [0, "726fdb47dd0e0e31"],
    [1, "74f839c593dc67fd"],
    [7, "ab0200f58b01d137"],
    [8, "93f5f5799a932462"],
    [12, "751e8fbc860ee5fb"],
    [15, "a129ca6149be45e5"],
    [63, "958a324ceb064572"]
  ]
  for (const [length, expected] of vectors) {
    it(`of ${length} octets`, () => {
      const words = new Uint32Array(Math.ceil(length / 4))
      for (let index = 0; index < length; index++) words[index >>> 2]! |= index << 8 * (index % 4)
      assert.strictEqual(hex(SipHash.hash(key, words, length)), expected.slice(8))
    })
  }
})

const endpoints = { localAddress: 0xc0000202, localPort: 7, remoteAddress: 0xc0000201, remotePort: 40_000 }

const at = (now: number, changed: Partial<typeof endpoints> = {}) =>
  InitialSequence.initialSequence(key, { ...endpoints, ...changed }, now)

describe("initial sequence numbers (RFC 6528)", () => {
  it("are unsigned 32-bit integers that ascend by one in four microseconds", () => {
    for (const now of [0, 1, 1000, 17_179_869, 17_179_870, 1e12]) {
      const number = at(now)
      assert.isTrue(Number.isInteger(number) && number >= 0 && number <= 0xffff_ffff)
      assert.strictEqual(Sequence.difference(number, at(now + 1)), 250)
      assert.strictEqual(Sequence.difference(number, at(now + 0.004)), 1)
    }
  })

  it("depend on each part of the endpoints", () => {
    const others = [{ localAddress: 1 }, { localPort: 8 }, { remoteAddress: 2 }, { remotePort: 40_001 }]
    const numbers = [at(0), ...others.map((other) => at(0, other))]
    assert.strictEqual(new Set(numbers).size, numbers.length)
  })

  it.effect("depend on a secret that each stack draws for itself", () =>
    Effect.gen(function*() {
      const entropy = yield* Entropy
      const one = InitialSequence.make(entropy)
      const other = InitialSequence.make(entropy)
      assert.strictEqual(one(endpoints, 5), one(endpoints, 5))
      assert.notStrictEqual(one(endpoints, 5), other(endpoints, 5))
    }).pipe(Effect.provide(Entropy.layerSeeded(1))))
})
