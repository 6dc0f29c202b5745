/**
 * A UDP port as the backing socket of `DatagramSocket`, which keeps the queue of what was received.
 *
 * A fiber hands over what arrives, once per turn. It ends with the port.
 */
import type { Udp, UdpPort } from "@strata/core"
import type { MulticastOptions } from "@strata/core/udp/Udp"
import { formatIpv4, fromIpv4 } from "@strata/core/wire/Address"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { BackingAddress, BackingEvents, BackingSocket, DatagramSocketError } from "effect/socket/DatagramSocket"
import type { Endpoint, Options } from "../StrataDatagramSocket.ts"
import * as Errors from "./DatagramErrors.ts"
import * as HostAddress from "./HostAddress.ts"

/** Datagrams of one turn, which the socket's own queue takes at its end. */
const PER_TURN = 65_536

export const openPort = Effect.fnUntraced(function*(
  udp: Udp["Service"],
  options: Options,
  events: BackingEvents
): Effect.fn.Return<BackingSocket, DatagramSocketError> {
  if (options.family === "ipv6") return yield* Effect.fail(Errors.unsupported("IPv6"))
  const address = options.bind?.address === undefined ? undefined : yield* resolve(options.bind.address)
  const remote = yield* endpoint(options.connect ?? options.peer)
  const own = yield* Scope.make()
  const port = yield* Scope.provide(
    udp.bind({
      address,
      port: options.bind?.port,
      remote: options.connect === undefined ? undefined : remote,
      broadcast: options.broadcast,
      shared: options.reuseAddress === true || options.reusePort === true,
      capacity: PER_TURN,
      receiveBuffer: options.kernelReceiveBufferSize,
      timeToLive: options.ttl,
      multicast: options.multicast === undefined ? undefined : yield* leaving(options.multicast)
    }),
    own
  ).pipe(Effect.mapError(Errors.openError))
  yield* Effect.forkDetach(handOver(port, events), { startImmediately: true })
  return {
    address: backing(NetAddress.inetAddressUnsafe(port.address, port.port) as NetAddress.InetAddressV4),
    peer: remote === undefined ? undefined : backing(remote),
    connected: options.connect !== undefined,
    joinMulticast: (group) => join(port, group),
    // Closing a port takes no time.
    close: () => Effect.runSync(Scope.close(own, Exit.void)),
    ...sending(udp, port, remote)
  }
})

/** Sends at once; `done` is called before it returns. */
const sending = (
  udp: Udp["Service"],
  port: UdpPort,
  remote: NetAddress.InetAddressV4 | undefined
): Pick<BackingSocket, "send" | "sendMany"> => {
  const remoteAddress = remote === undefined ? 0 : fromIpv4(remote.address)
  /** The text of the latest destination, which is often the next one too, and the number it stands for. */
  let host = ""
  let address = 0

  const send = (payload: Uint8Array, to: BackingAddress | undefined): DatagramSocketError | undefined => {
    if (to !== undefined && to.host !== host) {
      const parsed = NetAddress.ipFromString(to.host)
      if (Result.isFailure(parsed) || !NetAddress.isIpv4Address(parsed.success)) return Errors.unsupported("IPv6")
      address = fromIpv4(parsed.success)
      host = to.host
    }
    const reason = to === undefined
      ? port.sendUnsafe(payload, remoteAddress, remote!.port)
      : port.sendUnsafe(payload, address, to.port)
    return reason === undefined ? undefined : Errors.writeError(reason)
  }
  /** They leave together; behind one that cannot be sent none is. */
  const sendAll = (payloads: ReadonlyArray<Uint8Array>, destinations: ReadonlyArray<BackingAddress | undefined>) => {
    udp.cork()
    try {
      for (let index = 0; index < payloads.length; index++) {
        const error = send(payloads[index]!, destinations[index])
        if (error !== undefined) return { error, index }
      }
      return undefined
    } finally {
      udp.uncork()
    }
  }
  return {
    send: (payload, destination, done) => done(send(payload, destination)),
    sendMany: (payloads, destinations, done) => {
      const failed = sendAll(payloads, destinations)
      if (failed === undefined) done()
      else done(failed.error, failed.index)
    }
  }
}

/** How datagrams to a group leave. */
const leaving = (options: NonNullable<Options["multicast"]>): Effect.Effect<MulticastOptions, DatagramSocketError> =>
  Effect.map(ingress(options.interface), (address) => ({
    interface: address,
    timeToLive: options.ttl,
    loopback: options.loopback
  }))

interface Membership {
  readonly group: NetAddress.IpAddress
  readonly interface?: NetAddress.MulticastInterface | undefined
  readonly source?: NetAddress.IpAddress | undefined
}

/** Joins a group; gives how to leave it. */
const join = Effect.fnUntraced(function*(
  port: UdpPort,
  { group, interface: from, source }: Membership
): Effect.fn.Return<() => Effect.Effect<void>, DatagramSocketError> {
  const own = yield* ingress(from)
  if (!isIpv4(group) || (source !== undefined && !isIpv4(source))) return yield* Effect.fail(Errors.unsupported("IPv6"))
  const membership = yield* Scope.make()
  yield* Scope.provide(port.join(group, { interface: own, source }), membership).pipe(Effect.mapError(Errors.openError))
  return () => Scope.close(membership, Exit.void)
})

const isIpv4 = (address: unknown): address is NetAddress.Ipv4Address => NetAddress.isIpv4Address(address)

/** 0.0.0.0 leaves the choice of the interface to the route. */
const ingress = (
  address: NetAddress.MulticastInterface | undefined
): Effect.Effect<NetAddress.Ipv4Address | undefined, DatagramSocketError> => {
  if (address === undefined) return Effect.succeed(undefined)
  if (!isIpv4(address)) return Effect.fail(Errors.unsupported("IPv6"))
  return Effect.succeed(fromIpv4(address) === 0 ? undefined : address)
}

const handOver = (port: UdpPort, events: BackingEvents): Effect.Effect<void> => {
  let latest: NetAddress.InetAddressV4 | undefined
  let host = ""
  /** Datagrams of one sender share its address. */
  const hostOf = (next: NetAddress.InetAddressV4): string => {
    if (next !== latest) {
      latest = next
      host = formatIpv4(fromIpv4(next.address))
    }
    return host
  }
  const pump: Effect.Effect<void> = Effect.matchEffect(port.take, {
    onSuccess: (datagrams) => {
      for (const { payload, source } of datagrams) events.onPacket(payload, hostOf(source), source.port)
      return pump
    },
    onFailure: ({ reason }) => {
      if (reason._tag === "SocketClosed") return Effect.sync(events.onClose)
      events.onError(Errors.readError(reason))
      return pump
    }
  })
  return pump
}

const backing = ({ address, port }: NetAddress.InetAddressV4): BackingAddress => ({
  host: formatIpv4(fromIpv4(address)),
  port
})

const endpoint = (to: Endpoint | undefined): Effect.Effect<NetAddress.InetAddressV4 | undefined, DatagramSocketError> =>
  to === undefined
    ? Effect.succeed(undefined)
    : Effect.flatMap(
      resolve(to.address),
      (address) =>
        Effect.mapError(
          Effect.fromResult(NetAddress.inetAddressV4(address, to.port)),
          (error) => Errors.openFailed(error)
        )
    )

const resolve = (host: HostAddress.Host): Effect.Effect<NetAddress.Ipv4Address, DatagramSocketError> =>
  HostAddress.resolve(host).pipe(
    Effect.map(([first]) => first),
    Effect.mapError((error) => Errors.openFailed(error, "AddressNotAvailable"))
  )
