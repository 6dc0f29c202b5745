/**
 * Bulk TCP through a network that loses packets both ways: strata and Linux beside Linux and Linux, over the same bridge
 * with the same rules (`test/support/lossyPath.ts`).
 *
 *     node bench/lossy.ts [--loss 0,0.01,0.05] [--rounds 5] [--octets N] [--seconds 5] [--directions send,receive]
 *                         [--congestion cubic] [--rtt milliseconds] [--realtime] [--json] [--pcap prefix]
 *
 * Needs root. Every transfer is between a server on processor 0 (strata, or the far kernel) and a client of the near
 * kernel's on processor 1; strata and the far kernel take turns. The receiver measures, from the first octets to the last,
 * and for `--seconds` at most; it compares every octet with what was sent. Handshakes are left out, since one that is lost
 * costs a second. MTU 1500, no offload; Linux has its own defaults but for the congestion control, which is CUBIC unless
 * said otherwise for both, and metrics of earlier connections, which it is not to remember.
 *
 * Where round trips take microseconds, timers decide: "silent" is the share of the time in silences of 4 ms and more,
 * "stalls" counts those of at least 150 ms, which are retransmission timeouts.
 *
 * On a machine that has other work, `--realtime` lets the programs that are measured go before it: what waits for a
 * processor looks like a slow protocol, and it is always strata that waits, since the kernel's TCP runs where a packet is.
 *
 * With `--pcap` one round is captured at the ports of the bridge: at its own port, what an end sends is seen before
 * anything is lost, and what it gets after.
 */
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { KERNEL, STACK } from "../test/support/linux.ts"
import * as LossyPath from "../test/support/lossyPath.ts"
import * as Namespace from "../test/support/namespace.ts"
import type { Measured } from "./support/meter.ts"
import { median } from "./support/summary.ts"

const { values } = parseArgs({
  options: {
    loss: { type: "string", default: "0,0.01,0.05" },
    rounds: { type: "string", default: "5" },
    octets: { type: "string" },
    seconds: { type: "string", default: "5" },
    directions: { type: "string", default: "send,receive" },
    congestion: { type: "string", default: "cubic" },
    rtt: { type: "string", default: "0" },
    realtime: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    pcap: { type: "string" }
  }
})

const MiB = 1024 * 1024
const seconds = Number(values.seconds)
const rounds = values.pcap === undefined ? Number(values.rounds) : 1
const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** Of one transfer; without loss more fits into the time. */
const octetsAt = (loss: number): number => Number(values.octets ?? (loss === 0 ? 1024 * MiB : 256 * MiB))

type Counters = Readonly<Record<string, number>>
type Direction = "send" | "receive"

/** Somebody on the other side of the path than the near kernel. */
interface Server {
  readonly name: "strata" | "linux"
  readonly host: string
  readonly port: string
  /** What it has counted so far. */
  readonly counters: Effect.Effect<Counters>
}

interface Run {
  readonly loss: number
  readonly direction: Direction
  readonly server: Server["name"]
  readonly octets: number
  readonly seconds: number
  /** Mbit/s. */
  readonly goodput: number
  /** Share of the time, and a count, as the receiver saw it. */
  readonly silent: number
  readonly stalls: number
  /** Segments that the sender sent, and how many of them again. */
  readonly sent: number
  readonly retransmitted: number
  readonly lost: LossyPath.Lost
  /** What the sender counted, and the receiver. */
  readonly sender: Counters
  readonly receiver: Counters
}

const program = (name: string): string => fileURLToPath(new URL(`support/${name}.ts`, import.meta.url))
const priority = values.realtime ? ["chrt", "--rr", 1] : []
const on = (processor: number, name: string, ...args: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  [...priority, "taskset", "-c", processor, process.execPath, program(name), ...args].map(String)

const since = (before: Counters, after: Counters): Counters =>
  Object.fromEntries(
    Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)] as const)
      .filter(([, value]) => value !== 0)
  )

/** The tables `snmp` and `netstat` of a kernel. */
const kernelCounters = (kernel: Namespace.Namespace): Effect.Effect<Counters> =>
  Effect.map(kernel.succeed("nstat", "-asj"), ({ stdout }) => JSON.parse(stdout).kernel)

/** The congestion control is the route's, since a namespace may not choose each that there is for all its connections. */
const configure = Effect.fnUntraced(function*(kernel: Namespace.Namespace, address: string) {
  const algorithm = values.congestion
  const route = ["192.0.2.0/24", "dev", "cable0", "proto", "kernel", "scope", "link", "src", address]
  yield* kernel.succeed("ip", "route", "replace", ...route, "congctl", algorithm)
  yield* kernel.succeed("sh", "-c", "echo 1 > /proc/sys/net/ipv4/tcp_no_metrics_save")
})

/** Delays what leaves each port of the bridge by half of the round-trip time. */
const delay = Effect.fnUntraced(function*(middle: Namespace.Namespace, rtt: number) {
  for (const port of Object.values(LossyPath.Port)) {
    const how = ["tc", "qdisc", "add", "dev", port, "root", "netem", "delay", `${rtt / 2}ms`, "limit", "100000"]
    const { exitCode, stderr } = yield* middle.exec(...how)
    if (exitCode !== 0) return yield* Effect.fail(`the kernel has no netem to delay with (${stderr.trim()})`)
  }
})

const startStrata = Effect.fnUntraced(function*(middle: Namespace.Namespace) {
  const args = [middle.path, 1024 * 1024 * MiB, seconds, values.congestion]
  const running = yield* middle.spawn(...on(0, "lossyServer", ...args))
  yield* running.prints(/ready/)
  let asked = 0
  const counters = Effect.gen(function*() {
    asked++
    yield* running.write("\n")
    yield* running.prints(new RegExp(`({.*}\n){${asked}}`))
    return JSON.parse(running.stdout().split("\n")[asked - 1]!)
  })
  return { name: "strata", host: STACK, port: LossyPath.Port.stack, counters } satisfies Server
})

const startLinux = Effect.fnUntraced(function*(far: Namespace.Namespace) {
  const running = yield* far.spawn(...on(0, "kernel", "serve", 1024 * 1024 * MiB, seconds))
  yield* running.prints(/ready/)
  return {
    name: "linux",
    host: LossyPath.FAR,
    port: LossyPath.Port.far,
    counters: kernelCounters(far)
  } satisfies Server
})

/** Captures headers at both ends of a transfer. */
const capture = Effect.fnUntraced(function*(middle: Namespace.Namespace, prefix: string, server: Server, what: string) {
  for (const [end, port] of [["server", server.port], ["client", LossyPath.Port.kernel]] as const) {
    const file = `${prefix}-${what}-at-${end}.pcap`
    const options = ["-Z", "root", "-i", port, "-s", "128", "-B", "65536", "-w", file]
    const running = yield* middle.spawn("tcpdump", ...options, "tcp")
    yield* running.prints(/listening/)
    yield* Effect.addFinalizer(() => Effect.andThen(running.kill("SIGTERM"), running.result))
  }
})

/** One transfer; `direction` is the server's. */
const transfer = Effect.fnUntraced(
  function*(path: LossyPath.LossyPath, server: Server, direction: Direction, loss: number) {
    const octets = octetsAt(loss)
    yield* path.lose(loss)
    if (values.pcap !== undefined) {
      yield* capture(path.middle, values.pcap, server, `${loss}-${server.name}-${direction}`)
    }
    const near = kernelCounters(path.kernel)
    const before = yield* Effect.all([near, server.counters])
    const role = direction === "send" ? "receive" : "send"
    const { exitCode, stderr, stdout } = yield* path.kernel.execWith(
      { timeout: (seconds + 60) * 1000 },
      ...on(1, "kernel", role, server.host, octets, seconds)
    )
    if (exitCode !== 0) return yield* Effect.die(new Error(`${server.name}, ${direction}: ${exitCode} ${stderr}`))
    const measured: Measured = JSON.parse(stdout)
    if (!measured.equal) {
      return yield* Effect.die(new Error(`${server.name}, ${direction}: what arrived is not what was sent`))
    }
    const after = yield* Effect.all([near, server.counters])
    const counted = [since(before[0], after[0]), since(before[1], after[1])] as const
    const [sender, receiver] = direction === "send" ? [counted[1], counted[0]] : counted
    const strata = direction === "send" && server.name === "strata"
    return {
      loss,
      direction,
      server: server.name,
      octets: measured.octets,
      seconds: measured.seconds,
      goodput: measured.octets * 8 / measured.seconds / 1e6,
      silent: measured.silent / measured.seconds,
      stalls: measured.stalls,
      sent: strata ? sender["tcp.sent"] ?? 0 : (sender.TcpOutSegs ?? 0) + (sender.TcpRetransSegs ?? 0),
      retransmitted: sender[strata ? "tcp.retransmitted" : "TcpRetransSegs"] ?? 0,
      lost: yield* path.lost,
      sender,
      receiver
    } satisfies Run
  },
  Effect.scoped
)

/** Compilers take their time: what counts begins after some transfers. */
const warmUp = Effect.fnUntraced(
  function*(path: LossyPath.LossyPath, servers: ReadonlyArray<Server>, directions: ReadonlyArray<Direction>) {
    for (const server of servers) {
      for (const loss of [0, 0, 0.01]) {
        for (const direction of directions) yield* transfer(path, server, direction, loss)
      }
    }
  }
)

const goodputs = (runs: ReadonlyArray<Run>): string => {
  const all = runs.map((run) => run.goodput)
  return `${median(all).toFixed(1)} (${Math.min(...all).toFixed(1)}–${Math.max(...all).toFixed(1)})`
}
const again = (runs: ReadonlyArray<Run>): string => {
  const share = median(runs.map((run) => run.retransmitted / run.sent))
  return `${median(runs.map((run) => run.retransmitted))} (${(share * 100).toFixed(2)} %)`
}
const silences = (runs: ReadonlyArray<Run>): string =>
  `${(median(runs.map((run) => run.silent)) * 100).toFixed(0)} %, ${median(runs.map((run) => run.stalls))}`

const ratio = (strata: ReadonlyArray<Run>, linux: ReadonlyArray<Run>): string =>
  (median(strata.map((run) => run.goodput)) / median(linux.map((run) => run.goodput))).toFixed(2)

/** What a row says of the runs with strata and of those with Linux in its place. */
const COLUMNS: ReadonlyArray<readonly [string, (strata: ReadonlyArray<Run>, linux: ReadonlyArray<Run>) => string]> = [
  ["loss", ([run]) => `${run!.loss * 100} %`],
  ["direction", ([run]) => run!.direction === "send" ? "to Linux" : "from Linux"],
  ["strata, Mbit/s", goodputs],
  ["Linux, Mbit/s", (_, linux) => goodputs(linux)],
  ["strata : Linux", ratio],
  ["sent again, with strata", again],
  ["with Linux", (_, linux) => again(linux)],
  ["silent and stalls, with strata", silences],
  ["with Linux", (_, linux) => silences(linux)]
]

const line = (cells: ReadonlyArray<string>): void => say(`| ${cells.join(" | ")} |`)

/** All rounds of one line of the table. */
const measure = Effect.fnUntraced(
  function*(path: LossyPath.LossyPath, servers: ReadonlyArray<Server>, direction: Direction, loss: number) {
    const runs: Array<Run> = []
    for (let round = 0; round < rounds; round++) {
      for (const server of servers) runs.push(yield* transfer(path, server, direction, loss))
    }
    const of = (name: Server["name"]) => runs.filter((run) => run.server === name)
    if (values.json) say(runs.map((run) => JSON.stringify(run)).join("\n"))
    else line(COLUMNS.map(([, cell]) => cell(of("strata"), of("linux"))))
  }
)

const main = Effect.gen(function*() {
  const directions = values.directions.split(",") as ReadonlyArray<Direction>
  const path = yield* LossyPath.make
  yield* configure(path.kernel, KERNEL)
  yield* configure(path.far, LossyPath.FAR)
  if (Number(values.rtt) > 0) yield* delay(path.middle, Number(values.rtt))
  const servers = [yield* startStrata(path.middle), yield* startLinux(path.far)]
  if (values.pcap === undefined) yield* warmUp(path, servers, directions)
  if (!values.json) {
    line(COLUMNS.map(([name]) => name))
    line(COLUMNS.map(() => "---"))
  }
  for (const loss of values.loss.split(",").map(Number)) {
    for (const direction of directions) yield* measure(path, servers, direction, loss)
  }
})

const fail = (reason: string): void => {
  say(`cannot measure: ${reason}`)
  process.exitCode = 1
}

if (Namespace.obstacle !== undefined) fail(Namespace.obstacle)
else await Effect.runPromise(Effect.catch(Effect.scoped(main), (reason) => Effect.sync(() => fail(reason))))
