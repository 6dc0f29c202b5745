/**
 * A network namespace that nobody else sees and that ends with its processes.
 */
import * as Effect from "effect/Effect"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { accessSync, constants, existsSync, readlinkSync, writeFileSync } from "node:fs"
import * as Programs from "./Programs.ts"

/** How to get into a namespace, or why there is none: a line for each thing that is missing. */
export type Way =
  | { readonly _tag: "Unshare"; readonly flags: ReadonlyArray<string> }
  | { readonly _tag: "Impossible"; readonly reasons: ReadonlyArray<string> }

/** Programs the demo needs, and the packages they come in. */
const needed = { unshare: "util-linux", ip: "iproute2", ping: "iputils-ping" }

const TUN = "/dev/net/tun"

const missing = (): ReadonlyArray<string> => {
  if (process.platform !== "linux") return [`network namespaces and TAP need Linux, and this is ${process.platform}`]
  const reasons = Object.entries(needed)
    .filter(([name]) => Programs.find(name) === undefined)
    .map(([name, from]) => `the program ${name} is missing (package ${from})`)
  if (!existsSync(TUN)) return [...reasons, `TAP: ${TUN} is missing (modprobe tun)`]
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK)
    return reasons
  } catch {
    return [...reasons, `TAP: no permission to open ${TUN}`]
  }
}

/** As root a namespace can be had directly; others, and a root without the capability, go through a user namespace. */
const candidates = (): ReadonlyArray<ReadonlyArray<string>> => {
  const throughUser = ["--user", "--map-root-user", "--net"]
  return process.getuid?.() === 0 ? [["--net"], throughUser] : [throughUser]
}

/** Finds out by trying. */
export const findWay: Effect.Effect<Way, never, ChildProcessSpawner> = Effect.gen(function*() {
  const reasons = [...missing()]
  if (reasons.length > 0) return { _tag: "Impossible", reasons }
  for (const flags of candidates()) {
    const problem = yield* Programs.run("unshare", [...flags, "true"]).pipe(
      Effect.as(undefined),
      Effect.catch((error) => Effect.succeed(`network namespaces: ${error.message}`))
    )
    if (problem === undefined) return { _tag: "Unshare", flags }
    reasons.push(problem)
  }
  return { _tag: "Impossible", reasons }
})

/**
 * Keeps the kernel from talking IPv6 on interfaces that come, which would only clutter the log. Best effort: where it
 * may not be written, or there is no IPv6, the log is cluttered or need not be silenced.
 */
export const silenceIpv6: Effect.Effect<void> = Effect.sync(() => {
  for (const scope of ["all", "default"]) {
    try {
      writeFileSync(`/proc/sys/net/ipv6/conf/${scope}/disable_ipv6`, "1")
    } catch {
      return
    }
  }
})

/** The name of the namespace this process is in. */
export const current = (): string => readlinkSync("/proc/self/ns/net")

/**
 * Runs this program again inside a new namespace, and gives its exit code. When this process ends, however it does, the
 * other's stdin ends, which tells it to end too.
 */
export const runInside = Effect.fnUntraced(function*(flags: ReadonlyArray<string>, args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner
  const main = process.argv[1] ?? ""
  const handle = yield* spawner.spawn(
    ChildProcess.make(Programs.find("unshare") ?? "unshare", [
      ...flags,
      process.execPath,
      ...process.execArgv,
      main,
      ...args
    ], {
      stdin: "pipe",
      stdout: "inherit",
      stderr: "inherit",
      forceKillAfter: "5 seconds"
    })
  )
  return yield* handle.exitCode
}, Effect.scoped)
