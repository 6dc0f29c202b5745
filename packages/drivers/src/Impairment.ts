/**
 * Makes any device, a TAP included, as bad as the networks people really have.
 *
 * An impairment is a middleware around the device's Layer. What it does to
 * frames on their way in and out are two sets of conditions that can be changed
 * while traffic runs; what it did is counted.
 *
 * Faults happen to packets as they are on the wire. So the stack sees a device that cuts no segments, and what the device
 * has joined is taken apart before.
 */
import { type Attachment, Devices } from "@strata/core/device/Devices"
import { type Middleware, wrap } from "@strata/core/device/Middleware"
import type { Packet } from "@strata/core/device/Packet"
import { Entropy } from "@strata/core/Entropy"
import type { Statistics } from "@strata/core/Statistics"
import { Timers } from "@strata/core/time/Timers"
import { Turn } from "@strata/core/time/Turn"
import { makeDrop, type Trace } from "@strata/core/Trace"
import * as Effect from "effect/Effect"
import { cut } from "./internal/cut.ts"
import type { Conditions } from "./path/Conditions.ts"
import { NO_COUNTERS, Path, type PathCounters } from "./path/Path.ts"

/** The conditions of each direction. */
export interface Options {
  /** From the wire to the stack; ideal by default. */
  readonly inbound?: Partial<Conditions> | undefined
  /** From the stack to the wire; ideal by default. */
  readonly outbound?: Partial<Conditions> | undefined
}

/** To the stack, or from it. */
export type Direction = "inbound" | "outbound"

/** What is done to the packets of one device. */
export interface Impairment {
  readonly middleware: Middleware<Devices | Turn | Timers | Entropy | Trace | Statistics>
  /** Changes some conditions from the next frame on. */
  readonly set: (direction: Direction | "both", changes: Partial<Conditions>) => Effect.Effect<void>
  /** Cuts the device off from its wire, both ways; what is under way is lost. */
  readonly partition: Effect.Effect<void>
  readonly heal: Effect.Effect<void>
  /** Takes the link down, as pulling the cable out does: the stack sees it, and its routes through the device are gone. */
  readonly down: Effect.Effect<void>
  readonly up: Effect.Effect<void>
  readonly counters: Effect.Effect<Readonly<Record<Direction, PathCounters>>>
}

const DIRECTIONS = ["inbound", "outbound"] as const

/** An impairment for one device. */
export const make = (options: Options = {}): Impairment => {
  const conditions: Record<Direction, Partial<Conditions>> = {
    inbound: options.inbound ?? {},
    outbound: options.outbound ?? {}
  }
  const paths: Partial<Record<Direction, Path>> = {}
  let setUp: ((isUp: boolean) => Effect.Effect<void>) | undefined
  const set = (direction: Direction, changes: Partial<Conditions>) => {
    conditions[direction] = { ...conditions[direction], ...changes }
    paths[direction]?.set(changes)
  }

  const middleware: Impairment["middleware"] = Effect.fnUntraced(function*(device) {
    const services = { turn: yield* Turn, timers: yield* Timers, entropy: yield* Entropy }
    const devices = yield* Devices
    const drop = yield* makeDrop("impairment")
    let attachment: Attachment | undefined
    const flushLater = () => services.turn.defer("flush", device.flush)
    const outbound = new Path(services, device.framing, conditions.outbound, (packet) => {
      // The stack was told long ago that the frame is gone: a wire that is full now is told about here.
      if (!device.transmit(packet)) drop("wireFull", packet)
      flushLater()
    })
    const inbound = new Path(services, device.framing, conditions.inbound, (packet) => attachment?.input(packet))
    const sendInbound = (packet: Packet) => inbound.send(packet)
    paths.inbound = inbound
    paths.outbound = outbound
    setUp = (isUp) => Effect.ignore(isUp ? devices.open(device.name) : devices.close(device.name))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        inbound.cut()
        outbound.cut()
      })
    )
    return {
      device: {
        ...device,
        offload: { ...device.offload, segmentation: 0 },
        transmit: (packet) => {
          outbound.send(packet.clone())
          return true
        }
      },
      attached: (stack) => {
        attachment = stack
        return { ...stack, input: (packet) => cut(packet, device.framing, sendInbound) }
      }
    }
  })

  return {
    middleware,
    set: (direction, changes) =>
      Effect.sync(() => {
        for (const each of DIRECTIONS) if (direction === "both" || direction === each) set(each, changes)
      }),
    partition: Effect.sync(() => {
      for (const each of DIRECTIONS) {
        set(each, { blackhole: true })
        paths[each]?.cut()
      }
    }),
    heal: Effect.sync(() => {
      for (const each of DIRECTIONS) set(each, { blackhole: false })
    }),
    down: Effect.suspend(() => {
      for (const each of DIRECTIONS) paths[each]?.cut()
      return setUp?.(false) ?? Effect.void
    }),
    up: Effect.suspend(() => setUp?.(true) ?? Effect.void),
    counters: Effect.sync(() => ({ inbound: counted(paths.inbound), outbound: counted(paths.outbound) }))
  }
}

const counted = (path: Path | undefined): PathCounters => path?.counters() ?? NO_COUNTERS

/** Impairs the device of a Layer. */
export const of = (
  impairment: Impairment
): ReturnType<typeof wrap<Devices | Turn | Timers | Entropy | Trace | Statistics>> => wrap(impairment.middleware)
