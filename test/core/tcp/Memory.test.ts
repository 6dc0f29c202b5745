/**
 * What a connection costs that nobody uses: there may be very many. The bound is twice what it is, and a connection that made
 * its Effects or its buffers in advance would be beyond it.
 */
import { expect, it } from "@effect/vitest"
import { NetworkStack, Tcp } from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import { Wire } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { inet } from "../../support/fakeIpv4.ts"

const CONNECTIONS = 1000
/** Octets at one end. */
const BOUND = 8192

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

const held = (): number => {
  collect()
  collect()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

it.live("an idle connection holds less than 8 KiB", () =>
  Effect.gen(function*() {
    const wire = Wire.make()
    const scope = yield* Effect.scope
    const host = (end: Wire.End, address: string) =>
      Effect.flatMap(
        Layer.makeMemoMap,
        (memo) =>
          Layer.buildWithMemoMap(Wire.layer(end, { address }).pipe(Layer.provideMerge(NetworkStack.layer)), memo, scope)
      )
    const server = Context.get(yield* host(wire.left, "192.0.2.1/24"), Tcp)
    const client = Context.get(yield* host(wire.right, "192.0.2.2/24"), Tcp)
    const listener = yield* server.listen({ port: 7 })
    const remote = inet("192.0.2.1:7")
    const kept: Array<Connection> = []
    const connect = Effect.gen(function*() {
      kept.push(yield* client.connect({ remote }))
      yield* listener.acceptWith((connection) => kept.push(connection))
    })
    yield* Effect.repeat(connect, { times: 99 })
    const before = held()
    yield* Effect.repeat(connect, { times: CONNECTIONS - 1 })
    const each = (held() - before) / (2 * CONNECTIONS)
    expect(kept.length).toBe(2 * (100 + CONNECTIONS))
    expect(each).toBeGreaterThan(1024)
    expect(each).toBeLessThan(BOUND)
  }).pipe(Effect.scoped))
