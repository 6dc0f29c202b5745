/**
 * How a command ends the process.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import { debuglog } from "node:util"

/** Ends the process with that code and no further word. */
export class ExitCode extends Schema.TaggedError<ExitCode>()("ExitCode", { code: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = this.code
  override readonly [Runtime.errorReported] = false
}

/** A sentence for the user, who can do something about it. */
export class Failure extends Schema.TaggedError<Failure>()("Failure", { message: Schema.String }) {}

const debug = debuglog("strata")

const describe = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  const text = error instanceof Error ? error.message : String(error)
  return Cause.hasDies(cause) ? `internal error: ${text} (run with NODE_DEBUG=strata for details)` : text
}

/**
 * The exit code, and the one line for stderr where there is one. An interruption is a signal to stop: the host closed in
 * order, which is success. A reader of stdout that went away had what it wanted.
 */
export const summarize = (
  exit: Exit.Exit<unknown, unknown>
): { readonly code: number; readonly line?: string | undefined } => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return { code: 0 }
  debug("%s", Cause.pretty(exit.cause))
  const error = Cause.squash(exit.cause)
  const tag = typeof error === "object" && error !== null && "_tag" in error ? error._tag : undefined
  if (tag === "OutputClosed" && (error as { readonly code: unknown }).code === "EPIPE") return { code: 0 }
  const code = Runtime.getErrorExitCode(error)
  if (tag === "ShowHelp" || !Runtime.getErrorReported(error)) return { code }
  return { code, line: `strata: ${describe(exit.cause).replaceAll(/\s+/g, " ")}` }
}
