/**
 * The device through which a host talks to itself.
 *
 * Packets keep what is known about them: a checksum that the sender left
 * partial is never computed, since the bytes leave no memory. Up to 1,024
 * packets wait for the next turn; what comes beyond is dropped as `wireFull`.
 */
import { NO_OFFLOAD } from "@strata/core/device/Device"
import { type Attachment, Devices, type DevicesError } from "@strata/core/device/Devices"
import type { Routing, RoutingError } from "@strata/core/ip/Routing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import type { DeviceError } from "./DeviceError.ts"
import { type AddressOptions, configure, parseAddresses } from "./DeviceOptions.ts"
import { CAPACITY, Transit } from "./internal/Transit.ts"

/** Of a loopback device. */
export interface Options extends AddressOptions {
  /** `lo` by default. */
  readonly name?: string | undefined
}

/** Adds the device without an address. */
export const attach: (name?: string) => Effect.Effect<Attachment, DevicesError, Devices | Scope.Scope> = Effect
  .fnUntraced(function*(name = "lo") {
    const devices = yield* Devices
    const scheduler = yield* Scheduler.Scheduler
    const attachment: Attachment = yield* devices.attach({
      name,
      type: "loopback",
      framing: "none",
      flags: { loopback: true, broadcast: false, multicast: true, pointToPoint: false, needsArp: false },
      mtu: 65_535,
      hardwareAddress: 0,
      offload: { ...NO_OFFLOAD, checksum: true },
      transmit: (packet) => !transit.isFull() && transit.offer(transit.copy(packet)),
      flush: () => {}
    })
    const transit = new Transit(scheduler, attachment, CAPACITY)
    yield* Effect.addFinalizer(() => Effect.sync(() => transit.close()))
    return attachment
  })

/** `address` is 127.0.0.1/8 by default. */
export const layerWith = (
  options: Options
): Layer.Layer<never, DeviceError | DevicesError | RoutingError, Devices | Routing> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const addresses = yield* parseAddresses(options.name ?? "lo", { address: "127.0.0.1/8", ...options })
    const { device } = yield* attach(options.name)
    yield* configure(device, addresses)
  }))

/** The device `lo` with the address 127.0.0.1/8. */
export const layer: Layer.Layer<never, DeviceError | DevicesError | RoutingError, Devices | Routing> = layerWith({})
