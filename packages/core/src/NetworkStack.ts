/**
 * The whole stack, composed: each Layer stands on the one above it.
 *
 * | Layer        | adds                               | needs                |
 * | ------------ | ---------------------------------- | -------------------- |
 * | `foundation` | Turn, Timers, Trace, Statistics    |                      |
 * | `link`       | Devices, Ethernet, ArpCache        |                      |
 * | `network`    | Routing, Multicast, Ipv4           | `Entropy`            |
 * | `tcp`        | Tcp, TcpMachine, CongestionControl | `network`, `Entropy` |
 * | `protocols`  | Icmp, Igmp, Udp, and those of `tcp`| `Entropy`            |
 * | `layer`      | Entropy, from the platform         |                      |
 *
 * Devices attach themselves to a stack:
 *
 * ```ts
 * const Host = Loopback.layer.pipe(Layer.provideMerge(NetworkStack.layer))
 * ```
 *
 * To leave a protocol out, to add one, or to put another in its place, compose
 * the same pieces differently. A host with UDP and nothing else:
 *
 * ```ts
 * const stack = Udp.layer.pipe(Layer.provideMerge(NetworkStack.network), Layer.provideMerge(Entropy.layer))
 * ```
 *
 * Effect builds a Layer once and shares it with all who ask for it, also in
 * programs that run within one another. So two stacks in one process must be two
 * Layers: wrap the one of each host in `Layer.fresh`, or give it to its program
 * with `Effect.provide(Host, { local: true })`.
 */
import * as Layer from "effect/Layer"
import { Devices } from "./device/Devices.ts"
import { Entropy } from "./Entropy.ts"
import { Igmp } from "./igmp/Igmp.ts"
import { Icmp } from "./ip/Icmp.ts"
import { Ipv4 } from "./ip/Ipv4.ts"
import { Multicast } from "./ip/Multicast.ts"
import { Routing } from "./ip/Routing.ts"
import { ArpCache } from "./link/ArpCache.ts"
import { Ethernet } from "./link/Ethernet.ts"
import { Statistics } from "./Statistics.ts"
import { CongestionControl } from "./tcp/Congestion.ts"
import { Tcp } from "./tcp/Tcp.ts"
import { TcpMachine } from "./tcp/TcpMachine.ts"
import { Timers } from "./time/Timers.ts"
import { Turn } from "./time/Turn.ts"
import { Trace } from "./Trace.ts"
import { Udp } from "./udp/Udp.ts"

/** What every protocol stands on: time, and what the stack tells about itself. */
export const foundation = Layer.mergeAll(Timers.layer, Trace.layer, Statistics.layer).pipe(
  Layer.provideMerge(Turn.layer)
)

/** Devices, frames, and who has which address on the link. */
export const link = ArpCache.layer.pipe(
  Layer.provideMerge(Ethernet.layer),
  Layer.provideMerge(Devices.layer),
  Layer.provideMerge(foundation)
)

/** Up to IPv4, without a protocol above it; chance is still to be provided. */
export const network = Ipv4.layer.pipe(
  Layer.provideMerge(Multicast.layer),
  Layer.provideMerge(Routing.layer),
  Layer.provideMerge(link)
)

/** TCP with its own machine and congestion control. */
export const tcp = Tcp.layer.pipe(Layer.provideMerge(Layer.mergeAll(TcpMachine.layer, CongestionControl.layer)))

/** All protocols; chance is still to be provided. */
export const protocols = Layer.mergeAll(Icmp.layer, Igmp.layer, Udp.layer, tcp).pipe(
  Layer.provideMerge(network)
)

/** A stack for a real network. */
export const layer = protocols.pipe(Layer.provideMerge(Entropy.layer))

/** A stack that does the same when it is given the same packets at the same times. Not for use on a real network. */
export const layerSeeded = (seed: number): typeof layer => protocols.pipe(Layer.provideMerge(Entropy.layerSeeded(seed)))
