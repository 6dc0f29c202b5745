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
import * as Tls from "node:tls"
import { hosted, type Network, ofConnections, type StackOptions } from "../internal/HostedServer.ts"
import { graft, joined } from "../internal/TlsOver.ts"
import type { NetSocket } from "./NetSocket.ts"
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
    const { options, connected } = parse(given)
    if (options.socket) return Tls.connect(options, connected)
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

/** `(options)`, `(port, host, options)` or `(port, options)`, and what is to be called, if anything. */
const parse = (given: ReadonlyArray<unknown>) => {
  const last = given.at(-1)
  const connected = typeof last === "function" ? last as () => void : undefined
  const options: Tls.ConnectionOptions = {}
  const [first, second] = given
  if (typeof first === "number" || typeof first === "string") options.port = Number(first)
  if (typeof second === "string") options.host = second
  return { options: Object.assign(options, given.find((one) => typeof one === "object" && one !== null)), connected }
}
