/**
 * `Socket` of Effect over strata's TCP: `NodeSocket` of `@effect/platform-node` by another name.
 *
 * ```ts
 * const SocketLive = StrataSocket.layerNet({ host: "192.0.2.1", port: 7 })
 * ```
 *
 * Acquiring the reader connects; the scope of the acquisition owns the connection, and closing it closes the connection in
 * order. Nothing is taken from the stack until the reader pulls, so that a slow reader closes the peer's window. How this
 * differs from `NodeSocket` is in docs/effect-services.md.
 */
import { Tcp } from "@strata/core"
import type { Connection, ConnectionOptions } from "@strata/core/tcp/Tcp"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Channel from "effect/Channel"
import * as ChannelModule from "effect/Channel"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as HostAddress from "./internal/HostAddress.ts"
import * as Errors from "./internal/SocketErrors.ts"
import { ofConnection } from "./internal/Transport.ts"
import { overTransport } from "./internal/TransportSocket.ts"

/** The connection of strata under the current socket, for who wants to know more of it than `Socket` tells. */
export class NetSocket extends Context.Service<NetSocket, Connection>()("@strata/sockets/StrataSocket/NetSocket") {}

/**
 * What TCP is told, in the words of `node:net`. `copyWrites` is true by default: a program may use the memory of a chunk again
 * as soon as it is written.
 */
export interface TcpOptions extends ConnectionOptions {
  /** Turns Nagle's algorithm off; false by default. */
  readonly noDelay?: boolean | undefined
  /** Whether an idle connection asks from time to time whether the peer is there; false by default. */
  readonly keepAlive?: boolean | undefined
  /** Milliseconds of silence before the first such question; those of `TcpSettings` by default. */
  readonly keepAliveInitialDelay?: number | undefined
}

/** How a socket reads and writes. */
export interface SocketOptions {
  /** How long the connection may take to be established, names included; as long as TCP tries by default. */
  readonly openTimeout?: Duration.Input | undefined
  /** The most chunks in one pull: 4,096 unless a positive integer or `Infinity` is given. */
  readonly chunkSize?: number | undefined
  /**
   * Whether this side may go on writing when the reader has come to the end of what the peer wrote. False by default, as with
   * `node:net`: what the program writes at once is sent, and then the connection is closed.
   */
  readonly allowHalfOpen?: boolean | undefined
}

export interface NetOptions extends TcpOptions, SocketOptions {
  /**
   * An address, `"localhost"`, which is also the default, or a name, for which there has to be an `AddressResolver`. Of
   * several addresses the first one that accepts is taken.
   */
  readonly host?: string | NetAddress.IpAddress | undefined
  readonly port: number
  /** Chosen by the route by default. */
  readonly localAddress?: string | NetAddress.Ipv4Address | undefined
  /** A random free ephemeral port by default. */
  readonly localPort?: number | undefined
}

/** A socket that connects whenever its reader is acquired. */
export const makeNet = (options: NetOptions): Effect.Effect<Socket.Socket, never, Tcp> =>
  Effect.flatMap(Tcp, (tcp) =>
    overTransport(Effect.map(connect(tcp, options), ofConnection), options, {
      _tag: "client",
      host: nameOf(options)
    }))

/** `makeNet` as a Channel of octets both ways. */
export const makeNetChannel = <IE = never>(
  options: NetOptions
): Channel.Channel<
  NonEmptyReadonlyArray<Uint8Array>,
  Socket.SocketError | IE,
  void,
  NonEmptyReadonlyArray<Uint8Array | string | Socket.CloseEvent>,
  IE,
  unknown,
  Tcp
> => ChannelModule.unwrap(Effect.map(makeNet(options), Socket.toChannelWith<IE>()))

/** A client's socket, in the place of `NodeSocket.layerNet`. */
export const layerNet = (options: NetOptions): Layer.Layer<Socket.Socket, never, Tcp> =>
  Layer.effect(Socket.Socket, makeNet(options))

/**
 * A socket over the connection that `open` acquires in the reader's scope. The socket closes it: with the scope, or when it is
 * told to.
 */
export const fromConnection = <R>(
  open: Effect.Effect<Connection, Socket.SocketError, R>,
  options: SocketOptions & { readonly tlsServer?: boolean | undefined } = {}
): Effect.Effect<Socket.Socket, never, Exclude<R, Scope.Scope>> =>
  overTransport(
    Effect.map(open, ofConnection),
    options,
    options.tlsServer === true ? { _tag: "server" } : { _tag: "client" }
  )

/** Whom a client connects to, as text. */
export const nameOf = ({ host = HostAddress.loopback }: Pick<NetOptions, "host">): string =>
  typeof host === "string" ? host : NetAddress.formatIp(host)

/** A connection as the options have it, in the scope of whoever asks. */
export const connect = Effect.fnUntraced(function*(
  tcp: Tcp["Service"],
  options: NetOptions
): Effect.fn.Return<Connection, unknown, Scope.Scope> {
  const addresses = yield* HostAddress.resolve(options.host ?? HostAddress.loopback)
  const localAddress = options.localAddress === undefined
    ? undefined
    : (yield* HostAddress.resolve(options.localAddress))[0]
  const remotes = yield* Effect.forEach(
    addresses,
    (address) => Effect.fromResult(NetAddress.inetAddressV4(address, options.port))
  )
  return yield* Effect.firstSuccessOf(
    remotes.map((remote) =>
      tcp.connect({ ...connectionOptions(options), remote, localAddress, localPort: options.localPort })
    )
  )
}, Effect.mapError(Errors.openFailed))

/** Options of `node:net` as those of a connection. */
export const connectionOptions = (options: TcpOptions): ConnectionOptions => ({
  sendBuffer: options.sendBuffer,
  receiveBuffer: options.receiveBuffer,
  linger: options.linger,
  congestion: options.congestion,
  // A write of Effect's is done when it returns: nothing tells a program when the peer has it.
  copyWrites: options.copyWrites ?? true,
  settings: {
    ...(options.noDelay === undefined ? {} : { nagle: !options.noDelay }),
    ...(options.keepAlive === undefined ? {} : { keepAlive: options.keepAlive }),
    ...(options.keepAliveInitialDelay ? { keepAliveIdle: options.keepAliveInitialDelay } : {}),
    ...options.settings
  }
})
