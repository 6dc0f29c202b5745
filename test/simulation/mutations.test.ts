import { assert, describe, it } from "@effect/vitest"
import { FaultSearch, Simulation, Traffic } from "@strata/simulation"
import { Effect, Option } from "effect"
import { afterAll } from "vitest"
import type { Mutation } from "./mutations/Mutation.ts"
import { own } from "./mutations/own.ts"
import { seed } from "./mutations/seed.ts"

/** Each mutation is found within as many seeds, and shrunk to as many faults. */
const SEEDS = 200
const FAULTS = 3

const seeds = Array.from({ length: SEEDS }, (_, index) => index + 1)
const found: Array<readonly [Mutation, FaultSearch.Found]> = []

const searches = (mutation: Mutation) =>
  Effect.gen(function*() {
    // Without invariants, which look inside: the bugs have to show in what programs see.
    const result = yield* FaultSearch.search({
      seeds,
      hosts: mutation.hosts,
      scenarios: mutation.scenarios,
      invariants: false
    })
    assert.isTrue(Option.isSome(result), `not found in ${SEEDS} seeds`)
    const { faults, scenario, seed: caught } = Option.getOrThrow(result)
    assert.isAtMost(faults.length, FAULTS)
    // The same faults do no harm to a stack without the mutation.
    yield* FaultSearch.run(scenario, { seed: caught })
    found.push([mutation, Option.getOrThrow(result)])
  })

describe("a search for faults", () => {
  it.effect.each([
    { what: "faults of the network", options: {} },
    { what: "crashes of hosts", options: { crashes: true } }
  ])(
    `finds nothing in ${SEEDS} seeds with $what`,
    ({ options }) =>
      Effect.flatMap(
        Simulation.seeds(SEEDS),
        (tried) => FaultSearch.check({ seeds: tried, scenarios: options })
      )
  )

  describe("finds a stack in which", () => {
    it.effect.each([...seed, ...own])("$name", searches)
  })

  afterAll(() => void process.stdout.write(`\n${table(found)}\n\n`))
})

/** For each mutation: which seed caught it, how many faults are left, and what happens in words. */
const table = (rows: ReadonlyArray<readonly [Mutation, FaultSearch.Found]>): string => {
  const width = Math.max(...rows.map(([{ name }]) => name.length))
  const line = (mutation: string, caught: string, count: string, what: string) =>
    `${mutation.padEnd(width)}  ${caught.padStart(4)}  ${count.padStart(6)}  ${what}`
  return [
    line("mutation", "seed", "faults", "what it takes, and what comes of it"),
    ...rows.flatMap(([{ name }, { faults, scenario, seed: caught, why }]) => {
      const takes = faults.length > 0 ? faults : scenario.traffic.map(Traffic.format)
      return [
        line(name, String(caught), String(faults.length), takes[0]!),
        ...takes.slice(1).map((what) => line("", "", "", what)),
        line("", "", "", `→ ${why.split(":\n", 1)[0]}`)
      ]
    })
  ].join("\n")
}
