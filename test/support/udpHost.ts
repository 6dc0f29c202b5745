/**
 * A host with UDP on a fake IPv4, and what its peer sends to it.
 */
import { it } from "@effect/vitest"
import { ChecksumState } from "@strata/core/device/Packet"
import type { DeliveryError } from "@strata/core/ip/Ipv4"
import { Statistics } from "@strata/core/Statistics"
import type { Turn } from "@strata/core/time/Turn"
import type { Trace } from "@strata/core/Trace"
import { type Datagram, Udp, type UdpPort } from "@strata/core/udp/Udp"
import * as Checksum from "@strata/core/wire/Checksum"
import { Protocol } from "@strata/core/wire/Ipv4Header"
import { UdpHeader } from "@strata/core/wire/UdpHeader"

import { Effect, Layer, type Scope } from "effect"
import { layer, Network, raw } from "./fakeIpv4.ts"

export const HOST = "192.0.2.2"
export const OTHER_ADDRESS = "198.51.100.2"
export const PEER = "192.0.2.1"
export const DIRECTED_BROADCAST = "192.0.2.255"
export const GROUP = "224.0.0.251"

export const stack = Layer.fresh(Udp.layer).pipe(Layer.provideMerge(layer([HOST, OTHER_ADDRESS], [DIRECTED_BROADCAST])))
export const test = (
  name: string,
  body: () => Effect.Effect<unknown, unknown, Udp | Network | Turn | Trace | Statistics | Scope.Scope>
) => it.effect(name, () => body().pipe(Effect.provide(stack)))

export const bytes = (text: string) => new TextEncoder().encode(text)
export const text = (payload: Uint8Array) => new TextDecoder().decode(payload)
export const texts = (datagrams: ReadonlyArray<Datagram>) => datagrams.map(({ payload }) => text(payload))

export interface From {
  readonly from?: string
  readonly fromPort?: number
  readonly to?: string
}

/** A datagram with a checksum that holds. */
export const datagram = (
  port: number,
  payload: Uint8Array,
  { from = PEER, fromPort = 40000, to = HOST }: From = {}
) => {
  const length = UdpHeader.size + payload.length
  const octets = new Uint8Array(length)
  const view = new DataView(octets.buffer)
  UdpHeader.write(view, 0, { sourcePort: fromPort, destinationPort: port, length, checksum: 0 })
  octets.set(payload, UdpHeader.size)
  const sum = Checksum.add(Checksum.pseudoHeader(raw(from), raw(to), Protocol.udp, length), octets, 0, length)
  UdpHeader.set.checksum(view, 0, Checksum.finish(sum) || 0xffff)
  return octets
}

export const arrive = (
  port: number,
  message: string | Uint8Array,
  options: From & { readonly kind?: "local" | "broadcast" | "multicast" } = {}
) =>
  Effect.map(Network, (network) => {
    const { from = PEER, kind = "local", to = HOST } = options
    const payload = typeof message === "string" ? bytes(message) : message
    network.receive(Protocol.udp, datagram(port, payload, options), { source: raw(from), destination: raw(to), kind })
  })

export const arriveRaw = (octets: Uint8Array, checksum: number = ChecksumState.unverified) =>
  Effect.map(
    Network,
    (network) => network.receive(Protocol.udp, octets, { source: raw(PEER), destination: raw(HOST), checksum })
  )

export const counted = (name: string) =>
  Effect.flatMap(Statistics, ({ snapshot }) => Effect.map(snapshot, (counters) => counters[name] ?? 0))

export const bind = (options: Parameters<Udp["Service"]["bind"]>[0] = {}) =>
  Effect.flatMap(Udp, (udp) => udp.bind(options))

export const reasonOf = <A, R>(effect: Effect.Effect<A, { readonly reason: { readonly _tag: string } }, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

export const waitingTake = (port: UdpPort) => Effect.forkChild(port.take, { startImmediately: true })

/** As a device puts them together: one header in front, whose length spans all. */
export const arriveTogether = (
  port: number,
  payload: string,
  segmentSize: number,
  kind: "local" | "broadcast" = "local"
) =>
  Effect.map(Network, (network) => {
    const to = kind === "local" ? HOST : DIRECTED_BROADCAST
    const octets = datagram(port, bytes(payload), { to })
    // What vouches for the checksums is the device; that of the whole need not be right.
    UdpHeader.set.checksum(new DataView(octets.buffer), 0, 0x1234)
    const checksum = ChecksumState.valid
    network.receive(Protocol.udp, octets, {
      source: raw(PEER),
      destination: raw(to),
      kind,
      checksum,
      segmentSize
    })
  })

export const portUnreachable: DeliveryError = {
  kind: "portUnreachable",
  mtu: 0,
  reporter: raw(PEER),
  source: raw(HOST),
  destination: raw(PEER)
}
