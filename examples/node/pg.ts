/**
 * Asks PostgreSQL by `pg`: bring `tap0` up with 192.0.2.1/24, let a server listen there, and set PGUSER and PGPASSWORD.
 */
import { NodeRuntime } from "@effect/platform-node"
import { NetworkStack } from "@strata/core"
import { Tap } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import { Console, Effect, Layer } from "effect"
import { Pool } from "pg"

const Host = Tap.layer({ name: "tap0", address: "192.0.2.2/24" }).pipe(Layer.provideMerge(NetworkStack.layer))

const program = Effect.gen(function*() {
  const { net } = yield* StrataNode.StrataNode
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => new Pool({ host: "192.0.2.1", database: "postgres", stream: () => new net.Socket() })),
    (open) => Effect.promise(() => open.end())
  )
  const { rows } = yield* Effect.promise(() =>
    pool.query("select inet_client_addr()::text as me, sum(n)::int from generate_series(1, $1) n", [100])
  )
  yield* Console.log(rows[0])
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(StrataNode.layer.pipe(Layer.provide(Host)))))
