/**
 * A virtual Ethernet interface of Linux whose other end is this stack.
 *
 * The interface is created if it does not exist, and is then gone when the
 * device is closed; an existing one (`ip tuntap add mode tap …`) is attached to
 * and stays. Linux must bring its own end up and give it an address
 * (`ip link set tap0 up`); what is sent before is dropped as `refused`.
 *
 * The interface has two ends and one hardware address, which is that of Linux.
 * Where no `mac` is given the stack's own is therefore derived from it: the same
 * with its last bit flipped and marked as locally administered.
 *
 * Checksums and the cutting and joining of segments are left to Linux as far as
 * it agrees to, and done by the driver where it does not (`offload`): the stack
 * works in segments of up to 64 KiB either way.
 *
 * While the device is open it keeps the process alive.
 */
import type { Attachment, Devices, DevicesError } from "@strata/core/device/Devices"
import type { Routing, RoutingError } from "@strata/core/ip/Routing"
import type { Statistics } from "@strata/core/Statistics"
import type { Trace } from "@strata/core/Trace"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { DeviceError } from "./DeviceError.ts"
import { configure, type NativeOptions, parseAddresses } from "./DeviceOptions.ts"
import { attachNative, type Kind } from "./internal/attachNative.ts"

/** Of a TAP device. */
export interface Options extends NativeOptions {
  /** Of the interface, and of the device in the stack; `tap0` by default. */
  readonly name?: string | undefined
}

const LOCALLY_ADMINISTERED = 2 ** 41

const otherEnd = (address: number): number => {
  const marked = Math.floor(address / LOCALLY_ADMINISTERED) % 2 === 1 ? address : address + LOCALLY_ADMINISTERED
  return marked % 2 === 1 ? marked - 1 : marked + 1
}

const kind: Kind = {
  opener: "openTap",
  layer: "tap",
  macFrom: otherEnd,
  largestFrame: (mtu) => mtu,
  largestPerBatch: 16
}

/** Adds the device without an address; its MTU is that of the interface where none is given. */
export const attach = (options: Options = {}): Effect.Effect<
  Attachment,
  DeviceError | DevicesError,
  Devices | Trace | Statistics | Scope.Scope
> => attachNative(kind, options.name ?? "tap0", options)

/** Adds the device with its address and routes. */
export const layer = (options: Options = {}): Layer.Layer<
  never,
  DeviceError | DevicesError | RoutingError,
  Devices | Routing | Trace | Statistics
> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const addresses = yield* parseAddresses(options.name ?? "tap0", options)
    const { device } = yield* attach(options)
    yield* configure(device, addresses)
  }))
