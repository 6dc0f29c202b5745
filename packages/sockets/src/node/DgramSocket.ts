/**
 * `dgram.Socket` on strata's UDP: methods, the order of events and errors of `node:dgram`. docs/node-behaviours.md has what is
 * different from Node.
 */
import type { Udp } from "@strata/core"
import type { SendingOptions } from "@strata/core/udp/Udp"
import { toIpv4 } from "@strata/core/wire/Address"
import type { BindOptions, BindSyncOptions, RemoteInfo, Socket, SocketOptions, SocketType } from "node:dgram"
import { addAbortListener, errorMonitor, EventEmitter } from "node:events"
import { type AddressInfo, isIP } from "node:net"
import { promisify } from "node:util"
import type { Hold } from "../internal/NodeHost.ts"
import {
  checkNumber,
  checkPort,
  checkSignal,
  checkSize,
  checkString,
  type Chunk,
  joined,
  type Message,
  type Outgoing,
  type Sent,
  toAnybody,
  toPeer
} from "./DgramArguments.ts"
import type { Departure } from "./DgramDeparture.ts"
import * as Errors from "./DgramErrors.ts"
import { DgramHandle, parse } from "./DgramHandle.ts"
import * as NodeErrors from "./NodeErrors.ts"

/** Node asks it for a family, and not with options as its types have it. */
export type Lookup = (
  hostname: string,
  family: number,
  done: (error: NodeJS.ErrnoException | null, address: string) => void
) => void

/** What the sockets of one `StrataDgram` have in common. */
export interface DgramHost {
  readonly udp: Udp["Service"]
  readonly departure: Departure
  /** Names, for sockets without a `lookup` of their own. */
  readonly lookup: (hostname: string, done: (error: NodeJS.ErrnoException | null, address: string) => void) => void
  /** What is open. */
  readonly open: Set<DgramSocket>
  /** What keeps the process alive. */
  readonly hold: Hold
}

export type MessageListener = (message: NonSharedBuffer, from: RemoteInfo) => void

type Events = {
  readonly listening: []
  readonly connect: []
  readonly message: [message: NonSharedBuffer, from: RemoteInfo]
  readonly error: [error: Error]
  readonly [errorMonitor]: [error: Error]
  readonly close: []
}

const ANY = "0.0.0.0"

export class DgramSocket extends EventEmitter<Events> implements Socket {
  readonly type: SocketType

  readonly #host: DgramHost
  readonly #lookup: Lookup | undefined
  readonly #shared: boolean
  readonly #sizes: Pick<SocketOptions, "recvBufferSize" | "sendBufferSize">
  #handle: DgramHandle | undefined
  #binding: "unbound" | "binding" | "bound" = "unbound"
  #connection: "disconnected" | "connecting" | "connected" = "disconnected"
  /** The address that was sent to last. */
  #numeric = ""
  /** What is to be done once there is a port. */
  #queue: Array<() => void> | undefined
  #refed = true
  #held = false

  constructor(host: DgramHost, type: SocketType | SocketOptions, listener?: MessageListener) {
    super()
    const options: Partial<SocketOptions> = typeof type === "object" && type !== null ? type : { type }
    if (options.type !== "udp4" && options.type !== "udp6") throw Errors.badSocketType()
    checkSize("options.recvBufferSize", options.recvBufferSize)
    checkSize("options.sendBufferSize", options.sendBufferSize)
    if (options.lookup !== undefined && typeof options.lookup !== "function") {
      throw NodeErrors.invalidType("lookup", "of type function", options.lookup)
    }
    if (options.receiveBlockList !== undefined || options.sendBlockList !== undefined) {
      throw NodeErrors.unsupported("block lists for datagrams")
    }
    checkSignal(options.signal)
    this.type = options.type
    this.#host = host
    this.#lookup = options.lookup as Lookup | undefined
    this.#shared = options.reuseAddr === true || options.reusePort === true
    this.#sizes = options
    this.#handle = new DgramHandle(host.udp, host.departure, {
      onMessage: (message, from) => this.emit("message", message, from),
      onError: (code) => this.emit("error", NodeErrors.systemError("recvmsg", code))
    })
    host.open.add(this)
    if (typeof listener === "function") this.on("message", listener)
    if (options.signal !== undefined) this.#closeWith(options.signal)
  }

  bind(port?: number, address?: string, callback?: () => void): this
  bind(port: number, callback: () => void): this
  bind(callback: () => void): this
  bind(options: BindOptions, callback?: () => void): this
  bind(...given: ReadonlyArray<unknown>): this {
    this.#running()
    if (this.#binding !== "unbound") throw Errors.alreadyBound()
    const [first, second] = given
    const { address, fd, port } = typeof first === "object" && first !== null
      ? first as BindOptions
      : { port: first as number, address: typeof second === "string" ? second : undefined }
    if (fd !== undefined && fd > 0) throw NodeErrors.unsupported("file descriptors")
    this.#binding = "binding"
    const callback = given.at(-1)
    if (typeof callback === "function") this.#onceListening(() => Reflect.apply(callback, this, []))
    const wanted = address || this.#any
    this.#resolve(wanted, (error, ip) => {
      if (this.#handle === undefined) return
      const failure = error ?? this.#take(ip, Number(port) || 0)
      if (failure === undefined) return this.emit("listening")
      this.#binding = "unbound"
      return this.emit("error", failure)
    })
    return this
  }

  bindSync(options: BindSyncOptions = {}): AddressInfo {
    this.#running()
    if (typeof options !== "object" || options === null) {
      throw NodeErrors.invalidType("options", "of type object", options)
    }
    if (this.#binding !== "unbound") throw Errors.alreadyBound()
    const port = checkPort("options.port", options.port ?? 0, true)
    const address = options.address || this.#any
    checkString("options.address", address)
    if (isIP(address) === 0) {
      throw Errors.wrongValue(
        "options.address",
        address,
        "must be a numeric IP address; bindSync does not perform DNS resolution"
      )
    }
    const failure = this.#take(address, port)
    if (failure !== undefined) throw failure
    process.nextTick(() => this.#handle !== undefined && this.emit("listening"))
    return this.address()
  }

  connect(port: number, address?: string, callback?: () => void): void
  connect(port: number, callback: () => void): void
  connect(port: number, second?: string | (() => void), third?: () => void): void {
    const number = checkPort("Port", port, false)
    const callback = typeof second === "function" ? second : third
    const address = typeof second === "function" ? "" : second ?? ""
    checkString("address", address)
    if (this.#connection !== "disconnected") throw Errors.isConnected()
    this.#running()
    if (this.#binding === "unbound") this.bind({ port: 0, exclusive: true })
    this.#connection = "connecting"
    this.#whenBound(() => {
      if (callback !== undefined) this.once("connect", callback)
      this.#resolve(address, (error, ip) => this.#connected(error, ip, address, number, callback))
    })
  }

  connectSync(port: number, address?: string): void {
    this.#running()
    const number = checkPort("Port", port, false)
    if (this.#connection !== "disconnected") throw Errors.isConnected()
    const peer = address === undefined || address === "" ? "127.0.0.1" : address
    checkString("address", peer)
    if (isIP(peer) === 0) {
      throw Errors.wrongValue(
        "address",
        peer,
        "must be a numeric IP address; connectSync does not perform DNS resolution"
      )
    }
    if (this.#binding === "unbound") this.bindSync()
    else if (this.#binding === "binding") throw Errors.alreadyBound()
    const code = this.#handle!.connect(peer, number)
    if (code !== undefined) throw Errors.endpointError("connect", code, peer, number)
    this.#connection = "connected"
    process.nextTick(() => this.#handle !== undefined && this.emit("connect"))
  }

  disconnect(): void {
    if (this.#connection !== "connected") throw Errors.notConnected()
    this.#running().disconnect()
    this.#connection = "disconnected"
  }

  send(message: Message, port?: number, address?: string, callback?: Sent): void
  send(message: Message, port?: number, callback?: Sent): void
  send(message: Message, callback?: Sent): void
  send(message: Chunk, offset: number, length: number, port?: number, address?: string, callback?: Sent): void
  send(message: Chunk, offset: number, length: number, port?: number, callback?: Sent): void
  send(message: Chunk, offset: number, length: number, callback?: Sent): void
  send(...given: ReadonlyArray<unknown>): void {
    const isConnected = this.#connection === "connected"
    const outgoing = isConnected ? toPeer(given) : toAnybody(given)
    this.#running()
    if (this.#binding === "unbound") this.bind({ port: 0, exclusive: true })
    if (this.#binding === "bound") this.#dispatch(outgoing)
    else this.#whenBound(() => this.#dispatch(outgoing))
  }

  close(callback?: () => void): this {
    if (typeof callback === "function") this.on("close", callback)
    if (this.#queue !== undefined) {
      this.#queue.push(() => this.close())
      return this
    }
    this.#running()
    this.shut()
    return this
  }

  /** The end of the adapter: closes at once what is open, whatever still waits for a port. */
  shut(): void {
    if (this.#handle === undefined) return
    this.#queue = undefined
    this.#handle.close()
    this.#handle = undefined
    this.#host.open.delete(this)
    this.#holdWhere(false)
    process.nextTick(() => this.emit("close"))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#handle !== undefined) await promisify((done: () => void) => void this.close(done))()
  }

  address(): AddressInfo {
    const { local } = this.#running()
    if (local === undefined) throw NodeErrors.systemError("getsockname", "EBADF")
    return { address: local.address, family: "IPv4", port: local.port }
  }

  remoteAddress(): AddressInfo {
    const { remote } = this.#running()
    if (this.#connection !== "connected" || remote === undefined) throw Errors.notConnected()
    return { address: remote.address, family: "IPv4", port: remote.port }
  }

  setBroadcast(flag: boolean): void {
    this.#configure("setBroadcast", { broadcast: Boolean(flag) })
  }

  setTTL(ttl: number): number {
    checkNumber("ttl", ttl)
    this.#configure("setTTL", { timeToLive: ttl })
    return ttl
  }

  setMulticastTTL(ttl: number): number {
    checkNumber("ttl", ttl)
    this.#configure("setMulticastTTL", { multicast: { timeToLive: ttl } })
    return ttl
  }

  setMulticastLoopback(flag: boolean): boolean {
    this.#configure("setMulticastLoopback", { multicast: { loopback: Boolean(flag) } })
    return flag
  }

  setMulticastInterface(multicastInterface: string): void {
    this.#running()
    checkString("interfaceAddress", multicastInterface)
    const own = parse(multicastInterface)
    if (own < 0) throw NodeErrors.systemError("setMulticastInterface", "EINVAL")
    this.#configure("setMulticastInterface", { multicast: { interface: toIpv4(own) } })
  }

  addMembership(multicastAddress: string, multicastInterface?: string): void {
    const handle = this.#running()
    if (!multicastAddress) throw Errors.missing("multicastAddress")
    const code = handle.join(multicastAddress, multicastInterface)
    if (code !== undefined) throw NodeErrors.systemError("addMembership", code)
  }

  dropMembership(multicastAddress: string, multicastInterface?: string): void {
    const handle = this.#running()
    if (!multicastAddress) throw Errors.missing("multicastAddress")
    if (!handle.leave(multicastAddress, multicastInterface)) {
      throw NodeErrors.systemError("dropMembership", "EADDRNOTAVAIL")
    }
  }

  addSourceSpecificMembership(sourceAddress: string, groupAddress: string, multicastInterface?: string): void {
    const handle = this.#running()
    checkString("sourceAddress", sourceAddress)
    checkString("groupAddress", groupAddress)
    const code = handle.join(groupAddress, multicastInterface, sourceAddress)
    if (code !== undefined) throw NodeErrors.systemError("addSourceSpecificMembership", code)
  }

  dropSourceSpecificMembership(sourceAddress: string, groupAddress: string, multicastInterface?: string): void {
    const handle = this.#running()
    checkString("sourceAddress", sourceAddress)
    checkString("groupAddress", groupAddress)
    if (!handle.leave(groupAddress, multicastInterface, sourceAddress)) {
      throw NodeErrors.systemError("dropSourceSpecificMembership", "EINVAL")
    }
  }

  setRecvBufferSize(size: number): void {
    this.#buffer("uv_recv_buffer_size", size).receiveBuffer = size
  }

  setSendBufferSize(size: number): void {
    this.#buffer("uv_send_buffer_size", size).sendBuffer = size
  }

  /** Octets that may wait for the program. */
  getRecvBufferSize(): number {
    return this.#buffer("uv_recv_buffer_size", 1).receiveBuffer
  }

  /** What was set: datagrams leave at once. */
  getSendBufferSize(): number {
    return this.#buffer("uv_send_buffer_size", 1).sendBuffer
  }

  /** None, since datagrams leave at once. */
  getSendQueueSize(): number {
    this.#running()
    return 0
  }

  getSendQueueCount(): number {
    this.#running()
    return 0
  }

  ref(): this {
    this.#refed = true
    this.#holdWhere(this.#binding === "bound" && this.#handle !== undefined)
    return this
  }

  unref(): this {
    this.#refed = false
    this.#holdWhere(false)
    return this
  }

  /** Takes the port; why it cannot. */
  #take(address: string, port: number): NodeJS.ErrnoException | undefined {
    const handle = this.#handle!
    const code = this.type === "udp6" ? "EAFNOSUPPORT" : handle.bind(address, port, this.#shared)
    if (code !== undefined) return Errors.endpointError("bind", code, address, port)
    handle.listen()
    this.#binding = "bound"
    if (this.#sizes.recvBufferSize) handle.receiveBuffer = this.#sizes.recvBufferSize
    if (this.#sizes.sendBufferSize) handle.sendBuffer = this.#sizes.sendBufferSize
    this.#holdWhere(this.#refed)
    return undefined
  }

  #connected(
    error: NodeJS.ErrnoException | null,
    ip: string,
    address: string,
    port: number,
    callback: (() => void) | undefined
  ): void {
    if (this.#handle === undefined) return
    const code = error === null ? this.#handle.connect(ip, port) : undefined
    const failure = error ?? (code === undefined ? undefined : Errors.endpointError("connect", code, address, port))
    this.#connection = failure === undefined ? "connected" : "disconnected"
    process.nextTick(() => {
      if (failure === undefined) return this.emit("connect")
      if (callback === undefined) return this.emit("error", failure)
      this.removeListener("connect", callback)
      return Reflect.apply(callback, undefined, [failure])
    })
  }

  #transmit(
    error: NodeJS.ErrnoException | null,
    ip: string | undefined,
    { address, callback, chunks, port }: Outgoing
  ): void {
    if (error !== null) {
      process.nextTick(() => callback === undefined ? this.emit("error", error) : callback(error, 0))
      return
    }
    if (this.#handle === undefined) return
    this.#host.departure.keep()
    const payload = joined(chunks)
    const code = this.#handle.send(payload, ip, port)
    if (callback === undefined) return
    if (code === undefined) process.nextTick(callback, null, payload.length)
    else process.nextTick(callback, Errors.endpointError("send", code, address ?? ip, port))
  }

  /** Sends what there is a port for: to the peer now, to others when their address is known. */
  #dispatch(outgoing: Outgoing): void {
    if (this.#connection === "connected") return this.#transmit(null, undefined, outgoing)
    const address = outgoing.address || this.#loopback
    if (this.#lookup !== undefined || !this.#isNumeric(address)) {
      return this.#resolve(address, (error, ip) => this.#transmit(error, ip, outgoing))
    }
    this.#host.departure.expect()
    process.nextTick(this.#depart, address, outgoing)
  }

  /** The tick of one that is sent to an address. */
  readonly #depart = (address: string, outgoing: Outgoing): void => {
    const { departure } = this.#host
    departure.begin()
    try {
      this.#transmit(null, address, outgoing)
    } finally {
      departure.end()
    }
  }

  /** Whether it is an address and no name; what follows each other often goes to the same one. */
  #isNumeric(address: string): boolean {
    if (address === this.#numeric) return true
    if (isIP(address) === 0) return false
    this.#numeric = address
    return true
  }

  /** Now, or when the port that is being taken is there. */
  #whenBound(act: () => void): void {
    if (this.#binding === "bound") return act()
    if (this.#queue === undefined) {
      this.#queue = []
      this.#onceListening(() => {
        const queue = this.#queue ?? []
        this.#queue = undefined
        for (const entry of queue) entry()
      }, () => {
        this.#queue = undefined
      })
    }
    this.#queue.push(act)
  }

  /** `failed` is called instead when there is an error first. */
  #onceListening(act: () => void, failed?: () => void): void {
    const forget = () => {
      this.removeListener("listening", succeed)
      this.removeListener(errorMonitor, fail)
    }
    const succeed = () => {
      forget()
      act()
    }
    const fail = () => {
      forget()
      failed?.()
    }
    this.on("listening", succeed)
    this.on(errorMonitor, fail)
  }

  #resolve(host: string, done: (error: NodeJS.ErrnoException | null, address: string) => void): void {
    const name = host || this.#loopback
    if (this.#lookup !== undefined) return this.#lookup(name, this.type === "udp4" ? 4 : 6, done)
    if (isIP(name) !== 0) process.nextTick(done, null, name)
    else this.#host.lookup(name, done)
  }

  #configure(syscall: string, options: SendingOptions): void {
    const code = this.#running().configure(options)
    if (code !== undefined) throw NodeErrors.systemError(syscall, code)
  }

  #buffer(syscall: string, size: number): DgramHandle {
    if (size >>> 0 !== size) throw Errors.badBufferSize()
    const handle = this.#running()
    if (!handle.isOpen) throw Errors.bufferSizeError(syscall, "EBADF")
    return handle
  }

  #running(): DgramHandle {
    if (this.#handle === undefined) throw Errors.notRunning()
    return this.#handle
  }

  get #loopback(): string {
    return this.type === "udp4" ? "127.0.0.1" : "::1"
  }

  get #any(): string {
    return this.type === "udp4" ? ANY : "::"
  }

  #holdWhere(wanted: boolean): void {
    if (wanted === this.#held) return
    this.#held = wanted
    if (wanted) this.#host.hold.take()
    else this.#host.hold.release()
  }

  #closeWith(signal: AbortSignal): void {
    const close = () => {
      if (this.#handle !== undefined) this.close()
    }
    if (signal.aborted) return close()
    const listening = addAbortListener(signal, close)
    this.once("close", () => listening[Symbol.dispose]())
  }
}
