/**
 * Packets that are used again and again for copies of others: making one costs
 * several times as much as filling it. They are kept apart by size, so
 * that a queue of small ones does not take the memory of large ones; of each
 * size, a bounded number.
 */
import { HEADROOM, make, type Packet } from "@strata/core/device/Packet"

/** Octets behind the headroom, and how many of that size are kept. */
interface Size {
  readonly capacity: number
  readonly kept: number
}

/** A question of ARP, an acknowledgement; any frame of Ethernet; any packet of IPv4 with its link header. */
const SIZES: ReadonlyArray<Size> = [
  { capacity: 128, kept: 4096 },
  { capacity: 2048, kept: 512 },
  { capacity: 65_536 + 32, kept: 128 }
]

export class PacketPool {
  private readonly free = SIZES.map((): Array<Packet> => [])

  /** An independent copy, as of `Packet.clone`. */
  copy(original: Packet): Packet {
    const { length } = original
    const size = SIZES.findIndex(({ capacity }) => length <= capacity)
    const packet = this.free[size]?.pop() ?? make(SIZES[size]?.capacity ?? length)
    return packet.copyFrom(original)
  }

  /** Takes a packet that nobody uses any more, whoever made it. */
  release(packet: Packet): void {
    const size = SIZES.findIndex(({ capacity }) => capacity === packet.bytes.length - HEADROOM)
    const free = this.free[size]
    if (free !== undefined && free.length < SIZES[size]!.kept) free.push(packet)
  }
}
