/**
 * How fast networks run in virtual time.
 *
 * `transfer`: a mebibyte over a wire that loses, duplicates and reorders a little, between two hosts that are made for
 * it; with invariants and a capture, and without them. `idle`: ten connections do nothing for an hour. `lan`: a
 * hundred hosts on a switch, each of which sends 100 KiB to the one before it, at a loss of 1 %.
 *
 * Packets count once for each link or switch they were put on.
 */
import { type Network, Simulation } from "@strata/simulation"
import * as Effect from "effect/Effect"
import { Digest, idleConnections, lossyTransfer, neighbours } from "../../test/support/simulation/programs.ts"
import type { Figure } from "../support/measurement.ts"
import { main } from "../support/program.ts"

/** A program gives the number of its packets. */
type Program = Effect.Effect<number, never, Network>

const runOnce = (program: Program, options: Simulation.Options, isCaptured: boolean, seed: number): Promise<number> => {
  const capture = isCaptured ? new Digest().add : undefined
  return Effect.runPromise(Simulation.run(program, { ...options, seed, capture }))
}

/** Runs it for that long, and once at least; in thousands of packets a second, and microseconds for a packet. */
const running = (program: Program, options: Simulation.Options, isCaptured: boolean) => async (seconds: number) => {
  await runOnce(program, options, isCaptured, 0)
  const start = performance.now()
  const before = process.cpuUsage()
  let packets = 0
  let seed = 0
  do packets += await runOnce(program, options, isCaptured, ++seed)
  while (performance.now() - start < seconds * 1000)
  const { system, user } = process.cpuUsage(before)
  const figure: Figure = { value: packets / (performance.now() - start), processor: (user + system) / packets }
  return figure
}

await main({
  "transfer, bare": running(lossyTransfer, { invariants: false }, false),
  "transfer, invariants": running(lossyTransfer, {}, false),
  "transfer, capture": running(lossyTransfer, { invariants: false }, true),
  "transfer, invariants and capture": running(lossyTransfer, {}, true),
  "idle, invariants": running(idleConnections(10), {}, false),
  "lan, invariants and capture": running(neighbours(100), {}, true)
})
