/**
 * How fast a network runs in virtual time.
 */
import { type Network, Simulation } from "@strata/simulation"
import * as Effect from "effect/Effect"
import { Digest } from "../../test/support/simulation/programs.ts"
import type { Figure } from "../support/measurement.ts"

/** A program gives the number of its packets, each of which counts once for each link or switch it was put on. */
export type Program = Effect.Effect<number, never, Network>

const runOnce = (program: Program, options: Simulation.Options, isCaptured: boolean, seed: number): Promise<number> => {
  const capture = isCaptured ? new Digest().add : undefined
  return Effect.runPromise(Simulation.run(program, { ...options, seed, capture }))
}

/** Runs it for that long, and once at least, after a first time that does not count; in thousands of packets a second, and microseconds for a packet. */
export const running =
  (program: Program, options: Simulation.Options, isCaptured: boolean, warm = true) =>
  async (seconds: number): Promise<Figure> => {
    if (warm) await runOnce(program, options, isCaptured, 0)
    const start = performance.now()
    const before = process.cpuUsage()
    let packets = 0
    let seed = 0
    do packets += await runOnce(program, options, isCaptured, ++seed)
    while (performance.now() - start < seconds * 1000)
    const { system, user } = process.cpuUsage(before)
    return { value: packets / (performance.now() - start), processor: (user + system) / packets }
  }
