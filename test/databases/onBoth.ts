/**
 * Runs the cases on both sides: in a namespace from which the servers' is reached by a cable for the kernel's sockets, and by
 * the `tap0` of the servers' namespace for strata. The arguments are the name of that namespace, what the TAP does, as JSON, and,
 * if not all cases are to run, what those have in their names. Prints a line of JSON for each case.
 */
import { Tcp } from "@strata/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { redis as startRedis } from "../support/databases.ts"
import * as Namespace from "../support/namespace.ts"
import { postgres } from "./postgres.ts"
import { redis } from "./redis.ts"
import { Host, sides } from "./sides.ts"
import { type Case, Port, type Side, type Subject } from "./Subject.ts"

const [serverName, offload, only = ""] = process.argv.slice(2) as [string, string, string?]
const server = Namespace.named(serverName)

const rules = (resetting: ReadonlyArray<number>): string => `
table ip faults
delete table ip faults
table ip faults {
  chain input {
    type filter hook input priority 0
    tcp dport ${Port.dark} drop
    ${resetting.map((port) => `tcp dport ${port} tcp flags & psh == psh reject with tcp reset`).join("\n")}
  }
}
`

const setRules = (resetting: ReadonlyArray<number>): Promise<void> =>
  Effect.runPromise(
    Effect.flatMap(
      server.execWith({ input: rules(resetting) }, "nft", "-f", "-"),
      ({ exitCode, stderr }) => exitCode === 0 ? Effect.void : Effect.die(new Error(stderr))
    )
  )

const subject = (side: Side): Subject => ({
  ...side,
  reset: (port) => setRules([port]),
  heal: () => setRules([]),
  startRedis: () =>
    Effect.runPromise(Effect.gen(function*() {
      const scope = yield* Scope.make()
      const running = yield* Scope.provide(startRedis(server, Port.ownRedis), scope)
      return {
        stop: () => Effect.runPromise(Effect.andThen(running.kill("SIGKILL"), Scope.close(scope, Exit.void)))
      }
    }))
})

type Outcome = { readonly value: unknown } | { readonly failure: string }

/** What came of a case, within 20 seconds. */
const attempt = (one: Case, side: Subject): Effect.Effect<Outcome> =>
  Effect.tryPromise({ try: () => one.run(side), catch: (error) => error }).pipe(
    Effect.timeout("20 seconds"),
    Effect.map((value) => ({ value })),
    Effect.catchCause((cause) => Effect.succeed({ failure: Cause.pretty(cause) }))
  )

/** Waits until no connection is left but those that only wait for their time to be over. */
const untilClosed = Effect.fnUntraced(function*(tcp: Tcp["Service"]) {
  const open = Effect.map(tcp.status, (all) => all.filter(({ state }) => state !== "TIME-WAIT"))
  for (let tries = 0; tries < 100; tries++) {
    if ((yield* open).length === 0) return []
    yield* Effect.sleep("20 millis")
  }
  return (yield* open).map(({ state }) => state)
})

const runAll = Effect.gen(function*() {
  yield* Effect.promise(() => setRules([]))
  const { kernel, strata } = yield* sides
  const tcp = yield* Tcp
  for (const one of [...postgres, ...redis].filter(({ name }) => name.includes(only))) {
    const ofKernel = yield* attempt(one, subject(kernel))
    const ofStrata = yield* attempt(one, subject(strata))
    const left = yield* untilClosed(tcp)
    process.stdout.write(`${JSON.stringify({ name: one.name, kernel: ofKernel, strata: ofStrata, left })}\n`)
  }
})

await Effect.runPromise(Effect.scoped(Effect.provide(runAll, Host(server, JSON.parse(offload)))))
process.exit(0)
