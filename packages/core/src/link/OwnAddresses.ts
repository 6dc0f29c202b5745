/**
 * The addresses for which this host answers on each link: announced when they
 * come up, and defended (RFC 5227).
 *
 * An address was given by somebody who knows, so it is used at once and not
 * probed first (RFC 5227 §2.1 is for hosts that choose one). It is announced
 * twice, two seconds apart (§2.3). Against another host that uses it, it is
 * announced once more and a warning given, but not twice within ten seconds
 * (§2.4 b), so that two stubborn hosts do not fill the link.
 */
import * as Effect from "effect/Effect"
import type { AttachedDevice } from "../device/Devices.ts"
import { Statistics } from "../Statistics.ts"
import { type Timer, Timers } from "../time/Timers.ts"
import { Turn } from "../time/Turn.ts"
import { Trace } from "../Trace.ts"
import { formatIpv4, formatMac } from "../wire/Address.ts"
import type { ArpMessages } from "./ArpMessages.ts"

/** RFC 5227 §1.1, in milliseconds. */
const ANNOUNCE_INTERVAL = 2_000
const DEFEND_INTERVAL = 10_000

interface Own {
  /** Sends the second announcement. */
  readonly announcement: Timer
  /** When the address was last defended, in milliseconds. */
  defended: number
}

export interface OwnAddresses {
  readonly has: (device: AttachedDevice, address: number) => boolean
  /** The sender for requests about a packet from `source`: that address where the link knows us by it. */
  readonly senderFor: (device: AttachedDevice, source: number) => number
  /** Adds and announces an address, until the result is called. */
  readonly add: (device: AttachedDevice, address: number) => () => void
  /** Another host, at `hardware`, says that it has `address`. */
  readonly contested: (device: AttachedDevice, address: number, hardware: number) => void
  readonly opened: (device: AttachedDevice) => void
  readonly closed: (device: AttachedDevice) => void
}

export const make = (
  messages: ArpMessages
): Effect.Effect<OwnAddresses, never, Turn | Timers | Trace | Statistics> =>
  Effect.gen(function*() {
    const turn = yield* Turn
    const timers = yield* Timers
    const trace = yield* Trace
    const conflicts = (yield* Statistics).counter("arp.addressConflicts")
    const addresses = new Map<AttachedDevice, Map<number, Own>>()

    const announceTwice = (device: AttachedDevice, address: number, own: Own) => {
      if (!device.up || !device.flags.needsArp) return
      messages.announce(device, address)
      own.announcement.set(turn.now() + ANNOUNCE_INTERVAL)
    }

    return {
      has: (device, address) => addresses.get(device)?.has(address) === true,
      senderFor: (device, source) => {
        const own = addresses.get(device)
        if (own === undefined || own.has(source)) return source
        const [first] = own.keys()
        return first ?? source
      },
      add: (device, address) => {
        const own: Own = {
          announcement: timers.make(() => messages.announce(device, address)),
          defended: -Infinity
        }
        const others = addresses.get(device) ?? new Map<number, Own>()
        others.get(address)?.announcement.clear()
        addresses.set(device, others.set(address, own))
        announceTwice(device, address, own)
        return () => {
          own.announcement.clear()
          if (others.get(address) === own) others.delete(address)
          if (others.size === 0 && addresses.get(device) === others) addresses.delete(device)
        }
      },
      contested: (device, address, hardware) => {
        conflicts.value++
        const own = addresses.get(device)?.get(address)
        if (own === undefined || turn.now() - own.defended < DEFEND_INTERVAL) return
        own.defended = turn.now()
        trace.emit({
          _tag: "Message",
          level: "warning",
          stage: "arp.input",
          text: `address conflict: ${formatIpv4(address)} on ${device.name} is also used by ${formatMac(hardware)}`
        })
        messages.announce(device, address)
      },
      opened: (device) => addresses.get(device)?.forEach((own, address) => announceTwice(device, address, own)),
      closed: (device) => addresses.get(device)?.forEach((own) => own.announcement.clear())
    }
  })
