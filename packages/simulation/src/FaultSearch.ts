/**
 * Looks for the faults that break a program, and for the fewest that do.
 *
 * ```ts
 * yield* FaultSearch.check({ seeds: yield* Simulation.seeds(200) })
 * ```
 *
 * Each seed draws a scenario: a network, traffic on it, and a list of faults,
 * such as *lose packet 4 from a to b*. The scenario runs in virtual time, and a
 * property is asked whether all went well. If not, faults are left out one by
 * one, the traffic is cut down, and the network made plainer, as long as the
 * run still fails; what is left is told in words.
 *
 * Programs of one's own take the place of the traffic:
 *
 * ```ts
 * yield* FaultSearch.check({
 *   seeds: yield* Simulation.seeds(200),
 *   scenarios: { topology: { hosts: 2, links: "wires", latency: 20, mtu: 1500 }, traffic: [] },
 *   property: (_, { hosts: [client, server] }) => …
 * })
 * ```
 *
 * The same seed draws the same scenario, runs it in the same way and shrinks
 * to the same faults. So a seed replays a search, and a `Scenario` with its seed
 * makes a regression test: `FaultSearch.run(scenario, { seed })`.
 */
import { sampleEffect } from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { everythingArrives } from "./Exchange.ts"
import * as Fault from "./Fault.ts"
import type { HostOptions } from "./Host.ts"
import type { Network } from "./Network.ts"
import * as PacketWords from "./PacketWords.ts"
import * as Scenario from "./Scenario.ts"
import * as Simulation from "./Simulation.ts"
import * as Topology from "./Topology.ts"

/**
 * What has to hold of a scenario: an Effect that runs whatever is to be run on the hosts of the stage, and fails when it did
 * not go well. It runs in virtual time while the faults happen.
 */
export type Property = (
  scenario: Scenario.Scenario,
  stage: Topology.Stage
) => Effect.Effect<unknown, unknown, Network | Scope.Scope>

/** Of one run of a scenario. */
export interface RunOptions {
  /** Fixes everything that the scenario leaves open: ports, initial sequence numbers, the order of fibers. */
  readonly seed: number
  /** `everythingArrives` by default. */
  readonly property?: Property | undefined
  /** What every host gets. */
  readonly hosts?: HostOptions | undefined
  /** Whether invariants are watched besides; true by default. */
  readonly invariants?: boolean | undefined
}

/** Of a search. */
export interface Options extends Omit<RunOptions, "seed"> {
  /** Each is one scenario and one run. */
  readonly seeds: Iterable<number>
  /** Which scenarios are drawn. */
  readonly scenarios?: Scenario.Options | undefined
  /** Runs that may be spent on shrinking what was found; 300 by default. */
  readonly effort?: number | undefined
}

/** A seed whose scenario fails. */
export interface Found {
  readonly seed: number
  /** As drawn. */
  readonly drawn: Scenario.Scenario
  /** With as little as possible left in it. */
  readonly scenario: Scenario.Scenario
  /** The faults that are left, in words. */
  readonly faults: ReadonlyArray<string>
  /** Why the shrunk scenario fails. */
  readonly why: string
  /** Runs spent on shrinking. */
  readonly effort: number
}

/** A property that faults break, with the fewest that do. */
export class FaultsFound extends Schema.TaggedError<FaultsFound>()("FaultsFound", {
  seed: Schema.Number,
  scenario: Scenario.Scenario,
  report: Schema.String
}) {
  override get message() {
    return this.report
  }
}

/** Runs one scenario. Fails with whatever the property, or the simulation, fails with. */
export const run = (scenario: Scenario.Scenario, options: RunOptions): Effect.Effect<void, unknown> =>
  observed(Scenario.normalize(scenario), options, undefined)

const observed = (scenario: Scenario.Scenario, options: RunOptions, watch: Fault.Watch | undefined) =>
  Simulation.run(
    Effect.gen(function*() {
      const stage = yield* Topology.build(scenario.topology)
      yield* Fault.install(scenario.faults, stage, watch)
      yield* (options.property ?? everythingArrives)(scenario, stage)
    }),
    {
      seed: options.seed,
      hosts: Scenario.hostOptions(scenario, options.hosts),
      invariants: options.invariants
    }
  )

/** Fails with a report in words on the first seed whose scenario fails. */
export const check = (options: Options): Effect.Effect<void, FaultsFound> =>
  Effect.flatMap(
    search(options),
    Option.match({
      onNone: () => Effect.void,
      onSome: (found) => new FaultsFound({ seed: found.seed, scenario: found.scenario, report: format(found) })
    })
  )

/** The first seed whose scenario fails, and what is left of it after shrinking. */
export const search = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Option.Option<Found>> {
  for (const seed of options.seeds) {
    const drawn = yield* draw(seed, options.scenarios)
    const failure = yield* attempt(drawn, { ...options, seed })
    if (failure !== undefined) return Option.some(yield* shrink(drawn, failure, { ...options, seed }))
  }
  return Option.none()
})

/** The scenario of a seed. */
export const draw = (seed: number, scenarios?: Scenario.Options): Effect.Effect<Scenario.Scenario> =>
  sampleEffect(Scenario.arbitrary(scenarios), { seed, count: 1 }).pipe(
    Effect.map(([scenario]) => scenario!),
    Effect.orDie
  )

/** Runs for shrinking. */
const EFFORT = 300

/** How a scenario failed. */
interface Failure {
  readonly why: unknown
  /** The packets that each fault hit. */
  readonly hits: ReadonlyArray<Fault.Hits>
}

/** Runs a scenario; undefined when it does not fail. */
const attempt = Effect.fnUntraced(function*(
  scenario: Scenario.Scenario,
  options: RunOptions,
  seen?: Fault.Watch["packet"]
): Effect.fn.Return<Failure | undefined> {
  const hits = scenario.faults.map((): Array<readonly [way: number, packet: number]> => [])
  const watch: Fault.Watch = {
    hit: (fault, way, packet) => void hits[fault]!.push([way, packet]),
    packet: seen
  }
  const exit = yield* Effect.exit(quietly(observed(scenario, options, watch)))
  return Exit.isSuccess(exit) ? undefined : { why: Cause.squash(exit.cause), hits }
})

/** A search fails by the hundred, and only its result is worth a line. */
const quietly = Effect.provideService(References.MinimumLogLevel, "None")

/** Goes on with the first simpler scenario that fails too, until none does. */
const shrink = Effect.fnUntraced(function*(
  drawn: Scenario.Scenario,
  failure: Failure,
  options: RunOptions & Pick<Options, "effort" | "scenarios">
) {
  const tried = new Set<string>()
  const untried = (scenario: Scenario.Scenario, { hits }: Failure) =>
    Scenario.simpler(scenario, hits, options.scenarios).filter((candidate) => !tried.has(JSON.stringify(candidate)))
  let scenario = drawn
  let candidates = untried(drawn, failure)
  while (candidates.length > 0 && tried.size < (options.effort ?? EFFORT)) {
    const [candidate, ...others] = candidates
    tried.add(JSON.stringify(candidate))
    const failed = yield* attempt(candidate!, options)
    candidates = failed === undefined ? others : untried(candidate!, failed)
    if (failed !== undefined) scenario = candidate!
  }
  return yield* explain(drawn, scenario, tried.size, options)
})

/** Runs a scenario once more and looks at the packets that the faults hit. */
const explain = Effect.fnUntraced(function*(
  drawn: Scenario.Scenario,
  scenario: Scenario.Scenario,
  effort: number,
  options: RunOptions
): Effect.fn.Return<Found> {
  const words = PacketWords.make()
  const seen = new Map<string, string>()
  const packetWords = (way: number, number: number) => seen.get(`${way} ${number}`)
  let faults: ReadonlyArray<string> = []
  const property: Property = (self, stage) =>
    Effect.ensuring(
      (options.property ?? everythingArrives)(self, stage),
      Effect.sync(() => {
        faults = self.faults.map((fault) => Fault.format(fault, stage, packetWords))
      })
    )
  const failure = yield* attempt(scenario, { ...options, property }, (way, number, packet) => {
    seen.set(`${way} ${number}`, words(packet))
  })
  const why = failure?.why
  return { seed: options.seed, drawn, scenario, faults, why: why instanceof Error ? why.message : String(why), effort }
})

/** The report of `check`. */
export const format = (found: Found): string =>
  [
    `seed ${found.seed} fails; of ${count(found.drawn.faults.length, "fault")}, ${
      found.faults.length === 0 ? "none is needed" : `${found.faults.length} left after ${found.effort} runs`
    }:`,
    ...found.faults.map((fault) => `  ${fault}`),
    ...Scenario.format(found.scenario).map((line) => `  ${line}`),
    found.why,
    `to replay the search, set STRATA_SEED=${found.seed}; to run what is left of it alone:`,
    `  FaultSearch.run(${JSON.stringify(found.scenario)}, { seed: ${found.seed} })`
  ].join("\n")

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`
