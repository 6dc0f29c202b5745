import { assert, describe, it } from "@effect/vitest"
import { type Network, Simulation } from "@strata/simulation"
import { Clock, Effect } from "effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Digest, idleConnections, neighbours } from "../support/simulation/programs.ts"

const script = fileURLToPath(new URL("../support/simulation/transfers.ts", import.meta.url))

/** A line for each seed, with a digest of its capture; fails as the program does. */
const digestsOf = (...args: ReadonlyArray<string>) =>
  Effect.map(
    Effect.promise(() => promisify(execFile)(process.execPath, [script, ...args])),
    ({ stdout }) => stdout.trimEnd().split("\n")
  )

const digestOf = (program: Effect.Effect<unknown, never, Network>, seed: number) =>
  Effect.gen(function*() {
    const digest = new Digest()
    yield* Simulation.run(program, { seed, capture: digest.add })
    return digest.value
  })

describe("large simulations", () => {
  it.effect(
    "carry a mebibyte over a bad wire a thousand times, and do the same in another process",
    () =>
      Effect.gen(function*() {
        // To be watched changes nothing.
        const [watched, unwatched] = yield* Effect.all([digestsOf("1000"), digestsOf("1000", "unwatched")], {
          concurrency: 2
        })
        assert.deepStrictEqual(watched, unwatched)
        assert.strictEqual(watched.length, (yield* Simulation.seeds(1000)).length)
        const digests = watched.map((line) => line.split(" ")[1])
        assert.strictEqual(new Set(digests).size, watched.length, "no two seeds do the same")
      }),
    300_000
  )

  it.effect("let ten connections idle for an hour", () =>
    Simulation.run(Effect.gen(function*() {
      const before = yield* Clock.currentTimeMillis
      const packets = yield* idleConnections(10)
      assert.isAtLeast((yield* Clock.currentTimeMillis) - before, 3_600_000)
      assert.isBelow(packets, 100, "nobody says anything without a reason")
    })), 60_000)

  it.effect("let a hundred hosts on a switch talk to their neighbours", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* digestOf(neighbours(100), 1), yield* digestOf(neighbours(100), 1))
    }), 300_000)
})
