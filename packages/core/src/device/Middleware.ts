/**
 * Between a device and its stack.
 *
 * A middleware sees every frame of a device on its way down and up, and may
 * observe, change, delay or swallow it. It wraps the Layer of any device,
 * whichever driver made it, and is itself invisible: the stack sees a device of
 * the same name.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Device } from "./Device.ts"
import { type Attachment, Devices } from "./Devices.ts"

/** One middleware at work on one device. */
export interface Interception {
  /** What the stack gets to see in place of the driver. */
  readonly device: Device
  /** What the driver calls in place of the stack; given once the device is attached. */
  readonly attached: (attachment: Attachment) => Attachment
}

/** Builds the interception of one device; the scope is the device's. */
export type Middleware<R = never> = (device: Device) => Effect.Effect<Interception, never, R | Scope.Scope>

/** Puts a middleware between the devices of a Layer and the stack they attach to. */
export const wrap = <R>(middleware: Middleware<R>) =>
<A, E, RIn>(
  layer: Layer.Layer<A, E, RIn>
): Layer.Layer<A, E, Devices | Exclude<RIn, Devices> | Exclude<R, Scope.Scope>> =>
  Layer.provide(
    layer,
    Layer.effect(
      Devices,
      Effect.gen(function*() {
        const devices = yield* Devices
        const context = yield* Effect.context<Exclude<R, Scope.Scope>>()
        return Devices.of({
          ...devices,
          attach: (driver) =>
            Effect.gen(function*() {
              // What the caller has goes first: the scope is the device's, not that of this Layer.
              const interception = yield* Effect.updateContext(
                middleware(driver),
                (caller: Context.Context<Scope.Scope>) =>
                  Context.merge(context, caller) as Context.Context<R | Scope.Scope>
              )
              return interception.attached(yield* devices.attach(interception.device))
            })
        })
      })
    )
  )
