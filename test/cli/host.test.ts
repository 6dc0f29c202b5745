/**
 * The stack that the options describe.
 */
import { assert, it } from "@effect/vitest"
import * as Host from "@strata/cli/Host"
import type { StackOptions } from "@strata/cli/Options"
import { Algorithms, Tcp } from "@strata/core"
import { Effect, Layer } from "effect"
import { inet } from "../support/tcpHosts.ts"

const algorithmOf = (congestion: StackOptions["congestion"]) =>
  Effect.gen(function*() {
    const tcp = yield* Tcp
    yield* tcp.listen({ port: 7 })
    return (yield* tcp.connect({ remote: inet("127.0.0.1", 7) })).controlBlock().algorithm.name
  }).pipe(
    Effect.scoped,
    Effect.provide(Host.layerOn(Layer.empty, { logLevel: "none", hexdump: false, congestion }), { local: true })
  )

it.live("controls congestion by CUBIC, or as --congestion says", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* algorithmOf(undefined), "cubic")
    for (const name of Algorithms.names) assert.strictEqual(yield* algorithmOf(name), name)
  }))
