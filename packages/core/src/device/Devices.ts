/**
 * The devices of a stack.
 *
 * A device's Layer attaches itself here and gets back what it calls with each
 * frame that arrives; a link layer registers for the framing it understands.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Counter, Statistics } from "../Statistics.ts"
import { Turn } from "../time/Turn.ts"
import { makeDrop, Trace } from "../Trace.ts"
import type { Device, Framing } from "./Device.ts"
import { ChecksumState, type Packet } from "./Packet.ts"

/** A device that belongs to a stack. */
export interface AttachedDevice extends Device {
  /** 1 for the first one attached; never used twice. */
  readonly index: number
  /** Administrative state: a device that is down neither sends nor receives. */
  readonly up: boolean
  /** The driver's MTU until somebody changes it. */
  readonly mtu: number
  /** Octets count whole frames. */
  readonly counters: {
    readonly receivedPackets: Counter
    readonly receivedOctets: Counter
    readonly transmittedPackets: Counter
    readonly transmittedOctets: Counter
  }
}

/** What a driver calls. */
export interface Attachment {
  readonly device: AttachedDevice
  /**
   * Runs `work`, which calls `input` for each frame of a batch, as one turn of the stack. Whether a program now waits for a tick
   * of the event loop, for which a driver should leave the next batch to a later event (`Turn.requestTick`).
   */
  readonly batch: (work: () => void) => boolean
  /** Passes one frame up; its bytes are the driver's again when the call returns. */
  readonly input: (packet: Packet) => void
}

export type LinkInput = (device: AttachedDevice, packet: Packet) => void

export class NoSuchDevice extends Schema.TaggedError<NoSuchDevice>()("NoSuchDevice", { name: Schema.String }) {
  override get message() {
    return `there is no device ${this.name} in this stack`
  }
}

export class DuplicateDevice extends Schema.TaggedError<DuplicateDevice>()("DuplicateDevice", { name: Schema.String }) {
  override get message() {
    return `the stack already has a device ${this.name}; choose another name`
  }
}

/** RFC 791 §3.2: every link carries 68 octets, and no packet has more than 65,535. */
export class InvalidMtu extends Schema.TaggedError<InvalidMtu>()("InvalidMtu", { mtu: Schema.Number }) {
  override get message() {
    return `an MTU is a whole number of octets from 68 to 65535, not ${this.mtu}`
  }
}

/** A device that cannot be attached, or is not there. */
export class DevicesError extends Schema.TaggedError<DevicesError>()("DevicesError", {
  reason: Schema.Union([NoSuchDevice, DuplicateDevice, InvalidMtu])
}) {
  override get message() {
    return this.reason.message
  }
}

/** Something that happened to a device. */
export type DeviceChange = {
  readonly _tag: "Attached" | "Detached" | "Opened" | "Closed" | "MtuChanged"
  readonly device: AttachedDevice
}

/** The registry of devices: what is attached, and the way of each packet out of the stack. */
export class Devices extends Context.Service<Devices, {
  /** Sends a frame; false when it was dropped (device down, too big, wire full), which is counted. */
  readonly transmit: (device: AttachedDevice, packet: Packet) => boolean
  /** The device of that name, if there is one. */
  readonly byName: (name: string) => AttachedDevice | undefined
  /** In the order of attachment. */
  readonly all: () => ReadonlyArray<AttachedDevice>
  /** Frames of that framing go to `input` until the scope closes. */
  readonly handle: (framing: Framing, input: LinkInput) => Effect.Effect<void, never, Scope.Scope>
  /** Adds a device, up, until the scope closes. */
  readonly attach: (device: Device) => Effect.Effect<Attachment, DevicesError, Scope.Scope>
  /** The same; fails where there is none. */
  readonly get: (name: string) => Effect.Effect<AttachedDevice, DevicesError>
  readonly list: Effect.Effect<ReadonlyArray<AttachedDevice>>
  /** Brings a device up: it takes and gives packets. */
  readonly open: (name: string) => Effect.Effect<void, DevicesError>
  /** Takes a device down. It stays attached. */
  readonly close: (name: string) => Effect.Effect<void, DevicesError>
  /** `mtu` in octets, without the link header: 68 to 65,535. */
  readonly setMtu: (name: string, mtu: number) => Effect.Effect<void, DevicesError>
  /**
   * Runs `leave` when a device is about to be detached and still works, and detaches it when that is done, until the
   * scope closes. It is the last chance to send something, and must have a bound.
   */
  readonly beforeDetach: (
    leave: (device: AttachedDevice) => Effect.Effect<void>
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Calls `listener` with each change, at once, until the scope closes. */
  readonly watch: (listener: (change: DeviceChange) => void) => Effect.Effect<void, never, Scope.Scope>
}>()("@strata/core/Devices") {
  static readonly layer: Layer.Layer<Devices, never, Turn | Trace | Statistics> = Layer.effect(
    Devices,
    Effect.gen(function*() {
      const turn = yield* Turn
      const trace = yield* Trace
      const statistics = yield* Statistics
      const drop = yield* makeDrop("device")
      const devices: Array<Mutable> = []
      const inputs = new Map<Framing, LinkInput>()
      const listeners = new Set<(change: DeviceChange) => void>()
      const leavers = new Set<(device: AttachedDevice) => Effect.Effect<void>>()
      let attached = 0

      const change = (tag: DeviceChange["_tag"], device: AttachedDevice) => {
        if (tag !== "MtuChanged") trace.emit({ _tag: `Device${tag}`, device: device.name, type: device.type })
        for (const listener of listeners) listener({ _tag: tag, device })
      }
      const setUp = (device: Mutable, up: boolean) => {
        if (device.up === up) return
        turn.run(() => {
          device.up = up
          device.setUp?.(up)
          change(up ? "Opened" : "Closed", device)
        })
      }
      const find = (name: string) => devices.find((device) => device.name === name)
      const get = (name: string) => {
        const device = find(name)
        return device === undefined
          ? Effect.fail(new DevicesError({ reason: new NoSuchDevice({ name }) }))
          : Effect.succeed(device)
      }
      const batch = (work: () => void) => {
        turn.run(work)
        return turn.takeTickRequest()
      }
      const input = (device: Mutable, packet: Packet) => {
        device.counters.receivedPackets.value++
        device.counters.receivedOctets.value += packet.length
        if (!device.up) return drop("deviceDown", packet)
        const handler = inputs.get(device.framing)
        if (handler === undefined) return drop("noLinkLayer", packet)
        handler(device, packet)
      }

      return Devices.of({
        transmit: (device, packet) => {
          const target = device as Mutable
          if (!target.up) {
            drop("deviceDown", packet)
            return false
          }
          const limit = packet.segmentSize === 0 ? target.mtu : target.offload.segmentation
          if (packet.length - target.headerLength > limit) {
            drop("tooBig", packet)
            return false
          }
          if (packet.checksum === ChecksumState.partial && !target.offload.checksum) packet.completeChecksum()
          const length = packet.length
          const sent = target.transmit(packet)
          if (!target.dirty) {
            target.dirty = true
            turn.defer("flush", target.flushOnce)
          }
          if (!sent) {
            drop("wireFull", packet)
            return false
          }
          target.counters.transmittedPackets.value++
          target.counters.transmittedOctets.value += length
          return true
        },
        byName: find,
        all: () => devices,
        handle: (framing, handler) =>
          Effect.acquireRelease(
            Effect.sync(() => inputs.set(framing, handler)),
            () => Effect.sync(() => inputs.get(framing) === handler && inputs.delete(framing))
          ),
        attach: (driver) =>
          Effect.gen(function*() {
            if (find(driver.name) !== undefined) {
              return yield* new DevicesError({ reason: new DuplicateDevice({ name: driver.name }) })
            }
            const counter = (name: string) => statistics.counter(`device.${driver.name}.${name}`)
            const device: Mutable = {
              ...driver,
              // A driver may be an instance of a class, whose methods a spread does not copy.
              transmit: (packet) => driver.transmit(packet),
              flush: () => driver.flush(),
              setUp: (up) => driver.setUp?.(up),
              index: ++attached,
              up: false,
              mtu: driver.mtu,
              headerLength: driver.framing === "ethernet" ? 14 : 0,
              dirty: false,
              flushOnce: () => {
                device.dirty = false
                driver.flush()
              },
              counters: {
                receivedPackets: counter("receivedPackets"),
                receivedOctets: counter("receivedOctets"),
                transmittedPackets: counter("transmittedPackets"),
                transmittedOctets: counter("transmittedOctets")
              }
            }
            yield* Effect.acquireRelease(
              Effect.sync(() => {
                devices.push(device)
                change("Attached", device)
                setUp(device, true)
              }),
              () =>
                Effect.andThen(
                  Effect.forEach(leavers, (leave) => leave(device), { discard: true }),
                  Effect.sync(() => {
                    setUp(device, false)
                    devices.splice(devices.indexOf(device), 1)
                    change("Detached", device)
                  })
                )
            )
            return { device, batch, input: (packet: Packet) => input(device, packet) }
          }),
        get,
        list: Effect.sync(() => [...devices]),
        open: (name) => Effect.map(get(name), (device) => setUp(device, true)),
        close: (name) => Effect.map(get(name), (device) => setUp(device, false)),
        setMtu: Effect.fnUntraced(function*(name, mtu) {
          const device = yield* get(name)
          if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65_535) {
            return yield* new DevicesError({ reason: new InvalidMtu({ mtu }) })
          }
          device.mtu = mtu
          change("MtuChanged", device)
        }),
        beforeDetach: (leave) =>
          Effect.acquireRelease(
            Effect.sync(() => leavers.add(leave)),
            () => Effect.sync(() => leavers.delete(leave))
          ),
        watch: (listener) =>
          Effect.acquireRelease(
            Effect.sync(() => listeners.add(listener)),
            () => Effect.sync(() => listeners.delete(listener))
          )
      })
    })
  )
}

interface Mutable extends AttachedDevice {
  up: boolean
  mtu: number
  dirty: boolean
  /** Octets of link header that do not count towards the MTU. */
  readonly headerLength: number
  readonly flushOnce: () => void
}
