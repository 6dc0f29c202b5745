/**
 * Runs a command line as the process.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFileSync, writeSync } from "node:fs"
import { summarize } from "./Exit.ts"
import * as Presenter from "./Presenter.ts"
import * as ShortOptions from "./ShortOptions.ts"
import { strata } from "./strata.ts"

const version = (): string => JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version

/** The command line as an Effect; `complain` is told what is wrong with it, in one line. */
export const program = (args: ReadonlyArray<string>, complain: (line: string) => void) =>
  Command.runWith(strata, { version: version() })(ShortOptions.expand(args)).pipe(
    Effect.provide(Layer.mergeAll(
      // Our own `--log-level` takes the place of the built-in one; the wizard has nothing to ask.
      CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }),
      CliOutput.layerPresenter(Presenter.make(complain)),
      NodeServices.layer
    ))
  )

/** Who does not read stderr any more does not want to hear about it either. */
const complainOnStderr = (line: string): void => {
  try {
    writeSync(2, `${line}\n`)
  } catch {
    // There is nobody left to tell.
  }
}

const PARENT_CHECK_INTERVAL = 200

/** Signals nearer to each other than this, in milliseconds, are one: to a group of processes, one of which passed it on. */
const SAME_SIGNAL = 200

/**
 * SIGINT and SIGTERM interrupt the command, which closes what it opened; a second one does not wait for that.
 *
 * `npx` runs a program by a shell, and a signal that is sent to `npx` alone ends that shell and leaves the program: when the
 * shell is gone, the program ends as if the signal had been for it. So it does when the launcher is killed.
 */
const watchSignals = () => {
  let stopping: number | undefined
  const onSignal = () => {
    stopping ??= performance.now()
    if (performance.now() - stopping > SAME_SIGNAL) process.exit(130)
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  const parent = process.ppid
  const started = process.env["npm_command"] === "exec" || process.env["STRATA_LAUNCHED"] !== undefined
  if (!started || parent === 1) return
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    if (stopping === undefined) process.kill(process.pid, "SIGTERM")
  }, PARENT_CHECK_INTERVAL)
  watch.unref()
}

export const run = (args: ReadonlyArray<string>): void => {
  watchSignals()
  process.stderr.on("error", () => {})
  process.stdout.on("error", () => {})
  NodeRuntime.runMain(program(args, complainOnStderr), {
    disableErrorReporting: true,
    teardown: (exit) => {
      const { code, line } = summarize(exit)
      if (line !== undefined) complainOnStderr(line)
      // An open stdin would keep the process. A command that was interrupted may have left a code of its own.
      if (code !== 0) process.exitCode = code
      process.exit()
    }
  })
}
