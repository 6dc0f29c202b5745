/**
 * A resolver on a simulated host, and name servers that answer by scripts.
 */
import { it } from "@effect/vitest"
import { Statistics } from "@strata/core"
import { Distribution, Loss } from "@strata/drivers"
import { type Host, Network, Simulation } from "@strata/simulation"
import { StrataDns } from "@strata/sockets"
import * as Effect from "effect/Effect"
import { Dns, NetAddress } from "effect/net"
import { a, type Asked, reply, type Script, serve } from "./nameServer.ts"

const LATENCY = 5
export const CLIENT = "10.128.0.1"
export const [FIRST, SECOND] = ["10.128.0.2", "10.128.0.3"] as const

export interface World {
  readonly client: Host
  readonly servers: ReadonlyArray<Host>
  /** What each server was asked. */
  readonly logs: ReadonlyArray<ReadonlyArray<Asked>>
  /** Of the client, as it is now. */
  readonly count: (name: string) => Effect.Effect<number>
}

interface Conditions {
  readonly seed?: number
  readonly loss?: number
}

/** A client on a switch with servers that answer by these scripts. */
export const world = Effect.fnUntraced(function*(scripts: ReadonlyArray<Script>, { loss = 0 }: Conditions = {}) {
  const network = yield* Network
  const client = yield* network.host("client")
  const logs = scripts.map((): Array<Asked> => [])
  const servers = yield* Effect.forEach(
    scripts,
    (script, index) => network.host(`ns${index}`, { boot: serve(script, logs[index]) })
  )
  yield* network.lan([client, ...servers], {
    conditions: { latency: Distribution.constant(LATENCY), loss: Loss.bernoulli(loss) }
  })
  const count = (name: string) =>
    Effect.map(
      Effect.orDie(client.run(Effect.flatMap(Statistics, ({ snapshot }) => snapshot))),
      (all) => all[name] ?? 0
    )
  return { client, servers, logs, count } satisfies World
})

export type Service = Dns.Dns["Service"]

/** Runs a program with a resolver on the client, in virtual time. */
export const test = (
  name: string,
  scripts: ReadonlyArray<Script>,
  options: StrataDns.Options,
  program: (dns: Service, world: World) => Effect.Effect<unknown, unknown>,
  conditions: Conditions = {}
) =>
  it.effect(name, () =>
    Simulation.run(
      Effect.gen(function*() {
        const made = yield* world(scripts, conditions)
        const body = Effect.flatMap(Dns.Dns, (dns) => program(dns, made))
        yield* made.client.run(
          Effect.provide(
            body,
            StrataDns.layerWith({ nameServers: [FIRST, SECOND].slice(0, scripts.length), ...options })
          )
        )
      }),
      { seed: conditions.seed ?? 1 }
    ))

export const formatted = (addresses: ReadonlyArray<NetAddress.IpAddress>) =>
  addresses.map((one) => NetAddress.formatIp(one))
export const A = (dns: Service, name: string) =>
  Effect.map(dns.resolve(name, "A"), (records) => formatted(records.map(({ address }) => address)))
export const reasonOf = <A>(effect: Effect.Effect<A, Dns.DnsError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

export const largeText = (dns: Service) =>
  Effect.map(dns.resolve("large.example", "TXT"), ([record]): ReadonlyArray<string> => record.chunks)

/** Answers any question for A. */
export const always =
  (address: string, ttl?: number): Script => (asked) => [reply(asked, { answers: [a(asked, address, ttl)] })]
export const late = (address: string, delay: number): Script => (asked) => [
  { ...reply(asked, { answers: [a(asked, address)] }), delay }
]
export const code = (rcode: number): Script => (asked) => [reply(asked, { rcode })]
export const silence: Script = () => []
/** The first questions get one treatment, those after them another. */
export const first = (times: number, before: Script, after: Script): Script => (asked, index) =>
  (index < times ? before : after)(asked, index)
