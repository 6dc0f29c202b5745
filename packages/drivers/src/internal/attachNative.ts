/**
 * The life of a native device: opened, attached to the stack, and closed
 * exactly once, however its scope ends.
 */
import { NO_OFFLOAD } from "@strata/core/device/Device"
import { type Attachment, Devices, type DevicesError } from "@strata/core/device/Devices"
import type { Statistics } from "@strata/core/Statistics"
import { makeDrop, type Trace } from "@strata/core/Trace"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { DeviceError } from "../DeviceError.ts"
import { type EthernetOptions, parseMac, parseMtu } from "../DeviceOptions.ts"
import { type Addon, lossOf, OnLost, open } from "../Native.ts"
import { NativeDriver, type Sizes } from "./NativeDriver.ts"

export interface Kind {
  readonly opener: keyof Addon
  /** What its drops are counted under. */
  readonly layer: string
  /** The stack's own hardware address where none is given; unsigned 48-bit integers. */
  readonly macFrom: (interfaceAddress: number) => number
  readonly sizes: (mtu: number) => Sizes
}

export const attachNative: (
  kind: Kind,
  name: string,
  options: EthernetOptions & { readonly namespace?: string | undefined }
) => Effect.Effect<
  Attachment,
  DeviceError | DevicesError,
  Devices | Trace | Statistics | Scope.Scope
> = Effect.fnUntraced(function*(kind, name, options) {
  const mac = yield* parseMac(name, options.mac)
  const givenMtu = yield* parseMtu(name, options.mtu)
  const devices = yield* Devices
  const drop = yield* makeDrop(kind.layer)
  const context = yield* Effect.context()
  const report = yield* OnLost

  // A device that is gone stays attached and down, so that its routes lead nowhere.
  const onLost = (errno: number) => {
    const closed = Effect.ignore(devices.close(name))
    Effect.runForkWith(context)(Effect.andThen(closed, report(lossOf(name, errno))))
  }

  const native = yield* Effect.acquireRelease(
    open(kind.opener, name, options.namespace),
    (opened) => Effect.sync(() => opened.close())
  )
  const mtu = givenMtu ?? native.mtu()
  const driver = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const made = new NativeDriver(native, kind.sizes(mtu), drop, onLost)
      made.prepare()
      return made
    }),
    (made) => Effect.sync(() => made.close())
  )
  const attachment = yield* devices.attach({
    name,
    type: "ethernet",
    framing: "ethernet",
    flags: { loopback: false, broadcast: true, multicast: true, pointToPoint: false, needsArp: true },
    mtu,
    hardwareAddress: mac ?? kind.macFrom(native.hardwareAddress()),
    offload: NO_OFFLOAD,
    transmit: driver.transmit,
    flush: driver.flush
  })
  yield* Effect.sync(() => driver.start(attachment))
  return attachment
})

const ETHERNET_HEADER = 14
const VLAN_TAG = 4
const CACHE_LINE = 64

/** Octets of a slot for any frame whose payload is at most `mtu`, tagged or not, and one more. */
export const slotFor = (mtu: number): number =>
  Math.ceil((mtu + ETHERNET_HEADER + VLAN_TAG + 1) / CACHE_LINE) * CACHE_LINE
