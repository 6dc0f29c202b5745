/**
 * The log: what the trace tells, as lines for whoever runs the host.
 *
 * At level `debug` it shows each packet and each event; otherwise only devices,
 * addresses, routes, service ports and warnings, and then it asks nobody to
 * trace packets.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Trace } from "../Trace.ts"
import { formatEvent, type FormatOptions, type Level, levelOf, levels } from "./FormatEvent.ts"

export { formatEvent, type FormatOptions, type Level, levelOf, levels } from "./FormatEvent.ts"

/** What is logged, and where to. */
export interface LogOptions extends FormatOptions {
  /** The least important events to be shown; `info` by default. */
  readonly level?: Level | undefined
  /** Takes one event: a line or more, without a line feed at the end. */
  readonly write: (text: string) => void
}

/** Writes what is told from now on, until the result is called. */
export const listen = (trace: Trace["Service"], options: LogOptions): () => void => {
  const least = levels.indexOf(options.level ?? "info")
  return trace.listen((event) => {
    if (levels.indexOf(levelOf(event.detail)) <= least) options.write(formatEvent(event, options))
  }, least === levels.indexOf("debug") ? "packets" : "rare")
}

/** The same for as long as the Layer lives; to be built before what it is to tell about. */
export const layer = (options: LogOptions): Layer.Layer<never, never, Trace> =>
  Layer.effectDiscard(
    Effect.flatMap(Trace, (trace) =>
      Effect.acquireRelease(Effect.sync(() => listen(trace, options)), (stop) => Effect.sync(stop)))
  )
