/**
 * The benchmark runs, through every API and with each octet compared, and what it counts holds its limits. Nobody judges how
 * long anything takes.
 */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { check, groups } from "../../bench/limits.ts"
import { apis } from "../../bench/support/apis.ts"
import type { Work } from "../../bench/support/load.ts"
import type { Report } from "../../bench/support/report.ts"
import * as Testbed from "../../bench/support/testbed.ts"
import { run } from "../cli/process.ts"
import { describeLinux } from "../support/namespace.ts"
import { withFolder } from "../support/tools.ts"

const TIMEOUT = 240_000

const PROGRAMS = ["taskset", "ethtool", "nstat", "c++"]

const bench = fileURLToPath(new URL("../../bench/run.ts", import.meta.url))
const SHORT = ["--quick", "--rounds", "1", "--seconds", "0.05", "--patience", "0"]

const works: ReadonlyArray<Work> = [
  { mode: "send" },
  { mode: "receive" },
  { mode: "echo" },
  { mode: "rr", size: 64, connections: 100 },
  { mode: "connect", connections: 8 },
  { mode: "udp", size: 64, outstanding: 8 },
  { mode: "ping" }
]

/** Octets and operations in a moment, or in a while on a machine that has no time for them in a moment. */
const moved = Effect.fnUntraced(function*(testbed: Testbed.Testbed, server: Testbed.Server, work: Work) {
  for (const seconds of [0.1, 1, 4]) {
    const { octets, operations } = yield* testbed.load(server, work, { seconds })
    if (octets + operations > 0) return octets + operations
  }
  return 0
})

describeLinux("The benchmark", PROGRAMS, () => {
  for (const { name } of apis) {
    it.live(`moves every octet through ${name}, with offload and without`, () =>
      Effect.scoped(Effect.gen(function*() {
        const testbed = yield* Testbed.make()
        for (const offload of ["kernel", "driver", "none"] as const) {
          const server = yield* testbed.strata({ api: name, offload })
          for (const work of works) {
            expect(yield* moved(testbed, server, work), `${work.mode}, ${offload}`).toBeGreaterThan(0)
          }
        }
      })), TIMEOUT)
  }

  it.live("holds the same load against Linux", () =>
    Effect.scoped(Effect.gen(function*() {
      const testbed = yield* Testbed.make()
      for (const server of Object.values(testbed.baselines)) {
        for (const work of works) {
          expect(yield* moved(testbed, server, work), work.mode).toBeGreaterThan(0)
        }
      }
    })), TIMEOUT)

  it.live(
    "is run from the command line, and writes what it has found",
    () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          const [json, markdown] = [join(folder, "figures.json"), join(folder, "figures.md")]
          const options = [
            ...SHORT,
            ...["ping flood", "tcp header"].flatMap((name) => ["--only", name])
          ]
          const ended = yield* run([process.execPath, bench, ...options, "--json", json, "--markdown", markdown])
          expect([ended.code, ended.stderr]).toEqual([0, ""])
          const { results }: Report = JSON.parse(readFileSync(json, "utf8"))
          expect(results.map(({ name }) => name)).toEqual(["ping flood", "codec, tcp header"])
          for (const { entries, title } of results) {
            for (const entry of entries) expect("median" in entry && entry.median, entry.title).toBeGreaterThan(0)
            expect(readFileSync(markdown, "utf8")).toContain(`**${title}**`)
          }
        })
      ),
    TIMEOUT
  )

  it.live(
    "counts no more calls, copies, segments and allocations than it did",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const testbed = Effect.succeed(yield* Testbed.make())
        for (const group of groups) {
          for (const { figure, most, what, why } of yield* check(group, testbed, 3)) {
            expect.soft(figure, `${group.title}: ${what} (${why})`).toBeLessThanOrEqual(most)
          }
        }
      })),
    TIMEOUT
  )
})
