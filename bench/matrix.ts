/**
 * Measures the scenario matrix in virtual time, and judges it by theory.
 *
 *     node bench/matrix.ts [--seed 1] [--offload] [--only 'cubic, .*loss 1 %'] [--write]
 *
 * The tables go to standard output, or, with `--write`, into `docs/tcp-matrix.md`. `--only` picks cells by a regular expression. With `--offload`,
 * the sender's device cuts large segments, which is to change nothing: so the page has the figures without it only. Cells that are not as theory
 * says are told on standard error, with what should have been.
 */
import { Effect } from "effect"
import { readFile, writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { CELLS, format, ROUND_TRIPS } from "../test/simulation/matrix/Cell.ts"
import { type Check, complain, holds } from "../test/simulation/matrix/Expectation.ts"
import { rowOf, SEED, tailOf } from "../test/simulation/matrix/Matrix.ts"
import { markdown, type Row, type Tail, tailMarkdown } from "../test/simulation/matrix/Table.ts"

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(SEED) },
    only: { type: "string", default: "" },
    offload: { type: "boolean", default: false },
    write: { type: "boolean", default: false }
  }
})
if (values.write && values.offload) throw new Error("the page has the figures without offload: --write or --offload")
const run = { seed: Number(values.seed), offload: values.offload }
const picked = CELLS.filter((cell) => new RegExp(values.only).test(format(cell)))

const tell = (name: string, checks: ReadonlyArray<Check>): void => {
  for (const check of checks) if (!holds(check)) process.stderr.write(`${name}: ${complain(check)}\n`)
}

const start = process.cpuUsage()
const rows: Array<Row> = []
for (const cell of picked) {
  const row = await Effect.runPromise(rowOf(cell, run))
  tell(format(cell), row.checks)
  rows.push(row)
}
const tails: Array<Tail> = []
for (const cell of picked.filter(({ loss, reordering }) => loss === "none" && reordering === "none")) {
  const tail = await Effect.runPromise(tailOf(cell, run))
  tell(`${format(cell)}, the tail lost`, [tail.check])
  tails.push(tail)
}
const { system, user } = process.cpuUsage(start)
process.stderr.write(`${rows.length} cells, ${((system + user) / 1e6).toFixed(0)} s of processor\n`)

const tables = [
  markdown(rows),
  ...tails.length < 2 * ROUND_TRIPS.length ? [] : ["### Tail losses\n", tailMarkdown(tails)]
]
  .join("\n")

/** What is between these lines of the page is made here. */
const [FROM, TO] = ["<!-- matrix -->", "<!-- end of the matrix -->"] as const

if (values.write) {
  const page = fileURLToPath(new URL("../docs/tcp-matrix.md", import.meta.url))
  const [before, rest] = (await readFile(page, "utf8")).split(FROM)
  const [, after] = rest!.split(TO)
  await writeFile(page, `${before}${FROM}\n\n${tables}\n\n${TO}${after}`)
} else {
  process.stdout.write(`${tables}\n`)
}
