/**
 * The calls that make connections: connect, listen, and the OPEN of RFC 9293
 * §3.9.1.1.
 *
 * What runs for each connection has no generator: V8 gives each one that is written within a function a map of its own, which points to it, and lives until
 * the next full collection.
 */
import * as Effect from "effect/Effect"
import type { InetAddressV4, Ipv4Address } from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Address from "../wire/Address.ts"
import type { LiveConnection } from "./Connection.ts"
import { makeFace } from "./ConnectionFace.ts"
import type { Endpoints } from "./ControlBlock.ts"
import { closedHere } from "./Failure.ts"
import type { Host } from "./Host.ts"
import { inetAddress } from "./InetAddress.ts"
import { LiveListener } from "./Listener.ts"
import { PassiveOpen } from "./PassiveOpen.ts"
import * as Ports from "./Ports.ts"
import type { Connection, ConnectionOptions, ConnectOptions, Listener, ListenOptions, OpenOptions } from "./Tcp.ts"
import { AddressInUse, AddressNotAvailable, PortsExhausted, TcpError, Unreachable } from "./TcpError.ts"
import * as TimeWait from "./TimeWait.ts"

type Local = { readonly address?: Ipv4Address | undefined; readonly port?: number | undefined }

const show = (address: number, port: number): string => `${Address.formatIpv4(address)}:${port}`

/**
 * The end of the scope closes the connection. `Effect.addFinalizer` would merge the services of now with those of then for it, which makes three tables for
 * each connection; closing needs none but the clock.
 */
const closeAtEnd = (face: Connection): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizer(scope, face.close))

export const makeOpening = (host: Host) => {
  const { acceptors, connections, entropy, ipv4, routing, turn } = host

  const localAddress = (address: Ipv4Address | undefined): Result.Result<number, TcpError> => {
    if (address === undefined) return Result.succeed(0)
    const number = Address.fromIpv4(address)
    return number === 0 || routing.isLocal(number)
      ? Result.succeed(number)
      : Result.fail(new TcpError({ reason: new AddressNotAvailable({ address: Address.formatIpv4(number) }) }))
  }

  /** The port asked for, or a random one, if `free` says yes, or `reusable` where there is nothing better. */
  const choosePort = (
    address: number,
    port: number | undefined,
    free: (port: number) => boolean,
    reusable?: (port: number) => boolean
  ): Result.Result<number, TcpError> => {
    if (port === undefined || port === 0) {
      const chosen = Ports.choose(entropy, free, reusable)
      return chosen === undefined
        ? Result.fail(new TcpError({ reason: new PortsExhausted({}) }))
        : Result.succeed(chosen)
    }
    return free(port) || reusable?.(port) === true
      ? Result.succeed(port)
      : Result.fail(new TcpError({ reason: new AddressInUse({ address: show(address, port) }) }))
  }

  /** The four numbers of an active OPEN. */
  const route = (foreign: InetAddressV4, local: Local): Result.Result<Endpoints, TcpError> => {
    const remoteAddress = Address.fromIpv4(foreign.address)
    const remotePort = foreign.port
    const unreachable = () =>
      Result.fail(new TcpError({ reason: new Unreachable({ remote: show(remoteAddress, remotePort) }) }))
    // RFC 9293 §3.9.2.3: an OPEN to a broadcast or multicast address is an error.
    if (remoteAddress >= 0xe000_0000 || remoteAddress === 0 || remotePort === 0) return unreachable()
    if (routing.isBroadcast(remoteAddress)) return unreachable()
    return Result.flatMap(localAddress(local.address), (given) => {
      const address = given || ipv4.sourceFor(remoteAddress)
      if (address === 0) return unreachable()
      const now = turn.now()
      const other = (port: number) => connections.get(address, port, remoteAddress, remotePort)
      const free = (port: number) => !acceptors.taken(address, port) && other(port) === undefined
      // Another port is better than one whose last connection is in TIME-WAIT.
      const reusable = (port: number) => {
        const previous = other(port)
        return !acceptors.taken(address, port) && (previous === undefined || TimeWait.mayReuse(previous.tcb, now))
      }
      return Result.map(
        choosePort(address, local.port, free, reusable),
        (localPort) => ({ localAddress: address, localPort, remoteAddress, remotePort })
      )
    })
  }

  const bind = (endpoints: Omit<Endpoints, "localPort">, port: number | undefined): Result.Result<number, TcpError> =>
    choosePort(endpoints.localAddress, port, (free) =>
      !acceptors.conflicts({
        address: endpoints.localAddress,
        port: free,
        foreignAddress: endpoints.remoteAddress,
        foreignPort: endpoints.remotePort
      }))

  /** The active OPEN, in SYN-SENT. */
  const start = (foreign: InetAddressV4, local: Local, options: ConnectionOptions) =>
    Effect.suspend(() => {
      let connection: Result.Result<LiveConnection, TcpError> = Result.fail(closedHere())
      turn.run(() => {
        connection = Result.map(route(foreign, local), (endpoints) => host.connect(endpoints, options))
      })
      return Effect.fromResult(connection)
    })

  const connect = (options: ConnectOptions): Effect.Effect<Connection, TcpError, Scope.Scope> =>
    Effect.uninterruptibleMask((restore) => {
      const local = { address: options.localAddress, port: options.localPort }
      return Effect.flatMap(start(options.remote, local, options), (connection) => {
        const face = makeFace(connection, turn)
        // Whether it fails or is interrupted, nothing of a connection that was not established stays.
        const established = Effect.onError(restore(face.established), () => face.abort)
        return established.pipe(Effect.andThen(closeAtEnd(face)), Effect.as(face))
      })
    })

  const openPassive = (options: OpenOptions): Result.Result<LiveConnection, TcpError> =>
    Result.gen(function*() {
      const endpoints = {
        localAddress: yield* localAddress(options.local?.address),
        remoteAddress: options.foreign === undefined ? 0 : Address.fromIpv4(options.foreign.address),
        remotePort: options.foreign?.port ?? 0
      }
      const localPort = yield* bind(endpoints, options.local?.port)
      const passive = new PassiveOpen(host, { ...endpoints, localPort }, options)
      host.bind(passive)
      return passive.connection
    })

  const open = (options: OpenOptions): Effect.Effect<Connection, TcpError, Scope.Scope> => {
    const opened = Effect.suspend(() => {
      if (options.mode === "passive") return Effect.fromResult(openPassive(options))
      if (options.foreign !== undefined) return start(options.foreign, options.local ?? {}, options)
      return Effect.fail(new TcpError({ reason: new Unreachable({ remote: show(0, 0) }) }))
    })
    return Effect.acquireRelease(
      Effect.map(opened, (connection) => makeFace(connection, turn)),
      (face) => face.close
    )
  }

  const listen = (options: ListenOptions = {}): Effect.Effect<Listener, TcpError, Scope.Scope> => {
    const opened = Effect.suspend(() =>
      Effect.fromResult(Result.gen(function*() {
        const address = yield* localAddress(options.address)
        const port = yield* bind({ localAddress: address, remoteAddress: 0, remotePort: 0 }, options.port)
        const listener = new LiveListener(host, address, port, options)
        host.bind(listener)
        return listener
      }))
    )
    return Effect.map(
      Effect.acquireRelease(opened, (listener) => Effect.sync(() => turn.run(() => listener.close()))),
      listenerFace
    )
  }

  const listenerFace = (listener: LiveListener): Listener => {
    const acceptWith: Listener["acceptWith"] = (taken) => {
      const look = () => {
        if (listener.closed) return Effect.fail(closedHere())
        const connection = listener.accept()
        return connection === undefined ? undefined : Effect.succeed(taken(makeFace(connection, turn)))
      }
      const wait = listener.accepters.waitFor(look)
      return Effect.suspend(() => look() ?? wait)
    }
    const accept: Listener["accept"] = Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        let taken: Connection | undefined
        const connection = acceptWith((next) => taken = next)
        return restore(connection).pipe(
          // Whoever is interrupted with a connection in hand closes it.
          Effect.onError(() => taken?.close ?? Effect.void),
          Effect.tap(closeAtEnd)
        )
      })
    )
    return { local: inetAddress(listener.address, listener.port), accept, acceptWith }
  }

  return { connect, listen, open }
}
