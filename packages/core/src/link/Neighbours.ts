/**
 * The neighbours of all devices at work: `NeighbourTable` says what happens to
 * one, and this does it. Each entry has a timer and what waits for an answer.
 *
 * Bounds, all in `NeighbourSettings`: neighbours per device, of which the oldest
 * leaves; packets that wait for one neighbour, of which the oldest leaves; and
 * packets that wait for all of them, beyond which the new one is refused.
 */
import * as Effect from "effect/Effect"
import type { AttachedDevice } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"
import type { Statistics } from "../Statistics.ts"
import { type Timer, Timers } from "../time/Timers.ts"
import { Turn } from "../time/Turn.ts"
import { makeDrop, Trace } from "../Trace.ts"
import { formatIpv4 } from "../wire/Address.ts"
import { BROADCAST, EtherType } from "../wire/EthernetHeader.ts"
import { type ArpMessages, isGroup } from "./ArpMessages.ts"
import { Ethernet, multicastAddress } from "./Ethernet.ts"
import * as Table from "./NeighbourTable.ts"
import type { OwnAddresses } from "./OwnAddresses.ts"

/** Told a hardware address, or undefined when there is none to be had. */
export type Waiter = (hardware: number | undefined) => void

export interface Entry extends Table.Entry {
  readonly device: AttachedDevice
  readonly timer: Timer
  readonly packets: Array<Packet>
  readonly waiters: Set<Waiter>
  /** The source of the packet that wanted to go there last. */
  source: number
}

/** Addresses are unsigned integers: 32 bits for protocol addresses, 48 for hardware addresses. */
export interface Neighbours {
  /** See `ArpCache.output`. */
  readonly output: (device: AttachedDevice, packet: Packet, address: number, source: number) => boolean
  readonly find: (device: AttachedDevice, address: number) => Entry | undefined
  /** The entry of a neighbour somebody wants to reach; asks for it where that is due. */
  readonly use: (device: AttachedDevice, address: number, source: number) => Entry
  /** A neighbour that was not known has asked for us. */
  readonly meet: (device: AttachedDevice, address: number, hardware: number) => void
  readonly advance: (entry: Entry, event: Table.NeighbourEvent) => void
  readonly addStatic: (device: AttachedDevice, address: number, hardware: number) => void
  /** Forgets a neighbour; what waits for it is dropped for that reason. */
  readonly remove: (entry: Entry, reason: string) => void
  readonly entries: (device: AttachedDevice) => ReadonlyArray<Entry>
  /** Forgets the neighbours a device found, or, when it is gone for good, all of them. */
  readonly flush: (device: AttachedDevice, forGood: boolean) => void
}

export const make = (options: {
  readonly settings: Table.NeighbourSettings
  readonly messages: ArpMessages
  readonly own: OwnAddresses
  /** Takes each packet that cannot be delivered, at the end of the turn. */
  readonly onUnreachable: (device: AttachedDevice, packet: Packet) => void
}): Effect.Effect<Neighbours, never, Turn | Timers | Trace | Statistics | Ethernet> =>
  Effect.gen(function*() {
    const { messages, own, settings } = options
    const turn = yield* Turn
    const timers = yield* Timers
    const trace = yield* Trace
    const ethernet = yield* Ethernet
    const drop = yield* makeDrop("arp")
    /** By device index. */
    const tables: Array<Table.NeighbourTable<Entry> | undefined> = []
    const unreachable: Array<{ readonly device: AttachedDevice; readonly packet: Packet }> = []
    let waiting = 0

    const tableOf = (device: AttachedDevice) => tables[device.index] ??= Table.make(settings.maximumNeighbours)
    const find = (device: AttachedDevice, address: number) => {
      const table = tables[device.index]
      return table === undefined ? undefined : Table.get(table, address)
    }

    const entries = (device: AttachedDevice) => [...tables[device.index]?.entries.values() ?? []]

    // The life of an entry.

    const insert = (device: AttachedDevice, neighbour: Table.Neighbour, source: number): Entry => {
      const entry: Entry = {
        neighbour,
        device,
        timer: timers.make(() => advance(entry, ELAPSED)),
        packets: [],
        waiters: new Set(),
        source
      }
      entry.timer.set(neighbour.deadline)
      tell("NeighbourInserted", entry)
      renew(entry)
      return entry
    }

    /** Makes an entry the youngest of its table. */
    const renew = (entry: Entry) => {
      const evicted = Table.put(tableOf(entry.device), entry)
      if (evicted !== undefined) release(evicted, "neighbourEvicted")
    }

    const remove = (entry: Entry, reason: string) => {
      Table.remove(tableOf(entry.device), entry.neighbour.address)
      release(entry, reason)
    }

    const release = (entry: Entry, reason: string) => {
      entry.timer.clear()
      tell("NeighbourDeleted", entry)
      for (const packet of takePackets(entry)) drop(reason, packet)
      wake(entry, undefined)
    }

    const become = (entry: Entry, neighbour: Table.Neighbour) => {
      const before = entry.neighbour
      if (neighbour === before) return
      entry.neighbour = neighbour
      entry.timer.set(neighbour.deadline)
      if (neighbour.state !== before.state || neighbour.hardware !== before.hardware) tell("NeighbourUpdated", entry)
    }

    const advance = (entry: Entry, event: Table.NeighbourEvent) => {
      const step = Table.transition(entry.neighbour, event, turn.now(), settings)
      become(entry, step.neighbour)
      switch (step.action) {
        case "nothing":
          return
        case "askEverybody":
          return ask(entry, BROADCAST)
        case "askIt":
          return ask(entry, step.neighbour.hardware)
        case "sendWaiting":
          renew(entry)
          return sendWaiting(entry)
        case "giveUp":
          for (const packet of takePackets(entry)) giveUp(entry.device, packet)
          return wake(entry, undefined)
        case "forget":
          return remove(entry, "hostUnreachable")
      }
    }

    const ask = ({ device, neighbour, source }: Entry, destination: number) =>
      messages.request(device, destination, own.senderFor(device, source), neighbour.address)

    const use = (device: AttachedDevice, address: number, source: number): Entry => {
      const known = find(device, address)
      if (known === undefined) {
        const entry = insert(device, Table.wanted(address, turn.now(), settings), source)
        ask(entry, BROADCAST)
        return entry
      }
      known.source = source
      advance(known, USED)
      return known
    }

    // What waits for an answer.

    const enqueue = (entry: Entry, packet: Packet): boolean => {
      if (entry.packets.length >= settings.maximumWaiting) {
        drop("queueFull", entry.packets.shift()!)
        waiting--
      } else if (waiting >= settings.maximumWaitingInAll) {
        drop("queueFull", packet)
        return false
      }
      entry.packets.push(packet.clone())
      waiting++
      tellQueue("QueuePushed", entry, packet)
      return true
    }

    const takePackets = (entry: Entry): Array<Packet> => {
      waiting -= entry.packets.length
      return entry.packets.splice(0)
    }

    const sendWaiting = (entry: Entry) => {
      const { hardware } = entry.neighbour
      const { device, packets } = entry
      if (packets.length > 0) advance(entry, USED)
      for (let packet = packets.shift(); packet !== undefined; packet = packets.shift()) {
        waiting--
        tellQueue("QueuePopped", entry, packet)
        ethernet.output(device, packet, EtherType.ipv4, hardware)
      }
      wake(entry, hardware)
    }

    const wake = (entry: Entry, hardware: number | undefined) => {
      for (const waiter of entry.waiters) turn.defer("wake", () => waiter(hardware))
      entry.waiters.clear()
    }

    /** Listeners may send again, so they are called when whoever is sending now has finished. */
    const giveUp = (device: AttachedDevice, packet: Packet) => {
      drop("hostUnreachable", packet)
      if (unreachable.push({ device, packet }) === 1) turn.defer("wake", tellUnreachable)
    }
    const tellUnreachable = () => {
      for (const { device, packet } of unreachable.splice(0)) options.onUnreachable(device, packet)
    }

    // The way of a packet.

    const output = (device: AttachedDevice, packet: Packet, address: number, source: number): boolean => {
      const known = find(device, address)
      if (known === undefined || !Table.isUndisturbed(known.neighbour)) {
        return outputUnsure(device, packet, address, source)
      }
      known.source = source
      return ethernet.output(device, packet, EtherType.ipv4, known.neighbour.hardware)
    }

    const outputUnsure = (device: AttachedDevice, packet: Packet, address: number, source: number): boolean => {
      if (!device.flags.needsArp || address === 0xffff_ffff) {
        return ethernet.output(device, packet, EtherType.ipv4, BROADCAST)
      }
      if (isGroup(address)) return ethernet.output(device, packet, EtherType.ipv4, multicastAddress(address))
      if (!device.up) {
        drop("deviceDown", packet)
        return false
      }
      const entry = use(device, address, source)
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

    const tell = (tag: "NeighbourInserted" | "NeighbourUpdated" | "NeighbourDeleted", entry: Entry) => {
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
    const tellQueue = (tag: "QueuePushed" | "QueuePopped", entry: Entry, packet: Packet) => {
      if (!trace.enabled) return
      trace.emit({
        _tag: tag,
        queue: `arp ${formatIpv4(entry.neighbour.address)}`,
        count: entry.packets.length,
        length: packet.length,
        device: entry.device.name
      })
    }

    return {
      output,
      find,
      use,
      meet: (device, address, hardware) => {
        insert(device, Table.met(address, hardware, turn.now()), 0)
      },
      advance,
      addStatic: (device, address, hardware) => {
        const neighbour = Table.written(address, hardware, turn.now())
        const known = find(device, address)
        if (known === undefined) return void insert(device, neighbour, 0)
        become(known, neighbour)
        renew(known)
        sendWaiting(known)
      },
      remove,
      entries,
      flush: (device, forGood) => {
        for (const entry of entries(device)) {
          if (forGood || entry.neighbour.state !== "static") remove(entry, "deviceDown")
        }
        if (forGood) tables[device.index] = undefined
      }
    }
  })

const ELAPSED: Table.NeighbourEvent = { _tag: "Elapsed" }
const USED: Table.NeighbourEvent = { _tag: "Used" }
