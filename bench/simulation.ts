/**
 * How fast networks run in virtual time: `node bench/simulation.ts [seconds]`.
 *
 * For each scenario, with invariants on and off, with a capture that is hashed
 * and without one: runs per second, packets per second (each counted once per
 * link it was put on), and seconds of virtual time per second.
 */
import { Tcp } from "@strata/core"
import { toInet } from "@strata/core/wire/Address"
import { Distribution, Loss } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import { Clock, Effect } from "effect"
import { createHash } from "node:crypto"

const SERVER = toInet(0x0a00_0002, 7)

const octets = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => (index * 31) >>> 3)

/** Reads to the end of the stream and gives the number of octets. */
const drain = Effect.fnUntraced(
  function*(connection: { readonly read: Effect.Effect<ReadonlyArray<Uint8Array>, unknown> }) {
    let count = 0
    yield* Effect.forever(Effect.map(connection.read, (chunks) => {
      for (const chunk of chunks) count += chunk.length
    })).pipe(Effect.catch(() => Effect.void))
    return count
  }
)

const MEBIBYTE = octets(1 << 20)

const transfer = Effect.gen(function*() {
  const network = yield* Network
  const client = yield* network.host("client")
  const server = yield* network.host("server")
  const wire = yield* network.wire(client, server, { latency: Distribution.normal(10, 1), loss: Loss.bernoulli(0.01), duplication: 0.005, reordering: { probability: 0.005, delay: 5 } })
  yield* client.fork(Effect.gen(function*() {
    const connection = yield* (yield* Tcp).connect({ remote: SERVER })
    yield* connection.write(MEBIBYTE)
    yield* connection.closeWrite
    yield* connection.closed
  }))
  const received = yield* server.run(Effect.gen(function*() {
    const connection = yield* (yield* (yield* Tcp).listen({ port: 7 })).accept
    return yield* drain(connection)
  }))
  if (received !== MEBIBYTE.length) return yield* Effect.die(`only ${received} octets arrived`)
  const { back, forth } = yield* wire.counters
  return back.offered + forth.offered
})

const measure = async (name: string, seconds: number, options: Simulation.Options & { readonly hash: boolean }) => {
  const until = performance.now() + seconds * 1000
  const before = performance.now()
  const cpu = process.cpuUsage()
  let runs = 0
  let packets = 0
  let virtual = 0
  let seed = 0
  while (performance.now() < until) {
    const digest = createHash("sha256")
    const program = Effect.gen(function*() {
      packets += yield* transfer
      virtual += Number(yield* Clock.monotonicTimeNanos) / 1e9
    })
    await Effect.runPromise(
      Simulation.run(program, {
        ...options,
        seed: ++seed,
        capture: options.hash ? (block) => void digest.update(block) : undefined
      })
    )
    digest.digest()
    runs++
  }
  const took = (performance.now() - before) / 1000
  const used = process.cpuUsage(cpu)
  const processor = (used.user + used.system) / 1000 / runs
  process.stdout.write(
    `${name}: ${(runs / took).toFixed(1)} runs/s (${(took * 1000 / runs).toFixed(1)} ms each, ${
      processor.toFixed(1)
    } ms of the processor), ` +
      `${Math.round(packets / took)} packets/s, ${(virtual / took).toFixed(1)} virtual s/s\n`
  )
}

const seconds = Number(process.argv[2] ?? "5")
const only = process.argv[3]
const cases = [
  ["bare", { invariants: false, hash: false }],
  ["invariants", { invariants: true, hash: false }],
  ["capture", { invariants: false, hash: true }],
  ["both", { invariants: true, hash: true }]
] as const
for (const [name, options] of cases) if (only === undefined || only === name) await measure(name, seconds, options)
