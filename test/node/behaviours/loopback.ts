/**
 * The modules on a stack that talks to itself, of which nothing but open sockets keeps the process alive.
 */
import { NetworkStack } from "@strata/core"
import { Loopback } from "@strata/drivers"
import { makeDgram } from "@strata/sockets/node/Dgram"
import { makeNet } from "@strata/sockets/node/Net"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Dgram, Net } from "./world.ts"

export const modules = (): Promise<{ readonly net: Net; readonly dgram: Dgram }> => {
  const scope = Scope.makeUnsafe()
  const made = Effect.gen(function*() {
    const stack = yield* Layer.buildWithScope(Loopback.layer.pipe(Layer.provideMerge(NetworkStack.layer)), scope)
    return yield* Effect.all({ net: makeNet, dgram: makeDgram }).pipe(Effect.provide(stack), Scope.provide(scope))
  })
  return Effect.runPromise(made) as Promise<unknown> as Promise<{ readonly net: Net; readonly dgram: Dgram }>
}
