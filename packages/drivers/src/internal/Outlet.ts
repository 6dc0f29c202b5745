/**
 * Where a stack is plugged into a medium of the same process: one end of a
 * wire, one port of a switch.
 *
 * Frames towards the stack travel under the outlet's conditions and arrive in
 * a later turn. The travel is timed by `services` where the medium has its own,
 * and by the stack that is plugged in where it has not.
 */
import { NO_OFFLOAD } from "@strata/core/device/Device"
import { type Attachment, Devices, type DevicesError } from "@strata/core/device/Devices"
import { ChecksumState, type Packet } from "@strata/core/device/Packet"
import { Entropy } from "@strata/core/Entropy"
import type { Routing, RoutingError } from "@strata/core/ip/Routing"
import type { Statistics } from "@strata/core/Statistics"
import { Timers } from "@strata/core/time/Timers"
import { Turn } from "@strata/core/time/Turn"
import { makeDrop, type Trace } from "@strata/core/Trace"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import { DeviceBusy, DeviceError } from "../DeviceError.ts"
import { configure, type EthernetOptions, parseAddresses, parseMac, parseMtu } from "../DeviceOptions.ts"
import type { Conditions } from "../path/Conditions.ts"
import { NO_COUNTERS, Path, type PathCounters, type PathServices } from "../path/Path.ts"
import type { PacketPool } from "./PacketPool.ts"
import { Transit } from "./Transit.ts"

/** What the total length of an IPv4 header can say. */
const LARGEST_PACKET = 65_535

/** What a medium did with a frame: `full` and `unplugged` frames are dropped, and counted by their sender. */
export type Fate = "taken" | "full" | "unplugged"

export interface OutletOptions {
  /** The device's hardware address where its user gives none; unsigned 48-bit. */
  readonly hardwareAddress: number
  /** Frames that wait to be delivered. */
  readonly capacity: number
  readonly checksumOffload: boolean
  /** Whether large TCP segments pass whole. */
  readonly offload: boolean
  readonly conditions: Partial<Conditions>
  readonly services: PathServices | undefined
  /** Where frames of the medium come from and go to. */
  readonly pool: PacketPool
  /** Takes a frame from the stack; the packet is the medium's to keep. */
  readonly accept: (packet: Packet) => Fate
}

export interface PlugOptions extends EthernetOptions {
  /** `eth0` by default. */
  readonly name?: string | undefined
}

/** What a stack needs to be plugged in. */
export type PlugServices = Devices | Turn | Timers | Entropy | Trace | Statistics

export class Outlet {
  private readonly options: OutletOptions
  private conditions: Partial<Conditions>
  private transit: Transit | undefined
  private path: Path | undefined
  /** Of the stacks that were plugged in before. */
  private past: PathCounters = NO_COUNTERS
  private unplugged = 0

  constructor(options: OutletOptions) {
    this.options = options
    this.conditions = options.conditions
  }

  /** Sends a packet that nobody else uses, or one that says it is shared, to the stack. */
  deliver(packet: Packet): Fate {
    if (this.path === undefined || this.transit === undefined) return "unplugged"
    if (this.transit.isFull()) return "full"
    this.path.send(packet)
    return "taken"
  }

  /** Changes some conditions from the next frame on. */
  set(changes: Partial<Conditions>): void {
    this.conditions = { ...this.conditions, ...changes }
    this.path?.set(changes)
  }

  /** Loses what is under way. */
  cut(): void {
    this.path?.cut()
    this.transit?.clear()
  }

  /** Of frames towards the stack, whichever was plugged in; what was under way to one that is gone is lost. */
  counters(): PathCounters {
    return sum(this.past, this.current())
  }

  /** Frames from the stack that the medium had nobody to give to. */
  unpluggedFrames(): number {
    return this.unplugged
  }

  /** What the path delivers still waits for the stack's next turn, for which there may be no room. */
  private current(): PathCounters {
    if (this.path === undefined || this.transit === undefined) return NO_COUNTERS
    const travelled = this.path.counters()
    const { delivered, held, lost, refused } = this.transit.counters()
    return {
      ...travelled,
      delivered,
      inFlight: travelled.inFlight + held,
      lost: travelled.lost + lost,
      overflowed: travelled.overflowed + refused
    }
  }

  /** Plugs a stack in until the scope closes. Fails with `DeviceBusy` while another one is. */
  attach(
    options: PlugOptions = {}
  ): Effect.Effect<Attachment, DeviceError | DevicesError, PlugServices | Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const name = options.name ?? "eth0"
      const mac = yield* parseMac(name, options.mac)
      const mtu = yield* parseMtu(name, options.mtu)
      const devices = yield* Devices
      const scheduler = yield* Scheduler.Scheduler
      const drop = yield* makeDrop("wire")
      const services = this.options.services ??
        { turn: yield* Turn, timers: yield* Timers, entropy: yield* Entropy }
      const { accept, capacity, hardwareAddress, offload, pool } = this.options
      const checksum = offload || this.options.checksumOffload

      if (this.transit !== undefined) return yield* new DeviceError({ reason: new DeviceBusy({ device: name }) })
      const attachment = yield* devices.attach({
        name,
        type: "ethernet",
        framing: "ethernet",
        flags: { loopback: false, broadcast: true, multicast: true, pointToPoint: false, needsArp: true },
        mtu: mtu ?? 1500,
        hardwareAddress: mac ?? hardwareAddress,
        offload: { ...NO_OFFLOAD, checksum, segmentation: offload ? LARGEST_PACKET : 0 },
        transmit: (packet) => {
          const frame = pool.copy(packet)
          if (!checksum) frame.checksum = ChecksumState.unverified
          const fate = accept(frame)
          if (fate === "unplugged") {
            this.unplugged++
            drop("unplugged", packet)
          }
          return fate !== "full"
        },
        flush: () => {}
      })
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const transit = new Transit(scheduler, attachment, capacity, pool)
          this.transit = transit
          this.path = new Path(services, "ethernet", this.conditions, (packet) => transit.offer(packet))
        }),
        () =>
          Effect.sync(() => {
            this.path?.cut()
            this.transit?.close()
            this.past = this.counters()
            this.path = undefined
            this.transit = undefined
          })
      )
      return attachment
    })
  }
}

/** Plugs a stack in, with an address where one is given. */
export const plug = (outlet: Outlet, options: PlugOptions = {}): Layer.Layer<
  never,
  DeviceError | DevicesError | RoutingError,
  PlugServices | Routing
> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const addresses = yield* parseAddresses(options.name ?? "eth0", options)
    const { device } = yield* outlet.attach(options)
    yield* configure(device, addresses)
  }))

const sum = (a: PathCounters, b: PathCounters): PathCounters => ({
  offered: a.offered + b.offered,
  cut: a.cut + b.cut,
  delivered: a.delivered + b.delivered,
  inFlight: a.inFlight + b.inFlight,
  duplicated: a.duplicated + b.duplicated,
  corrupted: a.corrupted + b.corrupted,
  reordered: a.reordered + b.reordered,
  lost: a.lost + b.lost,
  blackholed: a.blackholed + b.blackholed,
  overflowed: a.overflowed + b.overflowed,
  tooBig: a.tooBig + b.tooBig,
  marked: a.marked + b.marked
})
