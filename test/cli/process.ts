/**
 * Runs the command line as a process, the way `npx strata` does.
 */
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { watching } from "../support/watching.ts"

/** The words that start strata from any directory, in any namespace. */
export const strata: ReadonlyArray<string> = [
  process.execPath,
  fileURLToPath(new URL("../../packages/cli/bin/strata.js", import.meta.url))
]

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Started {
  readonly pid: number
  readonly kill: (signal: NodeJS.Signals) => void
  /** Waits until stdout matches. */
  readonly prints: (pattern: RegExp) => Effect.Effect<void>
  readonly ended: Effect.Effect<Ended>
}

/** Starts a command that is killed when the scope closes, if it still runs. */
export const start = (command: ReadonlyArray<string>, input = ""): Effect.Effect<Started, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(command[0]!, command.slice(1), { stdio: "pipe" })
      let stdout = ""
      let stderr = ""
      let ended: Ended | undefined
      const watchers = new Set<() => void>()
      const notify = () => {
        for (const watcher of watchers) watcher()
      }
      child.stdout.on("data", (chunk) => {
        stdout += chunk
        notify()
      })
      child.stderr.on("data", (chunk) => stderr += chunk)
      child.stdin.on("error", () => {})
      child.on("close", (code) => {
        ended = { code, stdout, stderr }
        notify()
      })
      child.stdin.end(input)
      const until = watching(watchers)
      return {
        pid: child.pid!,
        kill: (signal: NodeJS.Signals) => void child.kill(signal),
        prints: (pattern: RegExp) =>
          Effect.flatMap(
            until(() => pattern.test(stdout) ? true : ended === undefined ? undefined : false),
            (matched) =>
              matched
                ? Effect.void
                : Effect.die(new Error(`${command.join(" ")} ended before it printed ${pattern}: ${stdout}${stderr}`))
          ),
        ended: until(() => ended)
      }
    }),
    (started) => Effect.sync(() => started.kill("SIGKILL"))
  )

/** Runs a command to its end; `input` is its stdin. */
export const run = (command: ReadonlyArray<string>, input = ""): Effect.Effect<Ended> =>
  Effect.scoped(Effect.flatMap(start(command, input), (started) => started.ended))

export const runStrata = (...args: ReadonlyArray<string>): Effect.Effect<Ended> => run([...strata, ...args])

/** Of a file in /proc, whose process may be gone: then nothing. */
const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

/** The processes that a process started, and those that they did. */
export const descendantsOf = (pid: number): ReadonlyArray<number> =>
  read(`/proc/${pid}/task/${pid}/children`)
    .split(" ")
    .filter((word) => word !== "")
    .map(Number)
    .flatMap((child) => [child, ...descendantsOf(child)])

export const isAlive = (pid: number): boolean => /State:\s+[^ZX\s]/.test(read(`/proc/${pid}/status`))

/** Waits until all have ended; the test's time limit is the only one. */
export const allEnd = (pids: ReadonlyArray<number>): Effect.Effect<void> =>
  Effect.gen(function*() {
    while (pids.some(isAlive)) yield* Effect.sleep(20)
  })
