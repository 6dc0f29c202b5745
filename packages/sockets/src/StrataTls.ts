/**
 * TLS over strata's TCP, by way of `node:tls`. This module needs Node; nothing else of `@strata/sockets` does.
 *
 * With `layer`, sockets can upgrade a connection they have (`Reader.upgrade`, as STARTTLS does):
 *
 * ```ts
 * const SocketLive = StrataSocket.layerNet({ host: "192.0.2.1", port: 25 }).pipe(Layer.provide(StrataTls.layer))
 * ```
 *
 * `layerTls` and `layerServer` speak TLS from the first octet, as `NodeSocket.layerTls` and `NodeSocketServer.layerTls` do.
 *
 * `node:tls` waits for the event loop of the real world, so that TLS does not run in virtual time.
 *
 * @module @strata/sockets/StrataTls
 */
import { Tcp } from "@strata/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { Buffer } from "node:buffer"
import { isIP } from "node:net"
import * as Tls from "node:tls"
import * as RealTime from "./internal/RealTime.ts"
import * as Errors from "./internal/SocketErrors.ts"
import { ofConnection, type Role, TlsUpgrade, type Transport } from "./internal/Transport.ts"
import { type Run, TransportDuplex, transportOf } from "./internal/TransportDuplex.ts"
import { overTransport } from "./internal/TransportSocket.ts"
import { connect, nameOf, type NetOptions } from "./StrataSocket.ts"
import { makeOver, type Options as ServerOptions } from "./StrataSocketServer.ts"

/** Lets sockets that are made with it upgrade to TLS. */
export const layer: Layer.Layer<never> = Layer.succeed(
  TlsUpgrade,
  (transport, role, options) => secured(transport, role, () => toNode(options))
)

/** What `tls.connect` takes, but for where to connect to. */
export interface TlsOptions extends NetOptions {
  readonly tls?: Omit<Tls.ConnectionOptions, "host" | "port" | "socket" | "path"> | undefined
}

/** A socket that connects and shakes hands whenever its reader is acquired; a handshake that fails is a `SocketOpenError`. */
export const makeTls = (options: TlsOptions): Effect.Effect<Socket.Socket, never, Tcp> =>
  Effect.flatMap(Tcp, (tcp) => {
    const role: Role = { _tag: "client", host: nameOf(options) }
    const open = Effect.flatMap(
      connect(tcp, options),
      (connection) =>
        Effect.mapError(secured(ofConnection(connection), role, () => options.tls ?? {}), Errors.openFailed)
    )
    return overTransport(open, { ...options, encrypted: true }, role)
  })

/** A client's socket that speaks TLS, in the place of `NodeSocket.layerTls`. */
export const layerTls = (options: TlsOptions): Layer.Layer<Socket.Socket, never, Tcp> =>
  Layer.effect(Socket.Socket, makeTls(options))

export interface TlsServerOptions extends ServerOptions {
  readonly tls: Omit<Tls.TLSSocketOptions, "isServer" | "server"> & Tls.SecureContextOptions
}

/** Handlers see connections whose handshake has succeeded; the others are closed. */
export const makeServer = (
  options: TlsServerOptions
): Effect.Effect<SocketServer.SocketServer["Service"], SocketServer.SocketServerError, Tcp | Scope.Scope> =>
  Effect.flatMap(
    Effect.try({
      try: () => ({ secureContext: Tls.createSecureContext(options.tls), ...options.tls }),
      catch: (cause) =>
        new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })
    }),
    (tls) => makeOver(options, (transport) => secured(transport, { _tag: "server" }, () => tls))
  )

/** A server that speaks TLS, in the place of `NodeSocketServer.layerTls`. */
export const layerServer = (
  options: TlsServerOptions
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError, Tcp> =>
  Layer.effect(SocketServer.SocketServer, makeServer(options))

/** `options` are read when the handshake begins; what is wrong with them is its failure. */
const secured = (
  transport: Transport,
  role: Role,
  options: () => Tls.ConnectionOptions & Tls.TLSSocketOptions
): Effect.Effect<Transport, unknown> => Effect.andThen(RealTime.needed, handshake(transport, role, options))

const handshake = (
  transport: Transport,
  role: Role,
  options: () => Tls.ConnectionOptions & Tls.TLSSocketOptions
): Effect.Effect<Transport, unknown> =>
  Effect.contextWith((context) =>
    Effect.callback<Transport, unknown>((resume) => {
      const run: Run = Effect.runForkWith(context)
      const below = new TransportDuplex(transport, run)
      let above: Tls.TLSSocket
      try {
        above = role._tag === "server"
          ? new Tls.TLSSocket(below, { ...options(), isServer: true })
          : Tls.connect({ ...named(role.host), ...options(), socket: below })
      } catch (cause) {
        return resume(Effect.fail(cause))
      }
      const event = role._tag === "server" ? "secure" : "secureConnect"
      const settle = (outcome: Effect.Effect<Transport, unknown>) => {
        above.off(event, succeed)
        above.off("error", fail)
        above.off("close", gone)
        resume(outcome)
      }
      const succeed = () => settle(Effect.succeed(transportOf(above, below)))
      const fail = (cause: unknown) => {
        settle(Effect.fail(cause))
        // What follows from the failure has nobody to hear it.
        above.on("error", () => {})
        above.destroy()
        below.destroy()
      }
      const gone = () => fail(new Error("socket closed during the TLS handshake"))
      above.on(event, succeed)
      above.on("error", fail)
      above.on("close", gone)
      return Effect.sync(() => fail(new Error("interrupted")))
    })
  )

/** Whose certificate it has to be; an address is no name for SNI. */
const named = (host: string | undefined): Tls.ConnectionOptions =>
  host === undefined ? {} : isIP(host) === 0 ? { host, servername: host } : { host }

const toNode = (options: Socket.TlsUpgradeOptions): Tls.ConnectionOptions & Tls.TLSSocketOptions => ({
  secureContext: Tls.createSecureContext({
    key: all(options.key)?.map((key) => toBuffer(Redacted.value(key))),
    cert: all(options.cert)?.map(toBuffer),
    ca: all(options.ca)?.map(toBuffer),
    passphrase: options.passphrase === undefined ? undefined : Redacted.value(options.passphrase)
  }),
  ...(options.servername === undefined ? {} : { servername: options.servername }),
  ...(options.alpnProtocols === undefined ? {} : { ALPNProtocols: [...options.alpnProtocols] }),
  ...(options.requestCert === undefined ? {} : { requestCert: options.requestCert }),
  ...(options.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: options.rejectUnauthorized })
})

const toBuffer = (value: string | Uint8Array): Buffer => Buffer.from(value as Uint8Array)

const all = <A>(value: A | ReadonlyArray<A> | undefined): ReadonlyArray<A> | undefined =>
  value === undefined ? undefined : Array.isArray(value) ? value as ReadonlyArray<A> : [value as A]
