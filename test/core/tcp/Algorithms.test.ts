import { assert, it } from "@effect/vitest"
import { Algorithms, CongestionControl, NetworkStack } from "@strata/core"
import { Effect } from "effect"

it("each algorithm goes by its own name", () => {
  assert.includeMembers([...Algorithms.names], ["reno", "cubic", "bbr"])
  for (const name of Algorithms.names) assert.strictEqual(Algorithms.byName(name).name, name)
})

it.effect("a stack uses CUBIC, when nothing is said", () =>
  Effect.gen(function*() {
    assert.strictEqual((yield* CongestionControl).name, "cubic")
  }).pipe(Effect.provide(NetworkStack.layer)))

it.effect("or an algorithm of one's own", () =>
  Effect.gen(function*() {
    assert.strictEqual((yield* CongestionControl).name, "mine")
  }).pipe(Effect.provide(CongestionControl.layerOf({ ...Algorithms.byName("reno"), name: "mine" }))))
