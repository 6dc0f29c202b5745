/**
 * What tshark's expert makes of transfers on which nothing is lost: that of the
 * sender's wire, and that of the receiver's.
 */
import { assert, describe, it } from "@effect/vitest"
import { Tcp } from "@strata/core"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import type { Connection, ConnectionOptions } from "@strata/core/tcp/Tcp"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import { Distribution } from "@strata/drivers"
import * as Capture from "@strata/drivers/capture/Capture"
import { Network, Simulation } from "@strata/simulation"
import { Deferred, Effect, Fiber } from "effect"
import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { isMissing, withFolder } from "../support/tools.ts"
import { patterned, readAll } from "../support/transfer.ts"
import { algorithms } from "./matrix/algorithms.ts"

interface Path {
  /** Milliseconds. */
  readonly roundTrip: number
  /** Bits per second. */
  readonly rate: number
}

interface Exchange extends Path {
  readonly algorithm: CongestionAlgorithm
  /** Octets that the client sends, and those that the server sends at the same time. */
  readonly forth: number
  readonly back: number
  /** Of the server. */
  readonly options?: ConnectionOptions
  /** How long the server pauses after each read; milliseconds. */
  readonly digest?: number
}

/** Of no protocol that tshark knows. */
const PORT = 40_007

const exchange = Effect.fnUntraced(function*(self: Exchange) {
  const blocks: ReadonlyArray<Array<Uint8Array>> = [[], []]
  const network = yield* Network
  const captures = yield* Effect.forEach(blocks, (file) => Capture.make((block) => void file.push(block)))
  const client = yield* network.host("client", { middleware: captures[0]!.middleware() })
  const server = yield* network.host("server", { middleware: captures[1]!.middleware() })
  yield* network.wire(client, server, {
    latency: Distribution.constant(self.roundTrip / 2),
    bandwidth: self.rate,
    queue: { packets: Infinity, octets: Infinity }
  })
  const listening = yield* Deferred.make<void>()
  const talk = Effect.fnUntraced(function*(connection: Connection, octets: number, digest: number) {
    const writing = yield* Effect.forkChild(
      Effect.andThen(connection.write(patterned(octets, 1)), connection.closeWrite)
    )
    const paced = { ...connection, read: Effect.andThen(Effect.sleep(digest), connection.read) }
    const { length } = yield* readAll(digest > 0 ? paced : connection)
    yield* Fiber.join(writing)
    yield* connection.closed
    return length
  })
  const serving = yield* server.fork(Effect.gen(function*() {
    const listener = yield* (yield* Tcp).listen({ port: PORT, congestion: self.algorithm, ...self.options })
    yield* Deferred.succeed(listening, undefined)
    return yield* talk(yield* listener.accept, self.back, self.digest ?? 0)
  }))
  yield* Deferred.await(listening)
  const sent = yield* client.run(Effect.gen(function*() {
    const remote = toInet(fromIpv4(server.addresses()[0]!), PORT)
    const connection = yield* (yield* Tcp).connect({ remote, congestion: self.algorithm })
    return yield* talk(connection, self.forth, 0)
  }))
  assert.deepStrictEqual([yield* Fiber.join(serving), sent], [self.forth, self.back])
  return blocks.map((file) => Buffer.concat(file))
})

const run = promisify(execFile)

/** What tshark notes of the TCP of a capture: how often it says what. */
const remarks = (capture: Uint8Array): Effect.Effect<Readonly<Record<string, number>>> =>
  withFolder((folder) =>
    Effect.promise(async () => {
      const file = join(folder, "lossless.pcapng")
      writeFileSync(file, capture)
      const fields = ["-T", "fields", "-e", "_ws.expert.message"]
      const { stdout } = await run("tshark", ["-r", file, "-Y", "tcp.analysis.flags", ...fields])
      const counts: Record<string, number> = {}
      for (const line of stdout.split("\n")) {
        // Such as `Duplicate ACK (#1)`, and what is said of connections that begin and end.
        for (const message of line.split(/,(?=[A-Z])/)) {
          const what = message.replace(/\(#\d+\)/, "").trim()
          // A buffer that grows tells of its larger window.
          if (what === "TCP window update") continue
          if (what !== "" && !what.startsWith("Connection ")) counts[what] = (counts[what] ?? 0) + 1
        }
      }
      return counts
    })
  )

const expertOf = Effect.fnUntraced(function*(self: Exchange) {
  const captures = yield* Effect.orDie(Simulation.run(Effect.orDie(exchange(self)), { invariants: false }))
  for (const { length } of captures) assert.isAbove(length, self.forth + self.back)
  return yield* Effect.forEach(captures, remarks)
})

const MiB = 1 << 20
const PATHS: ReadonlyArray<Path> = [
  { roundTrip: 0.1, rate: 1e9 },
  { roundTrip: 10, rate: 100e6 },
  { roundTrip: 100, rate: 1e9 },
  { roundTrip: 300, rate: 10e6 }
]
const cases = Object.entries(algorithms).flatMap(([name, algorithm]) =>
  PATHS.map((path) => ({ ...path, name, algorithm }))
)

/**
 * tshark does not count the octet of a probe as sent, and wonders when it is acknowledged. A probe that meets the news of an open window on
 * its way is taken, and its octet comes again in the next segment.
 */
const OF_PROBES = /window|^ACKed segment that wasn't captured|^D-SACK/i

const describeTshark = describe.skipIf(isMissing("tshark"))

describeTshark("to tshark, a transfer without loss", () => {
  it.effect.each(cases)(
    "with $name at $rate bit/s and $roundTrip ms has nothing to remark on",
    (path) =>
      Effect.gen(function*() {
        const both = { ...path, forth: 2 * MiB, back: 2 * MiB }
        assert.deepStrictEqual(yield* expertOf({ ...both, back: 0 }), [{}, {}])
        assert.deepStrictEqual(yield* expertOf(both), [{}, {}])
      }),
    60_000
  )

  it.effect.each(cases)(
    "with $name at $rate bit/s and $roundTrip ms has closed windows where the program reads slowly, and only there",
    (path) =>
      Effect.gen(function*() {
        const slowly = {
          ...path,
          forth: MiB,
          back: 0,
          digest: 500 + 10 * path.roundTrip,
          options: { receiveBuffer: 65_535 }
        }
        for (const counts of yield* expertOf(slowly)) {
          assert.isAbove(counts["TCP Zero Window segment"] ?? 0, 0)
          const others = Object.keys(counts).filter((what) => !OF_PROBES.test(what))
          assert.deepStrictEqual(others, [])
        }
      }),
    60_000
  )
})
