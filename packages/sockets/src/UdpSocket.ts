/**
 * UDP for programs: a Stream of datagrams in; an Effect to send one out, and a Sink for many.
 *
 * A socket is closed with the scope in which it was opened.
 */
import { Udp, UdpError } from "@strata/core"
import type {
  BindOptions as PortOptions,
  Datagram,
  MulticastOptions as PortMulticastOptions,
  Outgoing,
  SendOptions,
  UdpPort
} from "@strata/core/udp/Udp"
import { InvalidAddress } from "@strata/core/udp/UdpError"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"

export type { Datagram, Outgoing, SendOptions }

/** Where to send to: an address, or text such as `"192.0.2.1:7"`. */
export type Destination = NetAddress.InetAddressV4 | string

/** An address, or text such as `"239.1.2.3"`. */
export type Address = NetAddress.Ipv4Address | string

/** Of datagrams to groups. */
export interface MulticastOptions extends Omit<PortMulticastOptions, "interface"> {
  /** The address of ours by whose device datagrams to a group leave. */
  readonly interface?: Address | undefined
}

/** Where a group is joined; see `Groups` of `@strata/core/udp/Groups`. */
export interface GroupOptions {
  /** The address of ours on whose device the group is joined; by default the device by which the group is reached. */
  readonly interface?: Address | undefined
}

export interface JoinOptions extends GroupOptions {
  /** From that source only; any by default. */
  readonly source?: Address | undefined
}

/** Of a socket. */
export interface BindOptions extends Omit<PortOptions, "address" | "remote" | "multicast"> {
  /** All addresses of the host by default; text such as `"192.0.2.2"` will do. */
  readonly address?: NetAddress.Ipv4Address | string | undefined
  /** Receives only from, and sends by default to, that peer. */
  readonly remote?: Destination | undefined
  /** How datagrams to a group leave. */
  readonly multicast?: MulticastOptions | undefined
}

/** Of a socket with one peer. */
export interface ConnectOptions extends BindOptions {
  readonly remote: Destination
}

/** A port as a Stream of the datagrams that arrive. */
export interface UdpSocket {
  /** The address is 0.0.0.0 when the socket has all addresses of the host. */
  readonly local: NetAddress.InetAddressV4
  /** The peer of a connected socket. */
  readonly remote: NetAddress.InetAddressV4 | undefined
  /**
   * What arrives, in batches, from the moment the socket is open. Fails when ICMP reports an error about the connected
   * peer (running the stream again goes on), or when the socket is closed.
   */
  readonly datagrams: Stream.Stream<Datagram, UdpError>
  /** Sends one datagram of at most 65,507 octets, to the connected peer by default. Text is sent as UTF-8. */
  readonly send: (
    payload: Uint8Array | string,
    destination?: Destination,
    options?: SendOptions
  ) => Effect.Effect<void, UdpError>
  /**
   * Sends what a stream has, each array of it at once: the cheapest way. What the network does not take is lost, as any
   * datagram may be; fails with what the socket may never send, such as a payload that is too large.
   */
  readonly outgoing: Sink.Sink<void, Outgoing, never, UdpError>
  /** Answers a datagram: to where it came from, from where it was sent to. */
  readonly reply: (to: Datagram, payload: Uint8Array | string) => Effect.Effect<void, UdpError>
  /** Hears a group, from any source or from one, until the scope closes. */
  readonly join: (group: Address, options?: JoinOptions) => Effect.Effect<void, UdpError, Scope.Scope>
  /** Hears no more of one source of a group that was joined from any, until the scope closes. */
  readonly block: (
    group: Address,
    source: Address,
    options?: GroupOptions
  ) => Effect.Effect<void, UdpError, Scope.Scope>
  /** Hears a blocked source again; whether it was blocked. */
  readonly unblock: (group: Address, source: Address, options?: GroupOptions) => Effect.Effect<boolean, UdpError>
  /** How many datagrams were dropped because the reader was slow. */
  readonly dropped: Effect.Effect<number>
}

/** A socket that hears everybody, or one peer when `remote` says so. */
export const bind = Effect.fnUntraced(function*(
  options: BindOptions = {}
): Effect.fn.Return<UdpSocket, UdpError, Udp | Scope.Scope> {
  const udp = yield* Udp
  const address = yield* toOptional(options.address)
  const remote = options.remote === undefined ? undefined : yield* toDestination(options.remote)
  const multicast = { ...options.multicast, interface: yield* toOptional(options.multicast?.interface) }
  return fromPort(yield* udp.bind({ ...options, address, remote, multicast }))
})

/** A socket that talks with one peer, and is told when that peer cannot be reached. */
export const connect = (options: ConnectOptions): Effect.Effect<UdpSocket, UdpError, Udp | Scope.Scope> => bind(options)

const fromPort = (port: UdpPort): UdpSocket => ({
  local: NetAddress.inetAddressUnsafe(port.address, port.port) as NetAddress.InetAddressV4,
  remote: port.remote,
  datagrams: Stream.fromPull(Effect.succeed(port.take)),
  send: (payload, destination, options) =>
    destination === undefined || typeof destination !== "string"
      ? port.send(toBytes(payload), destination, options)
      : Effect.flatMap(toDestination(destination), (address) => port.send(toBytes(payload), address, options)),
  outgoing: Sink.forEachArray(port.sendAll),
  reply: (to, payload) => port.send(toBytes(payload), to.source, { source: to.destination }),
  join: Effect.fnUntraced(function*(group, options) {
    const source = yield* toOptional(options?.source)
    yield* port.join(yield* toAddress(group), { interface: yield* toOptional(options?.interface), source })
  }),
  block: Effect.fnUntraced(function*(group, source, options) {
    const own = yield* toOptional(options?.interface)
    yield* port.block(yield* toAddress(group), yield* toAddress(source), { interface: own })
  }),
  unblock: Effect.fnUntraced(function*(group, source, options) {
    const own = yield* toOptional(options?.interface)
    return yield* port.unblock(yield* toAddress(group), yield* toAddress(source), { interface: own })
  }),
  dropped: Effect.sync(port.dropped)
})

/** The answer to a datagram, for `outgoing`: to where it came from, from where it was sent to. */
export const answer = (to: Datagram, payload: Uint8Array | string): Outgoing => ({
  payload: toBytes(payload),
  destination: to.source,
  source: to.destination
})

const encoder = new TextEncoder()
const toBytes = (payload: Uint8Array | string): Uint8Array =>
  typeof payload === "string" ? encoder.encode(payload) : payload

const toDestination = (input: Destination): Effect.Effect<NetAddress.InetAddressV4, UdpError> =>
  parse(input, NetAddress.inetAddressFromInput(input), NetAddress.isInetAddressV4)

const toOptional = (input: Address | undefined): Effect.Effect<NetAddress.Ipv4Address | undefined, UdpError> =>
  input === undefined ? Effect.succeed(undefined) : toAddress(input)

const toAddress = (input: Address): Effect.Effect<NetAddress.Ipv4Address, UdpError> =>
  parse(input, NetAddress.ipFromInput(input), NetAddress.isIpv4Address)

const parse = <A, B extends A>(
  input: { readonly toString: () => string },
  parsed: Result.Result<A, NetAddress.NetAddressError>,
  isIpv4: (value: A) => value is B
): Effect.Effect<B, UdpError> => {
  const invalid = (why: string) => Effect.fail(new UdpError({ reason: new InvalidAddress({ input: `${input}`, why }) }))
  if (Result.isFailure(parsed)) return invalid(parsed.failure.message)
  return isIpv4(parsed.success) ? Effect.succeed(parsed.success) : invalid("an IPv6 address")
}
