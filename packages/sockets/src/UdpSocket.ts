/**
 * UDP for programs: a Stream of datagrams in, an Effect to send one out.
 *
 * A socket is closed with the scope in which it was opened.
 */
import { Udp, UdpError } from "@strata/core"
import type { BindOptions as PortOptions, Datagram, SendOptions, UdpPort } from "@strata/core/udp/Udp"
import { InvalidAddress } from "@strata/core/udp/UdpError"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

export type { Datagram, SendOptions }

/** Where to send to: an address, or text such as `"192.0.2.1:7"`. */
export type Destination = NetAddress.InetAddressV4 | string

export interface BindOptions extends Omit<PortOptions, "address" | "remote"> {
  /** All addresses of the host by default; text such as `"192.0.2.2"` will do. */
  readonly address?: NetAddress.Ipv4Address | string | undefined
  /** Receives only from, and sends by default to, that peer. */
  readonly remote?: Destination | undefined
}

export interface ConnectOptions extends BindOptions {
  readonly remote: Destination
}

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
  /** Answers a datagram: to where it came from, from where it was sent to. */
  readonly reply: (to: Datagram, payload: Uint8Array | string) => Effect.Effect<void, UdpError>
  /** How many datagrams were dropped because the reader was slow. */
  readonly dropped: Effect.Effect<number>
}

/** A socket that hears everybody, or one peer when `remote` says so. */
export const bind = Effect.fnUntraced(function*(
  options: BindOptions = {}
): Effect.fn.Return<UdpSocket, UdpError, Udp | Scope.Scope> {
  const udp = yield* Udp
  const address = options.address === undefined ? undefined : yield* toAddress(options.address)
  const remote = options.remote === undefined ? undefined : yield* toDestination(options.remote)
  return fromPort(yield* udp.bind({ ...options, address, remote }))
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
  reply: (to, payload) => port.send(toBytes(payload), to.source, { source: to.destination }),
  dropped: Effect.sync(port.dropped)
})

const encoder = new TextEncoder()
const toBytes = (payload: Uint8Array | string): Uint8Array =>
  typeof payload === "string" ? encoder.encode(payload) : payload

const toDestination = (input: Destination): Effect.Effect<NetAddress.InetAddressV4, UdpError> =>
  parse(input, NetAddress.inetAddressFromInput(input), NetAddress.isInetAddressV4)

const toAddress = (input: NetAddress.Ipv4Address | string): Effect.Effect<NetAddress.Ipv4Address, UdpError> =>
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
