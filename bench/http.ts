/**
 * `node:http` on strata beside `node:http` on the kernel: the same server, once over a TAP and once over a cable (veth).
 *
 *     node bench/http.ts [--only hash,download,upload,requests] [--mebibytes 1024] [--rounds 3] [--seconds 4] [--connections 64]
 *                        [--no-copy] [--profile folder]
 *
 * Needs root, `curl` and `wrk`. Both servers are on processor 0, and the clients, which are the kernel's, on processor 1; the
 * servers take turns. First `curl` fetches and brings so many mebibytes that are compared by their hash. Then it does so
 * again and throws them away, for the speed; and `wrk` asks for a few octets on connections that stay open. "µs" is the
 * processor time of the server for a mebibyte, or for a request. `--no-copy` lets strata send from where the answer is
 * (`copyWrites: false`). `--profile` leaves what V8 says of both servers.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { createWriteStream } from "node:fs"
import { join } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Namespace from "../test/support/namespace.ts"
import { isMissing, withFolder } from "../test/support/tools.ts"
import type { HttpServerOptions } from "./support/httpServer.ts"
import { numberOf } from "./support/options.ts"
import { beginning, chunk } from "./support/pattern.ts"
import { median } from "./support/summary.ts"
import { placement, processorOf } from "./support/testbed.ts"

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "hash,download,upload,requests" },
    mebibytes: { type: "string", default: "1024" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "4" },
    connections: { type: "string", default: "64" },
    "no-copy": { type: "boolean", default: false },
    profile: { type: "string" }
  }
})

const MEBIBYTE = 2 ** 20
const PORT = 8080
const PATIENCE = 120_000
const mebibytes = numberOf("mebibytes", values.mebibytes, [1, 65_536], true)
const octets = mebibytes * MEBIBYTE
const rounds = numberOf("rounds", values.rounds, [1, 1000], true)
const seconds = numberOf("seconds", values.seconds, [1, 600], true)
const connections = numberOf("connections", values.connections, [1, 10_000], true)
const say = (text: string): void => void process.stdout.write(`${text}\n`)

interface Server {
  readonly name: "strata" | "Linux"
  readonly url: string
  readonly pid: number
}

/** A speed, and the processor time of the server for one unit of it, in microseconds. */
interface Figure {
  readonly value: number
  readonly processor: number
}

const { onClient, onServer } = placement()
const program = fileURLToPath(new URL("support/httpServer.ts", import.meta.url))

const start = Effect.fnUntraced(
  function*(namespace: Namespace.Namespace, name: Server["name"], host: string, options: HttpServerOptions) {
    const profiling = values.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${values.profile}/${name}`]
    const command = [process.execPath, ...profiling, program, JSON.stringify(options)]
    const running = yield* namespace.spawn(...onServer, ...command)
    yield* running.prints(/ready/)
    // A profile is written at the end.
    yield* Effect.addFinalizer(() =>
      Effect.andThen(running.endInput, Effect.timeoutOption(running.result, "10 seconds"))
    )
    return { name, url: `http://${host}:${PORT}/`, pid: running.pid } satisfies Server
  }
)

/** The kernel's clients, and both servers before them. */
const makeServers = Effect.gen(function*() {
  const [near, far] = [yield* Namespace.make, yield* Namespace.make]
  yield* Namespace.veth({ namespace: near, name: "near0" }, { namespace: far, name: "far0" })
  yield* near.succeed("ip", "addr", "add", "198.51.100.1/24", "dev", "near0")
  yield* far.succeed("ip", "addr", "add", "198.51.100.2/24", "dev", "far0")
  yield* near.succeed("ip", "tuntap", "add", "mode", "tap", "name", "tap0")
  yield* near.succeed("ip", "addr", "add", "192.0.2.1/24", "dev", "tap0")
  yield* near.succeed("ip", "link", "set", "tap0", "up")
  const strata = yield* start(near, "strata", "192.0.2.2", {
    on: "strata",
    port: PORT,
    namespace: near.path,
    device: "tap0",
    address: "192.0.2.2/24",
    copies: !values["no-copy"]
  })
  return { near, servers: [strata, yield* start(far, "Linux", "198.51.100.2", { on: "kernel", port: PORT })] }
})

/** What a client prints; it has to succeed. */
const client = Effect.fnUntraced(function*(near: Namespace.Namespace, ...command: ReadonlyArray<string>) {
  const { exitCode, stderr, stdout } = yield* near.execWith({ timeout: PATIENCE }, ...onClient, ...command)
  if (exitCode !== 0) return yield* Effect.fail(`${command.join(" ")} ended with ${exitCode}: ${stderr}`)
  return stdout
})

const curl = ["curl", "-sSf"]

const same = (server: Server, what: string, expected: string, found: string) =>
  expected === found ? Effect.void : Effect.fail(`${server.name}, ${what}: what arrived is not what was sent`)

/** Both ways, compared. */
const compare = Effect.fnUntraced(
  function*(near: Namespace.Namespace, server: Server, file: string, hash: string) {
    const fetched = `set -o pipefail; curl -sSf ${server.url}${octets} | sha256sum`
    const [down] = (yield* client(near, "bash", "-c", fetched)).split(" ")
    yield* same(server, "downloaded", hash, down!)
    yield* same(server, "uploaded", hash, yield* client(near, ...curl, "-T", file, `${server.url}hash`))
  }
)

const download = (near: Namespace.Namespace, { url }: Server) =>
  Effect.map(client(near, ...curl, "-o", "/dev/null", "-w", "%{speed_download}", `${url}${octets}`), perMebibyte)

/** The answer tells how much has come. */
const upload = Effect.fnUntraced(function*(near: Namespace.Namespace, server: Server, file: string) {
  const told = yield* client(near, ...curl, "-T", file, "-w", " %{speed_upload}", server.url)
  const [came, speed] = told.split(" ")
  yield* same(server, "uploaded", String(octets), came!)
  return perMebibyte(speed!)
})

const perMebibyte = (octetsPerSecond: string) => ({ value: Number(octetsPerSecond) * 8 / 1e9, operations: mebibytes })

const requests = Effect.fnUntraced(function*(near: Namespace.Namespace, { name, url }: Server) {
  const told = yield* client(near, "wrk", "-t1", `-c${connections}`, `-d${seconds}`, "--latency", url)
  const [, done] = /(\d+) requests in/.exec(told) ?? []
  const [, rate] = /Requests\/sec:\s+([\d.]+)/.exec(told) ?? []
  if (rate === undefined || /Socket errors|Non-2xx/.test(told)) return yield* Effect.fail(`${name}: wrk says ${told}`)
  return { value: Number(rate) / 1000, operations: Number(done) }
})

const timed = <E>(server: Server, work: Effect.Effect<{ value: number; operations: number }, E>) =>
  Effect.gen(function*() {
    const before = processorOf(server.pid)
    const { operations, value } = yield* work
    return { value, processor: (processorOf(server.pid) - before) * 1e6 / operations } satisfies Figure
  })

const wordsOf = (figures: ReadonlyArray<Figure>): string => {
  const all = figures.map(({ value }) => value)
  const processor = median(figures.map((figure) => figure.processor)).toFixed(0)
  return `${median(all).toFixed(2)} (${Math.min(...all).toFixed(2)}–${Math.max(...all).toFixed(2)}), ${processor} µs`
}

const line = (cells: ReadonlyArray<string>): void => say(`| ${cells.join(" | ")} |`)

/** One row: all rounds of one work, the servers in turn. The first round is for the compilers. */
const measure = Effect.fnUntraced(function*<E>(
  title: string,
  servers: ReadonlyArray<Server>,
  work: (server: Server) => Effect.Effect<{ value: number; operations: number }, E>
) {
  const figures = servers.map((): Array<Figure> => [])
  for (let round = 0; round <= rounds; round++) {
    for (const [index, server] of servers.entries()) {
      const figure = yield* timed(server, work(server))
      if (round > 0) figures[index]!.push(figure)
    }
  }
  const [strata, linux] = figures.map((all) => median(all.map(({ value }) => value)))
  line([title, ...figures.map(wordsOf), (strata! / linux!).toFixed(2)])
})

const pieces = function*() {
  for (let left = octets; left > 0; left -= chunk.length) yield Buffer.from(beginning(Math.min(left, chunk.length)))
}

const main = Effect.gen(function*() {
  const wanted = new Set(values.only.split(","))
  const { near, servers } = yield* makeServers
  yield* withFolder((folder) =>
    Effect.gen(function*() {
      const file = join(folder, "octets")
      if (wanted.has("hash") || wanted.has("upload")) {
        yield* Effect.promise(() => pipeline(Readable.from(pieces()), createWriteStream(file)))
      }
      if (wanted.has("hash")) {
        const hash = createHash("sha256")
        for (const piece of pieces()) hash.update(piece)
        const expected = hash.digest("hex")
        for (const server of servers) yield* compare(near, server, file, expected)
        say(`${mebibytes} MiB down and up, equal by sha256 (${expected.slice(0, 16)}…)\n`)
      }
      line(["node:http", "strata", "Linux, veth", "strata : Linux"])
      line(["---", "---", "---", "---"])
      if (wanted.has("download")) {
        yield* measure(`curl downloads ${mebibytes} MiB, Gbit/s`, servers, (server) => download(near, server))
      }
      if (wanted.has("upload")) {
        yield* measure(`curl uploads ${mebibytes} MiB, Gbit/s`, servers, (server) => upload(near, server, file))
      }
      if (wanted.has("requests")) {
        const title = `wrk, ${connections} connections kept, k requests/s`
        yield* measure(title, servers, (server) => requests(near, server))
      }
    })
  )
})

const fail = (reason: string): void => {
  say(`cannot measure: ${reason}`)
  process.exitCode = 1
}

const WORKS = ["hash", "download", "upload", "requests"]
const unknown = values.only.split(",").filter((name) => !WORKS.includes(name))
const missing = ["curl", "wrk"].filter(isMissing)
if (unknown.length > 0) fail(`there is no ${unknown.join(", no ")} among ${WORKS.join(", ")}`)
else if (Namespace.obstacle !== undefined) fail(Namespace.obstacle)
else if (missing.length > 0) fail(`there is no ${missing.join(", no ")}`)
else await Effect.runPromise(Effect.catch(Effect.scoped(main), (reason) => Effect.sync(() => fail(reason))))
