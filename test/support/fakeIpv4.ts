/**
 * IPv4 without a network below it: what a transport sends is kept, what it is to receive is handed in.
 */
import { type AttachedDevice, Devices } from "@strata/core/device/Devices"
import { Packet } from "@strata/core/device/Packet"
import { Entropy } from "@strata/core/Entropy"
import { type DeliveryError, type ErrorInput, Ipv4, type OutputResult, type TransportInput } from "@strata/core/ip/Ipv4"
import { Multicast } from "@strata/core/ip/Multicast"
import { type Destination, Routing } from "@strata/core/ip/Routing"
import { Ethernet } from "@strata/core/link/Ethernet"
import { Statistics } from "@strata/core/Statistics"
import { Turn } from "@strata/core/time/Turn"
import { Trace } from "@strata/core/Trace"
import { fromIpv4 } from "@strata/core/wire/Address"
import * as Checksum from "@strata/core/wire/Checksum"
import { Context, Effect, Layer } from "effect"
import { NetAddress } from "effect/net"

export const ip = (text: string): NetAddress.Ipv4Address =>
  NetAddress.ipFromStringUnsafe(text) as NetAddress.Ipv4Address
export const raw = (text: string): number => fromIpv4(ip(text))
export const inet = (text: string): NetAddress.InetAddressV4 =>
  NetAddress.inetAddressFromStringUnsafe(text) as NetAddress.InetAddressV4

export interface Sent {
  readonly timeToLive: number
  readonly looped: boolean
  readonly source: number
  readonly destination: number
  readonly protocol: number
  /** From the transport header on, its checksum completed. */
  readonly bytes: Uint8Array
}

export interface Reported {
  readonly type: number
  readonly code: number
  /** What would be quoted, from the IPv4 header on. */
  readonly length: number
}

/** The network side of the transport under test. */
export class Network extends Context.Service<Network, {
  readonly sent: Array<Sent>
  /** How many of them left together, each time. */
  readonly flushed: Array<number>
  readonly reported: Array<Reported>
  /** What becomes of packets; "sent" at first. */
  result: OutputResult
  readonly handles: (protocol: number) => boolean
  /** Hands in the octets of a transport datagram, behind an IPv4 header that only takes room. */
  readonly receive: (protocol: number, bytes: Uint8Array, options: {
    readonly source: number
    readonly destination: number
    readonly kind?: Destination
    readonly checksum?: number
    readonly segmentSize?: number
  }) => void
  readonly reportError: (protocol: number, error: DeliveryError, quoted: Uint8Array) => void
}>()("test/Network") {}

const device = { name: "fake0", flags: { multicast: true } } as AttachedDevice
const HEADER = 20

const sourceOf = (own: ReadonlyArray<number>, destination: number): number => {
  if (own.includes(destination)) return destination
  return destination >>> 8 === raw("203.0.113.0") >>> 8 ? 0 : own[0]!
}

/** The stack below a transport of a host with these addresses; without a route to 203.0.113.0/24. */
export const layer = (local: ReadonlyArray<string>, broadcasts: ReadonlyArray<string> = []) => {
  const own = local.map(raw)
  const many = [0xffff_ffff, ...broadcasts.map(raw)]
  const services = Layer.effectContext(Effect.gen(function*() {
    const turn = yield* Turn
    const inputs = new Map<number, { readonly input: TransportInput; readonly error: ErrorInput | undefined }>()
    const network: Network["Service"] = {
      sent: [],
      flushed: [],
      reported: [],
      result: "sent",
      handles: (protocol) => inputs.has(protocol),
      receive: (protocol, bytes, { checksum = 0, destination, kind = "local", segmentSize = 0, source }) => {
        const slab = new Uint8Array(HEADER + bytes.length + 7)
        slab.set(bytes, HEADER)
        const packet = new Packet(slab, HEADER, HEADER + bytes.length)
        Object.assign(packet, { source, destination, protocol, checksum, segmentSize, networkStart: 0 })
        turn.run(() => inputs.get(protocol)!.input(device, packet, kind))
        slab.fill(0xee)
      },
      reportError: (protocol, error, quoted) => turn.run(() => inputs.get(protocol)?.error?.(error, new Packet(quoted)))
    }
    let waiting = 0
    const flush = () => {
      network.flushed.push(waiting)
      waiting = 0
    }
    const ipv4 = {
      sourceFor: (destination: number) => sourceOf(own, destination),
      output: (packet: Packet): OutputResult => {
        if (network.result === "sent") {
          packet.completeChecksum()
          const { destination, protocol, source } = packet
          const { looped, timeToLive } = packet
          if (waiting++ === 0) turn.defer("flush", flush)
          network.sent.push({ source, destination, protocol, timeToLive, looped, bytes: packet.toBytes() })
        }
        return network.result
      },
      report: (packet: Packet, type: number, code: number) => {
        network.reported.push({ type, code, length: packet.end - packet.networkStart })
      },
      handle: (protocol: number, input: TransportInput, error?: ErrorInput) =>
        Effect.acquireRelease(
          Effect.sync(() => inputs.set(protocol, { input, error })),
          () => Effect.sync(() => inputs.delete(protocol))
        )
    } as unknown as Ipv4["Service"]
    const routing = {
      version: () => 0,
      isLocal: (address: number) => own.includes(address),
      isBroadcast: (address: number) => many.includes(address),
      interfaces: () => own.map((address) => ({ address, device })),
      lookup: () => ({ device })
    } as unknown as Routing["Service"]
    const devices = { all: () => [device], watch: () => Effect.void } as unknown as Devices["Service"]
    const ethernet = { listen: () => () => {} } as unknown as Ethernet["Service"]
    return Context.make(Network, network).pipe(
      Context.add(Ipv4, ipv4),
      Context.add(Routing, routing),
      Context.add(Devices, devices),
      Context.add(Ethernet, ethernet)
    )
  }))
  return Layer.fresh(Multicast.layer).pipe(
    Layer.provideMerge(services),
    Layer.provideMerge(Layer.mergeAll(Turn.layer, Trace.layer, Statistics.layer, Entropy.layerSeeded(7))),
    Layer.fresh
  )
}

/** Whether a transport datagram's checksum holds, pseudo-header included. */
export const checksumHolds = ({ bytes, destination, protocol, source }: Sent): boolean => {
  const pseudo = Checksum.pseudoHeader(source, destination, protocol, bytes.length)
  return Checksum.verify(Checksum.add(pseudo, bytes, 0, bytes.length))
}
