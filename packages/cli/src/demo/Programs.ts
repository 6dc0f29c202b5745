/**
 * The system's programs, run as children that end with the scope.
 */
import * as Effect from "effect/Effect"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"

/** A program that could not be run, or ended with a code other than 0; `detail` is what it said. */
export class ProgramFailed extends Schema.TaggedError<ProgramFailed>()("ProgramFailed", {
  command: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `\`${this.command}\` failed: ${this.detail}`
  }
}

/** The administrator's programs are often outside of a user's search path. */
const directories = (): ReadonlyArray<string> => [
  ...(process.env["PATH"] ?? "").split(delimiter),
  "/usr/sbin",
  "/sbin",
  "/usr/bin",
  "/bin"
]

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The path of a program, or undefined when it is not installed. */
export const find = (name: string): string | undefined =>
  directories().filter((directory) => directory !== "").map((directory) => join(directory, name)).find(isExecutable)

const toLines = (bytes: Stream.Stream<Uint8Array, unknown>) =>
  bytes.pipe(Stream.decodeText(), Stream.splitLines, Stream.catch(() => Stream.empty))

/** Runs a program to its end, passing on each line that it prints; fails unless it ends with code 0. */
export const run = Effect.fnUntraced(function*<E = never>(
  name: string,
  args: ReadonlyArray<string>,
  onLine: (line: string) => Effect.Effect<void, E> = () => Effect.void
): Effect.fn.Return<void, E | ProgramFailed, ChildProcessSpawner | Scope.Scope> {
  const command = [name, ...args].join(" ")
  const failed = (detail: string) => new ProgramFailed({ command, detail })
  const spawner = yield* ChildProcessSpawner
  const handle = yield* Effect.mapError(
    spawner.spawn(ChildProcess.make(find(name) ?? name, args, {
      stdin: "ignore",
      env: { LC_ALL: "C" },
      extendEnv: true,
      forceKillAfter: "2 seconds"
    })),
    (error) => failed(error.message)
  )
  const said: Array<string> = []
  yield* Effect.all([
    Stream.runForEach(toLines(handle.stdout), onLine),
    Stream.runForEach(toLines(handle.stderr), (line) => Effect.sync(() => said.push(line)))
  ], { concurrency: "unbounded", discard: true })
  const code = yield* Effect.mapError(handle.exitCode, (error) => failed(error.message))
  if (code !== 0) return yield* failed(said.join(" ") || `exit code ${code}`)
}, Effect.scoped)
