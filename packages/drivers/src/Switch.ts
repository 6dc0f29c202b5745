/**
 * An Ethernet switch in memory, with any number of ports.
 *
 * It learns which port a hardware address is on from the frames that come in
 * there (IEEE 802.1D-2004 §7.8), forgets what it has not seen for a while, and
 * floods what it does not know. Two bounds keep a storm small: the number of
 * addresses it knows (the one seen longest ago gives way), and the number of
 * frames per second that a port may have flooded.
 */
import type { DevicesError } from "@strata/core/device/Devices"
import type { Packet } from "@strata/core/device/Packet"
import type { Routing, RoutingError } from "@strata/core/ip/Routing"
import { BROADCAST, EthernetHeader } from "@strata/core/wire/EthernetHeader"
import type * as Layer from "effect/Layer"
import type { DeviceError } from "./DeviceError.ts"
import { AddressTable } from "./internal/AddressTable.ts"
import { type Fate, Outlet, plug, type PlugOptions, type PlugServices } from "./internal/Outlet.ts"
import { PacketPool } from "./internal/PacketPool.ts"
import { CAPACITY } from "./internal/Transit.ts"
import type { Conditions } from "./path/Conditions.ts"
import type { PathCounters, PathServices } from "./path/Path.ts"

/** Of a switch. */
export interface Options {
  /** Hardware addresses known at most; 1,024 by default. */
  readonly addresses?: number | undefined
  /** Milliseconds after which an address is forgotten; 300,000 by default (802.1D-2004 table 7-5). */
  readonly ageing?: number | undefined
  /** Lets TCP segments of up to 64 KiB pass whole, as on a wire with that option; off by default. */
  readonly offload?: boolean | undefined
  /** Frames per second of one port that are flooded; 10,000 by default. The rest is dropped. */
  readonly floodLimit?: number | undefined
  /** What times the travel of frames, draws their faults, and tells the age of what was learnt. */
  readonly services: PathServices
}

/** Of one port. */
export interface PortOptions {
  /** Frames held for the stack; 1,024 by default. */
  readonly capacity?: number | undefined
  /** Conditions of the way from the switch to the stack; ideal by default. */
  readonly conditions?: Partial<Conditions> | undefined
}

/** A socket to plug one stack into. */
export interface Port {
  /** From 0. */
  readonly number: number
  /** Changes some conditions, from the next frame on. */
  readonly set: (changes: Partial<Conditions>) => void
  /** Loses all that is under way to the stack. */
  readonly cut: () => void
  /** Of the way from the switch to this port. */
  readonly counters: () => PathCounters
}

/** What became of frames; all count from when the switch was made. */
export interface SwitchCounters {
  /** Frames that came in, on all ports. */
  readonly received: number
  /** Sent to the one port their destination is on. */
  readonly forwarded: number
  /** Sent to all other ports. */
  readonly flooded: number
  /** Copies made for that, one for each of these ports. */
  readonly copied: number
  /** Whose destination is on the port they came from. */
  readonly filtered: number
  /** Dropped at the flood limit. */
  readonly stormed: number
  /** Copies for ports that they may not pass to. */
  readonly restricted: number
  /** Copies that a port had no room for, or nobody to take. */
  readonly dropped: number
}

/** A switch that learns where each hardware address is. */
export interface Switch {
  /** A new port. */
  readonly port: (options?: PortOptions) => Port
  /** Frames pass only from ports to ports for which `allows` is true; all of them until this is called. */
  readonly restrict: (allows: (from: number, to: number) => boolean) => void
  /** What became of frames so far. */
  readonly counters: () => SwitchCounters
  /** The hardware addresses known now, and the number of the port each is on. */
  readonly known: () => ReadonlyMap<number, number>
}

interface PlugPort extends Port {
  readonly outlet: Outlet
}

/** One second of the flood limit of one port. */
interface Allowance {
  until: number
  left: number
}

const ethernet = EthernetHeader.get
/** The hardware addresses of stacks that bring none: 02:00:00:01:00:00 and up. */
const FIRST_MAC = 0x0200_0001_0000
const GROUP_BIT = 0x0100_0000_0000

/** A switch without ports. */
export const make = (options: Options): Switch => {
  const { now } = options.services.turn
  const floodLimit = options.floodLimit ?? 10_000
  const ports: Array<PlugPort> = []
  const pool = new PacketPool()
  const table = new AddressTable(options.addresses ?? 1024, options.ageing ?? 300_000)
  const counters = {
    received: 0,
    forwarded: 0,
    flooded: 0,
    copied: 0,
    filtered: 0,
    stormed: 0,
    restricted: 0,
    dropped: 0
  }

  let allows = always

  const deliver = (from: number, port: PlugPort, packet: Packet): void => {
    if (!allows(from, port.number)) return void counters.restricted++
    if (port.outlet.deliver(packet) !== "taken") counters.dropped++
  }
  const flood = (from: number, allowance: Allowance, packet: Packet): void => {
    const time = now()
    if (time >= allowance.until) {
      allowance.until = time + 1000
      allowance.left = floodLimit
    }
    if (allowance.left === 0) return void counters.stormed++
    allowance.left--
    counters.flooded++
    // All of them wait for the same one: of a thousand ports that flood at a time, a million copies would.
    packet.shared = true
    for (const port of ports) {
      if (port.number === from) continue
      counters.copied++
      deliver(from, port, packet)
    }
  }
  const forward = (from: number, allowance: Allowance, packet: Packet): Fate => {
    counters.received++
    const source = ethernet.source(packet.view, packet.start)
    const destination = ethernet.destination(packet.view, packet.start)
    if (!isGroup(source)) table.learn(source, from, now())
    const towards = isGroup(destination) ? undefined : table.lookup(destination, now())
    if (towards === undefined) {
      flood(from, allowance, packet)
    } else if (towards === from) {
      counters.filtered++
    } else {
      counters.forwarded++
      deliver(from, ports[towards]!, packet)
    }
    return "taken"
  }

  return {
    port: (portOptions = {}) => {
      const number = ports.length
      const allowance: Allowance = { until: -Infinity, left: 0 }
      const outlet = new Outlet({
        hardwareAddress: FIRST_MAC + number,
        capacity: portOptions.capacity ?? CAPACITY,
        checksumOffload: false,
        offload: options.offload ?? false,
        conditions: portOptions.conditions ?? {},
        services: options.services,
        pool,
        accept: (packet) => forward(number, allowance, packet)
      })
      const port: PlugPort = {
        number,
        outlet,
        set: (changes) => outlet.set(changes),
        cut: () => outlet.cut(),
        counters: () => outlet.counters()
      }
      ports.push(port)
      return port
    },
    restrict: (predicate) => {
      allows = predicate
    },
    counters: () => ({ ...counters }),
    known: () => table.entries(now())
  }
}

const always = (_from: number, _to: number): boolean => true

/** Whether frames to an address are for more than one station; the group bit (IEEE 802-2014 §8.2.2). */
const isGroup = (address: number): boolean => address === BROADCAST || Math.floor(address / GROUP_BIT) % 2 === 1

/** Plugs a stack into a port, with an address where one is given. Fails with `DeviceBusy` while another stack holds it. */
export const layer = (port: Port, options?: PlugOptions): Layer.Layer<
  never,
  DeviceError | DevicesError | RoutingError,
  PlugServices | Routing
> => plug((port as PlugPort).outlet, options)
