import { describe, expect, it } from "@effect/vitest"
import type { Connection } from "@strata/core/tcp/Tcp"
import * as Distribution from "@strata/drivers/path/Distribution"
import * as Loss from "@strata/drivers/path/Loss"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { inet, LEFT, leftovers, NOTHING, pair, RIGHT, virtually } from "../../support/tcpHosts.ts"

/** Numbers in [0, 1) that are the same every time. */
const dice = (seed: number) => {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 0x1_0000_0000
  }
}

/** A program that knows neither manners nor protocol. */
const misbehave = (connection: Connection, next: () => number): Effect.Effect<void> => {
  const steps: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
    connection.write(new Uint8Array(Math.floor(next() * 100_000))),
    connection.write(new Uint8Array(Math.floor(next() * 100))),
    connection.read,
    connection.read,
    connection.closeWrite,
    connection.abort,
    connection.close,
    connection.closed,
    Effect.sleep(Math.floor(next() * 5000))
  ]
  const step = Effect.suspend(() => steps[Math.floor(next() * steps.length)]!).pipe(
    Effect.timeoutOption(Math.floor(next() * 2000)),
    Effect.ignore
  )
  return Effect.forEach(Array.from({ length: Math.floor(next() * 8) }), () => step, {
    discard: true,
    concurrency: next() < 0.5 ? 1 : 3
  })
}

const soak = (seed: number) =>
  virtually(Effect.gen(function*() {
    const next = dice(seed)
    const bad = {
      latency: Distribution.uniform(1, 60),
      loss: Loss.bernoulli(0.05),
      duplication: 0.02,
      corruption: 0.01
    }
    const hosts = yield* pair({ seed, left: { outbound: bad, inbound: bad } })
    const scope = yield* Scope.make()
    const settings = { retransmissions: 4, synRetransmissions: 2 }
    const listen = (host: typeof hosts.left) =>
      Effect.gen(function*() {
        const listener = yield* host.tcp.listen({ port: 7, backlog: 5, receiveBuffer: 20_000, settings })
        const handle = Effect.scoped(Effect.flatMap(listener.accept, (connection) => misbehave(connection, next)))
        yield* Effect.forkScoped(Effect.forEach(Array.from({ length: 500 }), () => handle, { concurrency: 10 }))
      })
    yield* Scope.provide(Effect.all([listen(hosts.left), listen(hosts.right)]), scope)

    const visit = (host: typeof hosts.left, address: string) =>
      host.tcp.connect({ remote: inet(address, 7), sendBuffer: 30_000, settings }).pipe(
        Effect.flatMap((connection) => misbehave(connection, next)),
        Effect.scoped,
        Effect.timeoutOption(Math.floor(next() * 20_000)),
        Effect.ignore
      )
    yield* Effect.forEach(
      Array.from({ length: 150 }),
      () => next() < 0.5 ? visit(hosts.left, RIGHT) : visit(hosts.right, LEFT),
      { concurrency: 20, discard: true }
    )
    yield* Scope.close(scope, Exit.void)
    yield* Effect.sleep("1 hour")
    for (const host of [hosts.left, hosts.right]) {
      expect(yield* leftovers(host)).toEqual(NOTHING)
      expect(yield* host.tcp.status).toEqual([])
      expect((yield* host.counters)["tcp.passiveOpens"]).toBeGreaterThan(10)
    }
  }))

describe("programs that do as they please", () => {
  for (let seed = 1; seed <= 12; seed++) {
    it(`leave nothing behind in the end (${seed})`, soak(seed), 60_000)
  }
})
