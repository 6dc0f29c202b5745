/**
 * How undici, and so `fetch`, connects by a stack.
 *
 * ```ts
 * const { undici } = yield* StrataNode
 * const dispatcher = new Agent({ connect: undici.connect })
 * await fetch("http://192.0.2.1/", { dispatcher })
 * ```
 *
 * With `setGlobalDispatcher(dispatcher)` every `fetch` of the process goes by the stack. A function for `connect` has the options
 * of undici's own when it is made by `buildConnector`.
 */
import { isIP, type Socket, type TcpNetConnectOpts } from "node:net"
import type { ConnectionOptions, TLSSocket } from "node:tls"
import type { Network } from "../internal/HostedServer.ts"
import * as Errors from "./NodeErrors.ts"
import { makeTls, type StrataTls } from "./Tls.ts"

/** What undici asks for. */
export interface ConnectOptions {
  readonly hostname: string
  readonly host?: string | undefined
  readonly protocol: string
  readonly port: string
  readonly servername?: string | undefined
  readonly localAddress?: string | null | undefined
  /** A connection that is there already, through a proxy. */
  readonly httpSocket?: Socket | undefined
}

export type ConnectCallback = (
  ...outcome: [error: null, socket: Socket | TLSSocket] | [error: Error, socket: null]
) => void

export type Connector = (options: ConnectOptions, callback: ConnectCallback) => void

/** As those of undici's `buildConnector`; what it does not know itself goes to `net.connect` and `tls.connect`. */
export interface ConnectorOptions
  extends
    Omit<ConnectionOptions, "timeout" | "session" | "port" | "host" | "socket" | "path">,
    Pick<TcpNetConnectOpts, "lookup" | "family" | "hints">
{
  /** Milliseconds until a connection, with TLS, has to be there; 10,000 by default, 0 for ever. */
  readonly timeout?: number | null | undefined
  /** Whether HTTP/2 is offered to servers over TLS; true by default. */
  readonly allowH2?: boolean | undefined
  /** Whether it is offered before HTTP/1.1; false by default. */
  readonly preferH2?: boolean | undefined
  /** Servers whose TLS sessions are remembered; 100 by default. */
  readonly maxCachedSessions?: number | null | undefined
  /** Used for all connections in place of those that were remembered. */
  readonly session?: Buffer | undefined
  /** Whether idle connections are asked after; true by default. */
  readonly keepAlive?: boolean | null | undefined
  /** Milliseconds of silence before that; 60,000 by default. */
  readonly keepAliveInitialDelay?: number | null | undefined
}

export interface StrataUndici {
  /** For `new Agent({ connect })`, `new Pool(origin, { connect })` and `new Client(origin, { connect })`. */
  readonly connect: Connector
  readonly buildConnector: (options?: ConnectorOptions) => Connector
}

const CONNECT_TIMEOUT = 10_000
const CACHED_SESSIONS = 100
const KEEP_ALIVE_DELAY = 60_000

export const makeUndici = (net: Network): StrataUndici => {
  const tls = makeTls(net)
  const buildConnector = (options: ConnectorOptions = {}) => connector(net, tls, options)
  return { connect: buildConnector(), buildConnector }
}

const connector = (net: Network, tls: StrataTls, settings: ConnectorOptions): Connector => {
  const {
    allowH2 = true,
    keepAlive,
    keepAliveInitialDelay,
    maxCachedSessions,
    preferH2 = false,
    session,
    timeout,
    ...options
  } = settings
  const patience = timeout ?? CONNECT_TIMEOUT
  const sessions = sessionCache(maxCachedSessions ?? CACHED_SESSIONS)
  const protocols = allowH2 ? preferH2 ? ["h2", "http/1.1"] : ["http/1.1", "h2"] : ["http/1.1"]

  const openSecure = ({ host, hostname, httpSocket, localAddress, port, ...asked }: ConnectOptions): TLSSocket => {
    const servername = asked.servername || options.servername || serverName(host)
    const key = servername || hostname
    const socket = tls.connect(defined({
      highWaterMark: 16_384,
      ...options,
      servername,
      session: session ?? sessions.get(key),
      localAddress,
      ALPNProtocols: protocols,
      socket: httpSocket,
      port: Number(port),
      host: hostname
    }))
    return socket.on("session", (fresh) => sessions.set(key, fresh))
  }

  const openPlain = ({ hostname, localAddress, port }: ConnectOptions): Socket => {
    const opened = { highWaterMark: 65_536, ...options, localAddress, port: Number(port), host: hostname }
    return net.connect(defined(opened))
  }

  return (given, callback) => {
    const isSecure = given.protocol === "https:"
    const asked = { ...given, port: given.port || (isSecure ? "443" : "80") }
    const socket = isSecure ? openSecure(asked) : openPlain(asked)
    if (keepAlive ?? true) socket.setKeepAlive(true, keepAliveInitialDelay ?? KEEP_ALIVE_DELAY)
    const tooLate = (cause?: Error) => new ConnectTimeoutError(asked, socket, patience, cause)
    const late = patience === 0 ? undefined : setTimeout(() => {
      // An error of the connection that has come meanwhile goes first.
      setImmediate(() => settled || socket.destroy(tooLate()))
    }, patience)
    let settled = false
    const settle = (error: Error | null) => {
      clearTimeout(late)
      if (settled) return
      settled = true
      if (error === null) callback(null, socket)
      else callback(hasTimedOut(error) ? tooLate(error) : error, null)
    }
    socket.setNoDelay(true).once(isSecure ? "secureConnect" : "connect", () => settle(null)).on("error", settle)
    // Without an error when the stack goes.
    socket.once("close", () => settle(Errors.closedBeforeConnection()))
  }
}

/** Of several addresses one has not answered. */
const hasTimedOut = (error: Error): boolean =>
  error instanceof AggregateError && error.errors.some(({ code }) => code === "ETIMEDOUT")

/** The name in a `Host`, if it is one. */
const serverName = (host: string | undefined): string | undefined => {
  if (!host) return undefined
  const name = host.startsWith("[") ? host.slice(1, host.indexOf("]")) : host.split(":", 1)[0]!
  return isIP(name) === 0 ? name : ""
}

/** Options that are null are none to `node:net`. */
const defined = <Options extends object>(options: Options) =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null && value !== undefined)) as
    & TcpNetConnectOpts
    & ConnectionOptions

/** The sessions of the servers that were last heard of. */
const sessionCache = (most: number) => {
  const known = new Map<string, Buffer>()
  return {
    get: (key: string): Buffer | undefined => known.get(key),
    set: (key: string, session: Buffer): void => {
      known.delete(key)
      if (most === 0) return
      known.set(key, session)
      if (known.size > most) known.delete(known.keys().next().value!)
    }
  }
}

const UNDICI_ERROR: unique symbol = Symbol.for("undici.error.UND_ERR") as never
const CONNECT_TIMEOUT_ERROR: unique symbol = Symbol.for("undici.error.UND_ERR_CONNECT_TIMEOUT") as never

/** `instanceof` undici's own error of this name, of whichever copy of undici: that is how undici knows them. */
class ConnectTimeoutError extends Error {
  readonly code = "UND_ERR_CONNECT_TIMEOUT"
  readonly [UNDICI_ERROR] = true
  readonly [CONNECT_TIMEOUT_ERROR] = true

  constructor({ hostname, port }: ConnectOptions, socket: Socket, timeout: number, cause?: Error) {
    const { autoSelectFamilyAttemptedAddresses: several = [] } = socket
    const attempted = several.length > 0 ? `addresses: ${several.join(", ")}` : `address: ${hostname}:${port}`
    super(`Connect Timeout Error (attempted ${attempted}, timeout: ${timeout}ms)`, cause && { cause })
    this.name = "ConnectTimeoutError"
  }
}
