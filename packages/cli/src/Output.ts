/**
 * Results go to stdout, and only results.
 *
 * Writing waits for a slow reader without holding up the stack, which a
 * synchronous write to a full pipe would do. A reader that went away ends the
 * program quietly.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { write as writeFile } from "node:fs"

/** Nobody reads stdout any more (EPIPE), or it cannot be written to. */
export class OutputClosed extends Schema.TaggedError<OutputClosed>()("OutputClosed", { code: Schema.String }) {
  override get message() {
    return `cannot write to stdout: ${this.code}`
  }
}

const STDOUT = 1
const RETRY_MILLISECONDS = 5

/** Writes all of `bytes`. Writes must follow one another. */
export const write = (bytes: Uint8Array): Effect.Effect<void, OutputClosed> =>
  Effect.callback<void, OutputClosed>((resume) => {
    const next = (at: number): void => {
      if (at === bytes.length) return resume(Effect.void)
      writeFile(STDOUT, bytes, at, bytes.length - at, null, (error, written) => {
        if (error === null) return next(at + written)
        // A descriptor that another process made non-blocking is shared with us.
        if (error.code === "EAGAIN") return void setTimeout(next, RETRY_MILLISECONDS, at)
        resume(Effect.fail(new OutputClosed({ code: error.code ?? error.message })))
      })
    }
    next(0)
  })

export const line = (text: string): Effect.Effect<void, OutputClosed> => write(Buffer.from(`${text}\n`))
