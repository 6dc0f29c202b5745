/**
 * The Internet Protocol, version 4 (RFC 791, RFC 1122 §3.2, RFC 1812).
 *
 * A host, not a router: what is addressed to others is dropped, and so are groups
 * that nobody listens to on that device. Packets it sends to a broadcast address
 * are not looped back to itself, those to a group where their sender wants it.
 *
 * `HeaderCheck` says what is believed of a packet that arrives, `Reassembly` puts
 * fragments together within 4 MiB and 30 seconds, `Ipv4Output` is the way down,
 * `PathMtu` remembers where packets must be smaller.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { AttachedDevice } from "../device/Devices.ts"
import * as Packet from "../device/Packet.ts"
import type { Entropy } from "../Entropy.ts"
import { ArpCache } from "../link/ArpCache.ts"
import { Ethernet } from "../link/Ethernet.ts"
import { Statistics } from "../Statistics.ts"
import { Timers } from "../time/Timers.ts"
import { Turn } from "../time/Turn.ts"
import { makeDrop, Trace } from "../Trace.ts"
import { EtherType } from "../wire/EthernetHeader.ts"
import { IcmpType, TimeExceededCode, UnreachableCode } from "../wire/IcmpHeader.ts"
import { Ipv4Header } from "../wire/Ipv4Header.ts"
import { checkAddresses, checkHeader } from "./HeaderCheck.ts"
import { makeOutput } from "./Ipv4Output.ts"
import { Multicast } from "./Multicast.ts"
import { makeLoop } from "./MulticastLoop.ts"
import { PathMtu } from "./PathMtu.ts"
import { Reassembly } from "./Reassembly.ts"
import { type Destination, Routing } from "./Routing.ts"

/** Takes a packet whose `start` is at the transport header and whose `source`, `destination` and `protocol` are set. */
export type TransportInput = (device: AttachedDevice, packet: Packet.Packet, destination: Destination) => void

/** What became of a packet that was to be sent. */
export type OutputResult =
  | "sent"
  /** No route to the destination. */
  | "unreachable"
  /** Over the path's MTU, with `dontFragment`; or over 65,535 octets. */
  | "tooBig"
  /** The device or a queue had no room, or the device is down. */
  | "dropped"

/** Tells why a packet of this host's did not arrive; an ICMP error or the same found out here. */
export interface DeliveryError {
  readonly kind:
    | "netUnreachable"
    | "hostUnreachable"
    | "protocolUnreachable"
    | "portUnreachable"
    | "fragmentationNeeded"
    | "sourceRouteFailed"
    | "prohibited"
    | "timeExceeded"
    | "parameterProblem"
    | "sourceQuench"
  /** Next-hop MTU in octets with `fragmentationNeeded`, else 0. */
  readonly mtu: number
  /** Who said so, unsigned 32-bit; one of our own addresses when this host found out. */
  readonly reporter: number
  /** Of the offending packet. */
  readonly source: number
  readonly destination: number
}

/**
 * Takes a quoted packet: `start` at its transport header, of which at least eight octets are there. Tells whether it may
 * believe the error (RFC 5927): anybody can send one, and what is said about the path's MTU would count for all who
 * use the path.
 */
export type ErrorInput = (error: DeliveryError, quoted: Packet.Packet) => boolean

/** What ICMP offers to IPv4 once it is there; `code` and `parameter` as in the message's header. */
export type ErrorReporter = (packet: Packet.Packet, type: number, code: number, parameter: number) => void

/** IPv4 (RFC 791, 1122): in to the protocol above, out by a route, in fragments where a packet is too large. */
export class Ipv4 extends Context.Service<Ipv4, {
  /** A packet from the link layer. */
  readonly input: (device: AttachedDevice, packet: Packet.Packet) => void
  /**
   * Sends a packet whose `start` is at the transport header. Reads `destination`, `protocol`, `source` (0: chosen by the
   * route, and written back), `timeToLive` (0: 64, and 1 for multicast), `typeOfService`, `dontFragment`,
   * `networkOptions` (well-formed), and for multicast `outlet` and `looped`. A transport that has a pseudo-header needs the source first: `sourceFor`. Fragments
   * where it must.
   */
  readonly output: (packet: Packet.Packet) => OutputResult
  /** The source address for a destination (both unsigned 32-bit), or 0 without a route. */
  readonly sourceFor: (destination: number) => number
  /** The MTU towards a destination in octets, IPv4 header included; 576 without a route. */
  readonly mtuFor: (destination: number) => number
  /**
   * Packets of that protocol go to `input`, errors about them to `error`, until the scope closes; the one who registered
   * last gets them.
   */
  readonly handle: (
    protocol: number,
    input: TransportInput,
    error?: ErrorInput
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Whether somebody handles a protocol. */
  readonly handles: (protocol: number) => boolean
  /**
   * Reports an ICMP error about a packet that arrived (its `networkStart` at the offending header), if ICMP is in the
   * stack.
   */
  readonly report: ErrorReporter
  /** ICMP registers itself here until the scope closes: IPv4, below it, does not import it. */
  readonly reporter: (reporter: ErrorReporter) => Effect.Effect<void, never, Scope.Scope>
  /** Passes an error about a packet this host sent to its protocol; `quoted.start` is at the quoted IPv4 header. */
  readonly deliverError: (kind: DeliveryError["kind"], mtu: number, reporter: number, quoted: Packet.Packet) => void
}>()("@strata/core/Ipv4") {
  static readonly layer: Layer.Layer<
    Ipv4,
    never,
    Turn | Timers | Trace | Statistics | Entropy | Ethernet | ArpCache | Routing | Multicast
  > = Layer.effect(
    Ipv4,
    Effect.gen(function*() {
      const turn = yield* Turn
      const trace = yield* Trace
      const ethernet = yield* Ethernet
      const arp = yield* ArpCache
      const routing = yield* Routing
      const multicast = yield* Multicast
      const statistics = yield* Statistics
      const drop = yield* makeDrop("ipv4")
      const received = statistics.counter("ipv4.received")
      const delivered = statistics.counter("ipv4.delivered")
      const fragments = statistics.counter("ipv4.fragmentsReceived")
      const reassembled = statistics.counter("ipv4.reassembled")
      const pathMtu = new PathMtu()
      const looped = statistics.counter("ipv4.looped")
      const loop = yield* makeLoop((device, packet) => {
        looped.value++
        deliver(device, packet, "multicast")
      }, drop)
      const output = yield* makeOutput(pathMtu, loop)
      const handlers: Array<Handler | undefined> = Array.from({ length: 256 }, () => undefined)
      let reporter: ErrorReporter | undefined
      const report: ErrorReporter = (packet, type, code, parameter) => reporter?.(packet, type, code, parameter)

      const reassembly = new Reassembly({
        discarded: (reason, packet) => {
          drop(reason, packet ?? NOTHING)
          // RFC 792: time exceeded, code 1, only when fragment zero is there.
          if (reason === "reassemblyTimeout" && packet !== undefined) {
            report(packet, IcmpType.timeExceeded, TimeExceededCode.reassembly, 0)
          }
        }
      })
      const timers = yield* Timers
      const expiry = timers.make(() => {
        reassembly.expire(turn.now())
        setExpiry()
      })
      const setExpiry = () => {
        if (reassembly.deadline === Infinity) expiry.clear()
        else if (expiry.deadline() !== reassembly.deadline) expiry.set(reassembly.deadline)
      }
      const assemble = (device: AttachedDevice, fragment: Packet.Packet, destination: Destination) => {
        fragments.value++
        const whole = reassembly.add(fragment, turn.now())
        setExpiry()
        if (whole === undefined) return
        reassembled.value++
        deliver(device, whole, destination)
      }

      const deliver = (device: AttachedDevice, packet: Packet.Packet, destination: Destination) => {
        const handler = handlers[packet.protocol]
        if (handler === undefined) {
          drop("unknownProtocol", packet)
          return report(packet, IcmpType.destinationUnreachable, UnreachableCode.protocol, 0)
        }
        delivered.value++
        handler.input(device, packet, destination)
      }

      const input = (device: AttachedDevice, packet: Packet.Packet) => {
        received.value++
        const problem = checkHeader(packet)
        if (problem !== undefined) return drop(problem, packet)
        if (trace.enabled) {
          trace.emit({
            _tag: "Packet",
            layer: "ipv4",
            direction: "in",
            device: device.name,
            interface: routing.interfaceOf(device)?.address,
            bytes: packet.toBytes()
          })
        }
        const { start, view } = packet
        const source = header.source(view, start)
        const address = header.destination(view, start)
        const martian = checkAddresses(device, source, address, header.protocol(view, start))
        if (martian !== undefined) return drop(martian, packet)
        // Nobody else may speak as this host or as everybody.
        if (!device.flags.loopback && (routing.isLocal(source) || routing.isBroadcast(source))) {
          return drop("martianSource", packet)
        }
        const destination = routing.classify(device, address)
        if (destination === "other") return drop("notForUs", packet)
        // Different groups share a hardware address: the link lets in more than was joined (RFC 1112 §6.4).
        if (destination === "multicast" && !multicast.accepts(device, address)) return drop("groupNotJoined", packet)
        // RFC 1122 §3.3.6: a frame for everybody must not carry a packet for one.
        if (destination === "local" && packet.linkDestination !== Packet.LinkDestination.own) {
          return drop("linkBroadcast", packet)
        }
        packet.networkStart = start
        packet.source = source
        packet.destination = address
        packet.protocol = header.protocol(view, start)
        packet.timeToLive = header.timeToLive(view, start)
        packet.typeOfService = view.getUint8(start + 1)
        packet.start = start + 4 * header.headerWords(view, start)
        if (header.moreFragments(view, start) !== 0 || header.fragmentOffset(view, start) !== 0) {
          return assemble(device, packet, destination)
        }
        deliver(device, packet, destination)
      }

      const deliverError = (kind: DeliveryError["kind"], mtu: number, by: number, quoted: Packet.Packet) => {
        const { start, view } = quoted
        const available = quoted.end - start
        if (available < Ipv4Header.size || header.version(view, start) !== 4) return drop("badQuote", quoted)
        const headerLength = 4 * header.headerWords(view, start)
        if (headerLength < Ipv4Header.size || available < headerLength + 8) return drop("badQuote", quoted)
        const source = header.source(view, start)
        const destination = header.destination(view, start)
        if (!routing.isLocal(source)) return drop("quoteNotOurs", quoted)
        // Behind the header of a later fragment there is no transport header to tell whom it concerns.
        if (header.fragmentOffset(view, start) !== 0) return drop("quotedFragment", quoted)
        const length = header.totalLength(view, start)
        const nextMtu = kind === "fragmentationNeeded" ? pathMtu.judge(destination, length, mtu, turn.now()) : 0
        if (nextMtu === undefined) return drop("unbelievableMtu", quoted)
        quoted.networkStart = start
        quoted.source = source
        quoted.destination = destination
        quoted.protocol = header.protocol(view, start)
        quoted.start = start + headerLength
        const error: DeliveryError = { kind, mtu: nextMtu, reporter: by, source, destination }
        const isBelieved = handlers[quoted.protocol]?.error?.(error, quoted)
        if (kind === "fragmentationNeeded" && isBelieved === true) {
          pathMtu.learn(destination, length, mtu, turn.now())
        }
      }

      yield* ethernet.handle(EtherType.ipv4, input)
      yield* arp.onUnreachable((_, packet) => {
        deliverError("hostUnreachable", 0, header.source(packet.view, packet.start), packet)
      })
      const owned = new Map<number, () => void>()
      yield* routing.watch(({ added, interface: { address, device } }) => {
        owned.get(address)?.()
        owned.delete(address)
        if (added && device.flags.needsArp) owned.set(address, arp.own(device, address))
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => owned.forEach((release) => release())))

      return Ipv4.of({
        input,
        output,
        sourceFor: (destination) => routing.lookup(destination)?.source ?? 0,
        mtuFor: (destination) => {
          const route = routing.lookup(destination)
          return route === undefined ? UNKNOWN_MTU : pathMtu.get(destination, route.device.mtu, turn.now())
        },
        handle: (protocol, transportInput, error) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              const handler: Handler = { input: transportInput, error }
              handlers[protocol] = handler
              trace.emit({ _tag: "ProtocolRegistered", layer: "ipv4", number: protocol })
              return handler
            }),
            (handler) =>
              Effect.sync(() => {
                if (handlers[protocol] === handler) handlers[protocol] = undefined
              })
          ),
        handles: (protocol) => handlers[protocol] !== undefined,
        report,
        reporter: (candidate) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              reporter = candidate
            }),
            () =>
              Effect.sync(() => {
                if (reporter === candidate) reporter = undefined
              })
          ),
        deliverError
      })
    })
  )
}

interface Handler {
  readonly input: TransportInput
  readonly error: ErrorInput | undefined
}

const header = Ipv4Header.get

/** RFC 1122 §3.3.2: what every host can take. */
const UNKNOWN_MTU = 576

/** Stands for datagrams of which nothing quotable arrived. */
const NOTHING = new Packet.Packet(new Uint8Array())
