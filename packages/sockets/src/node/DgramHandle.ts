/**
 * A UDP port as `node:dgram`'s sockets use it: calls that return the code of an error, as system calls do, or undefined.
 *
 * What arrives is copied once, into the buffer that a program gets, and waits for the end of the turn: programs run in ticks of
 * their own, between which all that they have promised goes on, as in Node. A datagram costs no fiber, and what is sent
 * between the first and the last of several that arrived at once leaves together (`DgramDeparture`).
 */
import type { Udp, UdpPort } from "@strata/core"
import type { DatagramInput, SendingOptions } from "@strata/core/udp/Udp"
import { formatIpv4, fromIpv4, toIpv4 } from "@strata/core/wire/Address"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { RemoteInfo } from "node:dgram"
import type { Departure } from "./DgramDeparture.ts"
import * as Errors from "./DgramErrors.ts"

export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** What a handle tells. */
export interface HandleEvents {
  readonly onMessage: (message: NonSharedBuffer, from: RemoteInfo) => void
  /** What ICMP reported about the peer. */
  readonly onError: (code: string) => void
}

const LOOPBACK = 0x7f00_0001

/** Octets that wait for the program, by default. */
const RECEIVE_BUFFER = 4_194_304

/** What Linux has; sends are done at once, so that it bounds nothing. */
const SEND_BUFFER = 212_992

/** So many that have been handed over are forgotten at once. */
const COMPACT = 1024

const settled = Promise.resolve()

interface Message {
  readonly payload: NonSharedBuffer
  readonly from: RemoteInfo
}

/** An IPv4 address in dotted decimal as a number; -1 when it is none. */
export const parse = (text: string): number => {
  const address = NetAddress.ipFromString(text)
  return Result.isSuccess(address) && NetAddress.isIpv4Address(address.success) ? fromIpv4(address.success) : -1
}

export class DgramHandle {
  receiveBuffer = RECEIVE_BUFFER
  sendBuffer = SEND_BUFFER

  readonly #udp: Udp["Service"]
  readonly #departure: Departure
  readonly #events: HandleEvents
  readonly #scope = Scope.makeUnsafe()
  readonly #memberships = new Map<string, Scope.Closeable>()
  #port: UdpPort | undefined
  #peer: Endpoint | undefined
  #peerAddress = 0
  #listening = false
  #closed = false
  #waiting: Array<Message> = []
  /** The first of those that wait. */
  #next = 0
  #isHandingOver = false
  #octets = 0
  #source = -1
  #sourceText = ""
  #destination = -1
  #destinationText = ""

  constructor(udp: Udp["Service"], departure: Departure, events: HandleEvents) {
    this.#udp = udp
    this.#departure = departure
    this.#events = events
  }

  bind(address: string, port: number, shared: boolean): string | undefined {
    const own = parse(address)
    if (own < 0 || this.#port !== undefined) return "EINVAL"
    return this.#open({ address: own === 0 ? undefined : toIpv4(own), port: port & 0xffff, shared })
  }

  /** From now on what arrives is handed over. Until then, with a port that was taken to join a group, it is dropped. */
  listen(): void {
    this.#listening = true
  }

  connect(address: string, port: number): string | undefined {
    const peer = destinationOf(address)
    if (peer < 0) return "EINVAL"
    const reason = this.#port!.connectUnsafe(peer, port)
    if (reason !== undefined) return Errors.codeOf(reason)
    this.#peer = { address: formatIpv4(peer), port }
    this.#peerAddress = peer
    return undefined
  }

  disconnect(): void {
    this.#port!.connectUnsafe(0, 0)
    this.#peer = undefined
  }

  /** To the peer without an address. */
  send(payload: Uint8Array, address: string | undefined, port: number): string | undefined {
    const to = address === undefined ? this.#peerAddress : this.#addressOf(address)
    if (to < 0) return "EINVAL"
    const reason = this.#port!.sendUnsafe(payload, to, address === undefined ? this.#peer!.port : port)
    return reason === undefined ? undefined : Errors.codeOf(reason)
  }

  configure(options: SendingOptions): string | undefined {
    if (this.#port === undefined) return "EBADF"
    const reason = this.#port.configureUnsafe(options)
    return reason === undefined ? undefined : Errors.codeOf(reason)
  }

  get isOpen(): boolean {
    return this.#port !== undefined
  }

  get local(): Endpoint | undefined {
    const port = this.#port
    return port === undefined ? undefined : { address: formatIpv4(port.localAddress()), port: port.port }
  }

  get remote(): Endpoint | undefined {
    return this.#peer
  }

  /** Joins a group; a socket that has no port yet gets one. */
  join(group: string, device: string | undefined, source?: string): string | undefined {
    const key = membership(group, device, source)
    const [own, of, from] = [device === undefined ? 0 : parse(device), parse(group), source && parse(source)]
    if (own < 0 || of < 0 || (from as number) < 0) return "EINVAL"
    if (this.#port === undefined) {
      const code = this.#open({})
      if (code !== undefined) return code
    }
    if (this.#memberships.has(key)) return "EADDRINUSE"
    const scope = Scope.makeUnsafe()
    const joining = this.#port!.join(toIpv4(of), {
      interface: own === 0 ? undefined : toIpv4(own),
      source: from === undefined || from === "" ? undefined : toIpv4(from)
    })
    const outcome = Effect.runSync(Effect.result(Scope.provide(joining, scope)))
    if (Result.isFailure(outcome)) return Errors.codeOf(outcome.failure.reason)
    this.#memberships.set(key, scope)
    return undefined
  }

  /** Whether there was something to leave. */
  leave(group: string, device: string | undefined, source?: string): boolean {
    const key = membership(group, device, source)
    const scope = this.#memberships.get(key)
    if (scope === undefined) return false
    this.#memberships.delete(key)
    Effect.runSync(Scope.close(scope, Exit.void))
    return true
  }

  close(): void {
    this.#closed = true
    for (const scope of this.#memberships.values()) Effect.runSync(Scope.close(scope, Exit.void))
    Effect.runSync(Scope.close(this.#scope, Exit.void))
  }

  #open(options: Parameters<Udp["Service"]["bindWith"]>[0]): string | undefined {
    const opening = this.#udp.bindWith(options, this.#input, this.#failed)
    const outcome = Effect.runSync(Effect.result(Scope.provide(opening, this.#scope)))
    if (Result.isFailure(outcome)) return Errors.codeOf(outcome.failure.reason)
    this.#port = outcome.success
    return undefined
  }

  readonly #input: DatagramInput = (packet, source, sourcePort) => {
    const { length } = packet
    if (!this.#listening) return "notReading"
    if (this.#octets > 0 && this.#octets + length > this.receiveBuffer) return false
    const payload = Buffer.allocUnsafeSlow(length)
    packet.copyTo(payload, 0)
    const from: RemoteInfo = { address: this.#textOf(source), family: "IPv4", port: sourcePort, size: length }
    this.#octets += length
    this.#waiting.push({ payload, from })
    if (this.#isHandingOver) return true
    this.#isHandingOver = true
    this.#departure.expect()
    this.#handOverSoon()
    this.#udp.requestTick()
    return true
  }

  readonly #handOverSoon = (): void => process.nextTick(this.#handOver)

  readonly #handOver = (): void => {
    const departure = this.#departure
    departure.begin()
    const { from, payload } = this.#takeNext()
    const isMoreToCome = this.#isHandingOver
    if (isMoreToCome) departure.expect()
    try {
      departure.pause()
      if (!this.#closed) this.#events.onMessage(payload, from)
    } finally {
      // Behind the promises that the program settles now, and what those lead to.
      if (isMoreToCome) void settled.then(this.#handOverSoon)
      departure.end()
    }
  }

  #takeNext(): Message {
    const message = this.#waiting[this.#next++]!
    this.#octets -= message.payload.length
    this.#isHandingOver = this.#next < this.#waiting.length
    if (!this.#isHandingOver || this.#next === COMPACT) {
      this.#waiting = this.#waiting.slice(this.#next)
      this.#next = 0
    }
    return message
  }

  readonly #failed = ({ reason }: { readonly reason: Parameters<typeof Errors.codeOf>[0] }): void =>
    process.nextTick(() => {
      if (this.#listening && !this.#closed) this.#events.onError(Errors.codeOf(reason))
    })

  /** An address is read once for datagrams to it that follow each other. */
  #addressOf(text: string): number {
    if (text !== this.#destinationText) {
      this.#destinationText = text
      this.#destination = destinationOf(text)
    }
    return this.#destination
  }

  /** Datagrams of one sender share its address. */
  #textOf(source: number): string {
    if (source !== this.#source) {
      this.#source = source
      this.#sourceText = formatIpv4(source)
    }
    return this.#sourceText
  }
}

/** As with Linux, 0.0.0.0 is this host. */
const destinationOf = (text: string): number => parse(text) || LOOPBACK

const membership = (group: string, device: string | undefined, source: string | undefined): string =>
  `${group} ${device === undefined || device === "" ? "0.0.0.0" : device} ${source ?? ""}`
