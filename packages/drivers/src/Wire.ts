/**
 * An Ethernet cable between two stacks of one process.
 *
 * Frames arrive in a later turn, all that are due as one batch; on an ideal
 * wire, which is the default, at once and in the order in which they were sent.
 * Each direction holds up to `capacity` frames for its stack (1,024 by default);
 * what comes beyond is dropped as `wireFull`. Frames sent while nobody holds
 * the other end are dropped as `unplugged`.
 */
import type { Attachment, DevicesError } from "@strata/core/device/Devices"
import type { Packet } from "@strata/core/device/Packet"
import type { Routing, RoutingError } from "@strata/core/ip/Routing"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { DeviceError } from "./DeviceError.ts"
import { type Fate, Outlet, plug, type PlugOptions, type PlugServices } from "./internal/Outlet.ts"
import { PacketPool } from "./internal/PacketPool.ts"
import { CAPACITY } from "./internal/Transit.ts"
import type { Conditions } from "./path/Conditions.ts"
import type { PathCounters, PathServices } from "./path/Path.ts"

/** An end, by name. */
export type Side = "left" | "right"

/** A frame put on the wire; the octets are a copy for the listener to keep. */
export interface Frame {
  readonly from: Side
  readonly bytes: Uint8Array
}

/** Of a wire. */
export interface Options {
  /** Frames that each direction holds for its stack. */
  readonly capacity?: number | undefined
  /**
   * Leaves UDP and TCP checksums uncomputed, as good network cards let two virtual machines of one host do. Listeners
   * then see partial checksums. Off by default.
   */
  readonly checksumOffload?: boolean | undefined
  /**
   * Lets TCP segments of up to 64 KiB pass whole, as network cards with segmentation offload do between virtual machines of one host: the
   * MTU is that of what they stand for. Listeners then see them so. Conditions that are about single packets see those that a large one
   * stands for. With it, checksums are left uncomputed as well. Off by default.
   */
  readonly offload?: boolean | undefined
  /** Latency, bandwidth, faults and so on of both directions; ideal by default. */
  readonly conditions?: Partial<Conditions> | undefined
  /** What differs towards one side. */
  readonly towards?: Partial<Record<Side, Partial<Conditions>>> | undefined
  /** What times the travel and draws the faults; those of the receiving stack by default. */
  readonly services?: PathServices | undefined
}

/** A socket to plug one stack into. */
export interface End {
  readonly side: Side
  readonly wire: Wire
}

/** A wire between two stacks. */
export interface Wire {
  readonly left: End
  readonly right: End
  /** Calls `listener` with each frame as it is put on the wire, until the result is called. */
  readonly onFrame: (listener: (frame: Frame) => void) => () => void
  /** Changes some conditions of the way towards a side, or of both, from the next frame on. */
  readonly set: (towards: Side | "both", changes: Partial<Conditions>) => void
  /** Loses all that is under way. */
  readonly cut: () => void
  /** What became of the frames towards each side. */
  readonly counters: () => Readonly<Record<Side, PathCounters>>
  /** Frames from each side that nobody held the other end for. */
  readonly unplugged: () => Readonly<Record<Side, number>>
}

/** Of the device at one end. */
export type EndOptions = PlugOptions

interface State extends Wire {
  readonly outlets: Readonly<Record<Side, Outlet>>
}

const SIDES = ["left", "right"] as const
const OPPOSITE = { left: "right", right: "left" } as const
const DEFAULT_MAC = { left: 0x0200_0000_0001, right: 0x0200_0000_0002 } as const

/** A wire with nobody at its ends. */
export const make = (options: Options = {}): Wire => {
  const listeners = new Set<(frame: Frame) => void>()
  const pool = new PacketPool()
  const carry = (from: Side, packet: Packet): Fate => {
    // What is put on the wire, before the wire does anything to it.
    const bytes = listeners.size === 0 ? undefined : packet.toBytes()
    const fate = state.outlets[OPPOSITE[from]].deliver(packet)
    if (bytes !== undefined && fate === "taken") listeners.forEach((listener) => listener({ from, bytes }))
    return fate
  }
  const outlet = (side: Side) =>
    new Outlet({
      hardwareAddress: DEFAULT_MAC[side],
      capacity: options.capacity ?? CAPACITY,
      checksumOffload: options.checksumOffload ?? false,
      offload: options.offload ?? false,
      conditions: { ...options.conditions, ...options.towards?.[side] },
      services: options.services,
      pool,
      accept: (packet) => carry(side, packet)
    })
  const state: State = {
    outlets: { left: outlet("left"), right: outlet("right") },
    get left() {
      return { side: "left", wire: state } as const
    },
    get right() {
      return { side: "right", wire: state } as const
    },
    onFrame: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    set: (towards, changes) => {
      for (const side of SIDES) if (towards === "both" || towards === side) state.outlets[side].set(changes)
    },
    cut: () => {
      for (const side of SIDES) state.outlets[side].cut()
    },
    counters: () => ({ left: state.outlets.left.counters(), right: state.outlets.right.counters() }),
    unplugged: () => ({
      left: state.outlets.left.unpluggedFrames(),
      right: state.outlets.right.unpluggedFrames()
    })
  }
  return state
}

/**
 * Plugs a stack in without giving it an address. The hardware address is 02:00:00:00:00:01 on the left and
 * 02:00:00:00:00:02 on the right by default, the MTU 1500. Fails with `DeviceBusy` while another stack holds the end.
 */
export const attach = (end: End, options?: EndOptions): Effect.Effect<
  Attachment,
  DeviceError | DevicesError,
  PlugServices | Scope.Scope
> => (end.wire as State).outlets[end.side].attach(options)

/** Plugs a stack into one end of a wire, with an address where one is given. */
export const layer = (end: End, options?: EndOptions): Layer.Layer<
  never,
  DeviceError | DevicesError | RoutingError,
  PlugServices | Routing
> => plug((end.wire as State).outlets[end.side], options)
