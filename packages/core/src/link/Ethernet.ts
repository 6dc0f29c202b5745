/**
 * The link layer: frames with an Ethernet II header, and links that need none
 * (loopback), behind one registry of EtherTypes.
 *
 * A frame goes up when it is addressed to the device, to everybody, or to a
 * multicast group somebody joined there. All others are dropped as `notForUs`:
 * a promiscuous device passes them too. IEEE 802.3 frames, which carry a
 * length where Ethernet II carries the EtherType, are not supported.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type AttachedDevice, Devices } from "../device/Devices.ts"
import { LinkDestination, make as makePacket, type Packet } from "../device/Packet.ts"
import type { Statistics } from "../Statistics.ts"
import { makeDrop, Trace } from "../Trace.ts"
import { BROADCAST, EthernetHeader } from "../wire/EthernetHeader.ts"

/** Takes a packet whose `start` is at the network header. */
export type NetworkInput = (device: AttachedDevice, packet: Packet) => void

/** The shortest frame in octets, without its frame check sequence; shorter ones are padded with zeros. */
export const MINIMUM_FRAME = 60

/** The least value that is an EtherType and not a length (IEEE 802.3-2022 §3.2.6). */
const LEAST_ETHER_TYPE = 0x0600

/** The Ethernet address of an IPv4 multicast group (RFC 1112 §6.4). */
export const multicastAddress = (group: number): number => 0x0100_5e00_0000 + (group & 0x7f_ffff)

/** Whether an address stands for a group of stations, broadcast included; it never is the address of one. */
export const isGroupAddress = (address: number): boolean => ((address / 0x100_0000_0000) & 1) === 1

const header = EthernetHeader.get
const write = EthernetHeader.set
const MINIMUM_PAYLOAD = MINIMUM_FRAME - EthernetHeader.size

/** Ethernet II, and the registry of EtherTypes for links that have no header too. */
export class Ethernet extends Context.Service<Ethernet, {
  /** A frame from a device: accepted for the device's own address, broadcast, and joined multicast groups. */
  readonly input: (device: AttachedDevice, packet: Packet) => void
  /**
   * Puts a link header in front where the device has one, pads to the minimum frame, and transmits. `destination` is an
   * unsigned 48-bit integer. False when the frame was dropped.
   */
  readonly output: (device: AttachedDevice, packet: Packet, etherType: number, destination: number) => boolean
  /** Packets of that EtherType go to `input` until the scope closes; the one who registered last gets them. */
  readonly handle: (etherType: number, input: NetworkInput) => Effect.Effect<void, never, Scope.Scope>
  /** Accepts frames to that multicast group on that device until the result is called; joins are counted. */
  readonly listen: (device: AttachedDevice, group: number) => () => void
  /** The same until the scope closes. */
  readonly join: (device: AttachedDevice, group: number) => Effect.Effect<void, never, Scope.Scope>
}>()("@strata/core/Ethernet") {
  static readonly layer: Layer.Layer<Ethernet, never, Devices | Trace | Statistics> = Layer.effect(
    Ethernet,
    Effect.gen(function*() {
      const devices = yield* Devices
      const trace = yield* Trace
      const drop = yield* makeDrop("ethernet")
      const inputs = new Map<number, NetworkInput>()
      /** How often each group was joined, by device and group. */
      const joined = new Map<AttachedDevice, Map<number, number>>()
      const short = makePacket(MINIMUM_FRAME)

      const dispatch = (device: AttachedDevice, packet: Packet) => {
        const input = inputs.get(packet.etherType)
        if (input === undefined) return drop("unknownEtherType", packet)
        input(device, packet)
      }

      const inputBare = (device: AttachedDevice, packet: Packet) => {
        packet.linkDestination = LinkDestination.own
        dispatch(device, packet)
      }

      /** One of `LinkDestination`, or -1 for somebody else. */
      const classify = (device: AttachedDevice, destination: number): number => {
        if (destination === device.hardwareAddress) return LinkDestination.own
        if (destination === BROADCAST) return LinkDestination.broadcast
        if (isGroupAddress(destination) && joined.get(device)?.has(destination)) return LinkDestination.multicast
        return -1
      }

      const inputFramed = (device: AttachedDevice, packet: Packet) => {
        if (packet.length < EthernetHeader.size) return drop("truncated", packet)
        const { start, view } = packet
        const destination = classify(device, header.destination(view, start))
        if (destination < 0) return drop("notForUs", packet)
        const source = header.source(view, start)
        if (source === device.hardwareAddress) return drop("ownSource", packet)
        if (isGroupAddress(source)) return drop("groupSource", packet)
        const etherType = header.etherType(view, start)
        if (etherType < LEAST_ETHER_TYPE) return drop("notEthernet2", packet)
        if (trace.enabled) {
          trace.emit({
            _tag: "Packet",
            layer: "ethernet",
            direction: "in",
            device: device.name,
            bytes: packet.toBytes()
          })
        }
        packet.linkDestination = destination
        packet.etherType = etherType
        packet.start += EthernetHeader.size
        dispatch(device, packet)
      }

      const padded = (packet: Packet): Packet => {
        const missing = MINIMUM_PAYLOAD - packet.length
        if (missing <= 0) return packet
        // A payload elsewhere, or a full slab, leaves no place for the padding: such a packet is copied.
        const target = packet.pieceCount === 0 && packet.end + missing <= packet.bytes.length
          ? packet
          : short.copyFrom(packet)
        const end = target.end + missing
        // Each bare acknowledgement comes here: for so few octets a loop is quicker than `fill`.
        while (target.end < end) target.bytes[target.end++] = 0
        return target
      }

      const outputFramed = (device: AttachedDevice, packet: Packet, etherType: number, destination: number) => {
        const frame = padded(packet)
        const at = frame.push(EthernetHeader.size)
        write.destination(frame.view, at, destination)
        write.source(frame.view, at, device.hardwareAddress)
        write.etherType(frame.view, at, etherType)
        if (trace.enabled) {
          trace.emit({
            _tag: "Packet",
            layer: "ethernet",
            direction: "out",
            device: device.name,
            bytes: frame.toBytes()
          })
        }
        return devices.transmit(device, frame)
      }

      yield* devices.handle("ethernet", inputFramed)
      yield* devices.handle("none", inputBare)

      const listen = (device: AttachedDevice, group: number) => {
        const groups = joined.get(device) ?? new Map<number, number>()
        joined.set(device, groups.set(group, (groups.get(group) ?? 0) + 1))
        return () => {
          const others = groups.get(group)! - 1
          if (others > 0) groups.set(group, others)
          else groups.delete(group)
          if (groups.size === 0 && joined.get(device) === groups) joined.delete(device)
        }
      }

      return Ethernet.of({
        input: (device, packet) =>
          device.framing === "ethernet" ? inputFramed(device, packet) : inputBare(device, packet),
        output: (device, packet, etherType, destination) => {
          packet.etherType = etherType
          return device.framing === "ethernet"
            ? outputFramed(device, packet, etherType, destination)
            : devices.transmit(device, packet)
        },
        handle: (etherType, input) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              inputs.set(etherType, input)
              trace.emit({ _tag: "ProtocolRegistered", layer: "ethernet", number: etherType })
            }),
            () => Effect.sync(() => inputs.get(etherType) === input && inputs.delete(etherType))
          ),
        join: (device, group) =>
          Effect.asVoid(Effect.acquireRelease(
            Effect.sync(() => listen(device, group)),
            (release) => Effect.sync(release)
          )),
        listen
      })
    })
  )
}
