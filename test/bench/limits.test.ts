import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { check, type Group } from "../../bench/limits.ts"

const limit = (most: number) => ({ what: "calls", most, why: "so" })

const group = (most: number, ...attempts: ReadonlyArray<number>) => {
  let made = 0
  const one: Group = { title: "", limits: [limit(most)], figures: () => Effect.sync(() => [attempts[made++]!]) }
  return { one, made: () => made }
}

const noTestbed = Effect.die("nobody asks")

describe("Limits of the benchmark", () => {
  it.effect("are held once a figure is good enough", () =>
    Effect.gen(function*() {
      const { made, one } = group(10, 15, 10, 1)
      expect(yield* check(one, noTestbed, 3)).toEqual([{ ...limit(10), figure: 10 }])
      expect(made()).toBe(2)
    }))

  it.effect("are exceeded when the best is too much", () =>
    Effect.gen(function*() {
      const { made, one } = group(10, 15, 12, 20)
      expect(yield* check(one, noTestbed, 3)).toEqual([{ ...limit(10), figure: 12 }])
      expect(made()).toBe(3)
    }))
})
