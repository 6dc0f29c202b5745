/**
 * The load generator: compiled at the start, run in a namespace on a processor of its own.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { Namespace } from "../../test/support/namespace.ts"
import { Failure } from "./failure.ts"

/** What a client tells; see `native/result.h`. */
export interface Told {
  readonly mode: Mode
  readonly seconds: number
  readonly operations: number
  readonly octets: number
  readonly lost: number
  /** Seconds that opening all connections took. */
  readonly opening: number
  /** Microseconds. */
  readonly p50: number
  readonly p99: number
  /** Seconds of its own processor time. */
  readonly processor: number
}

export type Mode = "send" | "receive" | "echo" | "rr" | "connect" | "udp" | "ping" | "hold"

/** As the command line of `load` takes them. */
export interface Work {
  readonly mode: Mode
  readonly connections?: number
  readonly outstanding?: number
  readonly size?: number
  /** Microseconds. */
  readonly interval?: number
}

const source = fileURLToPath(new URL("../native/load.cc", import.meta.url))

/** The path of the program, which is there until the scope closes. */
export const compile: Effect.Effect<string, Failure, Scope.Scope> = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "strata-bench-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const program = join(folder, "load")
  yield* Effect.tryPromise({
    try: () => promisify(execFile)("c++", ["-std=c++17", "-O2", "-o", program, source]),
    catch: (error) => {
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT"
      return new Failure(missing ? "it needs a C++ compiler (apt install g++)" : `load.cc: ${(error as Error).message}`)
    }
  })
  return program
})

/** The words behind the name of the program. */
export const wordsOf = ({ mode, ...options }: Work, host: string, seconds: number): ReadonlyArray<string> => [
  mode,
  ...Object.entries({ host, seconds, ...options }).flatMap(([name, value]) => [`--${name}`, String(value)])
]

/** Runs a client to its end. What it holds against its server is a failure. */
export const run = Effect.fnUntraced(function*(
  namespace: Namespace,
  command: ReadonlyArray<string>,
  seconds: number
): Effect.fn.Return<Told, Failure> {
  const { exitCode, stderr, stdout } = yield* namespace.execWith({ timeout: (seconds + 60) * 1000 }, ...command)
  if (exitCode !== 0) return yield* Effect.fail(new Failure(stderr.trim() || `the load ended with ${exitCode}`))
  const told: Told = JSON.parse(stdout)
  if (told.lost > 0) return yield* Effect.fail(new Failure(`${told.lost} of ${told.operations + told.lost} got lost`))
  return told
})
