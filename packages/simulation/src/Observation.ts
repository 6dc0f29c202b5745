/**
 * The services of a host as its programs see them in a simulation: the same,
 * but that somebody takes note of what waits for what, and of what is written
 * and read.
 */
import { Icmp, Tcp, TcpMachine, Udp } from "@strata/core"
import type { PlainConnection } from "@strata/core/tcp/PlainConnection"
import type { Connection, ConnectionOptions, Listener } from "@strata/core/tcp/Tcp"
import type { UdpPort } from "@strata/core/udp/Udp"
import * as Address from "@strata/core/wire/Address"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { formatInet } from "effect/net/NetAddress"
import * as Pull from "effect/Pull"
import { observe as observeMachine, type ObservedMachine } from "./InvariantMachine.ts"
import type { Watch } from "./Invariants.ts"
import type { Ends, Streams } from "./InvariantStreams.ts"

/** What a program of a host is waiting for, told when somebody asks. */
export type Wait = () => string

/** What programs of one host wait for now, in the order in which they began to. */
export class Waits {
  private readonly waits = new Set<{ readonly wait: Wait }>()

  all(): ReadonlyArray<string> {
    return [...this.waits].map(({ wait }) => wait())
  }

  /** An operation that may wait. */
  readonly during = <A, E, R>(wait: Wait, operation: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      const entry = { wait }
      this.waits.add(entry)
      return Effect.onExitPrimitive(operation, () => {
        this.waits.delete(entry)
        return undefined
      })
    })
}

/** Who observes the hosts of a network. */
export interface Observer {
  readonly watch: Watch
  readonly streams: Streams
}

/** What one life of a host tells. */
export interface Observed {
  readonly waits: Waits
  /** The host is gone, and nothing of it may stir. */
  readonly over: () => void
  readonly machine: <R>(layer: Layer.Layer<TcpMachine, never, R>) => Layer.Layer<TcpMachine, never, R>
  readonly tcp: <R>(layer: Layer.Layer<Tcp, never, R>) => Layer.Layer<Tcp, never, R>
  readonly udp: <R>(layer: Layer.Layer<Udp, never, R>) => Layer.Layer<Udp, never, R>
  readonly icmp: <R>(layer: Layer.Layer<Icmp, never, R>) => Layer.Layer<Icmp, never, R>
}

/** Without an observer, only waiting is noted. */
export const make = (host: string, observer: Observer | undefined): Observed => {
  const waits = new Waits()
  let machine: ObservedMachine | undefined

  const observeConnection = (inner: Connection, sendBuffer: ConnectionOptions["sendBuffer"]): Connection => {
    machine?.setSendBuffer(inner.controlBlock().endpoints, sendBuffer)
    return connectionOf(inner, waits, observer?.streams.connected(host, inner))
  }

  return {
    waits,
    over: () => machine?.over(),
    machine: (layer) =>
      observer === undefined ? layer : around(TcpMachine, layer, (inner) => {
        machine = observeMachine(inner, host, observer.watch)
        return machine.machine
      }),
    tcp: (layer) =>
      around(Tcp, layer, (inner) => ({
        ...inner,
        connect: (options) =>
          waits.during(
            () => `connecting to ${formatInet(options.remote)}`,
            Effect.map(inner.connect(options), (connection) => observeConnection(connection, options.sendBuffer))
          ),
        open: (options) =>
          Effect.map(inner.open(options), (connection) => observeConnection(connection, options.sendBuffer)),
        listen: (options) => {
          const observed = (connection: Connection) => observeConnection(connection, options?.sendBuffer)
          return Effect.map(inner.listen(options), (listener): Listener => {
            const what = () => `waiting to accept on ${formatInet(listener.local)}`
            return {
              local: listener.local,
              accept: waits.during(what, Effect.map(listener.accept, observed)),
              acceptWith: (taken) =>
                waits.during(what, listener.acceptWith((connection) => taken(observed(connection))))
            }
          })
        }
      })),
    udp: (layer) =>
      around(Udp, layer, (inner) => ({
        ...inner,
        bind: (options) => Effect.map(inner.bind(options), (port) => portOf(port, waits)),
        bindWith: (options, input, failed) =>
          Effect.map(inner.bindWith(options, input, failed), (port) => portOf(port, waits))
      })),
    icmp: (layer) =>
      around(Icmp, layer, (inner) => ({
        ...inner,
        ping: (destination, options) => waits.during(() => `pinging ${destination}`, inner.ping(destination, options))
      }))
  }
}

/** A Layer of the same service, changed. */
const around = <I, S, R>(
  service: Context.Service<I, S>,
  layer: Layer.Layer<I, never, R>,
  change: (inner: S) => S
): Layer.Layer<I, never, R> => Layer.provide(Layer.effect(service, Effect.map(service, change)), layer)

const connectionOf = (inner: Connection, waits: Waits, ends: Ends | undefined): Connection => {
  const peer = () => `${formatInet(inner.remote)} (${inner.state()})`
  const read = ends === undefined ? inner.read : Effect.onExitPrimitive(inner.read, (exit) => {
    if (Exit.isSuccess(exit)) ends.wasRead(exit.value)
    else if (Pull.isDoneCause(exit.cause)) ends.wasFinished()
    else ends.wasInterrupted()
    return undefined
  })
  const write = (bytes: Uint8Array) => {
    if (ends === undefined) return inner.write(bytes)
    return Effect.suspend(() => {
      const writing = ends.writing(bytes)
      return Effect.onExitPrimitive(inner.write(bytes), (exit) => {
        if (Exit.isSuccess(exit)) writing.done()
        else writing.interrupted()
        return undefined
      })
    })
  }
  return {
    get local() {
      return inner.local
    },
    get remote() {
      return inner.remote
    },
    state: inner.state,
    status: inner.status,
    controlBlock: inner.controlBlock,
    info: inner.info,
    infoChanges: inner.infoChanges,
    read: waits.during(() => `reading from ${peer()}`, read),
    write: (bytes) => waits.during(() => `writing to ${peer()}${describeSending(inner)}`, write(bytes)),
    closeWrite: inner.closeWrite,
    close: inner.close,
    abort: inner.abort,
    established: waits.during(() => `waiting for ${peer()} to be established`, inner.established),
    closed: waits.during(() => `waiting for ${peer()} to be closed${describeSending(inner)}`, inner.closed),
    whenClosed: inner.whenClosed,
    configure: inner.configure,
    get plain() {
      return ends === undefined ? inner.plain : plainOf(inner.plain, ends)
    }
  }
}

const plainOf = (inner: PlainConnection, ends: Ends): PlainConnection => ({
  whenOpened: (listener) => inner.whenOpened(listener),
  take: () => {
    const taken = inner.take()
    if (taken !== undefined) ends.wasRead(taken)
    return taken
  },
  behind: () => {
    const behind = inner.behind()
    if (behind === "end") ends.wasFinished()
    return behind
  },
  whenReadable: (listener) => inner.whenReadable(listener),
  write: (chunks, settle) => {
    const writings = chunks.map(ends.writing)
    const done = inner.write(chunks, (error) => {
      for (const writing of writings) {
        if (error === undefined) writing.done()
        else writing.interrupted()
      }
      settle(error)
    })
    if (done) { for (const writing of writings) writing.done() }
    return done
  },
  offer: (bytes) => {
    const writing = ends.writing(bytes)
    const taken = inner.offer(bytes)
    if (taken) writing.done()
    else writing.withdrawn()
    return taken
  },
  unwritable: () => inner.unwritable(),
  failure: () => inner.failure(),
  configure: (settings) => inner.configure(settings),
  closeWrite: () => inner.closeWrite(),
  close: () => inner.close(),
  abort: () => inner.abort()
})

const describeSending = (connection: Connection): string => {
  const { sendQueue, sendWindow } = connection.status()
  return sendQueue === 0 ? "" : `, ${sendQueue} octets in the send buffer, the peer's window ${sendWindow}`
}

const portOf = (inner: UdpPort, waits: Waits): UdpPort => ({
  ...inner,
  take: waits.during(
    () => `waiting for a datagram on udp ${Address.formatIpv4(Address.fromIpv4(inner.address))}:${inner.port}`,
    inner.take
  )
})
