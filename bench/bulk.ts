/**
 * Bulk TCP over a plain TAP (no offload), both ways, beside the kernel's own TCP
 * over a virtual cable without offload.
 *
 *     node bench/bulk.ts [--octets 1073741824] [--rounds 5] [--way receive|send] [--profile directory]
 *
 * Needs root. Every transfer is between a server on processor 0 (strata, or the
 * kernel in a namespace of its own) and a client of the kernel's on processor 1.
 * Baseline and stack take turns, so that both see the same machine; the kernel
 * is measured once more without window scaling, its windows then being 64 KiB.
 * All bytes are compared.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import type { Measured } from "./support/block.ts"

const { values } = parseArgs({
  options: {
    octets: { type: "string", default: String(1024 ** 3) },
    rounds: { type: "string", default: "5" },
    way: { type: "string" },
    profile: { type: "string" }
  }
})

const program = (name: string): string => fileURLToPath(new URL(`support/${name}.ts`, import.meta.url))
const ip = (...args: ReadonlyArray<string>): string => execFileSync("ip", args, { encoding: "utf8" })

const left = `strata-bench-a-${process.pid}`
const right = `strata-bench-b-${process.pid}`

const makeNetwork = (): void => {
  for (const name of [left, right]) ip("netns", "add", name)
  ip("link", "add", "cable0", "netns", left, "type", "veth", "peer", "name", "cable1", "netns", right)
  ip("-n", left, "tuntap", "add", "mode", "tap", "name", "tap0")
  ip("-n", left, "addr", "add", "192.0.2.1/24", "dev", "tap0")
  ip("-n", left, "addr", "add", "198.51.100.1/24", "dev", "cable0")
  ip("-n", right, "addr", "add", "198.51.100.2/24", "dev", "cable1")
  for (const [name, device] of [[left, "tap0"], [left, "cable0"], [right, "cable1"]] as const) {
    ip("-n", name, "link", "set", device, "up")
  }
  for (const [name, device] of [[left, "cable0"], [right, "cable1"]] as const) {
    ip(
      "netns",
      "exec",
      name,
      "ethtool",
      "-K",
      device,
      ...["tso", "gso", "gro", "tx", "rx"].flatMap((one) => [one, "off"])
    )
  }
}

/** Transfers before those that count. */
const WARM_UP = 4
/** Seconds one transfer may take. */
const LIMIT = 60

const children = new Set<ChildProcess>()

const pinned = (processor: number, namespace: string | undefined, ...command: ReadonlyArray<string>): ChildProcess => {
  const inside = namespace === undefined ? [] : ["ip", "netns", "exec", namespace]
  const child = spawn("taskset", ["-c", String(processor), ...inside, process.execPath, ...command], {
    stdio: ["ignore", "pipe", "pipe"]
  })
  child.stderr!.setEncoding("utf8")
  child.stdout!.setEncoding("utf8")
  children.add(child)
  child.on("exit", () => children.delete(child))
  return child
}

/** Resolves when a server says that it is ready. */
const ready = (server: ChildProcess, name: string): Promise<void> =>
  new Promise((resolve, reject) => {
    let said = ""
    server.stderr!.on("data", (text: string) => {
      said += text
      if (said.includes("ready")) resolve()
    })
    server.on("exit", (code) => reject(new Error(`${name} ended with ${code}: ${said}`)))
  })

/** What the client does. */
type Role = "send" | "receive"

const ways: ReadonlyArray<{ readonly name: string; readonly role: Role }> = [
  { name: "receive (kernel sends to strata)", role: "send" },
  { name: "send (kernel receives from strata)", role: "receive" }
]

const measure = async (role: Role, host: string, octets: number): Promise<number> => {
  const client = pinned(1, left, program("kernel"), role, host, String(octets), String(LIMIT))
  let printed = ""
  let complained = ""
  client.stdout!.on("data", (text: string) => {
    printed += text
  })
  client.stderr!.on("data", (text: string) => {
    complained += text
  })
  const timer = setTimeout(() => client.kill("SIGKILL"), LIMIT * 1000)
  await once(client, "close")
  clearTimeout(timer)
  if (printed === "") throw new Error(`${role} ${host} told nothing in time: ${complained}`)
  const measured: Measured = JSON.parse(printed)
  if (!measured.equal) throw new Error(`${role} ${host}: the bytes that arrived are not those that were sent`)
  if (measured.octets !== octets) throw new Error(`${role} ${host}: only ${measured.octets} octets arrived in time`)
  return measured.octets * 8 / measured.seconds / 1e9
}

/** Window scaling (RFC 7323) of both kernels. */
const scaleWindows = (on: boolean): void => {
  for (const name of [left, right]) {
    const setting = `echo ${Number(on)} > /proc/sys/net/ipv4/tcp_window_scaling`
    execFileSync("ip", ["netns", "exec", name, "sh", "-c", setting])
  }
}

const STRATA = "192.0.2.2"
const KERNEL = "198.51.100.2"

/** Gbit/s of the stack, of the kernel, and of the kernel with windows of 64 KiB, one right after the other. */
const measureRound = async (role: Role, octets: number): Promise<ReadonlyArray<number>> => {
  const stack = await measure(role, STRATA, octets)
  const kernel = await measure(role, KERNEL, octets)
  scaleWindows(false)
  const small = await measure(role, KERNEL, octets)
  scaleWindows(true)
  return [stack, kernel, small]
}

const median = (numbers: ReadonlyArray<number>): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!
const cell = (value: number | string): string => (typeof value === "number" ? value.toFixed(2) : value).padStart(10)
const row = (name: string, cells: ReadonlyArray<number | string>): void =>
  void process.stdout.write(`${name.padEnd(34)}${cells.map(cell).join("")}\n`)

const main = async (): Promise<void> => {
  const octets = Number(values.octets)
  makeNetwork()
  const kernel = pinned(0, right, program("kernel"), "serve", String(octets), String(LIMIT))
  const strata = pinned(
    0,
    undefined,
    ...(values.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${values.profile}`]),
    program("strata"),
    `/var/run/netns/${left}`,
    String(octets),
    String(LIMIT)
  )
  await Promise.all([ready(kernel, "the kernel's server"), ready(strata, "strata's server")])
  process.stdout.write(
    `${values.rounds} rounds of ${octets / 1024 ** 2} MiB, MTU 1500, no offload; medians, Gbit/s\n\n`
  )
  row("", ["strata", "least", "most", "kernel", "ratio", "64 KiB", "ratio"])
  for (const { name, role } of ways.filter((way) => way.name.startsWith(values.way ?? ""))) {
    // The compiler takes its time: what counts begins after some transfers.
    for (let warm = 0; warm < WARM_UP; warm++) await measure(role, STRATA, octets)
    const rounds: Array<ReadonlyArray<number>> = []
    while (rounds.length < Number(values.rounds)) rounds.push(await measureRound(role, octets))
    const [stack, whole, small] = [0, 1, 2].map((column) => rounds.map((round) => round[column]!))
    const ratio = (baseline: ReadonlyArray<number>) => median(stack!.map((value, index) => value / baseline[index]!))
    const spread = [median(stack!), Math.min(...stack!), Math.max(...stack!)]
    row(name, [...spread, median(whole!), ratio(whole!), median(small!), ratio(small!)])
  }
}

const removeNetwork = (): void => {
  for (const name of [left, right]) {
    try {
      execFileSync("ip", ["netns", "delete", name], { stdio: "ignore" })
    } catch {
      // It was never made.
    }
  }
}

/** Asks every program to end, which a profiled one needs a moment for. */
const endChildren = async (): Promise<void> => {
  const ended = [...children].map((child) => once(child, "exit"))
  for (const child of children) child.kill("SIGTERM")
  await Promise.all(ended)
}

process.on("SIGINT", () => process.exit(130))
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL")
  removeNetwork()
})
await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
await endChildren()
