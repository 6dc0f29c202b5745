/**
 * Private network namespaces of Linux, and programs run inside them.
 *
 * Everything a test makes here is gone when its scope closes: processes are
 * killed with all their children, then the namespace is deleted. Time limits
 * are of the real clock, also under `TestClock`.
 */
import { describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn as spawnProcess, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { isMissing } from "./tools.ts"
import { watching } from "./watching.ts"

/** How a program ended, and what it printed. */
export interface Result {
  /** As a shell counts: 128 + the signal's number when it was killed, 124 when its time was up. */
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
  /** What `stdout` was decoded from. */
  readonly bytes: Uint8Array
}

export interface ExecOptions {
  /** Milliseconds until the program is killed; 20,000 by default. */
  readonly timeout?: number
  /** What it reads from its standard input; nothing by default. */
  readonly input?: string | Uint8Array
}

/** A program that runs beside the test. */
export interface Running {
  readonly pid: number
  /** What it has printed so far. */
  readonly stdout: () => string
  readonly stderr: () => string
  readonly bytes: () => Uint8Array
  readonly write: (data: string | Uint8Array) => Effect.Effect<void>
  readonly endInput: Effect.Effect<void>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Waits for the end of the program. */
  readonly result: Effect.Effect<Result>
  /** Waits until standard output and standard error together match; fails the test when the program ends before. */
  readonly prints: (pattern: RegExp) => Effect.Effect<void>
}

export interface Namespace {
  readonly name: string
  /** What `namespace` options take. */
  readonly path: string
  /** Runs a program to its end. */
  readonly exec: (...command: ReadonlyArray<string>) => Effect.Effect<Result>
  readonly execWith: (options: ExecOptions, ...command: ReadonlyArray<string>) => Effect.Effect<Result>
  /** Runs a program that must succeed; anything but exit code 0 fails the test with what it printed. */
  readonly succeed: (...command: ReadonlyArray<string>) => Effect.Effect<Result>
  /** Starts a program that is killed when the scope closes, if it still runs. */
  readonly spawn: (...command: ReadonlyArray<string>) => Effect.Effect<Running, never, Scope.Scope>
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGPIPE: 13, SIGTERM: 15 }

interface Started extends Running {
  readonly stop: (signal: NodeJS.Signals) => void
}

const start = (command: ReadonlyArray<string>): Started => {
  // A process group of its own, so that the children of a shell die with it.
  const child: ChildProcess = spawnProcess(command[0]!, command.slice(1), { detached: true, stdio: "pipe" })
  const out: Array<Buffer> = []
  const err: Array<Buffer> = []
  const watchers = new Set<() => void>()
  let exitCode: number | undefined
  const changed = () => {
    for (const watcher of watchers) watcher()
  }
  child.stdout!.on("data", (chunk: Buffer) => {
    out.push(chunk)
    changed()
  })
  child.stderr!.on("data", (chunk: Buffer) => {
    err.push(chunk)
    changed()
  })
  // The program may be gone before it has read everything.
  child.stdin!.on("error", () => {})
  child.on("error", (error) => {
    err.push(Buffer.from(String(error)))
    exitCode = 127
    changed()
  })
  child.on("close", (code, signal) => {
    exitCode ??= code ?? 128 + (SIGNAL_NUMBERS[signal ?? ""] ?? 0)
    changed()
  })

  const stop = (signal: NodeJS.Signals) => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    try {
      process.kill(-child.pid, signal)
    } catch {
      // It ended by itself in the meantime.
    }
  }
  const stdout = () => Buffer.concat(out).toString()
  const stderr = () => Buffer.concat(err).toString()
  const until = watching(watchers)
  return {
    pid: child.pid ?? 0,
    stdout,
    stderr,
    bytes: () => Buffer.concat(out),
    write: (data) => Effect.sync(() => void child.stdin!.write(data)),
    endInput: Effect.sync(() => void child.stdin!.end()),
    kill: (signal) => Effect.sync(() => stop(signal)),
    stop,
    result: until(() =>
      exitCode === undefined ? undefined : { exitCode, stdout: stdout(), stderr: stderr(), bytes: Buffer.concat(out) }
    ),
    prints: (pattern) =>
      Effect.flatMap(
        until(() => pattern.test(stdout() + stderr()) ? true : exitCode === undefined ? undefined : false),
        (matched) =>
          matched
            ? Effect.void
            : Effect.die(
              new Error(
                `${command.join(" ")} ended with ${exitCode} before it printed ${pattern}: ${stdout()}${stderr()}`
              )
            )
      )
  }
}

const run = (options: ExecOptions, command: ReadonlyArray<string>): Effect.Effect<Result> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const program = start(command)
      const state = { program, late: false, timer: undefined as NodeJS.Timeout | undefined }
      state.timer = setTimeout(() => {
        state.late = true
        program.stop("SIGKILL")
      }, options.timeout ?? 20_000)
      return state
    }),
    (state) =>
      (options.input === undefined ? Effect.void : state.program.write(options.input)).pipe(
        Effect.andThen(state.program.endInput),
        Effect.andThen(state.program.result),
        Effect.map((result) => state.late ? { ...result, exitCode: 124 } : result)
      ),
    (state) =>
      Effect.sync(() => {
        clearTimeout(state.timer)
        state.program.stop("SIGKILL")
      })
  )

const succeed = (command: ReadonlyArray<string>): Effect.Effect<Result> =>
  Effect.flatMap(run({}, command), (result) =>
    result.exitCode === 0
      ? Effect.succeed(result)
      : Effect.die(
        new Error(`${command.join(" ")} ended with ${result.exitCode}: ${result.stdout}${result.stderr}`)
      ))

/** Runs a program in the machine's own namespace; it must succeed. */
export const system = (...command: ReadonlyArray<string>): Effect.Effect<Result> => succeed(command)

// A test run that is cut short leaves no namespaces behind.
const alive = new Set<string>()
process.once("exit", () => {
  for (const name of alive) spawnSync("ip", ["netns", "del", name])
})

/** Somebody else's namespace, which stays when the scope closes. */
export const named = (name: string): Namespace => {
  const inside = (command: ReadonlyArray<string>) => ["ip", "netns", "exec", name, ...command]
  return {
    name,
    path: `/var/run/netns/${name}`,
    exec: (...command) => run({}, inside(command)),
    execWith: (options, ...command) => run(options, inside(command)),
    succeed: (...command) => succeed(inside(command)),
    spawn: (...command) =>
      Effect.acquireRelease(
        Effect.sync(() => start(inside(command))),
        (program) =>
          Effect.suspend(() => {
            program.stop("SIGKILL")
            return Effect.asVoid(program.result)
          })
      )
  }
}

/** A namespace of its own with the loopback interface up, deleted when the scope closes. */
export const make: Effect.Effect<Namespace, never, Scope.Scope> = Effect.gen(function*() {
  const name = yield* Effect.acquireRelease(
    Effect.gen(function*() {
      const fresh = `strata-${process.pid}-${randomBytes(4).toString("hex")}`
      alive.add(fresh)
      yield* system("ip", "netns", "add", fresh)
      return fresh
    }),
    (made) =>
      Effect.andThen(
        run({}, ["ip", "netns", "del", made]),
        Effect.sync(() => alive.delete(made))
      )
  )
  const namespace = named(name)
  yield* namespace.succeed("ip", "link", "set", "lo", "up")
  return namespace
})

/** Connects two namespaces (or one with itself) by a pair of virtual Ethernet interfaces, both up. */
export const veth = Effect.fnUntraced(function*(
  left: { readonly namespace: Namespace; readonly name: string },
  right: { readonly namespace: Namespace; readonly name: string }
) {
  yield* left.namespace.succeed(
    "ip",
    "link",
    "add",
    left.name,
    "type",
    "veth",
    "peer",
    "name",
    right.name,
    "netns",
    right.namespace.name
  )
  yield* left.namespace.succeed("ip", "link", "set", left.name, "up")
  yield* right.namespace.succeed("ip", "link", "set", right.name, "up")
})

/** Why tests against Linux cannot run here, or undefined when they can. */
export const obstacle: string | undefined = (() => {
  if (process.platform !== "linux") return `they need Linux, and this is ${process.platform}`
  if (!existsSync("/dev/net/tun")) return "/dev/net/tun is missing"
  if (!existsSync(new URL("../../build/Release/strata.node", import.meta.url))) {
    return "the native drivers are not built (npm rebuild)"
  }
  const probe = `strata-probe-${process.pid}`
  const added = spawnSync("ip", ["netns", "add", probe], { encoding: "utf8" })
  if (added.error !== undefined) return `the command ip is missing: ${added.error.message}`
  if (added.status !== 0) return `network namespaces cannot be made: ${added.stderr.trim()}`
  const used = spawnSync("ip", ["netns", "exec", probe, "ip", "tuntap", "add", "mode", "tap", "name", "tap0"], {
    encoding: "utf8"
  })
  spawnSync("ip", ["netns", "del", probe])
  return used.status === 0 ? undefined : `TAP interfaces cannot be made: ${used.stderr.trim()}`
})()

/** Milliseconds that a test against Linux may take, on a slow and busy machine too. */
const TIMEOUT = 60_000

const obstacleTo = (programs: ReadonlyArray<string>): string | undefined => {
  const missing = programs.filter(isMissing)
  return obstacle ?? (missing.length === 0 ? undefined : `there is no ${missing.join(", no ")}`)
}

/**
 * `describe` for tests against Linux, which need `programs` of the system besides `ip`. Where they cannot run they are
 * skipped and the reason is part of their name; when `CI` is set, which promises an environment that can, they fail
 * instead.
 */
export const describeLinux: {
  (name: string, tests: () => void): void
  (name: string, programs: ReadonlyArray<string>, tests: () => void): void
} = (name: string, ...rest: [() => void] | [ReadonlyArray<string>, () => void]): void => {
  const [programs, tests] = rest.length === 1 ? [[], rest[0]] : rest
  const reason = obstacleTo(programs)
  const promised = process.env.CI !== undefined && process.env.CI !== ""
  if (reason === undefined) {
    describe(name, { timeout: TIMEOUT }, tests)
  } else if (promised) {
    describe(name, () => {
      it("can run here", () => {
        throw new Error(`tests against Linux cannot run: ${reason}`)
      })
    })
  } else {
    process.stderr.write(`${name}: not run, since ${reason}\n`)
    describe.skipIf(true)(`${name} (not run: ${reason})`, tests)
  }
}
