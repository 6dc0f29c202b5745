/**
 * Who has which IPv4 address on the link (RFC 826), with the states of RFC 4861.
 *
 * A neighbour is asked for at most once a second, three times, then given up;
 * packets to it wait meanwhile. Nothing is learned from an answer nobody asked
 * for: it can only change what is known, and that is then checked. Who asks for
 * one of our addresses is learned, since an answer to it is about to be
 * followed by packets (RFC 826 "Packet Reception").
 *
 * Here messages arrive and people's wishes are met; `NeighbourTable` holds the
 * rules, `Neighbours` the entries, `OwnAddresses` what we answer for.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Ipv4Address, MacAddress } from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type AttachedDevice, Devices, NoSuchDevice } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"
import { Statistics } from "../Statistics.ts"
import type { Timers } from "../time/Timers.ts"
import { Turn } from "../time/Turn.ts"
import { makeDrop, Trace } from "../Trace.ts"
import { fromIpv4, fromMac, toIpv4, toMac } from "../wire/Address.ts"
import { ArpHeader, ArpOperation } from "../wire/ArpHeader.ts"
import { EtherType } from "../wire/EthernetHeader.ts"
import * as ArpMessages from "./ArpMessages.ts"
import { Ethernet } from "./Ethernet.ts"
import * as Neighbours from "./Neighbours.ts"
import * as Table from "./NeighbourTable.ts"
import * as OwnAddresses from "./OwnAddresses.ts"

export type NeighbourState = Table.NeighbourState

/** Bounds and times; what is provided when the Layer is built holds. */
export const NeighbourSettings = Context.Reference<Table.NeighbourSettings>("@strata/core/NeighbourSettings", {
  defaultValue: () => Table.defaults
})

/** A neighbour as people see it. */
export interface Neighbour {
  readonly device: string
  readonly address: Ipv4Address
  /** Undefined while incomplete or failed. */
  readonly hardwareAddress: MacAddress | undefined
  readonly state: NeighbourState
}

export class HostUnreachable extends Schema.TaggedError<HostUnreachable>()("HostUnreachable", {
  address: Schema.Ipv4Address,
  device: Schema.String
}) {
  override get message() {
    return `nobody on ${this.device} answered for ${this.address}`
  }
}

/** A neighbour that cannot be found. */
export class ArpError extends Schema.TaggedError<ArpError>()("ArpError", {
  reason: Schema.Union([HostUnreachable, NoSuchDevice])
}) {
  override get message() {
    return this.reason.message
  }
}

const header = ArpHeader.get

/** Finds the hardware addresses of neighbours (RFC 826), with the neighbour states of RFC 4861. */
export class ArpCache extends Context.Service<ArpCache, {
  /**
   * Sends an IPv4 packet to a neighbour: at once when its hardware address is known, or when it becomes known, from a
   * bounded queue that keeps copies. `source` and `neighbour` are unsigned 32-bit integers; `source` is what requests
   * carry as their sender. Limited broadcast and multicast go out without a question. False when the packet was
   * dropped at once.
   */
  readonly output: (device: AttachedDevice, packet: Packet, neighbour: number, source: number) => boolean
  /**
   * Packets that waited in vain, and those to a neighbour given up a moment ago, are passed to `listener` at the end
   * of the turn, once each, until the scope closes.
   */
  readonly onUnreachable: (
    listener: (device: AttachedDevice, packet: Packet) => void
  ) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Answers requests for `address` (unsigned 32-bit) on that device and announces it, now and whenever the device is
   * opened, until the result is called.
   */
  readonly own: (device: AttachedDevice, address: number) => () => void
  /** The hardware address of a neighbour, asked for where it is not known. */
  readonly resolve: (device: string, address: Ipv4Address) => Effect.Effect<MacAddress, ArpError>
  readonly entries: Effect.Effect<ReadonlyArray<Neighbour>>
  /** Static entries stay until they are removed or the device is detached. */
  readonly addStatic: (
    device: string,
    address: Ipv4Address,
    hardwareAddress: MacAddress
  ) => Effect.Effect<void, ArpError>
  /** Whether there was one. */
  readonly remove: (device: string, address: Ipv4Address) => Effect.Effect<boolean>
  /** Sends a gratuitous request for an address of our own (RFC 5227 §3). */
  readonly announce: (device: string, address: Ipv4Address) => Effect.Effect<void, ArpError>
}>()("@strata/core/ArpCache") {
  static readonly layer: Layer.Layer<ArpCache, never, Turn | Timers | Trace | Statistics | Devices | Ethernet> = Layer
    .effect(
      ArpCache,
      Effect.gen(function*() {
        const turn = yield* Turn
        const trace = yield* Trace
        const devices = yield* Devices
        const ethernet = yield* Ethernet
        const settings = yield* NeighbourSettings
        const drop = yield* makeDrop("arp")
        const received = (yield* Statistics).counter("arp.received")
        const listeners = new Set<(device: AttachedDevice, packet: Packet) => void>()
        const messages = yield* ArpMessages.make
        const own = yield* OwnAddresses.make(messages)
        const neighbours = yield* Neighbours.make({
          settings,
          messages,
          own,
          onUnreachable: (device, packet) => {
            for (const listener of listeners) listener(device, packet)
          }
        })

        const input = (device: AttachedDevice, packet: Packet) => {
          received.value++
          const objection = ArpMessages.objection(device, packet)
          if (objection !== undefined) return drop(objection, packet)
          if (trace.enabled) {
            trace.emit({ _tag: "Packet", layer: "arp", direction: "in", device: device.name, bytes: packet.toBytes() })
          }
          const { start, view } = packet
          const sender = header.senderProtocol(view, start)
          const hardware = header.senderHardware(view, start)
          const target = header.targetProtocol(view, start)
          if (own.has(device, sender)) {
            drop("addressConflict", packet)
            return own.contested(device, sender, hardware)
          }
          const request = header.operation(view, start) === ArpOperation.request
          const forUs = own.has(device, target)
          if (sender !== 0) learn(device, sender, hardware, request, forUs)
          if (request && forUs) messages.reply(device, hardware, target, sender)
        }

        const learn = (device: AttachedDevice, sender: number, hardware: number, request: boolean, forUs: boolean) => {
          const known = neighbours.find(device, sender)
          if (known === undefined) {
            if (request && forUs) neighbours.meet(device, sender, hardware)
            return
          }
          const { state } = known.neighbour
          const asked = state === "incomplete" || state === "probing"
          neighbours.advance(known, { _tag: asked && !request && forUs ? "Answered" : "Heard", hardware })
        }

        const closed = (device: AttachedDevice, forGood: boolean) => {
          own.closed(device)
          neighbours.flush(device, forGood)
        }

        const deviceNamed = (name: string): Effect.Effect<AttachedDevice, ArpError> =>
          Effect.suspend(() => {
            const device = devices.byName(name)
            return device === undefined
              ? Effect.fail(new ArpError({ reason: new NoSuchDevice({ name }) }))
              : Effect.succeed(device)
          })

        /** The hardware address where it is known, else undefined once it is known that nobody answers. */
        const hardwareOf = (device: AttachedDevice, address: number) =>
          Effect.callback<number | undefined>((resume) => {
            const waiter: Neighbours.Waiter = (hardware) => resume(Effect.succeed(hardware))
            let entry: Neighbours.Entry | undefined
            turn.run(() => {
              if (own.has(device, address)) return waiter(device.hardwareAddress)
              if (!device.up || !device.flags.needsArp || ArpMessages.isGroup(address)) return waiter(undefined)
              entry = neighbours.use(device, address, 0)
              const { hardware, state } = entry.neighbour
              if (state === "incomplete") entry.waiters.add(waiter)
              else waiter(state === "failed" ? undefined : hardware)
            })
            return Effect.sync(() => entry?.waiters.delete(waiter))
          })

        yield* ethernet.handle(EtherType.arp, input)
        yield* devices.watch(({ _tag, device }) =>
          turn.run(() => {
            if (_tag === "Opened") own.opened(device)
            if (_tag === "Closed") closed(device, false)
            if (_tag === "Detached") closed(device, true)
          })
        )
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => turn.run(() => devices.all().forEach((device) => closed(device, true))))
        )

        return ArpCache.of({
          output: neighbours.output,
          onUnreachable: (listener) =>
            Effect.acquireRelease(
              Effect.sync(() => listeners.add(listener)),
              () => Effect.sync(() => listeners.delete(listener))
            ),
          own: own.add,
          resolve: Effect.fnUntraced(function*(name, address) {
            const device = yield* deviceNamed(name)
            const hardware = yield* hardwareOf(device, fromIpv4(address))
            if (hardware !== undefined) return toMac(hardware)
            return yield* new ArpError({ reason: new HostUnreachable({ device: name, address }) })
          }),
          entries: Effect.sync(() => devices.all().flatMap((device) => neighbours.entries(device).map(describe))),
          addStatic: (name, address, hardwareAddress) =>
            Effect.map(
              deviceNamed(name),
              (device) => turn.run(() => neighbours.addStatic(device, fromIpv4(address), fromMac(hardwareAddress)))
            ),
          remove: (name, address) =>
            Effect.sync(() => {
              const device = devices.byName(name)
              const entry = device && neighbours.find(device, fromIpv4(address))
              if (entry === undefined) return false
              turn.run(() => neighbours.remove(entry, "neighbourRemoved"))
              return true
            }),
          announce: (name, address) =>
            Effect.map(deviceNamed(name), (device) => turn.run(() => messages.announce(device, fromIpv4(address))))
        })
      })
    )
}

const describe = ({ device, neighbour }: Neighbours.Entry): Neighbour => ({
  device: device.name,
  address: toIpv4(neighbour.address),
  hardwareAddress: neighbour.hardware === 0 ? undefined : toMac(neighbour.hardware),
  state: neighbour.state
})
