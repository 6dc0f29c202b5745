/**
 * What `effect/cli` has to tell: help in full on stdout, bad input as one line
 * on stderr.
 */
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"

const sentence = (error: CliError.NonShowHelpErrors): string => {
  if (error._tag !== "InvalidValue") return error.message.replaceAll(/\s+/g, " ")
  const name = error.kind === "flag" ? `--${error.option}` : error.option
  return error.value === ""
    ? `${name} needs a value`
    : `${name} ${error.value}: not ${error.expected.replace(/^Expected:? /, "")}`
}

export const make = (complain: (line: string) => void): CliOutput.Presenter => ({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.sync(() => {
        const first = event.errors[0]
        const help = `${event.commandPath.join(" ")} --help`
        if (first !== undefined) complain(`strata: ${sentence(first)} (see ${help})`)
      })
      : CliOutput.defaultPresenter.present(event)
})
