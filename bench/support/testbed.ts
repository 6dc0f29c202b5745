/**
 * Where everything is measured: two namespaces, cables between them, and a TAP for each stack.
 *
 * | who serves                       | at                         |
 * | -------------------------------- | -------------------------- |
 * | Linux, over a cable              | `far`, 198.51.100.2        |
 * | Linux, over one without offloads | `far`, 198.51.100.130      |
 * | Linux, over loopback             | `near`, 127.0.0.1          |
 * | strata, a process for each stack | `near`, 192.0.2.2, .10 ... |
 *
 * Clients are Linux in `near`. All servers share one processor, all clients have the other, so that a stack and its baseline
 * are placed alike. Everything is gone when the scope closes.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { OFFLOADS_OFF } from "../../test/support/linux.ts"
import * as Namespace from "../../test/support/namespace.ts"
import { isMissing } from "../../test/support/tools.ts"
import { Failure } from "./failure.ts"
import * as Load from "./load.ts"
import type { ServerOptions, Told } from "./server.ts"

/** Whom a client talks to. */
export interface Server {
  readonly host: string
  readonly pid: number
}

export interface StrataServer extends Server {
  readonly ask: Effect.Effect<Told>
}

/** What offload a TAP has: the kernel's, the driver's own, or none. */
export type Offload = "kernel" | "driver" | "none"

export type Baseline = "veth" | "vethPlain" | "loopback"

export interface StrataOptions {
  readonly api: string
  readonly offload: Offload
  /** For Node. */
  readonly flags?: ReadonlyArray<string>
}

export interface ClientOptions {
  readonly seconds: number
  /** Whether it shares the processor with the server. */
  readonly sameProcessor?: boolean
}

export interface Testbed {
  /** The kernel's side of all TAPs and one end of the cables. */
  readonly near: Namespace.Namespace
  readonly far: Namespace.Namespace
  readonly baselines: Readonly<Record<Baseline, Server>>
  /** The server of that kind, which is started when it is first asked for. */
  readonly strata: (options: StrataOptions) => Effect.Effect<StrataServer, Failure>
  /** One for the caller alone. */
  readonly freshStrata: (options: StrataOptions) => Effect.Effect<StrataServer, Failure, Scope.Scope>
  readonly load: (server: Server, work: Load.Work, options: ClientOptions) => Effect.Effect<Load.Told, Failure>
  /** A client that is started and spoken to. */
  readonly startLoad: (server: Server, work: Load.Work) => Effect.Effect<Namespace.Running, never, Scope.Scope>
}

const TAPS = 32
/** Addresses of each TAP's network. */
const SUBNET = 8
/** As many packets as there are connections may be under way to one device. */
const QUEUE = 16_384

const OFFLOADS: Readonly<Record<Offload, ServerOptions["offload"]>> = {
  kernel: true,
  driver: { vnet: false },
  none: { checksum: false }
}

/**
 * More ports than there are, and no connection that waits for its port to cool off: opening and closing would run into
 * the end of both.
 */
const SETTINGS = {
  "ipv4/tcp_congestion_control": "cubic",
  "ipv4/ip_local_port_range": "1024 65535",
  "ipv4/tcp_max_tw_buckets": "256",
  "ipv4/tcp_max_syn_backlog": "8192",
  "ipv4/tcp_no_metrics_save": "1"
}

const makeNamespace = Effect.gen(function*() {
  const namespace = yield* Namespace.make
  for (const [name, value] of Object.entries(SETTINGS)) {
    yield* namespace.exec("sh", "-c", `echo ${value} > /proc/sys/net/${name}`)
  }
  return namespace
})

const cable = Effect.fnUntraced(
  function*(near: Namespace.Namespace, far: Namespace.Namespace, index: number, first: string, second: string) {
    const ends = [
      { namespace: near, name: `near${index}`, address: first },
      { namespace: far, name: `far${index}`, address: second }
    ] as const
    yield* Namespace.veth(...ends)
    for (const { address, name, namespace } of ends) {
      yield* namespace.succeed("ip", "addr", "add", `${address}/25`, "dev", name)
    }
    return ends
  }
)

/** The processors that this process may use. */
const allowedProcessors = (): ReadonlyArray<number> => {
  const line = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync("/proc/self/status", "utf8"))![1]!
  return line.split(",").flatMap((range) => {
    const [from, to = from] = range.split("-").map(Number)
    return Array.from({ length: to! - from! + 1 }, (_, index) => from! + index)
  })
}

const on = (processor: number) => ["taskset", "-c", String(processor)]

/** The words in front of a command that is to run where servers or clients do: on the first and the last processor. */
export const placement = (): { readonly onServer: ReadonlyArray<string>; readonly onClient: ReadonlyArray<string> } => {
  const processors = allowedProcessors()
  return { onServer: on(processors.at(0)!), onClient: on(processors.at(-1)!) }
}

/** Seconds of processor time that a process and its threads have had. */
export const processorOf = (pid: number): number => {
  const folder = `/proc/${pid}/task`
  const nanoseconds = readdirSync(folder).map((task) =>
    Number(readFileSync(`${folder}/${task}/schedstat`, "utf8").split(" ")[0])
  )
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e9
}

const needed = ["ip", "taskset", "ethtool"]

/** Why nothing can be measured here, or undefined. */
export const obstacle = (): string | undefined => {
  const missing = needed.filter(isMissing)
  if (Namespace.obstacle !== undefined) return Namespace.obstacle
  return missing.length === 0 ? undefined : `there is no ${missing.join(", no ")}`
}

const serverProgram = fileURLToPath(new URL("server.ts", import.meta.url))

const GRACE = "10 seconds"

export const make = Effect.fnUntraced(function*(
  options: { readonly profile?: string | undefined } = {}
): Effect.fn.Return<Testbed, Failure, Scope.Scope> {
  const why = obstacle()
  if (why !== undefined) return yield* Effect.fail(new Failure(why))
  const scope = yield* Effect.scope
  const { onClient, onServer } = placement()

  const program = yield* Load.compile
  const near = yield* makeNamespace
  const far = yield* makeNamespace
  yield* cable(near, far, 0, "198.51.100.1", "198.51.100.2")
  const plain = yield* cable(near, far, 1, "198.51.100.129", "198.51.100.130")
  for (const { name, namespace } of plain) yield* namespace.succeed("ethtool", "-K", name, ...OFFLOADS_OFF)

  const linux = Effect.fnUntraced(function*(namespace: Namespace.Namespace) {
    const running = yield* namespace.spawn(...onServer, program, "serve")
    yield* running.prints(/ready/)
    return running.pid
  })
  const [loopback, beyond] = [yield* linux(near), yield* linux(far)]

  let taps = 0
  const freshStrata = Effect.fnUntraced(function*({ api, flags = [], offload }: StrataOptions) {
    const index = taps++
    if (index === TAPS) return yield* Effect.fail(new Failure("there are too many stacks"))
    const device = `tap${index}`
    const address = (host: number) => `192.0.2.${index * SUBNET + host}`
    yield* near.succeed("ip", "tuntap", "add", "mode", "tap", "name", device)
    yield* near.succeed("ip", "addr", "add", `${address(1)}/29`, "dev", device)
    yield* near.succeed("ip", "link", "set", device, "up", "txqueuelen", String(QUEUE))
    const given: ServerOptions = {
      api,
      namespace: near.path,
      device,
      address: `${address(2)}/29`,
      offload: OFFLOADS[offload]
    }
    const profiling = options.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${options.profile}`]
    const words = [...profiling, ...flags, serverProgram, JSON.stringify(given)]
    const running = yield* near.spawn(...onServer, process.execPath, ...words)
    yield* running.prints(/ready\n/)
    if (options.profile !== undefined) {
      // A profile is written at the end.
      yield* Effect.addFinalizer(() =>
        Effect.andThen(running.kill("SIGTERM"), Effect.timeoutOption(running.result, GRACE))
      )
    }
    let asked = 0
    const ask = Effect.gen(function*() {
      asked++
      yield* running.write("\n")
      yield* running.prints(new RegExp(`ready\n({.*}\n){${asked}}`))
      return JSON.parse(running.stdout().split("\n")[asked]!) as Told
    })
    return { host: address(2), pid: running.pid, ask }
  })

  const started = new Map<string, StrataServer>()
  const strata = Effect.fnUntraced(function*(wanted: StrataOptions) {
    const key = JSON.stringify(wanted)
    const known = started.get(key)
    if (known !== undefined) return known
    const server = yield* Scope.provide(freshStrata(wanted), scope)
    started.set(key, server)
    return server
  })

  return {
    near,
    far,
    baselines: {
      veth: { host: "198.51.100.2", pid: beyond },
      vethPlain: { host: "198.51.100.130", pid: beyond },
      loopback: { host: "127.0.0.1", pid: loopback }
    },
    strata,
    freshStrata,
    load: (server, work, { sameProcessor = false, seconds }) =>
      Load.run(
        near,
        [...(sameProcessor ? onServer : onClient), program, ...Load.wordsOf(work, server.host, seconds)],
        seconds
      ),
    startLoad: (server, work) => near.spawn(...onClient, program, ...Load.wordsOf(work, server.host, 1))
  }
})
