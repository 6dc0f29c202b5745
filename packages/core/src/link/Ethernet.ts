/**
 * The link layer: frames with an Ethernet II header, and links that need none
 * (loopback), behind one registry of EtherTypes.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AttachedDevice } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"

/** Takes a packet whose `start` is at the network header. */
export type NetworkInput = (device: AttachedDevice, packet: Packet) => void

export class Ethernet extends Context.Service<Ethernet, {
  /** A frame from a device: accepted for the device's own address, broadcast, and joined multicast groups. */
  readonly input: (device: AttachedDevice, packet: Packet) => void
  /**
   * Puts a link header in front where the device has one, pads to the minimum frame, and transmits. `destination` is an
   * unsigned 48-bit integer. False when the frame was dropped.
   */
  readonly output: (device: AttachedDevice, packet: Packet, etherType: number, destination: number) => boolean
  /** Packets of that EtherType go to `input` until the scope closes. */
  readonly handle: (etherType: number, input: NetworkInput) => Effect.Effect<void, never, Scope.Scope>
  /** Accepts frames to that multicast group on that device until the scope closes; joins are counted. */
  readonly join: (device: AttachedDevice, group: number) => Effect.Effect<void, never, Scope.Scope>
}>()("@strata/core/Ethernet") {}
