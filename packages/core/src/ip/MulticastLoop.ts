/**
 * The way back: what this host sends to a group reaches its own members too (RFC 1112 §6.4).
 *
 * Packets wait for the next turn, through the scheduler, so that programs that answer themselves for ever leave others
 * their time. Up to 1,024 wait; what comes beyond is dropped as `loopFull`.
 */
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import type { AttachedDevice } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"
import { Turn } from "../time/Turn.ts"
import type { Drop } from "../Trace.ts"

/** How many packets wait. */
const CAPACITY = 1024

interface Looped {
  readonly device: AttachedDevice
  readonly packet: Packet
}

/** Takes a copy of a packet whose `start` is at the transport header, to be delivered as if it had come by `device`. */
export type Loop = (device: AttachedDevice, packet: Packet) => void

export const makeLoop = Effect.fnUntraced(
  function*(
    deliver: (device: AttachedDevice, packet: Packet) => void,
    drop: Drop
  ): Effect.fn.Return<Loop, never, Turn | Scope.Scope> {
    const turn = yield* Turn
    const dispatcher = (yield* Scheduler.Scheduler).makeDispatcher()
    let waiting: Array<Looped> = []
    let closed = false

    const deliverAll = () => {
      const due = waiting
      waiting = []
      if (closed) return
      turn.run(() => {
        for (const { device, packet } of due) deliver(device, packet)
      })
    }
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
      })
    )
    const loop: Loop = (device, packet) => {
      if (waiting.length >= CAPACITY) return drop("loopFull", packet)
      waiting.push({ device, packet: packet.clone() })
      if (waiting.length === 1) dispatcher.scheduleTask(deliverAll, 0)
    }
    return loop
  }
)
