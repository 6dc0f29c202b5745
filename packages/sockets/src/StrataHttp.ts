/**
 * HTTP over strata's TCP, by way of `node:http`. This module needs Node.
 *
 * Effect's HTTP on Node is `node:http` with a server or an agent of the program's choice, which are here: a server that
 * listens on a stack, and agents that connect by it.
 *
 * ```ts
 * const ServerLive = Layer.unwrap(Effect.map(StrataHttp.makeServer, (server) => NodeHttpServer.layer(() => server, { port: 80 })))
 * const ClientLive = NodeHttpClient.layerNodeHttpNoAgent.pipe(
 *   Layer.provide(Layer.effect(NodeHttpClient.HttpAgent, StrataHttp.makeAgent()))
 * )
 * ```
 *
 * `node:http` waits for the event loop of the real world, so that this does not run in virtual time.
 *
 * @module @strata/sockets/StrataHttp
 */
import { type Listener, Tcp } from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import { formatIpv4, fromIpv4 } from "@strata/core/wire/Address"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import * as HostAddress from "./internal/HostAddress.ts"
import { ofConnection } from "./internal/Transport.ts"
import { type Run, TransportDuplex } from "./internal/TransportDuplex.ts"
import { connect } from "./StrataSocket.ts"

/** A server for `NodeHttpServer`, which makes it listen; on a stack, and with the options of a `StrataSocketServer` for its address. */
export const makeServer: Effect.Effect<Http.Server, never, Tcp> = Effect.contextWith((context: Context.Context<Tcp>) =>
  Effect.map(Tcp, (tcp) => new StackServer(tcp, Effect.runForkWith(context)) as unknown as Http.Server)
)

/** Agents for `NodeHttpClient`, which connect by a stack and end with the scope. Names need an `AddressResolver`. */
export const makeAgent = (
  options: Https.AgentOptions = {}
): Effect.Effect<{ readonly http: Http.Agent; readonly https: Https.Agent }, never, Tcp | Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Tcp | Scope.Scope>) =>
    Effect.acquireRelease(
      Effect.map(Tcp, (tcp) => {
        const run: Run = Effect.runForkWith(context)
        return { http: new StackAgent(tcp, run, options), https: new SecureStackAgent(tcp, run, options) }
      }),
      ({ http, https }) =>
        Effect.sync(() => {
          http.destroy()
          https.destroy()
        })
    )
  )

interface ListenOptions {
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly backlog?: number | undefined
}

class StackServer extends Http.Server {
  private readonly tcp: Tcp["Service"]
  private readonly run: Run
  private readonly open = new Set<Duplex>()
  private bound: { readonly listener: Listener; readonly accepting: Fiber.Fiber<unknown, unknown> } | undefined

  constructor(tcp: Tcp["Service"], run: Run) {
    super()
    this.tcp = tcp
    this.run = run
    // That of `node:net` says whether it has a handle of the kernel's.
    Object.defineProperty(this, "listening", { get: () => this.bound !== undefined })
  }

  override listen(...[options, listening]: ReadonlyArray<any>): this {
    const { backlog, host, port } = options as ListenOptions
    if (typeof listening === "function") this.once("listening", listening as () => void)
    const listen = Effect.scoped(Effect.gen({ self: this }, function*() {
      const address = host === undefined ? undefined : (yield* HostAddress.resolve(host))[0]
      const listener = yield* this.tcp.listen({ address, port, backlog, copyWrites: true })
      yield* Effect.withFiber((accepting) =>
        Effect.sync(() => {
          this.bound = { listener, accepting }
          this.emit("listening")
        })
      )
      yield* Effect.forever(this.accept(listener))
    }))
    this.run(Effect.catch(listen, (error) => Effect.sync(() => void this.emit("error", error))))
    return this
  }

  override address(): AddressInfo | null {
    if (this.bound === undefined) return null
    const { address, port } = this.bound.listener.local
    return { address: formatIpv4(fromIpv4(address)), port, family: "IPv4" }
  }

  override close(closed?: (error?: Error) => void): this {
    if (closed !== undefined) this.once("close", closed)
    const { bound } = this
    this.bound = undefined
    bound?.accepting.interruptUnsafe()
    this.closeIdleConnections()
    this.emitClosed()
    return this
  }

  /** Hands the next connection to HTTP; it is released when its stream is. */
  private readonly accept = (listener: Listener) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const scope = yield* Scope.make()
        const close = Scope.close(scope, Exit.void)
        const connection = yield* restore(Scope.provide(listener.accept, scope)).pipe(Effect.onError(() => close))
        const stream = streamOf(connection, this.run)
        this.open.add(stream)
        stream.once("close", () => {
          this.open.delete(stream)
          this.run(close)
          this.emitClosed()
        })
        this.emit("connection", stream)
      })
    )

  private emitClosed(): void {
    if (this.bound === undefined && this.open.size === 0) process.nextTick(() => this.emit("close"))
  }
}

type Connected = (error: Error | null, stream: Duplex) => void

/** Connects, and gives the stream, which closes the connection with itself. */
const dial = (tcp: Tcp["Service"], run: Run, options: Http.ClientRequestArgs, connected: Connected): void => {
  const own = Scope.makeUnsafe()
  const open = Scope.provide(connect(tcp, { host: options.host ?? undefined, port: Number(options.port) }), own)
  run(Effect.match(open, {
    onFailure: (error) => failed(connected, error),
    onSuccess: (connection) => {
      const stream = streamOf(connection, run)
      stream.once("close", () => void run(Scope.close(own, Exit.void)))
      connected(null, stream)
    }
  }))
}

/** There is no stream then, although the type of `node:http` has one. */
const failed = (connected: Connected, error: Error): void => (connected as (error: Error) => void)(error)

class StackAgent extends Http.Agent {
  private readonly dial: (options: Http.ClientRequestArgs, connected: Connected) => void

  constructor(tcp: Tcp["Service"], run: Run, options: Http.AgentOptions) {
    super(options)
    this.dial = (to, connected) => dial(tcp, run, to, connected)
  }

  override createConnection(options: Http.ClientRequestArgs, connected?: Connected): undefined {
    this.dial(options, connected!)
  }
}

class SecureStackAgent extends Https.Agent {
  private readonly dial: (options: Http.ClientRequestArgs, connected: Connected) => void

  constructor(tcp: Tcp["Service"], run: Run, options: Https.AgentOptions) {
    super(options)
    this.dial = (to, connected) => dial(tcp, run, to, connected)
  }

  override createConnection(options: Https.RequestOptions, connected?: Connected): undefined {
    this.dial(options as Http.ClientRequestArgs, (error, socket) => {
      if (error !== null) return failed(connected!, error)
      connected!(null, Tls.connect({ ...options as Tls.ConnectionOptions, socket }))
    })
  }
}

/** A stream with what `node:http` and its programs ask of those of `node:net`. */
const streamOf = (connection: Connection, run: Run): Duplex => {
  const { local, remote } = connection
  return Object.assign(new HttpStream(connection, run), {
    localAddress: formatIpv4(fromIpv4(local.address)),
    localPort: local.port,
    remoteAddress: formatIpv4(fromIpv4(remote.address)),
    remotePort: remote.port,
    remoteFamily: "IPv4"
  })
}

class HttpStream extends TransportDuplex {
  private idle: NodeJS.Timeout | undefined

  constructor(connection: Connection, run: Run) {
    super(ofConnection(connection), run, () => this.idle?.refresh())
    this.once("close", () => clearTimeout(this.idle))
  }

  /** What TCP does is said with `TcpDefaults`. */
  setKeepAlive(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  /** Emits `timeout` once nothing was read or written for that many milliseconds; 0 for never. */
  setTimeout(milliseconds: number, listener?: () => void): this {
    clearTimeout(this.idle)
    this.idle = milliseconds > 0 ? setTimeout(() => this.emit("timeout"), milliseconds).unref() : undefined
    if (listener !== undefined) {
      if (milliseconds > 0) this.once("timeout", listener)
      else this.off("timeout", listener)
    }
    return this
  }
}
