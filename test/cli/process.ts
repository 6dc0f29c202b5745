/**
 * Runs the command line as a process, the way `npx strata` does.
 */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

/** The words that start strata from any directory, in any namespace. */
export const strata: ReadonlyArray<string> = [
  process.execPath,
  fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url))
]

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end; `input` is its stdin. */
export const run = (command: ReadonlyArray<string>, input = ""): Effect.Effect<Ended> =>
  Effect.callback<Ended>((resume) => {
    const child = spawn(command[0]!, command.slice(1), { stdio: "pipe" })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => stdout += chunk)
    child.stderr.on("data", (chunk) => stderr += chunk)
    child.stdin.on("error", () => {})
    child.on("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
    child.stdin.end(input)
    return Effect.sync(() => child.kill("SIGKILL"))
  })

export const runStrata = (...args: ReadonlyArray<string>): Effect.Effect<Ended> => run([...strata, ...args])
