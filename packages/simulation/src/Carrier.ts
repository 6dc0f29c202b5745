/**
 * Whether a host's device on a link has a carrier: a device without one is down,
 * and the host knows, unlike in a partition.
 */
import { Devices } from "@strata/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ManagedHost, Plug } from "./Host.ts"

export interface Carrier {
  /** The plug's Layer, with the device up or down as the carrier is at the time. */
  readonly layer: Plug["layer"]
  readonly down: Effect.Effect<void>
  readonly up: Effect.Effect<void>
}

export const make = (host: ManagedHost, device: string, layer: Plug["layer"]): Carrier => {
  let isUp = true
  const apply = (devices: Devices["Service"]) => Effect.orDie(isUp ? devices.open(device) : devices.close(device))
  const set = (next: boolean) =>
    Effect.suspend(() => {
      isUp = next
      const context = host.context()
      return context === undefined ? Effect.void : apply(Context.get(context, Devices))
    })
  return {
    layer: Layer.effectDiscard(
      Effect.gen(function*() {
        yield* Layer.build(layer)
        yield* apply(yield* Devices)
      })
    ),
    down: set(false),
    up: set(true)
  }
}
