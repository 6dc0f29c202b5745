/**
 * The device that swallows whatever it is given.
 */
import { NO_OFFLOAD } from "@strata/core/device/Device"
import { type Attachment, Devices, type DevicesError } from "@strata/core/device/Devices"
import type { Routing, RoutingError } from "@strata/core/ip/Routing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { DeviceError } from "./DeviceError.ts"
import { type AddressOptions, configure, parseAddresses } from "./DeviceOptions.ts"

/** Of a device that swallows all. */
export interface Options extends AddressOptions {
  /** `null0` by default. */
  readonly name?: string | undefined
}

/** Adds the device without an address. */
export const attach = (name = "null0"): Effect.Effect<Attachment, DevicesError, Devices | Scope.Scope> =>
  Effect.flatMap(Devices, (devices) =>
    devices.attach({
      name,
      type: "null",
      framing: "none",
      flags: { loopback: false, broadcast: false, multicast: false, pointToPoint: false, needsArp: false },
      mtu: 65_535,
      hardwareAddress: 0,
      offload: { ...NO_OFFLOAD, checksum: true },
      transmit: () => true,
      flush: () => {}
    }))

/** Adds the device. */
export const layerWith = (
  options: Options
): Layer.Layer<never, DeviceError | DevicesError | RoutingError, Devices | Routing> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const addresses = yield* parseAddresses(options.name ?? "null0", options)
    const { device } = yield* attach(options.name)
    yield* configure(device, addresses)
  }))

/** Adds the device, with the name `null0`. */
export const layer: Layer.Layer<never, DeviceError | DevicesError | RoutingError, Devices | Routing> = layerWith({})
