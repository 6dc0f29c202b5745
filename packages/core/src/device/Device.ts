/**
 * What a network device is, as its driver sees it.
 */
import type { Packet } from "./Packet.ts"

/** What a frame starts with: an Ethernet header, or nothing (then `Packet.etherType` travels beside it). */
export type Framing = "ethernet" | "none"

/** What kind of link a device is on; the names are those that `ip link` shows. */
export interface DeviceFlags {
  readonly loopback: boolean
  readonly broadcast: boolean
  readonly multicast: boolean
  readonly pointToPoint: boolean
  /** Whether next hops must be resolved to hardware addresses. */
  readonly needsArp: boolean
}

/** What the stack may leave to the device; all off on a plain one. */
export interface Offload {
  /** The device completes `ChecksumState.partial` packets. */
  readonly checksum: boolean
  /** The largest TCP packet over IPv4 the device cuts into segments, in octets from the IPv4 header on; 0 for none. */
  readonly segmentation: number
}

/** A device that leaves checksums and segmentation to the stack. */
export const NO_OFFLOAD: Offload = { checksum: false, segmentation: 0 }

/** A driver: names, numbers and two plain functions. */
export interface Device {
  /** Unique within a stack, such as `tap0`. */
  readonly name: string
  readonly type: "null" | "loopback" | "ethernet"
  readonly framing: Framing
  readonly flags: DeviceFlags
  /** The largest payload of a frame in octets, without its link header. */
  readonly mtu: number
  /** Unsigned 48-bit integer; 0 where there is none. */
  readonly hardwareAddress: number
  readonly offload: Offload
  /**
   * Takes a whole frame: its linear bytes before it returns, its separate payload before the next `flush` returns.
   * False when the wire is full and the frame was dropped.
   */
  readonly transmit: (packet: Packet) => boolean
  /** Hands what was transmitted to the wire; called once at the end of a turn in which something was. */
  readonly flush: () => void
  /** Called when the device is opened and closed by the administrator, for drivers that care. */
  readonly setUp?: (up: boolean) => void
}
