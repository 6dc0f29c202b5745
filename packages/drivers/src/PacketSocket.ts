/**
 * An Ethernet interface of the host, shared with Linux through a packet socket.
 *
 * Every frame the interface sees arrives, whomever it is for; those that Linux
 * itself sends through it do not. The hardware address is that of the interface
 * where none is given. Linux still handles the same frames: give the interface
 * no address there, or it answers for itself too.
 *
 * Frames between virtual interfaces of one host come with checksums that nobody
 * has computed, and up to 64 KiB long: both are taken as they are, whatever is
 * said about `offload`. Longer ones are dropped as `oversized`. What is sent is
 * left to Linux as far as it agrees to, and done by the driver where it does not.
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

/** Of a device on an interface that exists. */
export interface Options extends NativeOptions {
  /** Of the interface, and of the device in the stack. */
  readonly name: string
}

/** The largest frame that Linux passes between its interfaces before it cuts it into segments, in octets. */
const LARGEST_FRAME = 65_536

const kind: Kind = {
  opener: "openPacketSocket",
  layer: "packetSocket",
  macFrom: (address) => address,
  largestFrame: () => LARGEST_FRAME,
  // A slot each, of which small frames touch only the beginning.
  largestPerBatch: 64
}

/** Adds the device without an address; its MTU is that of the interface where none is given. */
export const attach = (options: Options): Effect.Effect<
  Attachment,
  DeviceError | DevicesError,
  Devices | Trace | Statistics | Scope.Scope
> => attachNative(kind, options.name, options)

/** Adds the device with its address and routes. */
export const layer = (options: Options): Layer.Layer<
  never,
  DeviceError | DevicesError | RoutingError,
  Devices | Routing | Trace | Statistics
> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const addresses = yield* parseAddresses(options.name, options)
    const { device } = yield* attach(options)
    yield* configure(device, addresses)
  }))
