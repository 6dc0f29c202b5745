/**
 * `node:tls` on a stack, both sides. The cryptography, certificates, sessions, ALPN and SNI are Node's own, and so are its
 * options and errors; connections are strata's.
 *
 * ```ts
 * const { tls } = yield* StrataNode
 * const socket = tls.connect({ host: "192.0.2.1", port: 443, servername: "strata.test", ca })
 * ```
 */
import { AsyncLocalStorage } from "node:async_hooks"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { hosted, type Network, ofConnections, type StackOptions } from "../internal/HostedServer.ts"
import { type ConnectArguments, connectArguments } from "../internal/NodeArguments.ts"
import { graft, joined } from "../internal/TlsOver.ts"
import { NetSocket } from "./NetSocket.ts"
import type { NetDialOptions } from "./NetSocketOptions.ts"

export interface StrataTls {
  /** With `socket`, over that stream, whatever it is; otherwise over a connection of the stack's. */
  readonly connect: typeof Tls.connect
  readonly createServer:
    & typeof Tls.createServer
    & ((options: Tls.TlsOptions & StackOptions, listener?: (socket: Tls.TLSSocket) => void) => Tls.Server)
}

export const makeTls = (net: Network): StrataTls => {
  const connect = (...given: ReadonlyArray<unknown>): Tls.TLSSocket => {
    const [options, connected] = parse(given)
    if (options.socket) return over(options.socket, Tls.connect(options, connected))
    const below = net.connect(ofConnection(options))
    const above = joined(Tls.connect({ ...options, socket: below }, connected), below)
    if (options.timeout) above.setTimeout(options.timeout)
    return above
  }
  const createServer = (...given: ServerArguments): Tls.Server => hostedTls(Tls.createServer(...given), net, given[0])
  return { connect: connect as typeof Tls.connect, createServer: createServer as StrataTls["createServer"] }
}

/** What the connection under TLS is told; the rest is for TLS. */
export const ofConnection = (options: object): NetDialOptions => {
  const { onread: _, timeout: __, ...own } = options as NetDialOptions
  return own
}

type ServerArguments = [options: Tls.TlsOptions, listener?: (socket: Tls.TLSSocket) => void]

/** A server of TLS, or of HTTPS, that listens by `net`; its sockets know who they talk to. */
export const hostedTls = <Server extends Tls.Server>(server: Server, net: Network, given: unknown): Server => {
  // Node makes its socket while it hears of the connection, and does not tell of which.
  const connection = new AsyncLocalStorage<NetSocket>()
  const tell = (above: Tls.TLSSocket): void => {
    const below = connection.getStore()
    if (below !== undefined) graft(above, below)
  }
  server.prependListener("secureConnection", tell)
  server.prependListener("tlsClientError", (_, above) => tell(above))
  return hosted(
    server,
    net,
    ofConnections(typeof given === "object" && given !== null ? given : {}),
    (socket) => connection.run(socket, () => void server.emit("connection", socket))
  )
}

/** A socket of strata's that the program has opened tells who is at the other end, as one of Node's would. */
const over = (below: Duplex, above: Tls.TLSSocket): Tls.TLSSocket =>
  below instanceof NetSocket ? graft(above, below) : above

/** `(options)`, `(port, host, options)` or `(port, options)`, and what is to be called, if anything. */
const parse = (given: ReadonlyArray<unknown>): readonly [Tls.ConnectionOptions, (() => void) | undefined] => {
  const [options, connected] = connectArguments(given as ConnectArguments)
  const more = given.slice(1, 3).find((one) => typeof one === "object" && one !== null)
  return [{ ...options, ...more } as Tls.ConnectionOptions, connected]
}
