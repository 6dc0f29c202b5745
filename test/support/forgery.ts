/**
 * Segments that a host sends in the name of others, as an attacker on the path does.
 */
import { Ipv4 } from "@strata/core"
import * as PacketBuffer from "@strata/core/device/Packet"
import * as Address from "@strata/core/wire/Address"
import * as Checksum from "@strata/core/wire/Checksum"
import { Protocol } from "@strata/core/wire/Ipv4Header"
import { TcpFlag, TcpHeader } from "@strata/core/wire/TcpHeader"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Ipv4Address } from "effect/net/NetAddress"
import type { Host } from "./tcpHosts.ts"

const CHECKSUM_OFFSET = 16

export interface Forged {
  /** Unsigned 32-bit integers. */
  readonly source: number
  readonly destination: number
  readonly from: number
  readonly to: number
  readonly seq: number
  readonly ack?: number
  /** Control bits; SYN by default. */
  readonly flags?: number
}

export const address = (text: Ipv4Address): number => Address.fromIpv4(text)

/** Puts one segment on the wire of `host`. */
export const forge = (host: Host, forged: Forged): Effect.Effect<void> =>
  Effect.sync(() => {
    const packet = PacketBuffer.make(TcpHeader.size)
    const at = packet.push(TcpHeader.size)
    TcpHeader.set.sourcePort(packet.view, at, forged.from)
    TcpHeader.set.destinationPort(packet.view, at, forged.to)
    TcpHeader.set.sequence(packet.view, at, forged.seq)
    TcpHeader.set.acknowledgement(packet.view, at, forged.ack ?? 0)
    TcpHeader.set.headerWords(packet.view, at, TcpHeader.size / 4)
    TcpHeader.set.flags(packet.view, at, forged.flags ?? TcpFlag.syn)
    TcpHeader.set.window(packet.view, at, 65_535)
    packet.source = forged.source
    packet.destination = forged.destination
    packet.protocol = Protocol.tcp
    const sum = Checksum.pseudoHeader(forged.source, forged.destination, Protocol.tcp, packet.length)
    TcpHeader.set.checksum(packet.view, at, sum)
    packet.checksum = PacketBuffer.ChecksumState.partial
    packet.checksumStart = at
    packet.checksumOffset = CHECKSUM_OFFSET
    Context.get(host.context, Ipv4).output(packet)
  })
