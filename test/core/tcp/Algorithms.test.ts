import { assert, it } from "@effect/vitest"
import { Algorithms, CongestionControl, NetworkStack } from "@strata/core"
import { Effect } from "effect"

it("each algorithm goes by its own name", () => {
  assert.includeMembers([...Algorithms.names], ["reno", "cubic"])
  for (const name of Algorithms.names) assert.strictEqual(Algorithms.byName(name).name, name)
})

it.effect.each([...Algorithms.names])("a whole stack can use %s", (name) =>
  Effect.gen(function*() {
    assert.strictEqual((yield* CongestionControl).name, name)
  }).pipe(Effect.provide(NetworkStack.layerWith({ congestion: Algorithms.byName(name) }))))
