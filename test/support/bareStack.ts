/**
 * A stack that ends above its devices: tests see the very frames that arrive.
 */
import type { AttachedDevice } from "@strata/core/device/Devices"
import { Devices } from "@strata/core/device/Devices"
import * as Packet from "@strata/core/device/Packet"
import { Entropy } from "@strata/core/Entropy"
import { Routing } from "@strata/core/ip/Routing"
import { Statistics } from "@strata/core/Statistics"
import { Timers } from "@strata/core/time/Timers"
import { Turn } from "@strata/core/time/Turn"
import { Trace } from "@strata/core/Trace"
import { Effect, Layer } from "effect"

/** Devices and what they stand on; fresh each time it is provided. */
export const layer = Layer.fresh(
  Layer.mergeAll(Devices.layer, Timers.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(Turn.layer, Trace.layer, Statistics.layer, Entropy.layerSeeded(1)))
  )
)

/** The same with routing, for Layers that configure addresses. */
export const layerWithRouting = Layer.fresh(Routing.layer.pipe(Layer.provideMerge(layer)))

export interface Arrival {
  readonly device: AttachedDevice
  readonly bytes: Uint8Array
  readonly checksum: number
  readonly etherType: number
}

/** Collects copies of all frames of both framings that arrive, until the scope closes. */
export const collect = Effect.gen(function*() {
  const devices = yield* Devices
  const arrivals: Array<Arrival> = []
  const input = (device: AttachedDevice, packet: Packet.Packet) => {
    arrivals.push({ device, bytes: packet.toBytes(), checksum: packet.checksum, etherType: packet.etherType })
  }
  yield* devices.handle("ethernet", input)
  yield* devices.handle("none", input)
  return arrivals
})

/** A packet that holds these octets, ready to be transmitted. */
export const packetOf = (bytes: Uint8Array): Packet.Packet => {
  const packet = Packet.make(bytes.length)
  packet.append(bytes)
  return packet
}

/** Lets the event loop turn until `condition` holds; fails the test when it does not within 20 seconds. */
export const eventually = (condition: () => boolean) =>
  Effect.callback<void>((resume) => {
    const deadline = performance.now() + 20_000
    let next: NodeJS.Immediate
    const look = () => {
      if (condition()) {
        resume(Effect.void)
      } else if (performance.now() > deadline) {
        resume(Effect.die(new Error("the condition never held")))
      } else {
        next = setImmediate(look)
      }
    }
    look()
    return Effect.sync(() => clearImmediate(next))
  })
