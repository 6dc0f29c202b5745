/**
 * The benchmark runs, through every API and with each octet compared, and what it counts holds its limits. Nobody judges how
 * long anything takes.
 */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { check, groups } from "../../bench/limits.ts"
import { apis } from "../../bench/support/apis.ts"
import type { Work } from "../../bench/support/load.ts"
import * as Testbed from "../../bench/support/testbed.ts"
import { describeLinux } from "../support/namespace.ts"

const TIMEOUT = 240_000

const PROGRAMS = ["taskset", "ethtool", "nstat", "c++"]

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
