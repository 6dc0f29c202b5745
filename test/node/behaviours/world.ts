/**
 * Where a row of the table is played: a client and a server, each with `node:net` and `node:dgram` and a log of its own. Once both
 * are Node itself over loopback, and once two hosts of strata on a simulated wire in real time.
 *
 * A log holds what a side has seen, in its order. Addresses and ports that differ from run to run have names in it.
 */
import { Network } from "@strata/simulation"
import { makeDgram, type StrataDgram } from "@strata/sockets/node/Dgram"
import { makeNet } from "@strata/sockets/node/Net"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as dgram from "node:dgram"
import { EventEmitter } from "node:events"
import * as net from "node:net"

export type Net = typeof net
export type Dgram = Pick<typeof dgram, "createSocket">

export interface Side {
  readonly net: Net
  readonly dgram: Dgram
  readonly address: string
  readonly log: (...words: ReadonlyArray<unknown>) => void
}

export interface Logs {
  readonly client: ReadonlyArray<string>
  readonly server: ReadonlyArray<string>
}

export interface World {
  readonly place: Place
  readonly client: Side
  readonly server: Side
  /** Of a host on which nobody listens. */
  readonly elsewhere: string
  /** Ports that a log calls `port`. */
  readonly ports: Set<number>
  /** Closed, one way or the other, when the row is over. */
  readonly track: <A extends Closable>(closable: A) => A
}

/** What has said that it is closed. */
const gone = new WeakSet<EventEmitter>()

/** Whether something that is tracked has said that it is closed: a socket knows it sooner. */
export const isGone = (closable: EventEmitter): boolean => gone.has(closable)

interface Closable {
  readonly destroy?: () => unknown
  readonly close?: () => unknown
}

interface Hosts {
  /** Nothing that is sent arrives any more. */
  readonly silence: () => Promise<void>
  readonly elsewhere: string
  readonly client: Omit<Side, "log">
  readonly server: Omit<Side, "log">
  /** Fails where the network of the hosts has seen an invariant violated. */
  readonly close: () => Promise<void>
}

const LOOPBACK = "127.0.0.1"

const node = async (): Promise<Hosts> => {
  const side = { net, dgram, address: LOOPBACK }
  return { client: side, server: side, elsewhere: "127.0.0.2", silence: async () => {}, close: async () => {} }
}

/** The modules of one host, for as long as the host runs. */
const modules = Effect.gen(function*() {
  // What programs are written for; `StrataNet` has the same, in its own types.
  return { dgram: (yield* makeDgram) as StrataDgram & Dgram, net: (yield* makeNet) as unknown as Net }
})

const strata = async (): Promise<Hosts> => {
  const scope = Scope.makeUnsafe()
  const violations: Array<Error> = []
  const onViolation = (violation: Error) => void violations.push(violation)
  const hosts = Effect.gen(function*() {
    const network = yield* Network
    const client = yield* network.host("client")
    const server = yield* network.host("server")
    const { addresses, partition } = yield* network.wire(client, server)
    const sides = yield* Effect.forEach([client, server], (host) =>
      Effect.gen(function*() {
        const made = yield* Deferred.make<Effect.Success<typeof modules>>()
        yield* host.fork(Effect.andThen(Effect.flatMap(modules, (all) => Deferred.succeed(made, all)), Effect.never))
        return yield* Deferred.await(made)
      }))
    return { partition, sides: sides.map((side, index) => ({ ...side, address: addresses[index]!.toString() })) }
  })
  const { partition, sides: [client, server] } = await Effect.runPromise(
    hosts.pipe(
      Effect.provide(
        await Effect.runPromise(Layer.buildWithScope(Network.layer({ seed: 1, onViolation }), scope))
      ),
      Scope.provide(scope)
    )
  )
  return {
    client: client!,
    server: server!,
    elsewhere: client!.address,
    silence: () => Effect.runPromise(partition),
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      for (const violation of violations) throw violation
    }
  }
}

export const PLACES = { node, strata } as const
export type Place = keyof typeof PLACES

/** In the log of a row that does not end. */
export const HANGS = "(the row hangs)"

/** Longer than any row takes, so that one that hangs shows what it has seen. */
const PATIENCE = 25_000

/** Milliseconds without anything new after which a row is over, and how often that is awaited. */
const SETTLING = 20
const MOST_SETTLING = 50

/** What is on its way still arrives. */
const settled = async (count: () => number): Promise<void> => {
  for (let time = 0, before = -1; time < MOST_SETTLING && before !== count(); time++) {
    before = count()
    await sleep(SETTLING)
  }
}

/** Plays a row in one place; what both sides have logged. */
export const play = async (place: Place, run: (world: World) => Promise<void>): Promise<Logs> => {
  const hosts = await PLACES[place]()
  const logs = { client: [] as Array<string>, server: [] as Array<string> }
  let heard = 0
  const ports = new Set<number>()
  const closables: Array<Closable> = []
  const hide = (word: unknown): string =>
    typeof word === "number" && ports.has(word) ? "port" : [...ports].reduce(
      (text, port) => text.replaceAll(`:${port}`, ":port").replaceAll(`port=${port}`, "port=port"),
      String(word).replaceAll(hosts.client.address, "host").replaceAll(hosts.server.address, "host").replaceAll(
        hosts.elsewhere,
        "host"
      )
    )
  const side = (name: keyof Logs): Side => ({
    ...hosts[name],
    log: (...words) => {
      const line = words.map(hide).join(" ")
      const latest = logs[name].at(-1)
      heard++
      // How a stream is cut into chunks is nobody's promise.
      if (line.startsWith("data ") && latest?.startsWith("data ")) logs[name].splice(-1, 1, latest + line.slice(5))
      else logs[name].push(line)
    }
  })
  const world: World = {
    place,
    client: side("client"),
    server: side("server"),
    elsewhere: hosts.elsewhere,
    ports,
    track: (closable) => {
      closables.push(closable)
      if (closable instanceof EventEmitter) closable.once("close", () => gone.add(closable))
      return closable
    }
  }
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      world.client.log(HANGS)
      resolve()
    }, PATIENCE)
  })
  try {
    await Promise.race([run(world), late])
    await settled(() => heard)
  } finally {
    clearTimeout(timer)
    const result = { client: [...logs.client], server: [...logs.server] }
    for (const closable of closables) discard(closable)
    await hosts.close()
    logs.client = result.client
    logs.server = result.server
  }
  return logs
}

const discard = (closable: Closable): void => {
  if (closable instanceof EventEmitter) {
    closable.removeAllListeners()
    closable.on("error", () => {})
  }
  try {
    if (closable.destroy === undefined) closable.close?.()
    else closable.destroy()
  } catch {
    // It is closed.
  }
}

/** The event, or never. */
export const once = (emitter: EventEmitter, event: string): Promise<unknown> =>
  new Promise((resolve) => emitter.once(event, resolve))

/** The next uncaught exception, of which nobody else hears. */
export const uncaught = (): Promise<Error> =>
  new Promise((resolve) => {
    const listeners = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    process.once("uncaughtException", (error) => {
      for (const listener of listeners) process.on("uncaughtException", listener)
      resolve(error)
    })
  })

/** How often the event loop turns at least while a row sleeps: what is on its way must arrive though the process had no processor for as long. */
const TURNS = 8

export const sleep = async (milliseconds: number): Promise<void> => {
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setTimeout(resolve, milliseconds / TURNS))
}

/** What an error says of itself. */
export const words = (error: unknown): string => {
  const { address, code, message, port, syscall } = error as NodeJS.ErrnoException & {
    readonly address?: string
    readonly port?: number
  }
  const details = Object.entries({ syscall, address, port })
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${value}`)
  return `${code}: ${message}${details.length === 0 ? "" : ` (${details.join(" ")})`}`
}

/** Logs what `act` returns, or throws. */
export const attempt = (side: Side, what: string, act: () => unknown): void => {
  try {
    const value = act()
    side.log(what, "→", typeof value === "object" && value !== null ? value.constructor.name : String(value))
  } catch (error) {
    side.log(what, "throws", words(error))
  }
}
