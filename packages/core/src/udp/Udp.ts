/**
 * The User Datagram Protocol (RFC 768, RFC 1122 §4.1, RFC 8085).
 *
 * A datagram goes to one socket; one sent to a broadcast address goes to each that has its port and, as its address, that
 * one or all; one sent to a group to those of them that have joined it (`Groups`). What no socket wants is answered with port unreachable, unless it was sent to many.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InetAddressV4, Ipv4Address } from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import type { AttachedDevice } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"
import { Entropy } from "../Entropy.ts"
import { isMulticast } from "../ip/AddressClass.ts"
import { type ErrorInput, Ipv4 } from "../ip/Ipv4.ts"
import { Multicast } from "../ip/Multicast.ts"
import { type Destination, Routing } from "../ip/Routing.ts"
import type { Statistics } from "../Statistics.ts"
import { Turn } from "../time/Turn.ts"
import { Trace } from "../Trace.ts"
import { formatInet, formatIpv4, fromIpv4, toIpv4 } from "../wire/Address.ts"
import { Protocol } from "../wire/Ipv4Header.ts"
import { type GroupOptions, type Groups, type JoinOptions, makeGroups } from "./Groups.ts"
import { Mailbox, type NonEmpty } from "./Mailbox.ts"
import { PortTable } from "./PortTable.ts"
import {
  Addresses,
  type Datagram,
  type DatagramInput,
  NO_FLOW,
  type Outgoing,
  type Sending,
  type Socket
} from "./Socket.ts"
import {
  AddressInUse,
  AddressNotAvailable,
  BroadcastNotPermitted,
  InvalidAddress,
  NoDestination,
  PortsExhausted,
  SocketClosed,
  UdpError,
  Unreachable
} from "./UdpError.ts"
import { makeError, makeInput } from "./UdpInput.ts"
import { makeOutput, MAX_PAYLOAD } from "./UdpOutput.ts"

export { type Datagram, type DatagramInput, type GroupOptions, type JoinOptions, MAX_PAYLOAD, type Outgoing, UdpError }

/** How datagrams leave; it may be changed while a port is open. */
export interface SendingOptions {
  /** Permission to send to broadcast addresses; false by default. */
  readonly broadcast?: boolean | undefined
  /** Of datagrams to one host, 1 to 255; 64 by default. */
  readonly timeToLive?: number | undefined
  /** How datagrams to a group leave. */
  readonly multicast?: MulticastOptions | undefined
}

/** Of a port. */
export interface BindOptions extends SendingOptions {
  /** All addresses of the host by default; with `remote`, the one from which the route to it leaves. */
  readonly address?: Ipv4Address | undefined
  /** A random free ephemeral port (RFC 6056) by default. */
  readonly port?: number | undefined
  /** Receives only from, and sends by default to, that peer; errors about it are reported. */
  readonly remote?: InetAddressV4 | undefined
  /** Shares address and port with other sockets that say so too, as members of one group do; false by default. */
  readonly shared?: boolean | undefined
  /** Datagrams kept for a slow reader, 1,024 by default; the newest are dropped at the bound. */
  readonly capacity?: number | undefined
  /** Octets of payload beyond which no further datagram is kept, 4,194,304 by default. */
  readonly receiveBuffer?: number | undefined
}

/** Of datagrams to groups. */
export interface MulticastOptions {
  /** The address of ours by whose device they leave; by default that of the socket, or the route. */
  readonly interface?: Ipv4Address | undefined
  /** 1 to 255; 1 by default, so that they stay on the link (RFC 1112 §6.1). */
  readonly timeToLive?: number | undefined
  /** Whether members of the group on this host get them too; true by default. */
  readonly loopback?: boolean | undefined
}

/** Of one datagram. */
export interface SendOptions {
  /**
   * The address of this stack to send from, for sockets that have all of them. A broadcast or multicast address, as
   * a datagram's `destination` may be, leaves the choice to the route.
   */
  readonly source?: Ipv4Address | undefined
}

/** A bound port. */
export interface UdpPort extends Groups {
  readonly address: Ipv4Address
  readonly port: number
  readonly remote: InetAddressV4 | undefined
  /**
   * Datagrams that arrived since the last take; waits for the first. Fails once with an error that ICMP reported about
   * the connected peer (the latest, when there were several), after what arrived before.
   */
  readonly take: Effect.Effect<NonEmpty<Datagram>, UdpError>
  /** Datagrams dropped because the reader was slow. */
  readonly dropped: () => number
  /** Sends one datagram of at most 65,507 octets, to the connected peer by default. */
  readonly send: (
    payload: Uint8Array,
    destination?: InetAddressV4 | undefined,
    options?: SendOptions | undefined
  ) => Effect.Effect<void, UdpError>
  /**
   * Sends one after the other, as one turn. What the network does not take is lost, as any datagram may be, and counted
   * as `udp.lost`: no route, no room, a peer without a port to be answered at. Fails at the first one that the
   * socket may not send at all, and does not send those behind it.
   */
  readonly sendAll: (datagrams: ReadonlyArray<Outgoing>) => Effect.Effect<void, UdpError>
  /** The plain face of `send`: the reason why not, or undefined. A source of 0 is chosen by the route. */
  readonly sendUnsafe: (
    payload: Uint8Array,
    address: number,
    port: number,
    source?: number
  ) => UdpError["reason"] | undefined
  /** The plain face of changing how datagrams leave, from the next one on: the reason why not, or undefined. */
  readonly configureUnsafe: (options: SendingOptions) => UdpError["reason"] | undefined
  /**
   * The plain face of taking a peer instead of `remote`, or none (port 0): the reason why not, or undefined. As long as it
   * has a peer, a port that was bound to all addresses has the one from which the route leaves.
   */
  readonly connectUnsafe: (address: number, port: number) => UdpError["reason"] | undefined
  /** The address that the port has now, 0 for all. */
  readonly localAddress: () => number
}

const DEFAULT_CAPACITY = 1024
const DEFAULT_RECEIVE_BUFFER = 4_194_304

/** UDP (RFC 768): ports that datagrams come to and leave from. */
export class Udp extends Context.Service<Udp, {
  /** A packet from IPv4. */
  readonly input: (device: AttachedDevice, packet: Packet, destination: Destination) => void
  /** An ICMP error about a datagram of ours. */
  readonly error: ErrorInput
  /** Takes a port until the scope closes. */
  readonly bind: (options?: BindOptions) => Effect.Effect<UdpPort, UdpError, Scope.Scope>
  /** Takes a port for plain code; `input` replaces the queue, and `failed` is told what ICMP reports about the peer. */
  readonly bindWith: (
    options: BindOptions,
    input: DatagramInput,
    failed?: (error: UdpError) => void
  ) => Effect.Effect<UdpPort, UdpError, Scope.Scope>
  /**
   * For plain code that sends from ticks of its own: between them datagrams are taken, but only handed to the wire when `uncork`
   * has been called as often. See `Turn.cork`.
   */
  readonly cork: () => void
  /** The end of one `cork`; that of the last hands over what was kept. */
  readonly uncork: () => void
  /** As `Turn.requestTick`: what was taken is handed to a program in the next tick. */
  readonly requestTick: () => void
}>()("@strata/core/Udp") {
  static readonly layer: Layer.Layer<
    Udp,
    never,
    Turn | Trace | Statistics | Entropy | Routing | Multicast | Ipv4
  > = Layer.effect(
    Udp,
    Effect.gen(function*() {
      const turn = yield* Turn
      const trace = yield* Trace
      const entropy = yield* Entropy
      const routing = yield* Routing
      const ipv4 = yield* Ipv4
      const multicast = yield* Multicast
      const groups = yield* makeGroups
      const ports = new PortTable<Socket>()
      const input = yield* makeInput(ports)
      const error = makeError(ports)
      const { send, sendAll } = yield* makeOutput

      /** The address that a socket gets, or why it gets none. */
      const localAddress = (
        { address, broadcast = false, remote }: BindOptions,
        sending: Sending
      ): number | UdpError["reason"] => {
        const own = address === undefined ? 0 : fromIpv4(address)
        if (own !== 0 && !routing.isLocal(own) && !isMulticast(own) && !routing.isBroadcast(own)) {
          return new AddressNotAvailable({ address: formatIpv4(own) })
        }
        return remote === undefined
          ? own
          : addressTowards(own, { broadcast, sending }, fromIpv4(remote.address), remote.port)
      }

      /** The address of a socket at `own`, 0 for all, that has taken a peer, or why it cannot. */
      const addressTowards = (
        own: number,
        { broadcast, sending }: Pick<Socket, "broadcast" | "sending">,
        peer: number,
        port: number
      ): number | UdpError["reason"] => {
        if (peer === 0 || port === 0) return new NoDestination()
        if (!broadcast && routing.isBroadcast(peer)) {
          return new BroadcastNotPermitted({ destination: formatIpv4(peer) })
        }
        const chosen = isMulticast(peer) ? sending.multicastInterface : 0
        const source = own || chosen || ipv4.sourceFor(peer)
        return source === 0 ? new Unreachable({ destination: formatInet(peer, port), kind: "noRoute" }) : source
      }

      const open = Effect.fnUntraced(function*(
        options: BindOptions,
        plain: DatagramInput | undefined,
        failed: ((error: UdpError) => void) | undefined
      ) {
        const { remote, shared = false } = options
        if (options.port !== undefined && !isPort(options.port)) {
          return yield* failure(new InvalidAddress({ input: `${options.port}`, why: "a port is a number up to 65535" }))
        }
        const sending = sendingOf(options, UNCHANGED, routing.isLocal)
        if ("_tag" in sending) return yield* failure(sending)
        const address = localAddress(options, sending)
        if (typeof address !== "number") return yield* failure(address)
        const port = options.port === undefined || options.port === 0
          ? ports.ephemeral(address, entropy.below)
          : options.port
        if (port === undefined) return yield* failure(new PortsExhausted())
        if (ports.conflicts(address, port, shared)) {
          return yield* failure(new AddressInUse({ address: formatInet(address, port) }))
        }
        const socket: Socket = {
          address,
          port,
          remoteAddress: remote === undefined ? 0 : fromIpv4(remote.address),
          remotePort: remote?.port ?? 0,
          shared,
          broadcast: options.broadcast === true,
          input: plain,
          failed,
          mailbox: new Mailbox(turn, {
            capacity: options.capacity ?? DEFAULT_CAPACITY,
            size: options.receiveBuffer ?? DEFAULT_RECEIVE_BUFFER
          }, (tag, count, length) => {
            if (trace.enabled) trace.emit({ _tag: tag, queue: `udp ${formatInet(address, port)}`, count, length })
          }),
          addresses: new Addresses(),
          member: multicast.member(),
          sending,
          flow: NO_FLOW,
          closed: false
        }
        ports.add(socket)
        trace.emit({ _tag: "PortBound", protocol: "udp", address, port })
        return socket
      })

      const close = (socket: Socket) => {
        if (socket.closed) return
        socket.closed = true
        ports.remove(socket)
        turn.run(socket.member.close)
        socket.mailbox.close(new UdpError({ reason: new SocketClosed() }))
        trace.emit({ _tag: "PortReleased", protocol: "udp", address: socket.address, port: socket.port })
      }

      /** The plain face of `connectUnsafe`; `bound` is the address that the program has asked for. */
      const reconnect = (socket: Socket, bound: number, peer: number, port: number): UdpError["reason"] | undefined => {
        if (socket.closed) return new SocketClosed()
        const address = port === 0 ? bound : addressTowards(bound, socket, peer, port)
        if (typeof address !== "number") return address
        socket.address = address
        socket.remoteAddress = port === 0 ? 0 : peer
        socket.remotePort = port
        socket.flow = NO_FLOW
        return undefined
      }

      const configure = (socket: Socket, options: SendingOptions): UdpError["reason"] | undefined => {
        const sending = sendingOf(options, socket.sending, routing.isLocal)
        if ("_tag" in sending) return sending
        socket.sending = sending
        socket.broadcast = options.broadcast ?? socket.broadcast
        return undefined
      }

      const face = (socket: Socket, options: BindOptions): UdpPort => {
        const bound = options.address === undefined ? 0 : fromIpv4(options.address)
        const sendUnsafe: UdpPort["sendUnsafe"] = (payload, address, port, source = 0) => {
          if (turn.running()) return send(socket, payload, address, port, source)
          let reason: UdpError["reason"] | undefined
          turn.run(() => {
            reason = send(socket, payload, address, port, source)
          })
          return reason
        }
        return {
          address: toIpv4(socket.address),
          port: socket.port,
          remote: options.remote,
          take: socket.mailbox.take,
          dropped: () => socket.mailbox.dropped,
          ...groups(socket),
          sendUnsafe,
          sendAll: (datagrams) =>
            Effect.suspend(() => {
              let reason: UdpError["reason"] | undefined
              turn.run(() => {
                reason = sendAll(socket, datagrams)
              })
              return reason === undefined ? Effect.void : failure(reason)
            }),
          configureUnsafe: (changes) => configure(socket, changes),
          connectUnsafe: (peer, port) => reconnect(socket, bound, peer, port),
          localAddress: () => socket.address,
          send: (payload, destination, sending) =>
            Effect.suspend(() => {
              const address = destination === undefined ? socket.remoteAddress : fromIpv4(destination.address)
              const port = destination === undefined ? socket.remotePort : destination.port
              const source = sending?.source === undefined ? 0 : fromIpv4(sending.source)
              const reason = sendUnsafe(payload, address, port, source)
              return reason === undefined ? Effect.void : failure(reason)
            })
        }
      }

      const bind = (options: BindOptions, plain?: DatagramInput, failed?: (error: UdpError) => void) =>
        Effect.acquireRelease(open(options, plain, failed), (socket) => Effect.sync(() => close(socket))).pipe(
          Effect.map((socket) => face(socket, options))
        )

      yield* ipv4.handle(Protocol.udp, input, error)
      yield* Effect.addFinalizer(() => Effect.sync(() => ports.all().forEach(close)))
      const { cork, requestTick, uncork } = turn
      return Udp.of({ input, error, bind: (options = {}) => bind(options), bindWith: bind, cork, uncork, requestTick })
    })
  )
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 0xffff

/** What leaves everything to IPv4 and the route. */
const UNCHANGED: Sending = { timeToLive: 0, multicastTimeToLive: 0, multicastInterface: 0, multicastLoopback: true }

/** How a socket sends with what `options` say, and else as `present` says; or why it cannot send like that. */
const sendingOf = (
  { multicast, timeToLive }: SendingOptions,
  present: Sending,
  isLocal: (address: number) => boolean
): Sending | UdpError["reason"] => {
  const own = multicast?.interface === undefined ? present.multicastInterface : fromIpv4(multicast.interface)
  if (own !== 0 && !isLocal(own)) return new AddressNotAvailable({ address: formatIpv4(own) })
  for (const wanted of [timeToLive, multicast?.timeToLive]) {
    if (wanted === undefined || (Number.isInteger(wanted) && wanted >= 1 && wanted <= 255)) continue
    return new InvalidAddress({ input: `${wanted}`, why: "a time to live is a number from 1 to 255" })
  }
  return {
    timeToLive: timeToLive ?? present.timeToLive,
    multicastTimeToLive: multicast?.timeToLive ?? present.multicastTimeToLive,
    multicastInterface: own,
    multicastLoopback: multicast?.loopback ?? present.multicastLoopback
  }
}

const failure = (reason: UdpError["reason"]) => Effect.fail(new UdpError({ reason }))
