/**
 * The Internet Group Management Protocol, version 3, for hosts (RFC 9776, before it RFC 3376), with versions 2 and 1 where a
 * querier speaks no other (RFC 2236, RFC 1112), and the rules for single sources (RFC 4604).
 *
 * Tells the routers on each link which groups this host listens to there (`Multicast`), so that they send them: when that
 * changes, and when they ask. It does so on devices that know multicast, are up and have an address; when the last address
 * goes, or the device is about to, the groups are left. All hosts, 224.0.0.1, is never reported.
 *
 * What may be done is decided by `Machine`, a pure function; here are its timers, its messages and the checks of what arrives.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Ipv4Address } from "effect/net/NetAddress"
import { type AttachedDevice, Devices } from "../device/Devices.ts"
import * as Packet from "../device/Packet.ts"
import { Entropy } from "../Entropy.ts"
import { isMulticast } from "../ip/AddressClass.ts"
import { Ipv4 } from "../ip/Ipv4.ts"
import { ALL_HOSTS, Multicast } from "../ip/Multicast.ts"
import { Routing } from "../ip/Routing.ts"
import { NOTHING, type SourceFilter } from "../ip/SourceFilter.ts"
import { Statistics } from "../Statistics.ts"
import { type Timer, Timers } from "../time/Timers.ts"
import { Turn } from "../time/Turn.ts"
import { makeDrop, Trace } from "../Trace.ts"
import { toIpv4 } from "../wire/Address.ts"
import * as Checksum from "../wire/Checksum.ts"
import { IgmpHeader, IgmpType } from "../wire/IgmpHeader.ts"
import { Ipv4Header, Protocol } from "../wire/Ipv4Header.ts"
import * as Ipv4Options from "../wire/Ipv4Options.ts"
import * as Machine from "./Machine.ts"
import { deadline, type Delay, empty, type Memberships, type Message, type Step, type Version } from "./Memberships.ts"
import * as Queries from "./Queries.ts"
import { encode, type Outgoing } from "./Reports.ts"

/** A group that this host listens to on a device. */
export interface Membership {
  readonly device: string
  readonly group: Ipv4Address
  readonly mode: SourceFilter["mode"]
  readonly sources: ReadonlyArray<Ipv4Address>
  /** What the routers on that link are taken to understand; undefined where nothing is told. */
  readonly version: Version | undefined
}

/** Tells the routers and bridges of each link which groups this host listens to (RFC 9776). */
export class Igmp extends Context.Service<Igmp, {
  /** A packet from IPv4. */
  readonly input: (device: AttachedDevice, packet: Packet.Packet) => void
  /** All groups that are listened to, by device. */
  readonly memberships: Effect.Effect<ReadonlyArray<Membership>>
}>()("@strata/core/Igmp") {
  static readonly layer: Layer.Layer<
    Igmp,
    never,
    Turn | Timers | Trace | Statistics | Entropy | Devices | Routing | Multicast | Ipv4
  > = Layer.effect(
    Igmp,
    Effect.gen(function*() {
      const turn = yield* Turn
      const timers = yield* Timers
      const trace = yield* Trace
      const entropy = yield* Entropy
      const devices = yield* Devices
      const routing = yield* Routing
      const multicast = yield* Multicast
      const ipv4 = yield* Ipv4
      const statistics = yield* Statistics
      const drop = yield* makeDrop("igmp")
      const received = statistics.counter("igmp.received")
      const queriesReceived = statistics.counter("igmp.queriesReceived")
      const reportsReceived = statistics.counter("igmp.reportsReceived")
      const sent = statistics.counter("igmp.sent")
      const links = new Map<AttachedDevice, Link>()
      const scratch = Packet.make(MAX_MESSAGE)
      const delay: Delay = (bound) => 1 + entropy.below(Math.max(1, bound))

      const transmit = (device: AttachedDevice, { bytes, destination }: Outgoing) => {
        scratch.reset()
        scratch.append(bytes)
        scratch.destination = destination
        scratch.protocol = Protocol.igmp
        scratch.timeToLive = 1
        scratch.typeOfService = INTERNETWORK_CONTROL
        scratch.dontFragment = true
        scratch.networkOptions = ROUTER_ALERT
        scratch.outlet = device
        const source = routing.interfaceOf(device)?.address ?? 0
        scratch.source = source
        if (trace.enabled) {
          trace.emit({ _tag: "Packet", layer: "igmp", direction: "out", network: { source, destination }, bytes })
        }
        if (ipv4.output(scratch) === "sent") sent.value++
      }
      const send = (device: AttachedDevice, messages: ReadonlyArray<Message>) => {
        const capacity = Math.min(device.mtu, MAX_PACKET) - Ipv4Header.size - ROUTER_ALERT.length
        for (const message of messages) {
          for (const outgoing of encode(message, capacity)) transmit(device, outgoing)
        }
      }
      const become = (link: Link, state: Memberships) => {
        link.state = state
        link.timer.set(deadline(state))
      }
      const follow = (link: Link, { messages, state }: Step) => {
        become(link, state)
        send(link.device, messages)
      }
      const filtersOf = (device: AttachedDevice) =>
        [...multicast.groups(device)].filter(([group]) => group !== ALL_HOSTS)

      const enter = (device: AttachedDevice) => {
        if (links.has(device) || !device.up || !isTalkedOn(device) || routing.interfaceOf(device) === undefined) return
        const link: Link = {
          device,
          state: empty,
          timer: timers.make((asOf) => follow(link, Machine.elapse(link.state, asOf, delay)))
        }
        links.set(device, link)
        turn.run(() => follow(link, Machine.change(empty, filtersOf(device), turn.now(), delay)))
      }
      const forget = (device: AttachedDevice) => {
        links.get(device)?.timer.clear()
        links.delete(device)
      }
      /** Leaves all groups at once, as there is no time to tell it twice. */
      const leave = (device: AttachedDevice) => {
        const link = links.get(device)
        if (link === undefined) return
        const leaving = [...link.state.groups.keys()].map((group) => [group, NOTHING] as const)
        if (device.up) {
          turn.run(() => send(device, Machine.change(link.state, leaving, turn.now(), delay).messages))
        }
        forget(device)
      }

      const isOnLink = (device: AttachedDevice, source: number): boolean =>
        device.flags.pointToPoint
        || routing.interfaces().some((own) => own.device === device && own.network === (source & own.netmask) >>> 0)

      const inputQuery = (link: Link, packet: Packet.Packet) => {
        const query = Queries.parse(packet.view, packet.start, packet.end)
        if (typeof query === "string") return drop(query, packet)
        if (query.version > 1 && !hasRouterAlert(packet)) return drop("noRouterAlert", packet)
        queriesReceived.value++
        become(link, Machine.query(link.state, query, turn.now(), delay))
      }
      const inputReport = (link: Link, packet: Packet.Packet) => {
        const group = IgmpHeader.get.group(packet.view, packet.start)
        if (!isMulticast(group)) return drop("badGroup", packet)
        reportsReceived.value++
        become(link, Machine.hear(link.state, group, turn.now()))
      }
      const input = (device: AttachedDevice, packet: Packet.Packet) => {
        received.value++
        if (packet.length < IgmpHeader.size) return drop("truncated", packet)
        if (packet.checksum === Packet.ChecksumState.unverified && !Checksum.verify(packet.sum(0, packet.start))) {
          return drop("badChecksum", packet)
        }
        if (trace.enabled) {
          const { destination, source } = packet
          const bytes = packet.toBytes()
          trace.emit({
            _tag: "Packet",
            layer: "igmp",
            direction: "in",
            device: device.name,
            network: { source, destination },
            bytes
          })
        }
        const link = links.get(device)
        if (link === undefined) return drop("notTalkedOn", packet)
        if (packet.timeToLive !== 1) return drop("badTimeToLive", packet)
        const type = IgmpHeader.get.type(packet.view, packet.start)
        const isQuery = type === IgmpType.query
        // RFC 9776 §9, RFC 2236 §10: whoever is elsewhere has nothing to say here. Bridges that have no address ask as 0.0.0.0.
        if (!isOnLink(device, packet.source) && !(isQuery && packet.source === 0)) return drop("offLink", packet)
        switch (type) {
          case IgmpType.query:
            return inputQuery(link, packet)
          case IgmpType.reportV1:
          case IgmpType.reportV2:
            return inputReport(link, packet)
          case IgmpType.leave:
          case IgmpType.reportV3:
            return drop("forRouters", packet)
          default:
            return drop("unknownType", packet)
        }
      }

      yield* ipv4.handle(Protocol.igmp, input)
      yield* multicast.watch(({ after, device, group }) => {
        const link = links.get(device)
        if (link === undefined || group === ALL_HOSTS) return
        turn.run(() => follow(link, Machine.change(link.state, [[group, after]], turn.now(), delay)))
      })
      yield* devices.watch(({ _tag, device }) => {
        if (_tag === "Opened") enter(device)
        else if (_tag === "Closed" || _tag === "Detached") forget(device)
      })
      yield* devices.beforeDetach((device) => Effect.sync(() => leave(device)))
      yield* routing.watch(({ added, interface: { device } }) => {
        if (added) enter(device)
        else if (routing.interfaceOf(device) === undefined) leave(device)
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => [...links.keys()].forEach(forget)))

      return Igmp.of({
        input,
        memberships: Effect.sync(() =>
          devices.all().flatMap((device) =>
            [...multicast.groups(device)].map(([group, { mode, sources }]) => ({
              device: device.name,
              group: toIpv4(group),
              mode,
              sources: [...sources].map(toIpv4),
              version: links.get(device)?.state.version
            }))
          )
        )
      })
    })
  )
}

/** A device on which routers are told. */
interface Link {
  readonly device: AttachedDevice
  state: Memberships
  readonly timer: Timer
}

/** Nobody else is on a loopback device. */
const isTalkedOn = ({ flags }: AttachedDevice): boolean => flags.multicast && !flags.loopback

const hasRouterAlert = ({ networkStart, start, view }: Packet.Packet): boolean =>
  (Ipv4Options.parse(view, networkStart + Ipv4Header.size, start) & Ipv4Options.Ipv4OptionsFound.routerAlert) !== 0

/** RFC 2113 §2.1: a copied option of four octets with the value 0. */
const ROUTER_ALERT = Uint8Array.of(Ipv4Options.Ipv4OptionKind.routerAlert, 4, 0, 0)

/** RFC 9776 §4: the precedence of what keeps a network together. */
const INTERNETWORK_CONTROL = 0xc0

/** Octets with which a report leaves at most, whatever the device could carry. */
const MAX_PACKET = 1500
const MAX_MESSAGE = MAX_PACKET - Ipv4Header.size
