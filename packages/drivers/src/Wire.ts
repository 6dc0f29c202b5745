/**
 * An Ethernet cable between two stacks of one process.
 *
 * Frames arrive in the order in which they were sent, in a later turn, all that
 * are on the wire as one batch. Each direction holds up to `capacity` frames
 * (1,024 by default); what comes beyond is dropped as `wireFull`. Frames sent
 * while nobody holds the other end are dropped as `unplugged`.
 */
import { NO_OFFLOAD } from "@strata/core/device/Device"
import { type Attachment, Devices, type DevicesError } from "@strata/core/device/Devices"
import { ChecksumState } from "@strata/core/device/Packet"
import type { Routing, RoutingError } from "@strata/core/ip/Routing"
import type { Statistics } from "@strata/core/Statistics"
import { makeDrop, type Trace } from "@strata/core/Trace"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import { DeviceBusy, DeviceError } from "./DeviceError.ts"
import { configure, type EthernetOptions, parseAddresses, parseMac, parseMtu } from "./DeviceOptions.ts"
import { CAPACITY, Transit } from "./internal/Transit.ts"

export type Side = "left" | "right"

/** A frame put on the wire; the octets are a copy for the listener to keep. */
export interface Frame {
  readonly from: Side
  readonly bytes: Uint8Array
}

export interface Options {
  /** Frames that each direction holds. */
  readonly capacity?: number | undefined
  /**
   * Leaves UDP and TCP checksums uncomputed, as good network cards let two virtual machines of one host do. Listeners
   * then see partial checksums. Off by default.
   */
  readonly checksumOffload?: boolean | undefined
}

/** A socket to plug one stack into. */
export interface End {
  readonly side: Side
  readonly wire: Wire
}

export interface Wire {
  readonly left: End
  readonly right: End
  readonly capacity: number
  readonly checksumOffload: boolean
  /** Calls `listener` with each frame as it is put on the wire, until the result is called. */
  readonly onFrame: (listener: (frame: Frame) => void) => () => void
}

export interface EndOptions extends EthernetOptions {
  /** `eth0` by default. */
  readonly name?: string | undefined
}

interface State extends Wire {
  readonly listeners: Set<(frame: Frame) => void>
  /** What brings frames to that side, while somebody is plugged in. */
  readonly towards: Record<Side, Transit | undefined>
}

const OPPOSITE = { left: "right", right: "left" } as const
const DEFAULT_MAC = { left: 0x0200_0000_0001, right: 0x0200_0000_0002 } as const

export const make = (options: Options = {}): Wire => {
  const listeners = new Set<(frame: Frame) => void>()
  const state: State = {
    get left() {
      return { side: "left", wire: state } as const
    },
    get right() {
      return { side: "right", wire: state } as const
    },
    capacity: options.capacity ?? CAPACITY,
    checksumOffload: options.checksumOffload ?? false,
    onFrame: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    listeners,
    towards: { left: undefined, right: undefined }
  }
  return state
}

/**
 * Plugs a stack in without giving it an address. The hardware address is 02:00:00:00:00:01 on the left and
 * 02:00:00:00:00:02 on the right by default, the MTU 1500. Fails with `DeviceBusy` while another stack holds the end.
 */
export const attach: (end: End, options?: EndOptions) => Effect.Effect<
  Attachment,
  DeviceError | DevicesError,
  Devices | Trace | Statistics | Scope.Scope
> = Effect.fnUntraced(function*(end, options = {}) {
  const name = options.name ?? "eth0"
  const mac = yield* parseMac(name, options.mac)
  const mtu = yield* parseMtu(name, options.mtu)
  const devices = yield* Devices
  const scheduler = yield* Scheduler.Scheduler
  const drop = yield* makeDrop("wire")
  const { side } = end
  const wire = end.wire as State
  const offload = wire.checksumOffload

  if (wire.towards[side] !== undefined) {
    return yield* new DeviceError({ reason: new DeviceBusy({ device: name }) })
  }
  const attachment = yield* devices.attach({
    name,
    type: "ethernet",
    framing: "ethernet",
    flags: { loopback: false, broadcast: true, multicast: true, pointToPoint: false, needsArp: true },
    mtu: mtu ?? 1500,
    hardwareAddress: mac ?? DEFAULT_MAC[side],
    offload: { ...NO_OFFLOAD, checksum: offload },
    transmit: (packet) => {
      const peer = wire.towards[OPPOSITE[side]]
      if (peer === undefined) {
        drop("unplugged", packet)
        return true
      }
      const frame = packet.clone()
      if (!offload) frame.checksum = ChecksumState.unverified
      if (!peer.offer(frame)) return false
      for (const listener of wire.listeners) listener({ from: side, bytes: frame.toBytes() })
      return true
    },
    flush: () => {}
  })
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const transit = new Transit(scheduler, attachment, wire.capacity)
      wire.towards[side] = transit
      return transit
    }),
    (transit) =>
      Effect.sync(() => {
        transit.close()
        wire.towards[side] = undefined
      })
  )
  return attachment
})

/** Plugs a stack into one end of a wire, with an address where one is given. */
export const layer = (end: End, options: EndOptions = {}): Layer.Layer<
  never,
  DeviceError | DevicesError | RoutingError,
  Devices | Routing | Trace | Statistics
> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const addresses = yield* parseAddresses(options.name ?? "eth0", options)
    const { device } = yield* attach(end, options)
    yield* configure(device, addresses)
  }))
