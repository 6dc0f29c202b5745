/**
 * What the stack tells about itself.
 *
 * Packets, drops, queues, neighbours and connections are told about only when
 * somebody wants to see each packet, and cost one comparison otherwise:
 * `if (trace.enabled) trace.emit(…)`. Devices, addresses, routes, ports and
 * warnings are rare, and emitted whenever they happen.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Packet } from "./device/Packet.ts"
import { type Counter, Statistics } from "./Statistics.ts"

/** The layers that tell of packets. */
export type PacketLayer = "ethernet" | "arp" | "ipv4" | "icmp" | "igmp" | "udp" | "tcp"

/** What happened; `stage` is the name of the place it happened in, such as `ipv4.input`. */
export type TraceDetail =
  /**
   * A packet passed a layer: its octets from that layer's header on, copied. `network` is set for layers above IPv4,
   * `interface` by IPv4 and those above: the address of ours it came to or leaves from.
   */
  | {
    readonly _tag: "Packet"
    readonly layer: PacketLayer
    readonly direction: "in" | "out"
    readonly device?: string
    readonly network?: { readonly source: number; readonly destination: number }
    readonly interface?: number | undefined
    readonly bytes: Uint8Array
  }
  | { readonly _tag: "Dropped"; readonly layer: string; readonly reason: string; readonly bytes: Uint8Array }
  | {
    readonly _tag: "DeviceAttached" | "DeviceOpened" | "DeviceClosed" | "DeviceDetached"
    readonly device: string
    readonly type: string
  }
  | { readonly _tag: "ProtocolRegistered"; readonly layer: "ethernet" | "ipv4"; readonly number: number }
  | {
    readonly _tag: "AddressAdded" | "AddressRemoved"
    readonly device: string
    readonly address: number
    readonly prefixLength: number
  }
  | {
    readonly _tag: "RouteAdded" | "RouteRemoved"
    readonly network: number
    readonly prefixLength: number
    readonly gateway: number
    /** The source address of packets that take it. */
    readonly source?: number
    readonly device: string
  }
  | {
    readonly _tag: "NeighbourInserted" | "NeighbourUpdated" | "NeighbourDeleted"
    readonly device: string
    readonly protocolAddress: number
    readonly hardwareAddress: number
    readonly state: string
  }
  | {
    readonly _tag: "QueuePushed" | "QueuePopped"
    readonly queue: string
    readonly count: number
    readonly length: number
    readonly device?: string
  }
  | {
    readonly _tag: "PortBound" | "PortReleased"
    readonly protocol: "udp" | "tcp"
    readonly address: number
    readonly port: number
  }
  | {
    readonly _tag: "TcpState"
    readonly local: { readonly address: number; readonly port: number }
    readonly remote: { readonly address: number; readonly port: number }
    readonly from: string
    readonly to: string
  }
  | {
    readonly _tag: "Message"
    readonly level: "error" | "warning" | "info" | "debug"
    readonly stage: string
    readonly text: string
  }

/** What a listener wants: everything, down to each packet; drops and changes of state; or only what is rare. */
export type Interest = "packets" | "events" | "rare"

/** A detail with the Unix time in milliseconds at which it was emitted. */
export type TraceEvent = { readonly time: number; readonly detail: TraceDetail }

/** What a stack tells about itself, for whoever wants to hear it. With no listener nothing is told, and it costs one comparison. */
export class Trace extends Context.Service<Trace, {
  /** Whether anybody wants to see each packet. */
  readonly enabled: boolean
  /** Whether anybody wants to know of each drop and each change of a connection's state. */
  readonly eventful: boolean
  /** Tells the listeners. Ask `enabled` or `eventful` first, where making the detail costs something. */
  readonly emit: (detail: TraceDetail) => void
  /**
   * Calls `listener` with each event, at once and in order, until the result is called. `interest` is `"packets"` by
   * default; a listener that wants less gets more while another one wants it. A listener must not throw.
   */
  readonly listen: (listener: (event: TraceEvent) => void, interest?: Interest) => () => void
  /** Events from the moment the stream is run; when its reader falls more than 4,096 events behind, the oldest are lost. */
  readonly events: Stream.Stream<TraceEvent>
}>()("@strata/core/Trace") {
  static readonly layer: Layer.Layer<Trace> = Layer.effect(
    Trace,
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const listeners = new Map<(event: TraceEvent) => void, Interest>()
      const state = { enabled: false, eventful: false }
      const update = () => {
        const interests = [...listeners.values()]
        state.enabled = interests.includes("packets")
        state.eventful = state.enabled || interests.includes("events")
      }
      const listen = (listener: (event: TraceEvent) => void, interest: Interest = "packets") => {
        const own = (event: TraceEvent) => listener(event)
        listeners.set(own, interest)
        update()
        return () => {
          listeners.delete(own)
          update()
        }
      }
      return Trace.of(Object.assign(state, {
        emit: (detail: TraceDetail) => {
          if (listeners.size === 0) return
          const event = { time: clock.currentTimeMillisUnsafe(), detail }
          for (const listener of listeners.keys()) listener(event)
        },
        listen,
        events: Stream.unwrap(Effect.gen(function*() {
          const queue = yield* Queue.sliding<TraceEvent>(4096)
          yield* Effect.acquireRelease(
            Effect.sync(() => listen((event) => Queue.offerUnsafe(queue, event))),
            (stop) => Effect.sync(stop)
          )
          return Stream.fromQueue(queue)
        }))
      }))
    })
  )
}

/** Counts a packet as dropped by `layer` under the name `reason`, and tells about it. */
export type Drop = (reason: string, packet: Packet) => void

/** The `Drop` of one layer; its counters are named `<layer>.dropped.<reason>`. */
export const makeDrop = (layer: string): Effect.Effect<Drop, never, Trace | Statistics> =>
  Effect.gen(function*() {
    const trace = yield* Trace
    const statistics = yield* Statistics
    const counters = new Map<string, Counter>()
    return (reason, packet) => {
      let counter = counters.get(reason)
      if (counter === undefined) {
        counter = statistics.counter(`${layer}.dropped.${reason}`)
        counters.set(reason, counter)
      }
      counter.value++
      if (trace.eventful) trace.emit({ _tag: "Dropped", layer, reason, bytes: packet.toBytes() })
    }
  })
