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

/** Two stacks on a wire: a listener of one of them, and how the other connects to it. */
const pair = Effect.gen(function*() {
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
  return { listener, connect: client.connect({ remote: inet("192.0.2.1:7") }) }
})

it.live("an idle connection holds less than 8 KiB", () =>
  Effect.gen(function*() {
    const { connect: open, listener } = yield* pair
    const kept: Array<Connection> = []
    const connect = Effect.gen(function*() {
      kept.push(yield* open)
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

it.live("what has read to the end does not keep the connection", () =>
  Effect.gen(function*() {
    const { connect, listener } = yield* pair
    const open = Effect.gen(function*() {
      const opened = yield* connect
      const accepted = yield* listener.acceptWith((connection) => connection)
      yield* opened.closeWrite
      const { read } = accepted
      expect(yield* Effect.flip(read)).toMatchObject({ _tag: "Done" })
      yield* accepted.close
      yield* accepted.closed
      // Of all that a program sees of a connection, this is no copy.
      return { read, endpoints: new WeakRef(accepted.controlBlock().endpoints) }
    })
    const all = yield* Effect.replicateEffect(Effect.scoped(open), 200)
    yield* Effect.sleep(1)
    held()
    // Timers that were cleared are swept out now and then.
    expect(all.filter(({ endpoints }) => endpoints.deref() === undefined).length).toBeGreaterThan(50)
    for (const { read } of all) expect(yield* Effect.flip(read)).toMatchObject({ _tag: "Done" })
  }).pipe(Effect.scoped))
