/**
 * Two hosts of one process, 10.0.0.1 and 10.0.0.2, on one wire, in virtual time.
 *
 * A program written with `virtually` reads as if it ran in real time; seconds and minutes of it take no time at all.
 */
import {
  CongestionControl,
  Entropy,
  Icmp,
  NetworkStack,
  Statistics,
  Tcp,
  type TcpDefaultOptions,
  TcpDefaults,
  TcpMachine
} from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import * as Address from "@strata/core/wire/Address"
import { Wire } from "@strata/drivers"
import * as Impairment from "@strata/drivers/Impairment"
import * as VirtualTime from "@strata/simulation/VirtualTime"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { NetAddress } from "effect/net"
import * as Scope from "effect/Scope"

export const LEFT = "10.0.0.1"
export const RIGHT = "10.0.0.2"

export const ip = (text: string): NetAddress.Ipv4Address =>
  NetAddress.ipFromStringUnsafe(text) as NetAddress.Ipv4Address
export const inet = (address: string, port: number): NetAddress.InetAddressV4 =>
  NetAddress.inetAddressUnsafe(ip(address), port) as NetAddress.InetAddressV4
export const text = (address: NetAddress.InetAddressV4): string =>
  `${Address.formatIpv4(Address.fromIpv4(address.address))}:${address.port}`

/** One host, for plain use from a program that holds several. */
export interface Host {
  readonly tcp: Tcp["Service"]
  readonly counters: Effect.Effect<Readonly<Record<string, number>>>
  /** What this host sends and receives passes here. */
  readonly impairment: Impairment.Impairment
  readonly context: Context.Context<Layer.Success<ReturnType<typeof below>>>
  /** Ends the host's TCP, as the end of its Layer does while the rest of the stack still runs. */
  readonly closeTcp: Effect.Effect<void>
}

export interface PairOptions {
  readonly seed?: number
  readonly mtu?: number
  /** Frames that each direction of the wire holds: then nothing stands between the wire and the stack, which is told so. */
  readonly capacity?: number
  readonly left?: Impairment.Options
  readonly right?: Impairment.Options
  /** The machine of both. */
  readonly machine?: Layer.Layer<TcpMachine>
  readonly leftDefaults?: TcpDefaultOptions
  readonly rightDefaults?: TcpDefaultOptions
}

const below = (seed: number) =>
  Icmp.layer.pipe(Layer.provideMerge(NetworkStack.network), Layer.provideMerge(Entropy.layerSeeded(seed)))

const makeHost = Effect.fnUntraced(
  function*(
    end: Wire.End,
    address: string,
    options: PairOptions,
    impairments: Impairment.Options | undefined,
    defaults: TcpDefaultOptions = {}
  ) {
    const { capacity, mtu = 1500, seed = 1 } = options
    const impairment = Impairment.make(impairments)
    const plain = Wire.layer(end, { address: `${address}/24`, mtu })
    const device = capacity === undefined ? Impairment.of(impairment)(plain) : plain
    const scope = yield* Effect.scope
    const memo = yield* Layer.makeMemoMap
    const context = yield* Layer.buildWithMemoMap(device.pipe(Layer.provideMerge(below(seed))), memo, scope)
    const tcpScope = yield* Scope.fork(scope)
    const parts = Layer.mergeAll(options.machine ?? TcpMachine.layer, CongestionControl.layer)
    const tcp = yield* Layer.buildWithScope(Layer.fresh(Tcp.layer.pipe(Layer.provide(parts))), tcpScope).pipe(
      Effect.provideService(TcpDefaults, defaults),
      Effect.provideContext(context)
    )
    return {
      tcp: Context.get(tcp, Tcp),
      counters: Context.get(context, Statistics).snapshot,
      impairment,
      context,
      closeTcp: Scope.close(tcpScope, Exit.void)
    }
  }
)

export const pair = Effect.fnUntraced(function*(options: PairOptions = {}) {
  const wire = Wire.make({ capacity: options.capacity ?? 4096 })
  const left = yield* makeHost(wire.left, LEFT, options, options.left, options.leftDefaults)
  const other = { ...options, seed: (options.seed ?? 1) + 1 }
  const right = yield* makeHost(wire.right, RIGHT, other, options.right, options.rightDefaults)
  return { wire, left, right }
})

/** Runs a program to its end in virtual time; fails when it does what its error says, or when it waits for ever. */
export const virtually = <A, E>(program: Effect.Effect<A, E, Scope.Scope>) => async (): Promise<A> => {
  const time = VirtualTime.make()
  const fiber = Effect.runForkWith(time.context)(Effect.scoped(program))
  if (!await time.drive(() => fiber.pollUnsafe() !== undefined)) throw new Error("the program waits for ever")
  const exit = fiber.pollUnsafe()!
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

/** A connection from the left to a port that the right one listens on, both ends. */
export const connected = Effect.fnUntraced(
  function*(hosts: { readonly left: Host; readonly right: Host }, options: {
    readonly client?: Omit<Parameters<Tcp["Service"]["connect"]>[0], "remote">
    readonly server?: Parameters<Tcp["Service"]["listen"]>[0]
  } = {}) {
    const listener = yield* hosts.right.tcp.listen(options.server)
    const [client, server] = yield* Effect.all([
      hosts.left.tcp.connect({ ...options.client, remote: inet(RIGHT, listener.local.port) }),
      listener.accept
    ], { concurrency: "unbounded" })
    return { listener, client, server }
  }
)

/** Everything until the end of the stream. */
export const readAll = Effect.fnUntraced(function*(connection: Connection) {
  const chunks: Array<Uint8Array> = []
  yield* Effect.forever(Effect.map(connection.read, (read) => void chunks.push(...read))).pipe(
    Effect.catchTag("Done", () => Effect.void)
  )
  return Buffer.concat(chunks)
})

/** What one read gives, as text. */
export const readText = (connection: Connection) =>
  Effect.map(connection.read, (chunks) => Buffer.concat(chunks).toString())

export const bytes = (message: string): Uint8Array => new TextEncoder().encode(message)

/** What a host still holds of TCP. */
export const leftovers = (host: Host) =>
  Effect.map(host.counters, (counters) => ({
    connections: counters["tcp.connections"] ?? 0,
    listeners: counters["tcp.listeners"] ?? 0,
    established: counters["tcp.established"] ?? 0
  }))

export const NOTHING = { connections: 0, listeners: 0, established: 0 }
