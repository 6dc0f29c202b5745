/**
 * `net.Server` on strata's TCP: listens, and emits a `NetSocket` for each connection.
 */
import type { Connection, ConnectionOptions } from "@strata/core/tcp/Tcp"
import { formatIpv4, fromIpv4 } from "@strata/core/wire/Address"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import { EventEmitter } from "node:events"
import { type AddressInfo, BlockList, type DropArgument, isIP } from "node:net"
import {
  keepAliveSettings,
  type ListenArguments,
  listenArguments,
  type ListenTarget,
  numberOf
} from "../internal/NodeArguments.ts"
import { type NodeHost, type OpenListener, outward } from "../internal/NodeHost.ts"
import type { NetSocket } from "./NetSocket.ts"
import type { Listen, NetSocketOptions } from "./NetSocketOptions.ts"
import * as Errors from "./NodeErrors.ts"

/** What `createServer` takes: what its sockets have. */
export interface NetServerOptions extends Omit<NetSocketOptions, "signal" | "onread"> {
  /** Nothing is read from a connection until its socket is resumed; false by default. */
  readonly pauseOnConnect?: boolean | undefined
}

/** What `listen` takes. */
export interface NetListenOptions {
  /** A random free one by default, and for 0. */
  readonly port?: number | string | undefined
  /** All addresses of the host by default. */
  readonly host?: string | undefined
  /** Connections that wait to be taken; 511 by default. */
  readonly backlog?: number | undefined
  /** Closes the server when it is aborted. */
  readonly signal?: AbortSignal | undefined
}

/** What a server emits, with what its listeners are called with. */
export interface NetServerEvents {
  readonly close: []
  readonly connection: [socket: NetSocket]
  /** A connection that was not let in: see `maxConnections` and `blockList`. */
  readonly drop: [dropped: DropArgument]
  readonly error: [error: Error]
  readonly listening: []
}

export type ConnectionListener = (socket: NetSocket) => void

/** Makes the socket of a new connection. */
type MakeSocket = (options: NetSocketOptions) => NetSocket

const BACKLOG = 511
const ANY = "0.0.0.0"
/** That of IPv6, by which programs mean all addresses. */
const ANY_OF_IPV6 = "::"

export class NetServer extends EventEmitter {
  declare readonly on: Listen<this, NetServerEvents>
  declare readonly once: Listen<this, NetServerEvents>
  /** Connections beyond that are closed at once, and 'drop' tells of them; no bound by default. */
  maxConnections: number = undefined as unknown as number
  readonly #host: NodeHost
  readonly #makeSocket: MakeSocket
  readonly #options: NetServerOptions
  readonly #open = new Set<NetSocket>()
  #listener: OpenListener | undefined
  /** What `listen` was last told, while it waits for a name or its turn. */
  #opening: ListenTarget | undefined
  #isReferenced = true
  #isHeld = false

  /** Programs have the `Server` of a `StrataNet`, which knows its stack. */
  constructor(
    host: NodeHost,
    makeSocket: MakeSocket,
    options?: NetServerOptions | ConnectionListener | null,
    listener?: ConnectionListener
  ) {
    super()
    if (options !== null && options !== undefined && typeof options !== "object" && typeof options !== "function") {
      throw Errors.invalidType("options", "of type object", options)
    }
    this.#host = host
    this.#makeSocket = makeSocket
    const onConnection = typeof options === "function" ? options : listener
    this.#options = typeof options === "function" ? {} : checked(options ?? {})
    if (typeof onConnection === "function") this.on("connection", onConnection)
  }

  get listening(): boolean {
    return this.#listener !== undefined
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#open.size
  }

  /** Listens; the arguments are those of `net.Server`. */
  listen(...given: ListenArguments): this {
    const [options, listener] = listenArguments(given)
    if (this.listening || this.#opening !== undefined) throw Errors.alreadyListening()
    const { host, signal } = options
    this.#abortWith(signal)
    if (listener !== undefined) this.once("listening", listener)
    this.#opening = options
    this.#host.open.add(this)
    this.#hold()
    if (host === undefined || host === ANY_OF_IPV6) this.#bind(ANY, options)
    else if (isIP(host) !== 0) process.nextTick(() => this.#bind(host, options))
    else this.#lookup(host, options)
    return this
  }

  address(): AddressInfo | null {
    if (this.#listener === undefined) return null
    const { address, port } = this.#listener.local
    return { address: formatIpv4(fromIpv4(address)), family: "IPv4", port }
  }

  /** Takes no more connections; 'close' follows when those that are there have ended. */
  close(callback?: (error?: Error) => void): this {
    if (typeof callback === "function") {
      if (this.listening) this.once("close", callback)
      else this.once("close", () => callback(Errors.notRunning()))
    }
    this.#listener?.close()
    this.#listener = undefined
    this.#opening = undefined
    this.#hold()
    this.#emitCloseIfDrained()
    return this
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    const count = this.#open.size
    process.nextTick(() => callback(null, count))
    return this
  }

  ref(): this {
    this.#isReferenced = true
    this.#hold()
    return this
  }

  unref(): this {
    this.#isReferenced = false
    this.#hold()
    return this
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (!this.listening) return Promise.resolve()
    return new Promise((resolve, reject) => void this.close((error) => error ? reject(error) : resolve()))
  }

  /** The end of the adapter: nothing of the server stays. */
  shut(): void {
    if (this.listening || this.#opening !== undefined) this.close()
  }

  #abortWith(signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    if (typeof signal !== "object" || signal === null || !("aborted" in signal)) {
      throw Errors.invalidType("options.signal", "an instance of AbortSignal", signal)
    }
    const abort = () => void this.close()
    if (signal.aborted) process.nextTick(abort)
    else {
      signal.addEventListener("abort", abort, { once: true })
      this.once("close", () => signal.removeEventListener("abort", abort))
    }
  }

  #lookup(host: string, options: ListenTarget): void {
    if (host.toLowerCase() === "localhost") return process.nextTick(() => this.#bind("127.0.0.1", options))
    this.#host.resolve(host, (outcome) => {
      if (Result.isSuccess(outcome)) return this.#bind(outcome.success[0] ?? host, options)
      if (this.#opening !== options) return
      this.#giveUp()
      this.emit("error", Errors.notFound(host, outcome.failure))
    })
  }

  /** Unless the server was closed meanwhile, and perhaps told to listen elsewhere. */
  #bind(host: string, options: ListenTarget): void {
    if (this.#opening !== options) return
    const { backlog = BACKLOG, port } = options
    const address = Result.getOrUndefined(NetAddress.ipFromString(host))
    const fail = (code: string) => {
      this.#giveUp()
      process.nextTick(() => this.emit("error", Errors.listenError(code, host, port)))
    }
    if (address === undefined || !NetAddress.isIpv4Address(address)) return fail("EAFNOSUPPORT")
    const listen = { ...this.#connectionOptions(), address, port, backlog }
    const bound = this.#host.listen(listen, (connection) => outward(() => this.#accept(connection)))
    if (Result.isFailure(bound)) return fail(Errors.codeOf(bound.failure))
    this.#opening = undefined
    this.#listener = bound.success
    this.#hold()
    process.nextTick(() => {
      if (this.listening) this.emit("listening")
    })
  }

  /** It does not listen, and may be told to again. */
  #giveUp(): void {
    this.#opening = undefined
    this.#host.open.delete(this)
    this.#hold()
  }

  #connectionOptions(): ConnectionOptions {
    const { congestion, copyWrites = true, keepAlive, keepAliveInitialDelay, noDelay } = this.#options
    const { receiveBuffer, sendBuffer, settings } = this.#options
    return {
      congestion,
      copyWrites,
      receiveBuffer,
      sendBuffer,
      settings: {
        ...(noDelay === undefined ? {} : { nagle: !noDelay }),
        ...(keepAlive === undefined
          ? {}
          : keepAliveSettings({ enable: keepAlive, initialDelay: keepAliveInitialDelay })),
        ...settings
      }
    }
  }

  #accept(connection: Connection): void {
    if (this.#isFull || this.#blocks(connection)) return this.#drop(connection)
    const { pauseOnConnect = false } = this.#options
    const socket = this.#makeSocket(ofSockets(this.#options))
    this.#open.add(socket)
    socket.server = this
    socket.adopt(connection, pauseOnConnect, () => {
      this.#open.delete(socket)
      this.#emitCloseIfDrained()
    })
    this.emit("connection", socket)
  }

  get #isFull(): boolean {
    const most: unknown = this.maxConnections
    return most !== undefined && most !== null && this.#open.size >= Number(most)
  }

  #blocks({ remote }: Connection): boolean {
    return this.#options.blockList?.check(NetAddress.formatIp(remote.address), "ipv4") ?? false
  }

  #drop({ local, plain, remote }: Connection): void {
    const dropped: DropArgument = {
      localAddress: NetAddress.formatIp(local.address),
      localPort: local.port,
      localFamily: "IPv4",
      remoteAddress: NetAddress.formatIp(remote.address),
      remotePort: remote.port,
      remoteFamily: "IPv4"
    }
    plain.close()
    this.emit("drop", dropped)
  }

  #hold(): void {
    const wanted = this.#isReferenced && (this.listening || this.#opening !== undefined)
    if (wanted === this.#isHeld) return
    this.#isHeld = wanted
    if (wanted) this.#host.hold.take()
    else this.#host.hold.release()
  }

  #emitCloseIfDrained(): void {
    if (this.listening || this.#opening !== undefined || this.#open.size > 0) return
    this.#host.open.delete(this)
    process.nextTick(() => this.emit("close"))
  }
}

const checked = (options: NetServerOptions): NetServerOptions => {
  const { blockList, highWaterMark, keepAliveInitialDelay } = options
  if (keepAliveInitialDelay !== undefined) numberOf("options.keepAliveInitialDelay", keepAliveInitialDelay)
  if (highWaterMark !== undefined) numberOf("options.highWaterMark", highWaterMark)
  if (blockList && !BlockList.isBlockList(blockList)) {
    throw Errors.invalidType("options.blockList", "an net.BlockList", blockList)
  }
  return options
}

/** What its sockets are told: what the connection has already, and whom a server does not let in, is none of theirs. */
const ofSockets = (options: NetServerOptions & Pick<NetSocketOptions, "signal" | "onread">): NetSocketOptions => {
  const { blockList: _, keepAlive: __, noDelay: ___, onread: ____, signal: _____, ...own } = options
  return own
}
