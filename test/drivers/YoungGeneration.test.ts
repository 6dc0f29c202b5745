/**
 * What native devices rely on: memory outside of the heap is free soon after its collection, and the flag is not left behind.
 */
import { assert, describe, it } from "@effect/vitest"
import { YoungGeneration } from "@strata/drivers"
import { Effect } from "effect"
import { runInNewContext } from "node:vm"

const CHUNK = 64 * 1024
const CHUNKS = 256

/** Octets of array buffers that are still there. Freeing them takes other threads a moment; the next collection counts what they freed. */
const settle = async (bound: number, collect: () => void): Promise<number> => {
  for (let tries = 0; tries < 500 && process.memoryUsage().arrayBuffers > bound; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    collect()
  }
  return process.memoryUsage().arrayBuffers
}

describe("YoungGeneration", () => {
  it.effect("frees chunks that nobody holds, and leaves those that somebody does", () =>
    Effect.gen(function*() {
      const collect = yield* YoungGeneration
      assert.isDefined(collect)
      const kept = [new Uint8Array(CHUNK).fill(7)]
      collect()
      const before = yield* Effect.promise(() => settle(0.5 * CHUNK * CHUNKS, collect))
      let last: Uint8Array | undefined
      for (let count = 0; count < CHUNKS; count++) last = new Uint8Array(CHUNK).fill(count)
      assert.strictEqual(last![0], CHUNKS - 1)
      last = undefined
      collect()
      assert.isBelow(yield* Effect.promise(() => settle(before + 2 * CHUNK, collect)), before + 0.1 * CHUNK * CHUNKS)
      assert.isTrue(kept[0]!.every((octet) => octet === 7))
    }))

  it.effect("does not leave the collector to anybody else", () =>
    Effect.gen(function*() {
      assert.isDefined(yield* YoungGeneration)
      assert.strictEqual(runInNewContext("typeof gc"), "undefined")
    }))
})
