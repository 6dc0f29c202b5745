/**
 * Every packet arrived, was dropped by name, or is still under way: sums over
 * the counters that devices, links and layers keep anyway.
 *
 * A wire, for each direction:
 *
 *     transmitted by the one device = offered to the path + found nobody
 *     offered + cut + duplicated = delivered + in flight + lost + blackholed + overflowed + too big
 *     delivered = received by the other device
 *
 * A switch:
 *
 *     transmitted by all devices = received = forwarded + flooded + filtered + stormed
 *     forwarded + copied = offered to all ports + restricted + dropped
 *
 * and for each port the last two sums of a wire. A host, on the way up:
 *
 *     received by its devices = dropped by device or ethernet + arp.received + ipv4.received
 *     ipv4.received + looped + reassembled = dropped by ipv4 + fragments + delivered
 *     delivered = icmp.received + igmp.received + udp.received + tcp.received − tcp.coalesced, or more where programs handle other protocols
 *
 * and on the way down:
 *
 *     ipv4.sent + arp.sent = transmitted by its devices + dropped by device or arp + waiting for a neighbour
 *
 * They are exact, but for two drops that have one name on both ways (a device
 * that is down, and a source that is a martian), and for what waits for a
 * neighbour, which is not counted: between the sides may lie as many packets as
 * that. Sums of hosts hold for stacks of strata's own Layers.
 */
import type { AttachedDevice } from "@strata/core/device/Devices"
import type { Switch } from "@strata/drivers"
import type { PathCounters } from "@strata/drivers/path/Path"

/** What is wrong with a sum, or undefined. */
export type Imbalance = string | undefined

/** What the devices of one end of a link count, in all lives of its host. */
export class Meter {
  private readonly devices: Array<AttachedDevice["counters"]> = []

  add(device: AttachedDevice): void {
    this.devices.push(device.counters)
  }

  transmitted(): number {
    return this.devices.reduce((sum, counters) => sum + counters.transmittedPackets.value, 0)
  }

  received(): number {
    return this.devices.reduce((sum, counters) => sum + counters.receivedPackets.value, 0)
  }
}

const same = (left: string, a: number, right: string, b: number): Imbalance =>
  a === b ? undefined : `${left} ${a}, but ${right} ${b}`

/** One direction of a link, up to the device at its end. */
export const path = (counters: PathCounters, meter: Meter): Imbalance => {
  const { blackholed, cut, delivered, duplicated, inFlight, lost, offered, overflowed, tooBig } = counters
  return same(
    "packets offered, cut and duplicated:",
    offered + cut + duplicated,
    "delivered, in flight, lost, blackholed, overflowed and too big:",
    delivered + inFlight + lost + blackholed + overflowed + tooBig
  ) ?? same("packets delivered:", delivered, "received by the device:", meter.received())
}

/** One direction of a wire, from one device to the other. */
export const wire = (from: Meter, counters: PathCounters, unplugged: number, to: Meter): Imbalance =>
  same(
    "packets transmitted by the device:",
    from.transmitted(),
    "offered to the wire, or to nobody:",
    counters.offered + unplugged
  ) ?? path(counters, to)

/** A switch and all its ports. */
export const lan = (
  counters: Switch.SwitchCounters,
  ports: ReadonlyArray<{ readonly meter: Meter; readonly counters: PathCounters }>
): Imbalance => {
  const { copied, dropped, filtered, flooded, forwarded, received, restricted, stormed } = counters
  const transmitted = ports.reduce((sum, { meter }) => sum + meter.transmitted(), 0)
  const offered = ports.reduce((sum, port) => sum + port.counters.offered, 0)
  const ways = same("packets transmitted by devices:", transmitted, "received by the switch:", received) ??
    same(
      "packets received:",
      received,
      "forwarded, flooded, filtered and stormed:",
      forwarded + flooded + filtered + stormed
    ) ??
    same(
      "packets forwarded and copied:",
      forwarded + copied,
      "offered to ports, restricted and dropped:",
      offered + restricted + dropped
    )
  if (ways !== undefined) return ways
  for (const port of ports) {
    const imbalance = path(port.counters, port.meter)
    if (imbalance !== undefined) return imbalance
  }
  return undefined
}

/** Drops of `ipv4` that are not of packets on their way up. */
const IPV4_DOWN = new Set(["noRoute", "noSource", "tooBig", "loopFull"])
const IPV4_QUOTED = new Set(["badQuote", "quoteNotOurs", "quotedFragment", "unbelievableMtu"])
/** Drops of fragments, which were counted as fragments when they arrived. */
const isOfFragments = (reason: string): boolean => reason.startsWith("reassembly") || reason.startsWith("fragment")
/** Drops of `arp` that are of messages on their way up. */
const ARP_UP = new Set([
  "truncated",
  "unsupported",
  "unknownOperation",
  "invalidSender",
  "ownSender",
  "addressConflict"
])
/** Drops of `device` that are of packets on their way up. */
const DEVICE_UP = new Set(["noLinkLayer"])

/** Packets that may wait for neighbours; more than any setting is likely to allow. */
const MAY_WAIT = 100_000

const always = (): boolean => true

export const host = (
  counters: Readonly<Record<string, number>>,
  devices: ReadonlyArray<AttachedDevice>
): Imbalance => {
  const count = (name: string) => counters[name] ?? 0
  const dropped = (layer: string, counts: (reason: string) => boolean) => {
    const prefix = `${layer}.dropped.`
    return Object.entries(counters).reduce(
      (sum, [name, value]) => name.startsWith(prefix) && counts(name.slice(prefix.length)) ? sum + value : sum,
      0
    )
  }
  const transmitted = devices.reduce((sum, device) => sum + device.counters.transmittedPackets.value, 0)
  const received = devices.reduce((sum, device) => sum + device.counters.receivedPackets.value, 0)
  const down = count("device.dropped.deviceDown")
  const martians = count("ipv4.dropped.martianSource")

  const up = count("ipv4.received") + count("arp.received") + dropped("ethernet", always) +
    dropped("device", (reason) => DEVICE_UP.has(reason))
  const taken = count("ipv4.received") + count("ipv4.looped") + count("ipv4.reassembled") -
    count("ipv4.fragmentsReceived") - count("ipv4.delivered") -
    dropped(
      "ipv4",
      (reason) =>
        !IPV4_DOWN.has(reason) && !IPV4_QUOTED.has(reason) && !isOfFragments(reason) && reason !== "martianSource"
    )
  const delivered = count("icmp.received") + count("igmp.received") + count("udp.received") + count("tcp.received") -
    count("tcp.coalesced")
  const sent = count("ipv4.sent") + count("arp.sent") - transmitted -
    dropped("arp", (reason) => !ARP_UP.has(reason)) -
    dropped("device", (reason) => !DEVICE_UP.has(reason) && reason !== "deviceDown")

  return between("packets received by devices, and not passed up or dropped by name:", received - up, 0, down) ??
    between("packets received by ipv4, and not delivered, kept as fragments or dropped by name:", taken, 0, martians) ??
    between(
      "packets delivered by ipv4, and not received by icmp, igmp, udp or tcp:",
      count("ipv4.delivered") - delivered
    ) ??
    between("packets sent, and not transmitted, dropped by name or waiting:", sent, 0, down + MAY_WAIT)
}

const between = (what: string, value: number, least = 0, most = Infinity): Imbalance =>
  value >= least && value <= most ? undefined : `${what} ${value}`
