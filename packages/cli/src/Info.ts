/**
 * What `--info` tells on stderr when a command ends: its connections as `ss -ti` shows them, and what TCP counted as `nstat`
 * does.
 */
import { formatTcpInfo, Netstat, Statistics, type TcpInfo } from "@strata/core"
import * as Effect from "effect/Effect"

/** Tells at the end of the scope, before what was opened in it until now is closed. */
export const atEnd = Effect.fnUntraced(function*(connections: Effect.Effect<ReadonlyArray<TcpInfo>>) {
  const { snapshot } = yield* Statistics
  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      const lines = (yield* connections).map((info) => `${formatTcpInfo(info)}\n`)
      process.stderr.write(lines.join("") + Netstat.format(yield* snapshot))
    })
  )
})
