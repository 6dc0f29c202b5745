/**
 * Packets that are used again and again for copies of others: making one costs
 * several times as much as filling it. Small and large ones are kept apart, so
 * that a queue of small ones does not take the memory of large ones; of each,
 * a bounded number.
 */
import { HEADROOM, make, type Packet } from "@strata/core/device/Packet"

/** Octets behind the headroom of a small packet: any frame of Ethernet. */
const SMALL = 2048
/** Of a large one: any packet of IPv4 with its link header. */
const LARGE = 65_536 + 32
const SMALL_KEPT = 512
const LARGE_KEPT = 128

const capacityOf = (packet: Packet): number => packet.bytes.length - HEADROOM

export class PacketPool {
  private readonly small: Array<Packet> = []
  private readonly large: Array<Packet> = []

  /** An independent copy, as of `Packet.clone`. */
  copy(original: Packet): Packet {
    const { length } = original
    const kept = (length <= SMALL ? this.small : this.large).pop()
    const packet = kept !== undefined && capacityOf(kept) >= length
      ? kept
      : make(length <= SMALL ? SMALL : Math.max(LARGE, length))
    return packet.copyFrom(original)
  }

  /** Takes a packet that nobody uses any more, whoever made it. */
  release(packet: Packet): void {
    const capacity = capacityOf(packet)
    if (capacity > SMALL) {
      if (this.large.length < LARGE_KEPT) this.large.push(packet)
    } else if (capacity === SMALL && this.small.length < SMALL_KEPT) {
      this.small.push(packet)
    }
  }
}
