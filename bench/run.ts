/**
 * The benchmark: `npm run bench`, see `support/options.ts` for how it is called and `suite.ts` for what it measures.
 *
 * Stacks and baselines take turns, round by round, on the same processors, once the machine is quiet. A wrong octet or a lost
 * connection is an error and not a figure: the others are still measured, and the exit code is 1.
 */
import { NodeRuntime } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { mkdirSync, writeFileSync } from "node:fs"
import { cpus, release } from "node:os"
import { check, groups } from "./limits.ts"
import { sizes } from "./sizes.ts"
import { measurements } from "./suite.ts"
import { Failure } from "./support/failure.ts"
import type { Contender, Figure, Measurement } from "./support/measurement.ts"
import { type Options, parse, pick, usage } from "./support/options.ts"
import * as Quiet from "./support/quiet.ts"
import * as Report from "./support/report.ts"
import * as Testbed from "./support/testbed.ts"

/** The share of the processors that may be busy before a round. */
const BUSY = 0.1
const LOOK = 100
/** Seconds at least that a contender runs before it counts. */
const WARM_UP = 0.4
/** Of figures that do not hold their limits at once. */
const TRIES = 3

const say = (text: string): void => void process.stdout.write(`${text}\n`)

const machine = (): Report.Machine => ({
  kernel: release(),
  processors: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`,
  node: process.versions.node,
  date: new Date().toISOString().slice(0, 10)
})

/** One for all measurements, made when the first of them wants it. */
const lazyTestbed = Effect.fnUntraced(function*(options: Options) {
  const scope = yield* Effect.scope
  return yield* Effect.cached(Scope.provide(Testbed.make(options), scope))
})

type Bed = Effect.Effect<Testbed.Testbed, Failure>

/** All rounds of one measurement; a contender that failed is left out of those that follow. */
const measure = Effect.fnUntraced(
  function*(measurement: Measurement, { quick, rounds, seconds }: Options, testbed: Bed, quiet: Quiet.Quiet) {
    const contenders = measurement.contenders.filter(({ isLong = false }) => !isLong || !quick)
    const failed = new Map<Contender, Omit<Report.Missing, "title">>()
    const figures = new Map(contenders.map((contender) => [contender, new Array<Figure>()] as const))
    const once = (contender: Contender, keep: (figure: Figure) => void, time = seconds) =>
      failed.has(contender) ? Effect.void : Effect.scoped(contender.measure(testbed, time)).pipe(
        // Such as a server or a client that has ended.
        Effect.catchDefect((defect) => Effect.fail(new Failure(String(defect).trim().replaceAll(/\s*\n\s*/g, "; ")))),
        Effect.map(keep),
        Effect.catch(({ message }) =>
          Effect.sync(() => void failed.set(contender, { missing: message, isError: true }))
        )
      )
    for (const contender of contenders) {
      const missing = contender.obstacle?.()
      if (missing !== undefined) failed.set(contender, { missing, isError: false })
      else if (contender.warm ?? true) yield* once(contender, () => {}, Math.max(seconds, WARM_UP))
    }
    for (let round = 0; round < Math.min(rounds, measurement.rounds ?? rounds); round++) {
      const now = contenders.filter(({ isAside = false }) => round === 0 || !quick || !isAside)
      if (now.length > 0) yield* quiet.wait
      for (const contender of now) {
        yield* once(contender, (figure) => figures.get(contender)!.push(figure))
      }
    }
    return Report.summarize(
      measurement,
      contenders.map((contender) => ({
        title: contender.title,
        isBaseline: contender.isBaseline ?? false,
        figures: failed.get(contender) ?? figures.get(contender)!
      }))
    )
  }
)

const suite = Effect.fnUntraced(function*(options: Options, picked: ReadonlyArray<Measurement>) {
  const testbed = yield* lazyTestbed(options)
  const quiet = Quiet.make({ bound: BUSY, interval: LOOK, patience: options.patience * 1000 })
  const results: Array<Report.Result> = []
  say(Report.heading)
  for (const measurement of picked) {
    const result = yield* measure(measurement, options, testbed, quiet)
    results.push(result)
    say(Report.lines(result))
  }
  const { rounds, seconds } = options
  const report: Report.Report = { machine: machine(), rounds, seconds, waits: quiet.waits(), results }
  say(`\n${Report.setting(report)}`)
  return report
}, Effect.scoped)

const write = (report: Report.Report, { json, markdown, sizes: isOfSizes }: Options): void => {
  const page = isOfSizes ? Report.sizesPage : Report.page
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, undefined, 2)}\n`)
  if (markdown !== undefined) writeFileSync(markdown, page(report))
}

/** Each figure beside its limit; how many are beyond. */
const counters = Effect.fnUntraced(function*(options: Options) {
  const testbed = yield* lazyTestbed(options)
  let beyond = 0
  for (const group of groups) {
    say(group.title)
    for (const { figure, most, what } of yield* check(group, testbed, TRIES)) {
      if (figure > most) beyond++
      say(
        `  ${what.padEnd(44)}${Report.digits(figure).padStart(10)}  at most ${most}${figure > most ? "  EXCEEDED" : ""}`
      )
    }
  }
  return beyond
}, Effect.scoped)

const main = Effect.gen(function*() {
  const options = parse(process.argv.slice(2))
  if (typeof options === "string") return yield* Effect.fail(new Failure(options))
  if (options.help) return say(usage.trimEnd())
  if (options.counters) {
    const beyond = yield* counters(options)
    return beyond === 0 ? undefined : yield* Effect.fail(new Failure(`${beyond} limits are exceeded`))
  }
  const picked = pick(options.sizes ? sizes : measurements, options.only)
  if (typeof picked === "string") return yield* Effect.fail(new Failure(picked))
  if (options.list) return say(picked.map(({ name, title, unit }) => `${name.padEnd(26)}${title}, ${unit}`).join("\n"))
  if (options.profile !== undefined) mkdirSync(options.profile, { recursive: true })
  const wanted = picked.filter(({ isLong = false }) => !isLong || !options.quick)
  if (wanted.length === 0) return yield* Effect.fail(new Failure("--quick leaves that out"))
  const why = wanted.every(({ contenders }) => contenders.every(({ isLocal = false }) => isLocal))
    ? undefined
    : Testbed.obstacle()
  if (why !== undefined) return yield* Effect.fail(new Failure(`it needs Linux, root and iproute2: ${why}`))
  const report = yield* suite(options, wanted)
  yield* Effect.sync(() => write(report, options))
  const wrong = report.results.flatMap(({ entries }) => entries).filter((entry) => "isError" in entry && entry.isError)
  if (wrong.length > 0) return yield* Effect.fail(new Failure(`${wrong.length} could not be measured`))
})

const complain = (failure: Failure) =>
  Effect.sync(() => {
    process.stderr.write(`bench: ${failure.message}\n`)
    process.exitCode = 1
  })

NodeRuntime.runMain(Effect.catch(main, complain))
