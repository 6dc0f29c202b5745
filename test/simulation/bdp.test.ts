/**
 * Long fast paths are filled without being told how long and how fast they are.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { share } from "./matrix/Sharing.ts"

describe("one flow of a stack as it is by default", () => {
  it.effect(
    "fills 100 ms × 1 Gbit/s: its buffers grow with the 12.5 MB that are under way",
    () =>
      Effect.gen(function*() {
        const rate = 1e9
        const { total } = yield* share([undefined], { rate, roundTrip: 100, settle: 2.5, measure: 1, apart: 0 })
        assert.isAtLeast(total, 0.9 * rate)
      }),
    300_000
  )
})
