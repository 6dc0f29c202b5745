/**
 * The steady path of TCP on networks that lose, delay, double and corrupt, and on hosts that crash.
 */
import { assert, describe, it } from "@effect/vitest"
import { TcpMachine } from "@strata/core"
import { FaultSearch, Simulation } from "@strata/simulation"
import { Effect, Layer } from "effect"
import { shadowed } from "../support/shadow.ts"

const scenarios = { crashes: true }

describe("the steady path", () => {
  it.effect("comes to what the machine comes to, in whatever scenario", () =>
    Effect.gen(function*() {
      const { differences, machine, sent, taken } = shadowed(false)
      const hosts = { machine: Layer.succeed(TcpMachine, machine) }
      yield* FaultSearch.check({ seeds: yield* Simulation.seeds(150), scenarios, hosts })
      assert.deepEqual(differences, [])
      assert.isAbove(taken(), 1000)
      assert.isAbove(sent(), 1000)
    }), 300_000)

  it.effect(
    "lets everything arrive, in whatever scenario",
    () =>
      // A machine that is watched does all of it itself.
      Effect.flatMap(Simulation.seeds(150), (seeds) => FaultSearch.check({ seeds, scenarios, invariants: false })),
    300_000
  )
})
