/**
 * The resolver in a network that loses packets.
 */
import { assert, describe, it } from "@effect/vitest"
import { Simulation } from "@strata/simulation"
import { StrataDns } from "@strata/sockets"
import { Effect } from "effect"
import { Dns } from "effect/net"
import { zone } from "../../support/nameServer.ts"
import { A, FIRST, largeText, SECOND, test, world } from "../../support/resolving.ts"

describe("through losses", () => {
  const NAMES = 40
  const strings = Array.from({ length: 40 }, (_, index) => `${index}:`.padEnd(200, "x"))
  const records = zone([
    { name: "large.example", type: "TXT", ttl: 60, data: strings },
    ...Array.from({ length: NAMES }, (_, index) => ({
      name: `h${index}.example`,
      type: "A" as const,
      ttl: 60,
      data: `192.0.2.${index}`
    }))
  ])
  const all = Array.from({ length: NAMES }, (_, index) => index)

  for (const loss of [0.05, 0.3]) {
    for (const seed of [1, 2, 3, 4, 5]) {
      test(`of ${loss * 100} % names are resolved, and large answers over TCP, seed ${seed}`, [records, records], {
        tries: 7
      }, (
        dns,
        { count, logs }
      ) =>
        Effect.gen(function*() {
          const found = yield* Effect.forEach(all, (index) => A(dns, `h${index}.example`), { concurrency: "unbounded" })
          assert.deepStrictEqual(found, all.map((index) => [`192.0.2.${index}`]))
          assert.deepStrictEqual(yield* largeText(dns), strings)
          assert.isAbove(yield* count("dns.timeouts"), 0)
          assert.isAbove(logs[1]!.length, 0)
        }), { loss, seed })
    }
  }

  /** What the first server is asked, in order. */
  const course = (seed: number) =>
    Simulation.run(
      Effect.gen(function*() {
        const { client, logs } = yield* world([records, records], { loss: 0.3 })
        const ask = Effect.flatMap(Dns.Dns, (dns) => Effect.forEach(all, (index) => A(dns, `h${index}.example`)))
        yield* client.run(Effect.provide(ask, StrataDns.layerWith({ nameServers: [FIRST, SECOND], tries: 7 })))
        return logs[0]!.map(({ id, name, source }) => `${name} ${id} ${source.port}`)
      }),
      { seed }
    )

  it.effect("the same seed does the same", () =>
    Effect.gen(function*() {
      const once = yield* course(3)
      assert.deepStrictEqual(yield* course(3), once)
      assert.notDeepEqual(yield* course(4), once)
    }))
})
