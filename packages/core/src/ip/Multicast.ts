/**
 * Who listens to which multicast groups on which device (RFC 1112 §7, RFC 9776 §2 and §3).
 *
 * Each member, a socket for instance, has a filter for each group and device. Those of all members together are the filter
 * of the device: it decides which frames the link lets in, which packets IPv4 takes, and what is told to routers by those
 * who watch (`igmp/`). A membership is one on a device and is gone with it.
 *
 * All hosts, 224.0.0.1, is listened to on every device that knows multicast, and a group like any other to sockets.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type AttachedDevice, Devices } from "../device/Devices.ts"
import { Ethernet, multicastAddress } from "../link/Ethernet.ts"
import { Routing } from "./Routing.ts"
import { admits, equals, isNothing, merge, NOTHING, type SourceFilter } from "./SourceFilter.ts"

/** 224.0.0.1, of which every host is a member (RFC 1112 §4). */
export const ALL_HOSTS = 0xe000_0001

/** One who listens. */
export interface Member {
  /** IPMulticastListen of RFC 9776 §2: replaces the filter for a group on a device; `NOTHING` leaves. */
  readonly listen: (device: AttachedDevice, group: number, filter: SourceFilter) => void
  /** `NOTHING` where it does not listen. */
  readonly filter: (device: AttachedDevice, group: number) => SourceFilter
  /** Whether it wants a packet that came to `group` from `source`. */
  readonly admits: (device: AttachedDevice, group: number, source: number) => boolean
  /** Leaves all groups. */
  readonly close: () => void
}

/** The filter of a device changed: `NOTHING` before is a join, `NOTHING` after a leave. */
export interface MulticastChange {
  readonly device: AttachedDevice
  readonly group: number
  readonly before: SourceFilter
  readonly after: SourceFilter
}

/** Who on this host listens to which group, on which device, from which sources (RFC 1112). */
export class Multicast extends Context.Service<Multicast, {
  /** Somebody who has joined no group yet. */
  readonly member: () => Member
  /** Whether packets to a group are for this host when they arrive on that device. */
  readonly accepts: (device: AttachedDevice, group: number) => boolean
  /** What all members together want; `NOTHING` where there are none. */
  readonly filter: (device: AttachedDevice, group: number) => SourceFilter
  /** The groups that have members on a device, with its filters. */
  readonly groups: (device: AttachedDevice) => ReadonlyMap<number, SourceFilter>
  /**
   * The device that a membership is on: that of one of the own addresses, or where `address` is 0 that by which the group
   * is reached. Undefined when there is none that knows multicast.
   */
  readonly deviceFor: (group: number, address: number) => AttachedDevice | undefined
  /** Calls `listener` with each change of a device's filter until the scope closes; not when the device itself goes. */
  readonly watch: (listener: (change: MulticastChange) => void) => Effect.Effect<void, never, Scope.Scope>
}>()("@strata/core/Multicast") {
  static readonly layer: Layer.Layer<Multicast, never, Devices | Ethernet | Routing> = Layer.effect(
    Multicast,
    Effect.gen(function*() {
      const devices = yield* Devices
      const ethernet = yield* Ethernet
      const routing = yield* Routing
      const memberships = new Map<AttachedDevice, Map<number, Membership>>()
      const everybody = new Map<AttachedDevice, () => void>()
      const listeners = new Set<(change: MulticastChange) => void>()

      const find = (device: AttachedDevice, group: number): Membership | undefined =>
        memberships.get(device)?.get(group)
      const open = (device: AttachedDevice, group: number): Membership => {
        const groups = memberships.get(device) ?? new Map<number, Membership>()
        memberships.set(device, groups)
        const release = ethernet.listen(device, multicastAddress(group))
        const membership: Membership = { members: new Map(), filter: NOTHING, release }
        groups.set(group, membership)
        return membership
      }
      const close = (device: AttachedDevice, group: number, membership: Membership) => {
        membership.release()
        const groups = memberships.get(device)!
        groups.delete(group)
        if (groups.size === 0) memberships.delete(device)
      }
      const listen = (member: Member, device: AttachedDevice, group: number, filter: SourceFilter) => {
        const existing = find(device, group)
        const leaves = isNothing(filter)
        if (leaves && existing?.members.has(member) !== true) return
        if (!leaves && !devices.all().includes(device)) return
        const membership = existing ?? open(device, group)
        const before = membership.filter
        if (leaves) membership.members.delete(member)
        else membership.members.set(member, filter)
        const after = merge(membership.members.values())
        membership.filter = after
        if (membership.members.size === 0) close(device, group, membership)
        if (equals(before, after)) return
        for (const listener of listeners) listener({ device, group, before, after })
      }
      const makeMember = (): Member => {
        const member: Member = {
          listen: (device, group, filter) => listen(member, device, group, filter),
          filter: (device, group) => find(device, group)?.members.get(member) ?? NOTHING,
          admits: (device, group, source) => admits(member.filter(device, group), source),
          close: () => {
            for (const [device, groups] of memberships) {
              for (const group of groups.keys()) listen(member, device, group, NOTHING)
            }
          }
        }
        return member
      }

      const enter = (device: AttachedDevice) => {
        if (device.flags.multicast) everybody.set(device, ethernet.listen(device, multicastAddress(ALL_HOSTS)))
      }
      const forget = (device: AttachedDevice) => {
        for (const membership of memberships.get(device)?.values() ?? []) membership.release()
        memberships.delete(device)
        everybody.get(device)?.()
        everybody.delete(device)
      }
      devices.all().forEach(enter)
      yield* devices.watch(({ _tag, device }) => {
        if (_tag === "Attached") enter(device)
        else if (_tag === "Detached") forget(device)
      })
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => new Set([...memberships.keys(), ...everybody.keys()]).forEach(forget))
      )

      return Multicast.of({
        member: makeMember,
        accepts: (device, group) =>
          memberships.get(device)?.has(group) === true || (group === ALL_HOSTS && device.flags.multicast),
        filter: (device, group) => find(device, group)?.filter ?? NOTHING,
        groups: (device) =>
          new Map([...memberships.get(device) ?? []].map(([group, { filter }]) => [group, filter] as const)),
        deviceFor: (group, address) => {
          const device = address === 0
            ? routing.lookup(group)?.device
            : routing.interfaces().find((own) => own.address === address)?.device
          return device?.flags.multicast === true ? device : undefined
        },
        watch: (listener) =>
          Effect.acquireRelease(
            Effect.sync(() => listeners.add(listener)),
            () => Effect.sync(() => listeners.delete(listener))
          )
      })
    })
  )
}

/** One group on one device. */
interface Membership {
  readonly members: Map<Member, SourceFilter>
  filter: SourceFilter
  /** Closes the link to the group. */
  readonly release: () => void
}
