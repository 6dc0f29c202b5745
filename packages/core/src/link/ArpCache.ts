/**
 * Who has which IPv4 address on the link (RFC 826), with the states of RFC 4861.
 *
 * - A neighbour is asked for at most once a second, three times, then given up;
 *   packets to it wait meanwhile, and nobody is told "sent" about one that is
 *   lost for want of room.
 * - Nothing is learned from an answer nobody asked for. Who asks for one of our
 *   addresses is learned, since an answer to it is about to be followed by
 *   packets (RFC 826 "Packet Reception").
 * - An address of ours is announced twice, two seconds apart (RFC 5227 §2.3),
 *   when it comes up and when its device is opened again. It was given by
 *   somebody who knows, so it is not probed first. When another host uses it,
 *   that is reported, and the address defended once in ten seconds
 *   (RFC 5227 §2.4 b).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type { Ipv4Address, MacAddress } from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type AttachedDevice, Devices, NoSuchDevice } from "../device/Devices.ts"
import { make as makePacket, type Packet } from "../device/Packet.ts"
import { Statistics } from "../Statistics.ts"
import { type Timer, Timers } from "../time/Timers.ts"
import { Turn } from "../time/Turn.ts"
import { makeDrop, Trace } from "../Trace.ts"
import { formatIpv4, formatMac, fromIpv4, fromMac, toIpv4, toMac } from "../wire/Address.ts"
import { ARP_HARDWARE_ETHERNET, ArpHeader, ArpOperation } from "../wire/ArpHeader.ts"
import { BROADCAST, EtherType } from "../wire/EthernetHeader.ts"
import { Ethernet, isGroupAddress, multicastAddress } from "./Ethernet.ts"
import * as Table from "./NeighbourTable.ts"

export type NeighbourState = Table.NeighbourState

/** Bounds and times; to be provided when the Layer is built. */
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

export class ArpError extends Schema.TaggedError<ArpError>()("ArpError", {
  reason: Schema.Union([HostUnreachable, NoSuchDevice])
}) {
  override get message() {
    return this.reason.message
  }
}

/** RFC 5227 §1.1, in milliseconds. */
const ANNOUNCE_INTERVAL = 2_000
const DEFEND_INTERVAL = 10_000

const header = ArpHeader.get
const write = ArpHeader.set

const ELAPSED: Table.NeighbourEvent = { _tag: "Elapsed" }
const USED: Table.NeighbourEvent = { _tag: "Used" }

type Waiter = (exit: Exit.Exit<MacAddress, ArpError>) => void

/** A neighbour, and what waits for it. */
interface Entry extends Table.Entry {
  readonly device: AttachedDevice
  readonly timer: Timer
  readonly packets: Array<Packet>
  readonly waiters: Set<Waiter>
  /** The sender of requests for it: the source of the packet that asked last. */
  source: number
}

/** One of our own addresses. */
interface Own {
  readonly announcement: Timer
  defended: number
}

/** What belongs to one device. */
interface Link {
  readonly device: AttachedDevice
  readonly table: Table.NeighbourTable<Entry>
  readonly own: Map<number, Own>
}

export class ArpCache extends Context.Service<ArpCache, {
  /**
   * Sends an IPv4 packet to a neighbour: at once when its hardware address is known, or when it becomes known, from a
   * bounded queue that keeps copies. `source` and `neighbour` are unsigned 32-bit integers; `source` is what requests
   * carry as their sender. False when the packet was dropped at once.
   */
  readonly output: (device: AttachedDevice, packet: Packet, neighbour: number, source: number) => boolean
  /**
   * Packets that waited in vain, and those to a neighbour given up a moment ago, are passed to `listener` at the end
   * of the turn, once each, until the scope closes.
   */
  readonly onUnreachable: (
    listener: (device: AttachedDevice, packet: Packet) => void
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Answers requests for `address` (unsigned 32-bit) on that device and announces it, until the result is called. */
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
        const timers = yield* Timers
        const trace = yield* Trace
        const statistics = yield* Statistics
        const devices = yield* Devices
        const ethernet = yield* Ethernet
        const settings = yield* NeighbourSettings
        const drop = yield* makeDrop("arp")
        const conflicts = statistics.counter("arp.addressConflicts")
        /** By device index. */
        const links: Array<Link | undefined> = []
        const unreachable: Array<{ readonly device: AttachedDevice; readonly packet: Packet }> = []
        const listeners = new Set<(device: AttachedDevice, packet: Packet) => void>()
        const scratch = makePacket(ArpHeader.size)
        let waiting = 0

        const linkOf = (device: AttachedDevice): Link =>
          links[device.index] ??= { device, table: Table.make(settings.maximumNeighbours), own: new Map() }

        // Messages.

        const send = (
          device: AttachedDevice,
          operation: number,
          destination: number,
          sender: number,
          targetHardware: number,
          target: number
        ) => {
          scratch.reset()
          scratch.end += ArpHeader.size
          const { start, view } = scratch
          write.hardwareType(view, start, ARP_HARDWARE_ETHERNET)
          write.protocolType(view, start, EtherType.ipv4)
          write.hardwareLength(view, start, 6)
          write.protocolLength(view, start, 4)
          write.operation(view, start, operation)
          write.senderHardware(view, start, device.hardwareAddress)
          write.senderProtocol(view, start, sender)
          write.targetHardware(view, start, targetHardware)
          write.targetProtocol(view, start, target)
          tell(device, "out", scratch)
          ethernet.output(device, scratch, EtherType.arp, destination)
        }
        const tell = (device: AttachedDevice, direction: "in" | "out", packet: Packet) => {
          if (!trace.enabled) return
          trace.emit({ _tag: "Packet", layer: "arp", direction, device: device.name, bytes: packet.toBytes() })
        }
        const ask = (entry: Entry, destination: number) =>
          send(entry.device, ArpOperation.request, destination, senderFor(entry), 0, entry.neighbour.address)

        /** The source of the packet that asks, where the link knows us by it (RFC 1122 §3.3.4.3 leaves both open). */
        const senderFor = (entry: Entry): number => {
          const { own } = linkOf(entry.device)
          if (own.has(entry.source)) return entry.source
          const [first] = own.keys()
          return first ?? entry.source
        }
        const announce = (device: AttachedDevice, address: number) =>
          send(device, ArpOperation.request, BROADCAST, address, 0, address)

        // Neighbours.

        const insert = (device: AttachedDevice, neighbour: Table.Neighbour, source: number): Entry => {
          const entry: Entry = {
            neighbour,
            device,
            timer: timers.make(() => advance(entry, ELAPSED)),
            packets: [],
            waiters: new Set(),
            source
          }
          if (neighbour.deadline !== Infinity) entry.timer.set(neighbour.deadline)
          traceNeighbour("NeighbourInserted", entry)
          renew(entry)
          return entry
        }
        const renew = (entry: Entry) => {
          const evicted = Table.put(linkOf(entry.device).table, entry)
          if (evicted !== undefined) release(evicted, "neighbourEvicted")
        }
        const forget = (entry: Entry, reason: string) => {
          Table.remove(linkOf(entry.device).table, entry.neighbour.address)
          release(entry, reason)
        }
        const release = (entry: Entry, reason: string) => {
          entry.timer.clear()
          traceNeighbour("NeighbourDeleted", entry)
          for (const packet of takePackets(entry)) drop(reason, packet)
          disappoint(entry)
        }
        const traceNeighbour = (tag: "NeighbourInserted" | "NeighbourUpdated" | "NeighbourDeleted", entry: Entry) => {
          if (!trace.enabled) return
          const { address, hardware, state } = entry.neighbour
          trace.emit({
            _tag: tag,
            device: entry.device.name,
            protocolAddress: address,
            hardwareAddress: hardware,
            state
          })
        }

        const advance = (entry: Entry, event: Table.NeighbourEvent) => {
          const before = entry.neighbour
          const { action, neighbour } = Table.transition(before, event, turn.now(), settings)
          entry.neighbour = neighbour
          if (neighbour !== before) {
            if (neighbour.deadline === Infinity) entry.timer.clear()
            else entry.timer.set(neighbour.deadline)
            if (neighbour.state !== before.state || neighbour.hardware !== before.hardware) {
              traceNeighbour("NeighbourUpdated", entry)
            }
          }
          switch (action) {
            case "nothing":
              return
            case "askEverybody":
              return ask(entry, BROADCAST)
            case "askIt":
              return ask(entry, neighbour.hardware)
            case "sendWaiting":
              renew(entry)
              return sendWaiting(entry)
            case "giveUp":
              for (const packet of takePackets(entry)) giveUp(entry.device, packet)
              return disappoint(entry)
            case "forget":
              return forget(entry, "hostUnreachable")
          }
        }

        // What waits for a neighbour.

        const enqueue = (entry: Entry, packet: Packet): boolean => {
          const { packets } = entry
          if (packets.length >= settings.maximumWaiting) {
            drop("queueFull", packets.shift()!)
            waiting--
          } else if (waiting >= settings.maximumWaitingInAll) {
            drop("queueFull", packet)
            return false
          }
          packets.push(packet.clone())
          waiting++
          traceQueue("QueuePushed", entry, packet)
          return true
        }
        const takePackets = (entry: Entry): Array<Packet> => {
          waiting -= entry.packets.length
          return entry.packets.splice(0)
        }
        const traceQueue = (tag: "QueuePushed" | "QueuePopped", entry: Entry, packet: Packet) => {
          if (!trace.enabled) return
          trace.emit({
            _tag: tag,
            queue: `arp ${formatIpv4(entry.neighbour.address)}`,
            count: entry.packets.length,
            length: packet.length,
            device: entry.device.name
          })
        }
        const sendWaiting = (entry: Entry) => {
          const { hardware } = entry.neighbour
          const { device, packets } = entry
          if (packets.length > 0) advance(entry, USED)
          for (let packet = packets.shift(); packet !== undefined; packet = packets.shift()) {
            waiting--
            traceQueue("QueuePopped", entry, packet)
            ethernet.output(device, packet, EtherType.ipv4, hardware)
          }
          resume(entry, () => Exit.succeed(toMac(hardware)))
        }
        const disappoint = (entry: Entry) =>
          resume(entry, () => Exit.fail(unanswered(entry.device.name, toIpv4(entry.neighbour.address))))
        const resume = (entry: Entry, outcome: () => Exit.Exit<MacAddress, ArpError>) => {
          if (entry.waiters.size === 0) return
          const exit = outcome()
          for (const waiter of entry.waiters) turn.defer("wake", () => waiter(exit))
          entry.waiters.clear()
        }
        const giveUp = (device: AttachedDevice, packet: Packet) => {
          drop("hostUnreachable", packet)
          if (unreachable.push({ device, packet }) === 1) turn.defer("wake", tellUnreachable)
        }
        const tellUnreachable = () => {
          for (const { device, packet } of unreachable.splice(0)) {
            for (const listener of listeners) listener(device, packet)
          }
        }

        /** The way of a packet to a neighbour whose hardware address is not beyond doubt. */
        const outputUnsure = (device: AttachedDevice, packet: Packet, neighbour: number, source: number): boolean => {
          if (!device.flags.needsArp || neighbour === 0xffff_ffff) {
            return ethernet.output(device, packet, EtherType.ipv4, BROADCAST)
          }
          if (neighbour >= 0xe000_0000) {
            return ethernet.output(device, packet, EtherType.ipv4, multicastAddress(neighbour))
          }
          if (!device.up) {
            drop("deviceDown", packet)
            return false
          }
          const entry = use(device, neighbour, source)
          switch (entry.neighbour.state) {
            case "incomplete":
              return enqueue(entry, packet)
            case "failed":
              if (unreachable.length < settings.maximumWaitingInAll) giveUp(device, packet.clone())
              else drop("hostUnreachable", packet)
              return false
            default:
              return ethernet.output(device, packet, EtherType.ipv4, entry.neighbour.hardware)
          }
        }
        /** The entry of a neighbour somebody wants to reach, which sets what is due going. */
        const use = (device: AttachedDevice, address: number, source: number): Entry => {
          const known = Table.get(linkOf(device).table, address)
          if (known === undefined) {
            const entry = insert(device, Table.wanted(address, turn.now(), settings), source)
            ask(entry, BROADCAST)
            return entry
          }
          known.source = source
          advance(known, USED)
          return known
        }

        // What arrives.

        const input = (device: AttachedDevice, packet: Packet) => {
          const { start, view } = packet
          if (packet.length < ArpHeader.size) return drop("truncated", packet)
          if (
            header.hardwareType(view, start) !== ARP_HARDWARE_ETHERNET ||
            header.protocolType(view, start) !== EtherType.ipv4 ||
            header.hardwareLength(view, start) !== 6 ||
            header.protocolLength(view, start) !== 4
          ) return drop("unsupported", packet)
          tell(device, "in", packet)
          const operation = header.operation(view, start)
          const sender = header.senderProtocol(view, start)
          const hardware = header.senderHardware(view, start)
          const target = header.targetProtocol(view, start)
          if (operation !== ArpOperation.request && operation !== ArpOperation.reply) {
            return drop("unknownOperation", packet)
          }
          if (hardware === device.hardwareAddress) return drop("ownSender", packet)
          if (hardware === 0 || isGroupAddress(hardware) || !canBeSender(sender, operation)) {
            return drop("invalidSender", packet)
          }
          const { own, table } = linkOf(device)
          const contested = own.get(sender)
          if (contested !== undefined) return conflict(device, sender, contested, hardware, packet)
          const forUs = own.has(target)
          if (sender !== 0) learn(device, Table.get(table, sender), operation, sender, hardware, target, forUs)
          if (operation === ArpOperation.request && forUs) {
            send(device, ArpOperation.reply, hardware, target, hardware, sender)
          }
        }
        const learn = (
          device: AttachedDevice,
          known: Entry | undefined,
          operation: number,
          sender: number,
          hardware: number,
          target: number,
          forUs: boolean
        ) => {
          if (known === undefined) {
            if (operation === ArpOperation.request && forUs) {
              insert(device, Table.met(sender, hardware, turn.now()), target)
            }
            return
          }
          const { state } = known.neighbour
          const asked = state === "incomplete" || state === "probing"
          const answered = operation === ArpOperation.reply && forUs && asked
          advance(known, { _tag: answered ? "Answered" : "Heard", hardware })
        }
        const conflict = (device: AttachedDevice, address: number, own: Own, hardware: number, packet: Packet) => {
          drop("addressConflict", packet)
          conflicts.value++
          trace.emit({
            _tag: "Message",
            level: "warning",
            stage: "arp.input",
            text: `addressConflict: ${formatIpv4(address)} on ${device.name} is also used by ${formatMac(hardware)}`
          })
          const now = turn.now()
          if (now - own.defended < DEFEND_INTERVAL) return
          own.defended = now
          announce(device, address)
        }

        // Devices and people.

        const announceTwice = (device: AttachedDevice, address: number, own: Own) => {
          if (!device.up || !device.flags.needsArp) return
          announce(device, address)
          own.announcement.set(turn.now() + ANNOUNCE_INTERVAL)
        }
        const flush = (link: Link, reason: string, all: boolean) => {
          for (const entry of link.table.entries.values()) {
            if (all || entry.neighbour.state !== "static") forget(entry, reason)
          }
        }
        const opened = (link: Link) => {
          for (const [address, own] of link.own) announceTwice(link.device, address, own)
        }
        const closed = (link: Link, detached: boolean) => {
          for (const own of link.own.values()) own.announcement.clear()
          flush(link, "deviceDown", detached)
          if (detached) links[link.device.index] = undefined
        }
        const deviceNamed = (name: string) =>
          Effect.suspend(() => {
            const device = devices.byName(name)
            return device === undefined
              ? Effect.fail(new ArpError({ reason: new NoSuchDevice({ name }) }))
              : Effect.succeed(device)
          })
        const resolve = (device: AttachedDevice, address: number) =>
          Effect.callback<MacAddress, ArpError>((resumeWith) => {
            const waiter: Waiter = (exit) => resumeWith(exit)
            let entry: Entry | undefined
            turn.run(() => {
              if (linkOf(device).own.has(address)) return waiter(Exit.succeed(toMac(device.hardwareAddress)))
              const refused = !device.up || !device.flags.needsArp
              entry = refused ? undefined : use(device, address, 0)
              if (entry === undefined || entry.neighbour.state === "failed") {
                waiter(Exit.fail(unanswered(device.name, toIpv4(address))))
              } else if (entry.neighbour.state === "incomplete") {
                entry.waiters.add(waiter)
              } else {
                waiter(Exit.succeed(toMac(entry.neighbour.hardware)))
              }
            })
            return Effect.sync(() => entry?.waiters.delete(waiter))
          })

        yield* ethernet.handle(EtherType.arp, input)
        yield* devices.watch(({ _tag, device }) => {
          const link = links[device.index]
          if (link === undefined) return
          turn.run(() => {
            if (_tag === "Opened") opened(link)
            if (_tag === "Closed" || _tag === "Detached") closed(link, _tag === "Detached")
          })
        })
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => turn.run(() => links.forEach((link) => link !== undefined && closed(link, true))))
        )

        return ArpCache.of({
          output: (device, packet, neighbour, source) => {
            const link = links[device.index]
            if (link === undefined) return outputUnsure(device, packet, neighbour, source)
            const known = Table.get(link.table, neighbour)?.neighbour
            return known !== undefined && (known.state === "reachable" || known.state === "static")
              ? ethernet.output(device, packet, EtherType.ipv4, known.hardware)
              : outputUnsure(device, packet, neighbour, source)
          },
          onUnreachable: (listener) =>
            Effect.acquireRelease(
              Effect.sync(() => listeners.add(listener)),
              () => Effect.sync(() => listeners.delete(listener))
            ),
          own: (device, address) => {
            const { own } = linkOf(device)
            const mine: Own = {
              announcement: timers.make(() => announce(device, address)),
              defended: -Infinity
            }
            own.set(address, mine)
            turn.run(() => announceTwice(device, address, mine))
            return () => {
              mine.announcement.clear()
              if (own.get(address) === mine) own.delete(address)
            }
          },
          resolve: (name, address) => Effect.flatMap(deviceNamed(name), (device) => resolve(device, fromIpv4(address))),
          entries: Effect.sync(() =>
            links.flatMap((link) => link === undefined ? [] : [...link.table.entries.values()].map(describe))
          ),
          addStatic: (name, address, hardwareAddress) =>
            Effect.map(deviceNamed(name), (device) =>
              turn.run(() => {
                const neighbour = Table.written(fromIpv4(address), fromMac(hardwareAddress), turn.now())
                const known = Table.get(linkOf(device).table, neighbour.address)
                if (known === undefined) {
                  insert(device, neighbour, 0)
                  return
                }
                known.timer.clear()
                known.neighbour = neighbour
                traceNeighbour("NeighbourUpdated", known)
                renew(known)
                sendWaiting(known)
              })),
          remove: (name, address) =>
            Effect.sync(() => {
              const device = devices.byName(name)
              const entry = device && Table.get(linkOf(device).table, fromIpv4(address))
              if (entry === undefined) return false
              turn.run(() => forget(entry, "neighbourRemoved"))
              return true
            }),
          announce: (name, address) =>
            Effect.map(deviceNamed(name), (device) => turn.run(() => announce(device, fromIpv4(address))))
        })
      })
    )
}

const describe = ({ device, neighbour }: Entry): Neighbour => ({
  device: device.name,
  address: toIpv4(neighbour.address),
  hardwareAddress: neighbour.hardware === 0 ? undefined : toMac(neighbour.hardware),
  state: neighbour.state
})

/** A probe asks without saying who it is (RFC 5227 §1.1); groups and loopback addresses are nobody's. */
const canBeSender = (sender: number, operation: number): boolean =>
  sender === 0 ? operation === ArpOperation.request : sender < 0xe000_0000 && sender >>> 24 !== 127

const unanswered = (device: string, address: Ipv4Address) =>
  new ArpError({ reason: new HostUnreachable({ device, address }) })
