/**
 * A client and a server of iperf3 on two simulated hosts, and what each of them told.
 */
import * as Client from "@strata/cli/iperf3/Client"
import type { Event } from "@strata/cli/iperf3/Event"
import type { Parameters } from "@strata/cli/iperf3/Parameters"
import * as Report from "@strata/cli/iperf3/Report"
import * as Server from "@strata/cli/iperf3/Server"
import { Network, type WireLink, type WireOptions } from "@strata/simulation/Network"
import * as Simulation from "@strata/simulation/Simulation"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as NetAddress from "effect/net/NetAddress"

/** One second of TCP from the client to the server. */
export const second: Parameters = {
  protocol: "tcp",
  direction: "forward",
  time: 1,
  bytes: 0,
  blocks: 0,
  omit: 0,
  parallel: 1,
  length: 0,
  rate: 0,
  burst: 0,
  pacingTimer: 1,
  segmentSize: undefined,
  window: undefined,
  noDelay: false,
  congestion: undefined,
  getServerOutput: false,
  counters64: false,
  repeatingPayload: false,
  title: undefined,
  extraData: undefined
}

/** A wire of 10 Mbit/s with a round trip of 10 milliseconds. */
export const PATH: WireOptions = { bandwidth: 10e6, latency: { _tag: "Constant", value: 5 } }
export const PORT = 5201

export type Ended = Extract<Event, { readonly _tag: "Ended" }>
export type Interval = Extract<Event, { readonly _tag: "Interval" }>

export const intervals = (events: ReadonlyArray<Event>) => events.filter((event) => event._tag === "Interval")
export const failures = (events: ReadonlyArray<Event>) =>
  events.flatMap((event) => event._tag === "Failed" ? [event.message] : [])

/** The only end that was told of. */
export const endOf = (events: ReadonlyArray<Event>): Ended => {
  const ends = events.filter((event) => event._tag === "Ended")
  if (ends.length !== 1) throw new Error(`${ends.length} ends were told of`)
  return ends[0]!
}

export interface Pair {
  /** What the server has told so far. */
  readonly served: ReadonlyArray<Event>
  /** One test, and what the client told. */
  readonly measure: (
    changes: Partial<Parameters>,
    interval?: number
  ) => Effect.Effect<{ readonly told: ReadonlyArray<Event>; readonly exit: Exit.Exit<void, unknown> }>
  readonly remote: NetAddress.InetAddressV4
  /** Runs a program on the client's host, or on the server's. */
  readonly onClient: <A, E>(program: Effect.Effect<A, E, Client.Services>) => Effect.Effect<A, unknown>
  readonly link: WireLink
}

/** Runs a test with a server that serves on a host of its own. */
export const withServer = <A>(
  program: (pair: Pair) => Effect.Effect<A, unknown>,
  options: { readonly path?: WireOptions; readonly interval?: number; readonly seed?: number } = {}
): Effect.Effect<A, unknown> =>
  Simulation.run(
    Effect.gen(function*() {
      const network = yield* Network
      const client = yield* network.host("client")
      const server = yield* network.host("server")
      const link = yield* network.wire(client, server, options.path ?? PATH)
      const served: Array<Event> = []
      yield* server.fork(Server.serve({
        port: PORT,
        oneOff: false,
        interval: options.interval ?? 1,
        emit: (event) => Effect.sync(() => void served.push(event)),
        output: (events) => ({ text: Report.text(events) })
      }))
      const remote = NetAddress.inetAddressUnsafe(link.addresses[1], PORT) as NetAddress.InetAddressV4
      const measure: Pair["measure"] = Effect.fnUntraced(function*(changes, interval = 1) {
        const told: Array<Event> = []
        const exit = yield* Effect.exit(client.run(Client.run({
          remote,
          parameters: { ...second, ...changes },
          interval,
          emit: (event) => Effect.sync(() => void told.push(event))
        })))
        // The server still has to hear the last word.
        yield* Effect.sleep(100)
        return { told, exit }
      })
      return yield* program({ served, measure, remote, onClient: (effect) => client.run(effect), link })
    }),
    { seed: options.seed ?? 1 }
  )
