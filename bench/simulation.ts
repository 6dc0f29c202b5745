/**
 * How fast networks run in virtual time.
 *
 *     node bench/simulation.ts [--seconds 5] [--only transfer]
 *
 * `transfer`: a mebibyte over a wire that loses, duplicates and reorders a little, between two hosts that are made for
 * it; with invariants and a capture, and without them. `idle`: ten connections do nothing for an hour. `lan`: a
 * hundred hosts on a switch, each of which sends 100 KiB to the one before it, at a loss of 1 %.
 *
 * Packets count once for each link or switch they were put on. The processor's
 * time, which has that of the garbage collector in it, is what counts on a busy machine.
 */
import { type Network, Simulation } from "@strata/simulation"
import { Clock, Effect } from "effect"
import { parseArgs } from "node:util"
import { Digest, idleConnections, lossyTransfer, neighbours } from "../test/support/simulation/programs.ts"

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "5" }, only: { type: "string" } }
})

/** A program gives the number of its packets. */
type Program = Effect.Effect<number, never, Network>

interface Totals {
  runs: number
  packets: number
  virtualSeconds: number
}

const runOnce = async (program: Program, options: Simulation.Options, isCaptured: boolean, totals: Totals) => {
  const digest = new Digest()
  const timed = Effect.gen(function*() {
    totals.packets += yield* program
    totals.virtualSeconds += Number(yield* Clock.monotonicTimeNanos) / 1e9
  })
  const seed = ++totals.runs
  await Effect.runPromise(Simulation.run(timed, { ...options, seed, capture: isCaptured ? digest.add : undefined }))
}

const measure = async (name: string, program: Program, options: Simulation.Options, isCaptured: boolean) => {
  const totals: Totals = { runs: 0, packets: 0, virtualSeconds: 0 }
  for (let warm = 0; warm < 3; warm++) await runOnce(program, options, isCaptured, { ...totals })
  const start = performance.now()
  const processor = process.cpuUsage()
  while (performance.now() - start < Number(values.seconds) * 1000) await runOnce(program, options, isCaptured, totals)
  const seconds = (performance.now() - start) / 1000
  const { system, user } = process.cpuUsage(processor)
  const each = (total: number) => (total / totals.runs).toFixed(1)
  process.stdout.write(
    `${name.padEnd(36)} ${(totals.runs / seconds).toFixed(1)} runs/s, ${each(seconds * 1000)} ms each ` +
      `(${each((user + system) / 1000)} ms of processor), ${Math.round(totals.packets / seconds)} packets/s, ` +
      `virtual to real ${(totals.virtualSeconds / seconds).toFixed(0)}\n`
  )
}

const CASES: ReadonlyArray<readonly [name: string, Program, Simulation.Options, isCaptured: boolean]> = [
  ["transfer, bare", lossyTransfer, { invariants: false }, false],
  ["transfer, invariants", lossyTransfer, {}, false],
  ["transfer, capture", lossyTransfer, { invariants: false }, true],
  ["transfer, invariants and capture", lossyTransfer, {}, true],
  ["idle, invariants", idleConnections(10), {}, false],
  ["lan, invariants and capture", neighbours(100), {}, true]
]

for (const [name, ...rest] of CASES) {
  if (values.only === undefined || name.startsWith(values.only)) await measure(name, ...rest)
}
