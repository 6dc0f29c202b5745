/**
 * Datagrams for a host on `fakeIpv4`.
 */
import * as Checksum from "@strata/core/wire/Checksum"
import { Protocol } from "@strata/core/wire/Ipv4Header"
import { UdpHeader } from "@strata/core/wire/UdpHeader"
import * as Effect from "effect/Effect"
import { Network, raw } from "./fakeIpv4.ts"

export const HOST = "192.0.2.2"
export const PEER = "192.0.2.1"

/** A datagram of the peer's, from port 53. */
const datagram = (port: number, payload: Uint8Array): Uint8Array => {
  const length = UdpHeader.size + payload.length
  const octets = new Uint8Array(length)
  const view = new DataView(octets.buffer)
  UdpHeader.write(view, 0, { sourcePort: 53, destinationPort: port, length, checksum: 0 })
  octets.set(payload, UdpHeader.size)
  const sum = Checksum.add(Checksum.pseudoHeader(raw(PEER), raw(HOST), Protocol.udp, length), octets, 0, length)
  UdpHeader.set.checksum(view, 0, Checksum.finish(sum) || 0xffff)
  return octets
}

/** Has datagrams of the peer's arrive at a port of the host. */
export const arriving = (port: number) =>
  Effect.map(
    Network,
    (network) => (payload: Uint8Array): void =>
      network.receive(Protocol.udp, datagram(port, payload), {
        source: raw(PEER),
        destination: raw(HOST),
        kind: "local"
      })
  )
