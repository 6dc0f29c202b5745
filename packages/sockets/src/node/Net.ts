/**
 * `node:net` on a stack: what libraries take that let their users say where sockets come from.
 *
 * ```ts
 * const net = yield* makeNet
 * net.createServer((socket) => socket.pipe(socket)).listen(7)
 * ```
 *
 * All of it ends with the scope: servers stop listening, and sockets are destroyed. Node's streams wait for the event loop of the
 * real world, so that none of this runs in virtual time.
 */
import { Tcp } from "@strata/core"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import { BlockList, isIP, isIPv4, isIPv6, SocketAddress } from "node:net"
import * as HostAddress from "../internal/HostAddress.ts"
import { attemptTimeout, booleanOf, type ConnectArguments, connectArguments } from "../internal/NodeArguments.ts"
import { makeHost } from "../internal/NodeHost.ts"
import * as RealTime from "../internal/RealTime.ts"
import { type ConnectionListener, NetServer, type NetServerOptions } from "./NetServer.ts"
import { NetSocket } from "./NetSocket.ts"
import type { NetDialOptions, NetSocketOptions } from "./NetSocketOptions.ts"

type Callback = () => void

/** Connects by a new socket. */
export interface Connect {
  (options: NetDialOptions, listener?: Callback): NetSocket
  (port: number, host?: string, listener?: Callback): NetSocket
  (port: number, listener?: Callback): NetSocket
}

export interface StrataNet {
  readonly Socket: new(options?: NetSocketOptions) => NetSocket
  /** An older name of `Socket`. */
  readonly Stream: new(options?: NetSocketOptions) => NetSocket
  readonly Server: new(
    options?: NetServerOptions | ConnectionListener | null,
    listener?: ConnectionListener
  ) => NetServer
  readonly createServer: (
    options?: NetServerOptions | ConnectionListener | null,
    listener?: ConnectionListener
  ) => NetServer
  readonly connect: Connect
  readonly createConnection: Connect
  readonly isIP: typeof isIP
  readonly isIPv4: typeof isIPv4
  readonly isIPv6: typeof isIPv6
  readonly BlockList: typeof BlockList
  readonly SocketAddress: typeof SocketAddress
  /** Of this object, and not of all the process. */
  readonly getDefaultAutoSelectFamily: () => boolean
  readonly setDefaultAutoSelectFamily: (value: boolean) => void
  /** Milliseconds, 10 at least. */
  readonly getDefaultAutoSelectFamilyAttemptTimeout: () => number
  readonly setDefaultAutoSelectFamilyAttemptTimeout: (value: number) => void
}

/** Names need an `AddressResolver`, or `lookup`; `localhost` needs neither. */
export const makeNet: Effect.Effect<StrataNet, never, Tcp | Scope.Scope> = Effect.gen(function*() {
  yield* RealTime.needed
  const context = yield* Effect.context<Tcp | Scope.Scope>()
  const resolve = (host: string) =>
    Effect.map(HostAddress.resolve(host), (addresses) => addresses.map(NetAddress.formatIp)).pipe(
      Effect.provideContext(context)
    )
  const host = makeHost(yield* Tcp, resolve, Effect.runForkWith(context))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const open of host.open) open.shut()
    })
  )

  class Socket extends NetSocket {
    constructor(options?: NetSocketOptions) {
      super(host, options)
    }
  }
  class Server extends NetServer {
    constructor(options?: NetServerOptions | ConnectionListener | null, listener?: ConnectionListener) {
      super(host, (own) => new Socket(own), options, listener)
    }
  }
  const connect = (...given: ConnectArguments): NetSocket => {
    const [options] = connectArguments(given)
    const { timeout, ...own }: Partial<NetDialOptions> = options
    const socket = new Socket(own)
    if (timeout) socket.setTimeout(timeout)
    return socket.connect(...given)
  }

  return {
    Socket,
    Stream: Socket,
    Server,
    createServer: (options, listener) => new Server(options, listener),
    connect,
    createConnection: connect,
    isIP,
    isIPv4,
    isIPv6,
    BlockList,
    SocketAddress,
    getDefaultAutoSelectFamily: () => host.defaults.autoSelectFamily,
    setDefaultAutoSelectFamily: (value) => {
      host.defaults.autoSelectFamily = booleanOf("value", value)
    },
    getDefaultAutoSelectFamilyAttemptTimeout: () => host.defaults.attemptTimeout,
    setDefaultAutoSelectFamilyAttemptTimeout: (value) => {
      host.defaults.attemptTimeout = attemptTimeout("value", value)
    }
  }
})
