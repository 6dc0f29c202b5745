/**
 * `net.Socket` on strata's TCP: a Duplex with the methods, the events and their order, and the errors of `node:net`.
 *
 * What arrives goes from the connection's buffer into the stream within the turn in which it arrives, and what is written goes
 * into the send buffer: there is no fiber and no promise for it. While the stream is full nothing is taken from the connection, so
 * that its window closes. A write is done when the send buffer has all of it, copied unless `copyWrites` is false.
 *
 * docs/node.md has what is different from Node.
 */
import type { PlainConnection } from "@strata/core/tcp/PlainConnection"
import type { Connection, ConnectionOptions } from "@strata/core/tcp/Tcp"
import type { TcpError } from "@strata/core/tcp/TcpError"
import type { TcpSettings } from "@strata/core/tcp/TcpSettings"
import { formatIpv4, fromIpv4 } from "@strata/core/wire/Address"
import type { EventEmitter } from "node:events"
import type { AddressInfo, OnReadOpts, SetKeepAliveOptions, SocketReadyState } from "node:net"
import { addAbortSignal, Duplex } from "node:stream"
import {
  type ConnectArguments,
  connectArguments,
  connectTarget,
  keepAliveSettings,
  milliseconds,
  type Target
} from "../internal/NodeArguments.ts"
import { Dial } from "../internal/NodeDial.ts"
import { type NodeHost, outward, uncaught } from "../internal/NodeHost.ts"
import type { Listen, NetSocketEvents, NetSocketOptions } from "./NetSocketOptions.ts"
import * as Errors from "./NodeErrors.ts"

/** A connection, and which end is where, as properties tell it. */
interface Live {
  readonly connection: Connection
  readonly plain: PlainConnection
}

type Done = (error?: Error | null) => void

const FAMILY = "IPv4"
const NOTHING: ReadonlyArray<never> = []

/** What Node's own sockets begin anew with; of all streams, and in no type. */
const undestroy = (Duplex.prototype as unknown as { readonly _undestroy: (this: Duplex) => void })["_undestroy"]

export class NetSocket extends Duplex {
  declare readonly on: Listen<this, NetSocketEvents>
  declare readonly once: Listen<this, NetSocketEvents>
  /** Where this end is, while there is a connection. */
  declare readonly localAddress?: string
  declare readonly localPort?: number
  declare readonly localFamily?: string
  /** Milliseconds, as `setTimeout` was told. */
  declare readonly timeout?: number
  static {
    // Declared as in Node's types, which a getter that may return undefined does not fit where optional properties are exact.
    const getter = (get: (this: NetSocket) => unknown): PropertyDescriptor => ({ get, configurable: true })
    Object.defineProperties(this.prototype, {
      localAddress: getter(function() {
        return this.#local?.address
      }),
      localPort: getter(function() {
        return this.#local?.port
      }),
      localFamily: getter(function() {
        return this.#local?.family
      }),
      timeout: getter(function() {
        return this.#timeout
      })
    })
  }
  /** `address:port` of all that was tried where a name has several addresses. */
  get autoSelectFamilyAttemptedAddresses(): Array<string> {
    return this.#attempted ?? []
  }

  /** Who has accepted it. */
  server: EventEmitter | undefined
  readonly #host: NodeHost
  readonly #options: NetSocketOptions
  /** What was set before there was a connection, and since. */
  #settings: Partial<TcpSettings> | undefined
  #attempted: Array<string> | undefined
  #dialing: Dial | undefined
  #live: Live | undefined
  /** As in Node, it is remembered when the connection is gone, if it was asked for before. */
  #peer: AddressInfo | undefined
  /** The stream wants more: nothing is taken from the connection otherwise. */
  #reading = false
  /** It asked for more while it was being given something. */
  #asked = false
  /** The connection will say when there is something to read. */
  #listening = false
  /** What `onread` did not want yet. */
  #rest: ReadonlyArray<Uint8Array> = NOTHING
  #bytesRead = 0
  #bytesWritten = 0
  #peerEnded = false
  #resets = false
  #isReferenced = true
  #isHeld = false
  #timeout: number | undefined
  /** What the peer had acknowledged when the timeout was last looked at. */
  #acknowledged: number | undefined
  #idleTimer: NodeJS.Timeout | undefined
  /** For a server that counts its connections. */
  #gone: (() => void) | undefined

  /** Programs have the `Socket` of a `StrataNet`, which knows its stack. */
  constructor(host: NodeHost, options: NetSocketOptions = {}) {
    super({ ...streamOptions(options), emitClose: false })
    this.#host = host
    this.#options = options
    this.#settings = options.settings
    if (options.noDelay !== undefined) this.setNoDelay(options.noDelay)
    if (options.keepAlive !== undefined) this.setKeepAlive(options.keepAlive, options.keepAliveInitialDelay)
    // Not by the stream, which might destroy what is not a socket yet.
    if (options.signal !== undefined) addAbortSignal(options.signal, this)
  }

  /** Connects; the arguments are those of `net.Socket`. A socket that was destroyed may connect again. */
  connect(...given: ConnectArguments): this {
    const [options, listener] = connectArguments(given)
    const target = connectTarget(options)
    if (this.destroyed) this.#revive()
    if (listener !== undefined) this.once("connect", listener)
    if (this.#live !== undefined) return this.#refuse("EISCONN", target)
    if (this.#dialing !== undefined) return this.#refuse("EALREADY", target)
    this.#active()
    this.#dialing = new Dial(this.#host, { ...target, blockList: this.#options.blockList }, this.#connectionOptions(), {
      event: (name, ...values) => void this.emit(name, ...values),
      tried: (endpoint) => void (this.#attempted ??= []).push(endpoint),
      connected: (connection) => {
        this.#dialing = undefined
        this.#connected(connection)
      },
      failed: (error) => this.destroy(error)
    })
    this.#host.open.add(this)
    this.#hold()
    this.#dialing.start()
    return this
  }

  /** Takes a connection that is there already; for servers. */
  adopt(connection: Connection, isPaused: boolean, gone: () => void): void {
    this.#gone = gone
    this.#host.open.add(this)
    this.#begin(connection)
    if (isPaused) this.pause()
    else this.read(0)
  }

  get connecting(): boolean {
    return this.#dialing !== undefined
  }

  get pending(): boolean {
    return this.#live === undefined
  }

  get readyState(): SocketReadyState {
    if (this.connecting) return "opening"
    if (this.readable) return this.writable ? "open" : "readOnly"
    return this.writable ? "writeOnly" : "closed"
  }

  get bytesRead(): number {
    return this.#bytesRead
  }

  /** Octets that were written, those included that still wait in the stream. */
  get bytesWritten(): number {
    return this.#bytesWritten + this.writableLength
  }

  get bufferSize(): number {
    return this.#live === undefined && !this.connecting ? 0 : this.writableLength
  }

  get remoteAddress(): string | undefined {
    return this.#remote?.address
  }

  get remotePort(): number | undefined {
    return this.#remote?.port
  }

  get remoteFamily(): string | undefined {
    return this.#remote?.family
  }

  /** Where this end is; an empty object while there is no connection. */
  address(): AddressInfo | {} {
    return this.#local ?? {}
  }

  /** Nagle's algorithm off, or on again; kept until there is a connection. */
  setNoDelay(noDelay = true): this {
    return this.#configure({ nagle: !noDelay })
  }

  /**
   * Whether an idle connection asks if its peer is there. Milliseconds of which whole seconds count: with an `initialDelay` of 0 all times
   * stay as they are, otherwise it is asked `count` times, 10 by default, each `interval`, a second by default.
   */
  setKeepAlive(
    enable: boolean | SetKeepAliveOptions = false,
    initialDelay = 0,
    interval?: number,
    count?: number
  ): this {
    return this.#configure(
      keepAliveSettings(typeof enable === "object" ? enable : { enable, initialDelay, interval, count })
    )
  }

  /** The octet of IPv4's header for the kind of service: strata sends 0. */
  getTypeOfService(): number {
    return 0
  }

  setTypeOfService(service: number): this {
    if (service !== 0) throw Errors.systemError("setTypeOfService", "ENOTSUP")
    return this
  }

  /** 'timeout' is emitted after so many milliseconds in which nothing was read or written; 0 for never. */
  setTimeout(timeout: number, callback?: () => void): this {
    if (this.destroyed) return this
    const delay = milliseconds(timeout)
    if (callback !== undefined && typeof callback !== "function") {
      throw Errors.invalidType("callback", "of type function", callback)
    }
    this.#timeout = delay
    clearTimeout(this.#idleTimer)
    this.#idleTimer = undefined
    if (delay > 0) {
      this.#idleTimer = setTimeout(() => this.#onIdle(), delay).unref()
      if (callback !== undefined) this.once("timeout", callback)
    } else if (callback !== undefined) {
      this.off("timeout", callback)
    }
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

  /** Resets the connection instead of closing it in order; one that is being opened as soon as it is there. */
  resetAndDestroy(): this {
    if (this.connecting) return this.once("connect", () => void this.resetAndDestroy())
    if (this.#live === undefined) return this.destroy(Errors.socketClosed())
    this.#resets = true
    return this.destroy()
  }

  /** Destroys the socket once all that was written is sent. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once("finish", this.destroy)
  }

  /** The end of the adapter: nothing of the socket stays. */
  shut(): void {
    this.destroy()
  }

  override pause(): this {
    if (this.#options.onread && this.#live !== undefined) this.#reading = false
    return super.pause()
  }

  override resume(): this {
    if (this.#options.onread && this.#live !== undefined) process.nextTick(() => this.#read())
    return super.resume()
  }

  override read(size?: number): unknown {
    if (this.#options.onread && this.#live !== undefined) this.#read()
    return super.read(size)
  }

  override _read(): void {
    this.#asked = true
    if (this.#live === undefined) this.once("connect", () => this.#read())
    else this.#read()
  }

  override _write(chunk: Uint8Array, _: BufferEncoding, done: Done): void {
    this.#send([chunk], chunk.length, done)
  }

  override _writev(pieces: ReadonlyArray<{ readonly chunk: Uint8Array }>, done: Done): void {
    let octets = 0
    const chunks = pieces.map(({ chunk }) => {
      octets += chunk.length
      return chunk
    })
    this.#send(chunks, octets, done)
  }

  override _final(done: Done): void {
    const end = () => {
      this.#live?.plain.closeWrite()
      // As in Node, the stream is not finished at once: what is about to go on, promises included, may still write or destroy.
      queueMicrotask(() => process.nextTick(done))
    }
    if (this.connecting) this.once("connect", end)
    else end()
  }

  override _destroy(error: Error | null, done: Done): void {
    const hadHandle = this.#live !== undefined || this.connecting
    this.#dialing?.giveUp()
    this.#dialing = undefined
    const plain = this.#live?.plain
    this.#live = undefined
    this.#reading = false
    this.#rest = NOTHING
    clearTimeout(this.#idleTimer)
    if (this.#resets) plain?.abort()
    else plain?.close()
    this.#hold()
    this.#host.open.delete(this)
    done(error)
    if (hadHandle) setImmediate(() => this.emit("close", error !== null))
    else process.nextTick(() => this.emit("close"))
    this.#gone?.()
  }

  get #local(): AddressInfo | undefined {
    return this.#live && endpointOf(this.#live.connection.local)
  }

  get #remote(): AddressInfo | undefined {
    this.#peer ??= this.#live && endpointOf(this.#live.connection.remote)
    return this.#peer
  }

  #connectionOptions(): ConnectionOptions {
    const { congestion, copyWrites = true, receiveBuffer, sendBuffer } = this.#options
    return { congestion, copyWrites, receiveBuffer, sendBuffer, settings: this.#settings }
  }

  #refuse(code: string, { host, port }: Target): this {
    return this.destroy(Errors.endpointError("connect", code, host, port))
  }

  #configure(settings: Partial<TcpSettings>): this {
    this.#settings = { ...this.#settings, ...settings }
    this.#live?.plain.configure(settings)
    return this
  }

  #begin(connection: Connection): void {
    this.#live = { connection, plain: connection.plain }
    this.#hold()
    this.#active()
  }

  #connected(connection: Connection): void {
    this.#begin(connection)
    this.emit("connect")
    this.emit("ready")
    if (this.readable && !this.isPaused()) this.read(0)
  }

  /** A stream that is over becomes one that has not begun. */
  #revive(): void {
    undestroy.call(this)
    this.#peer = undefined
    this.#resets = false
    this.#listening = false
    this.#peerEnded = false
    Reflect.deleteProperty(this, "write")
    this.#bytesRead = 0
    this.#bytesWritten = 0
  }

  /** As in Node, the process goes on while there is a connection, or one is being opened. */
  #hold(): void {
    const wanted = this.#isReferenced && (this.#live !== undefined || this.connecting)
    if (wanted === this.#isHeld) return
    this.#isHeld = wanted
    if (wanted) this.#host.hold.take()
    else this.#host.hold.release()
  }

  #active(): void {
    this.#idleTimer?.refresh()
  }

  #onIdle(): void {
    const acknowledged = this.#live?.connection.controlBlock().snd.una
    // The peer still takes what is being written.
    if (this.writableLength > 0 && acknowledged !== this.#acknowledged) {
      this.#acknowledged = acknowledged
      this.#active()
    } else this.emit("timeout")
  }

  #read(): void {
    if (this.#reading) return
    this.#reading = true
    if (!this.#listening) this.#receive()
  }

  readonly #readable = (): void => {
    this.#listening = false
    if (!this.#reading) return
    try {
      this.#receive()
    } catch (error) {
      uncaught(error)
    }
  }

  /** Gives the stream all there is, until it has enough, and waits for more otherwise. */
  #receive(): void {
    let given = false
    while (this.#reading && this.#live !== undefined) {
      const { plain } = this.#live
      const chunks = this.#rest.length > 0 ? this.#rest : this.#take(plain)
      if (chunks === undefined) return this.#behind(plain, given)
      given = true
      this.#reading = this.#options.onread ? this.#fill(chunks, this.#options.onread) : this.#give(chunks)
    }
  }

  /** Whether the stream wants more. All it is given it takes. */
  #give(chunks: ReadonlyArray<Uint8Array>): boolean {
    let wanted = true
    for (const chunk of chunks) {
      this.#asked = false
      this.#bytesRead += chunk.length
      try {
        wanted = this.push(chunk)
      } catch (error) {
        // A listener has thrown: that is its own affair, and the connection goes on.
        uncaught(error)
      }
    }
    return wanted || this.#asked
  }

  #take(plain: PlainConnection): ReadonlyArray<Uint8Array> | undefined {
    const chunks = plain.take()
    if (chunks === undefined) return undefined
    this.#active()
    return chunks
  }

  /** Passes chunks on in the buffer of `onread`, until that wants no more. */
  #fill(chunks: ReadonlyArray<Uint8Array>, { buffer, callback }: OnReadOpts): boolean {
    const rest = [...chunks]
    this.#rest = rest
    let wanted = true
    while (wanted && rest.length > 0) {
      const into = typeof buffer === "function" ? buffer() : buffer
      const part = rest[0]!.subarray(0, into.length)
      into.set(part)
      if (part.length === rest[0]!.length) rest.shift()
      else rest[0] = rest[0]!.subarray(part.length)
      this.#asked = false
      this.#bytesRead += part.length
      wanted = callback.call(this, part.length, into) !== false || this.#asked
    }
    return wanted
  }

  #behind(plain: PlainConnection, given: boolean): void {
    switch (plain.behind()) {
      case "more":
        this.#listening = true
        return plain.whenReadable(this.#readable)
      case "end":
        if (this.#peerEnded) return
        this.#peerEnded = true
        if (!this.allowHalfOpen) this.write = this.#writeAfterEnd
        this.push(null)
        // A stream that nobody reads ends by itself if nothing is in it.
        this.read(0)
        return
      case "failure":
        // It is a read of its own, after whoever waits has had what came before it.
        if (given) {
          this.#listening = true
          setImmediate(this.#readable)
          return
        }
        this.destroy(Errors.systemError("read", Errors.codeOf(plain.failure())))
    }
  }

  /** What a stream that has ended because its peer did says to who writes on. */
  #writeAfterEnd(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    const done = typeof encoding === "function" ? encoding : callback
    if (!this.writableEnded) return super.write(chunk, encoding as BufferEncoding, callback as Done)
    const error = Errors.endedByPeer()
    if (typeof done === "function") process.nextTick(done, error)
    this.destroy(error)
    return false
  }

  #send(chunks: ReadonlyArray<Uint8Array>, octets: number, done: Done): void {
    if (this.connecting) return this.#sendLater(chunks, octets, done)
    if (this.#live === undefined) return done(Errors.socketClosed())
    const { plain } = this.#live
    this.#active()
    if (plain.write(chunks, (error) => outward(() => this.#sent(error, octets, done)))) {
      this.#sent(undefined, octets, done)
    }
  }

  /** A write is over. */
  #sent(error: TcpError | undefined, octets: number, done: Done): void {
    if (error === undefined) {
      this.#bytesWritten += octets
      return done()
    }
    const code = this.#writeCode(error)
    // A failure is first seen by who reads, if anybody does; the writes that waited are given up.
    if (this.#listening && !this.destroyed) this.destroy(Errors.systemError("read", code))
    if (this.destroyed) process.nextTick(done, Errors.systemError("write", "ECANCELED"))
    else done(Errors.systemError("write", code))
  }

  /** Of a connection that the peer had ended before it was reset, as the kernel tells it. */
  #writeCode(error: TcpError): string {
    const code = Errors.codeOf(error)
    return code === "ECONNRESET" && this.#peerEnded || code === "ECONNABORTED" ? "EPIPE" : code
  }

  #sendLater(chunks: ReadonlyArray<Uint8Array>, octets: number, done: Done): void {
    const connected = () => {
      this.off("close", closed)
      this.#send(chunks, octets, done)
    }
    const closed = () => {
      this.off("connect", connected)
      done(Errors.closedBeforeConnection())
    }
    this.once("connect", connected)
    this.once("close", closed)
  }
}

const endpointOf = ({ address, port }: Connection["local"]): AddressInfo => ({
  address: formatIpv4(fromIpv4(address)),
  port,
  family: FAMILY
})

/** Those that are given: a stream takes an undefined one for a value. */
const streamOptions = (options: NetSocketOptions) => {
  const { allowHalfOpen = false, highWaterMark, readableHighWaterMark, writableHighWaterMark } = options
  const given = Object.entries({ highWaterMark, readableHighWaterMark, writableHighWaterMark })
  return { allowHalfOpen, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) }
}
