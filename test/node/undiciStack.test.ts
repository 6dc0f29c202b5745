/**
 * What undici hears of a stack that it does not hear of the kernel: silence that a test can have, and the end of the stack.
 */
import { assert, it } from "@effect/vitest"
import type { ConnectCallback } from "@strata/sockets/node/Undici"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { LookupAddress, LookupOptions } from "node:dns"
import * as Undici from "undici"
import { between, nodeHosts, RIGHT } from "../support/nodeHosts.ts"

/** Nobody has it, so that nothing answers for as long as the neighbour is asked for. */
const SILENT = "192.0.2.77"

type Connect = (options: { protocol: string; hostname: string; port: string }, done: ConnectCallback) => void

const failureOf = (connect: Connect, hostname: string): Promise<NodeJS.ErrnoException> =>
  new Promise((resolve, reject) =>
    connect({ protocol: "http:", hostname, port: "80" }, (...[error]) => error === null ? reject() : resolve(error))
  )

const several = (_: string, __: LookupOptions, done: (error: null, found: Array<LookupAddress>) => void) =>
  done(null, [SILENT, RIGHT].map((address) => ({ address, family: 4 })))

it(
  "undici is told of a timeout when one of several addresses does not answer",
  between(async ({ left }) => {
    const connect = left.node.undici.buildConnector(
      { lookup: several, autoSelectFamilyAttemptTimeout: 20 } as Parameters<typeof left.node.undici.buildConnector>[0]
    )
    const error = await failureOf(connect, "server")
    assert.instanceOf(error, Undici.errors.ConnectTimeoutError)
    assert.strictEqual(
      error.message,
      `Connect Timeout Error (attempted addresses: ${SILENT}:80, ${RIGHT}:80, timeout: 10000ms)`
    )
    const { cause } = error as { readonly cause?: AggregateError }
    assert.deepStrictEqual(cause?.errors.map(({ code }) => code), ["ETIMEDOUT", "ECONNREFUSED"])
  })
)

it("undici is told when the stack goes while a connection is opened", async () => {
  const scope = Scope.makeUnsafe()
  const { left } = await Effect.runPromise(Scope.provide(nodeHosts(), scope))
  const failure = failureOf(left.node.undici.connect, SILENT)
  await Effect.runPromise(Scope.close(scope, Exit.void))
  assert.strictEqual((await failure).code, "ERR_SOCKET_CLOSED_BEFORE_CONNECTION")
})
