/**
 * Measurements that need no network: a program of `bench/programs` runs in a process of its own, and tells one figure.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Allocations } from "./allocations.ts"
import { Failure } from "./failure.ts"
import type { Contender, Figure } from "./measurement.ts"
import { placement } from "./testbed.ts"

const pathOf = (name: string): string => fileURLToPath(new URL(`../programs/${name}.ts`, import.meta.url))

export const program = (title: string, name: string, what: string): Contender => ({
  title,
  warm: false,
  isLocal: true,
  isAside: true,
  measure: (_, seconds) => {
    const words = [...placement().onServer, process.execPath, pathOf(name), what, String(seconds)]
    return Effect.tryPromise({
      try: async (signal) => {
        const { stdout } = await promisify(execFile)(words[0]!, words.slice(1), { signal })
        return JSON.parse(stdout) as Figure
      },
      catch: (error) => new Failure(`${name}, ${what}: ${(error as Error).message}`)
    })
  }
})

/** What such a program does: picks its case by the command line, and prints what it comes to. */
export const main = async (
  cases: Readonly<Record<string, (seconds: number) => Promise<Figure> | Figure>>
): Promise<void> => {
  const [, , what = "", seconds = "1"] = process.argv
  const measure = cases[what]
  if (measure === undefined) throw new Error(`there is no "${what}", but ${Object.keys(cases).join("; ")}`)
  process.stdout.write(`${JSON.stringify(await measure(Number(seconds)))}\n`)
}

/**
 * Nanoseconds of processor time that one of `count` operations of `work` takes, the best of all rounds within the time; and
 * what one of them allocates, in a round of its own.
 */
export const costOf = (count: number, work: () => void, seconds: number): Figure => {
  const end = performance.now() + seconds * 1000
  const round = (): number => {
    const start = process.cpuUsage()
    work()
    const { system, user } = process.cpuUsage(start)
    return (system + user) * 1000 / count
  }
  for (let warm = 0; warm < 3; warm++) round()
  let best = Infinity
  do best = Math.min(best, round())
  while (performance.now() < end)
  const allocations = new Allocations()
  work()
  return { value: best, allocated: allocations.since() / count }
}
