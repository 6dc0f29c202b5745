/**
 * The contract between strata and the kernel, over a TAP: runs inside of a network namespace, where `tap0` is up with
 * 192.0.2.1, and prints a line of JSON for each case. The arguments say who is the client and who the server, and what the
 * TAP does, as JSON.
 */
import { NetworkStack } from "@strata/core"
import { Loopback, Tap } from "@strata/drivers"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { datagrams } from "./datagrams.ts"
import { Ends } from "./Ends.ts"
import * as Kernel from "./kernel.ts"
import * as Strata from "./strata.ts"
import { streams } from "./streams.ts"

const KERNEL = "192.0.2.1"
const STACK = "192.0.2.2"

const [client, server, offload] = process.argv.slice(2) as [string, string, string]

const device = Tap.layer({ name: "tap0", address: `${STACK}/24`, offload: JSON.parse(offload) })

const Host = Layer.mergeAll(Loopback.layer, device).pipe(Layer.provideMerge(NetworkStack.layer))

const runAll = Effect.gen(function*() {
  const sides = { kernel: Kernel.side(KERNEL), strata: yield* Strata.side(STACK) }
  const ends = Ends.of({
    client: sides[client as keyof typeof sides],
    server: sides[server as keyof typeof sides],
    blackHole: "192.0.2.77",
    unroutable: "198.51.100.1",
    broadcast: "192.0.2.255"
  })
  for (const { name, program } of [...streams, ...datagrams]) {
    const exit = yield* program.pipe(
      Effect.provideService(Ends, ends),
      Effect.scoped,
      Effect.timeout("15 seconds"),
      Effect.exit
    )
    const failure = Exit.isSuccess(exit) ? undefined : Cause.pretty(exit.cause)
    process.stdout.write(`${JSON.stringify({ name, failure })}\n`)
  }
})

await Effect.runPromise(Effect.provide(runAll, Host))
process.exit(0)
