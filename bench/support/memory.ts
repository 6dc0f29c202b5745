/**
 * What connections cost in memory.
 */
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import type { Api } from "./apis.ts"
import type { Contender } from "./measurement.ts"
import type { StrataServer, Testbed } from "./testbed.ts"

const CONNECTIONS = 10_000
/** Connections that a server has had before it counts, so that what it makes once is there. */
const WARM_UP = 500

const hold = (connections: number) => ({ mode: "hold", connections }) as const

/** Holds so many connections that have spoken, looks, lets all of them speak again, and closes them. */
const holding = Effect.fnUntraced(function*<A, E, R>(
  testbed: Testbed,
  server: { readonly host: string; readonly pid: number },
  connections: number,
  look: Effect.Effect<A, E, R>
) {
  const client = yield* testbed.startLoad(server, hold(connections))
  yield* client.prints(/^{.*}\n/)
  const seen = yield* look
  yield* client.write("\n")
  const { exitCode, stderr } = yield* client.result
  if (exitCode !== 0) return yield* Effect.die(new Error(`connections that were held: ${stderr}`))
  return seen
}, Effect.scoped)

const field = (path: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(readFileSync(path, "utf8"))![1])

const warmUp = (testbed: Testbed, server: StrataServer) => holding(testbed, server, WARM_UP, Effect.void)

/** KiB of a connection: what is in use after a garbage collection, with the connections and without. */
export const idleConnection = Effect.fnUntraced(function*(testbed: Testbed, api: string, connections: number) {
  const server = yield* testbed.freshStrata({ api, offload: "kernel", flags: ["--expose-gc"] })
  yield* warmUp(testbed, server)
  const before = yield* server.ask
  const after = yield* holding(testbed, server, connections, server.ask)
  return (after.used - before.used) / connections / 1024
})

export const idleMemory = ({ name, title }: Api, connections = CONNECTIONS): Contender => ({
  title,
  warm: false,
  measure: Effect.fnUntraced(function*(made) {
    return { value: yield* idleConnection(yield* made, name, connections) }
  })
})

/** By how much the resident memory of the process grows at the most. */
export const peakMemory = ({ name, title }: Api): Contender => ({
  title,
  warm: false,
  measure: Effect.fnUntraced(function*(made, seconds) {
    const testbed = yield* made
    const server = yield* testbed.freshStrata({ api: name, offload: "kernel" })
    yield* warmUp(testbed, server)
    const status = `/proc/${server.pid}/status`
    const before = field(status, "VmRSS")
    yield* testbed.load(server, { mode: "rr", size: 64, connections: CONNECTIONS }, { seconds })
    return { value: (field(status, "VmHWM") - before) / CONNECTIONS }
  })
})

const kernelMemory = Effect.sync(() => field("/proc/meminfo", "Slab"))

/** Half of what both ends take of the kernel's memory. */
export const linuxMemory: Contender = {
  title: "Linux, half of both ends",
  isBaseline: true,
  warm: false,
  measure: Effect.fnUntraced(function*(made) {
    const testbed = yield* made
    const before = yield* kernelMemory
    const after = yield* holding(testbed, testbed.baselines.veth, CONNECTIONS, kernelMemory)
    return { value: (after - before) / CONNECTIONS / 2 }
  })
}
