/**
 * The multicast groups of a socket (RFC 3678 §4, RFC 4607 §7): who may join what, and what a join changes.
 *
 * A socket is a member of a group on a device from any source, perhaps with some blocked, or from single sources: never
 * both at once. Two sockets know nothing of each other.
 */
import * as Effect from "effect/Effect"
import type { Ipv4Address } from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import type { AttachedDevice } from "../device/Devices.ts"
import { isMulticast, isSourceSpecific, isUnicast } from "../ip/AddressClass.ts"
import { Multicast } from "../ip/Multicast.ts"
import { EVERYTHING, include, isNothing, NOTHING, withoutSource, withSource } from "../ip/SourceFilter.ts"
import { Turn } from "../time/Turn.ts"
import { formatIpv4, fromIpv4 } from "../wire/Address.ts"
import type { Socket } from "./Socket.ts"
import {
  AddressNotAvailable,
  AlreadyJoined,
  InvalidAddress,
  MembershipConflict,
  SocketClosed,
  UdpError,
  Unreachable
} from "./UdpError.ts"

/** Of a membership of a group. */
export interface GroupOptions {
  /** The address of ours on whose device the group is joined; by default the device by which the group is reached. */
  readonly interface?: Ipv4Address | undefined
}

/** Of joining a group. */
export interface JoinOptions extends GroupOptions {
  /** From that source only (RFC 4607); several such joins add up. Any source by default. */
  readonly source?: Ipv4Address | undefined
}

/** What a port can do with groups. */
export interface Groups {
  /**
   * Listens to a group until the scope closes, or the device goes. A second join of the same is refused with
   * `AlreadyJoined`, a join from one source beside one from any with `MembershipConflict`, and one from any source in
   * 232.0.0.0/8, where each source is a channel of its own, with `InvalidAddress`.
   */
  readonly join: (group: Ipv4Address, options?: JoinOptions) => Effect.Effect<void, UdpError, Scope.Scope>
  /** Hears no more of one source of a group that was joined from any, until the scope closes or the group is left. */
  readonly block: (
    group: Ipv4Address,
    source: Ipv4Address,
    options?: GroupOptions
  ) => Effect.Effect<void, UdpError, Scope.Scope>
  /** Hears a blocked source again before the scope of its `block` closes; whether it was blocked. */
  readonly unblock: (
    group: Ipv4Address,
    source: Ipv4Address,
    options?: GroupOptions
  ) => Effect.Effect<boolean, UdpError>
}

/** A group on a device, as numbers. */
interface Place {
  readonly group: number
  readonly device: AttachedDevice
}

/** The `Groups` of sockets. */
export const makeGroups = Effect.gen(function*() {
  const turn = yield* Turn
  const multicast = yield* Multicast

  const placeOf = (address: Ipv4Address, options: GroupOptions | undefined): Place | UdpError["reason"] => {
    const group = fromIpv4(address)
    if (!isMulticast(group)) return invalid(group, "not the address of a multicast group")
    const own = options?.interface === undefined ? 0 : fromIpv4(options.interface)
    const device = multicast.deviceFor(group, own)
    if (device !== undefined) return { group, device }
    return own === 0
      ? new Unreachable({ destination: formatIpv4(group), kind: "noRoute" })
      : new AddressNotAvailable({ address: formatIpv4(own) })
  }

  /** Runs `change` with a group on a device in a turn; it tells why not. */
  const change = <A>(
    socket: Socket,
    address: Ipv4Address,
    options: GroupOptions | undefined,
    act: (place: Place) => A | UdpError["reason"]
  ): Effect.Effect<A, UdpError> =>
    Effect.suspend(() => {
      let result: A | UdpError["reason"] = new SocketClosed()
      turn.run(() => {
        if (socket.closed) return
        const place = placeOf(address, options)
        result = "device" in place ? act(place) : place
      })
      return isReason(result) ? Effect.fail(new UdpError({ reason: result })) : Effect.succeed(result as A)
    })

  const scoped = (acquire: Effect.Effect<() => void, UdpError>): Effect.Effect<void, UdpError, Scope.Scope> =>
    Effect.asVoid(Effect.acquireRelease(acquire, (leave) => Effect.sync(() => turn.run(leave))))

  return (socket: Socket): Groups => ({
    join: (address, options) =>
      scoped(change(
        socket,
        address,
        options,
        (place) =>
          options?.source === undefined ? joinAny(socket, place) : joinSource(socket, place, fromIpv4(options.source))
      )),
    block: (address, source, options) =>
      scoped(change(socket, address, options, (place) => block(socket, place, fromIpv4(source)))),
    unblock: (address, source, options) =>
      change(socket, address, options, (place) => unblock(socket.member, place, fromIpv4(source)))
  })
})

const joinAny = ({ member }: Socket, { device, group }: Place): (() => void) | UdpError["reason"] => {
  if (isSourceSpecific(group)) return invalid(group, "groups in 232.0.0.0/8 are joined with a source")
  const present = member.filter(device, group)
  if (present.mode === "exclude") return new AlreadyJoined({ group: formatIpv4(group) })
  if (!isNothing(present)) return conflict(group, "it was joined from single sources")
  member.listen(device, group, EVERYTHING)
  return () => member.listen(device, group, NOTHING)
}

const joinSource = ({ member }: Socket, { device, group }: Place, source: number) => {
  if (!isUnicast(source)) return invalid(source, "not the address of a source")
  const present = member.filter(device, group)
  if (present.mode === "exclude") return conflict(group, "it was joined from any source")
  if (present.sources.has(source)) {
    return new AlreadyJoined({ group: `${formatIpv4(group)} from ${formatIpv4(source)}` })
  }
  member.listen(device, group, isNothing(present) ? include([source]) : withSource(present, source))
  return () => leaveSource(member, { device, group }, source)
}
const leaveSource = (member: Socket["member"], { device, group }: Place, source: number) => {
  const present = member.filter(device, group)
  if (present.mode === "include") member.listen(device, group, withoutSource(present, source))
}

const block = ({ member }: Socket, { device, group }: Place, source: number) => {
  const present = member.filter(device, group)
  if (present.mode === "include") {
    return conflict(group, "only a group that was joined from any source has some to block")
  }
  if (present.sources.has(source)) return conflict(group, `${formatIpv4(source)} is blocked already`)
  member.listen(device, group, withSource(present, source))
  return () => void unblock(member, { device, group }, source)
}
const unblock = (member: Socket["member"], { device, group }: Place, source: number): boolean => {
  const present = member.filter(device, group)
  const isBlocked = present.mode === "exclude" && present.sources.has(source)
  if (isBlocked) member.listen(device, group, withoutSource(present, source))
  return isBlocked
}

const invalid = (address: number, why: string) => new InvalidAddress({ input: formatIpv4(address), why })

const conflict = (group: number, why: string) => new MembershipConflict({ group: formatIpv4(group), why })

const isReason = (result: unknown): result is UdpError["reason"] =>
  typeof result === "object" && result !== null && "_tag" in result
