/**
 * Runs the lossy transfer for each of so many seeds, the first argument, and
 * prints a digest of each capture. To be run in a process of its own. With
 * `unwatched` as its second argument, without invariants.
 */
import { Simulation } from "@strata/simulation"
import { Effect } from "effect"
import { Digest, lossyTransfer } from "./programs.ts"

const [count, mode] = process.argv.slice(2)

const digests = Effect.gen(function*() {
  for (const seed of yield* Simulation.seeds(Number(count))) {
    const digest = new Digest()
    yield* Simulation.run(lossyTransfer, { seed, capture: digest.add, invariants: mode !== "unwatched" })
    process.stdout.write(`${seed} ${digest.value}\n`)
  }
})
await Effect.runPromise(digests)
