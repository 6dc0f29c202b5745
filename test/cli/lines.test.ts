import { describe, expect, it } from "@effect/vitest"
import { lines } from "@strata/cli/Lines"
import { Effect, Stream } from "effect"

const encoder = new TextEncoder()

const cut = (chunks: ReadonlyArray<string>, limit = 100) =>
  Stream.fromIterable(chunks.map((chunk) => encoder.encode(chunk))).pipe(
    lines(limit),
    Stream.runCollect,
    Effect.map((all) => all.map((line) => new TextDecoder().decode(line)))
  )

describe("lines", () => {
  it.effect("keep their newline, and the last one may lack it", () =>
    Effect.gen(function*() {
      expect(yield* cut(["a\nbc\n\nd"])).toEqual(["a\n", "bc\n", "\n", "d"])
      expect(yield* cut(["a\n"])).toEqual(["a\n"])
      expect(yield* cut([])).toEqual([])
    }))

  it.effect("may come in any pieces", () =>
    Effect.gen(function*() {
      const text = "one\ntwo\n\nthree and more\nrest"
      for (let size = 1; size <= text.length; size++) {
        const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
          text.slice(i * size, (i + 1) * size))
        expect(yield* cut(chunks)).toEqual(["one\n", "two\n", "\n", "three and more\n", "rest"])
      }
    }))

  it.effect("over the limit come as they are, so that no more is kept", () =>
    Effect.gen(function*() {
      expect(yield* cut(["aaaa", "bbbb", "c\nd"], 5)).toEqual(["aaaabbbb", "c\n", "d"])
    }))
})
