/**
 * Queries of PostgreSQL by `pg` and of Redis by `ioredis`: strata on a TAP beside the kernel's sockets on a cable, in one process and
 * in turns, with the same servers.
 *
 *     node bench/databases.ts [--rounds 3] [--seconds 1]
 *
 * Needs root, and Debian's `postgresql` and `redis-server`. The servers are on the last processor, the clients on the first. Besides the rate
 * there is the processor time of the clients' process for one query, which on a busy machine says more.
 */
import * as Effect from "effect/Effect"
import { cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Databases from "../test/support/databases.ts"
import type { Namespace } from "../test/support/namespace.ts"
import type { Figure } from "./support/databaseClients.ts"
import { median, ratioOf } from "./support/summary.ts"

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "3" }, seconds: { type: "string", default: "1" } }
})

const program = fileURLToPath(new URL("support/databaseClients.ts", import.meta.url))

/** The same namespace, with all that is started there on one processor. */
const on = (processor: number, namespace: Namespace): Namespace => ({
  ...namespace,
  spawn: (...command) => namespace.spawn("taskset", "-c", String(processor), ...command)
})

const line = (name: string, figures: ReadonlyArray<Figure>): string => {
  const of = (side: Figure["side"], key: "rate" | "processor") =>
    figures.filter((figure) => figure.name === name && figure.side === side).map((figure) => figure[key])
  const rates = [of("strata", "rate"), of("kernel", "rate")] as const
  const [strata, kernel] = [of("strata", "processor"), of("kernel", "processor")]
  const cells = [
    name,
    ...rates.map((all) => median(all).toFixed(0)),
    ratioOf(...rates, "higher").toFixed(2),
    ...[strata, kernel].map((all) => median(all).toFixed(1)),
    ratioOf(strata, kernel, "lower").toFixed(2)
  ]
  return `| ${cells.join(" | ")} |`
}

const measure = Effect.gen(function*() {
  const { client, server } = yield* Databases.network
  const last = cpus().length - 1
  yield* Databases.postgres(on(last, server))
  yield* Databases.redis(on(last, server))
  const milliseconds = Number(values.seconds) * 1000
  const running = yield* on(0, client).spawn(
    process.execPath,
    program,
    server.name,
    values.rounds,
    String(milliseconds)
  )
  const { exitCode, stderr, stdout } = yield* running.result
  if (exitCode !== 0) return yield* Effect.die(new Error(stderr))
  const figures = stdout.trim().split("\n").map((text): Figure => JSON.parse(text))
  const head = ["", "strata/s", "kernel/s", "ratio", "strata µs", "kernel µs", "ratio"]
  process.stdout.write(`| ${head.join(" | ")} |\n|${head.map(() => "---|").join("")}\n`)
  for (const name of new Set(figures.map((figure) => figure.name))) process.stdout.write(`${line(name, figures)}\n`)
})

await Effect.runPromise(Effect.scoped(measure))
process.exit(0)
