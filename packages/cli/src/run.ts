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
import { presenter } from "./Presenter.ts"
import { strata } from "./strata.ts"

const version = (): string => JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version

/** Our own `--log-level` takes the place of the built-in one; the wizard has nothing to ask. */
const Platform = Layer.mergeAll(
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }),
  CliOutput.layerPresenter(presenter),
  NodeServices.layer
)

/** SIGINT and SIGTERM interrupt the command, which closes what it opened; a second one does not wait for that. */
const forceOnSecondSignal = () => {
  let signals = 0
  const onSignal = () => {
    if (++signals > 1) process.exit(130)
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
}

/**
 * `npx` runs a program by a shell, and a signal that is sent to `npx` alone ends that shell and leaves the program. Then
 * the program ends too.
 */
const endWithNpx = () => {
  const parent = process.ppid
  if (process.env["npm_command"] !== "exec" || parent === 1) return
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    process.kill(process.pid, "SIGTERM")
  }, 200)
  watch.unref()
}

export const run = (args: ReadonlyArray<string>): void => {
  forceOnSecondSignal()
  endWithNpx()
  // Whoever stopped reading stderr does not want to hear about it either.
  process.stderr.on("error", () => {})
  process.stdout.on("error", () => {})
  Command.runWith(strata, { version: version() })(args).pipe(
    Effect.provide(Platform),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      teardown: (exit) => {
        const { code, line } = summarize(exit)
        if (line !== undefined) writeSync(2, `${line}\n`)
        // An open stdin would keep the process. A command that was interrupted may have left a code of its own.
        if (code !== 0) process.exitCode = code
        process.exit()
      }
    })
  )
}
