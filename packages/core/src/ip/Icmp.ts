/**
 * ICMP for IPv4 (RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3, RFC 6633).
 *
 * Answers echo and timestamp requests, reports errors for the layers beside and below, passes errors that arrive to
 * the protocol they concern, and pings. Source quench and redirects are counted and
 * ignored: the one is obsolete (RFC 6633), the other lets anybody on the link move this host's routes.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type { Ipv4Address } from "effect/net/NetAddress"
import type { AttachedDevice } from "../device/Devices.ts"
import * as Packet from "../device/Packet.ts"
import { Entropy } from "../Entropy.ts"
import { Statistics } from "../Statistics.ts"
import { Timers } from "../time/Timers.ts"
import { Turn } from "../time/Turn.ts"
import { makeDrop, Trace } from "../Trace.ts"
import { formatIpv4, fromIpv4, toIpv4 } from "../wire/Address.ts"
import * as Checksum from "../wire/Checksum.ts"
import { IcmpEchoHeader, IcmpHeader, IcmpTimestampHeader, IcmpType, IcmpUnreachableHeader } from "../wire/IcmpHeader.ts"
import { Ipv4Header, Protocol } from "../wire/Ipv4Header.ts"
import { isMulticast } from "./AddressClass.ts"
import { replyOptions } from "./EchoOptions.ts"
import { ErrorLimiter } from "./ErrorLimiter.ts"
import { kindOf, MAX_QUOTE, silence } from "./IcmpErrors.ts"
import { type ErrorInput, Ipv4, type OutputResult } from "./Ipv4.ts"
import {
  type EchoReply,
  PingError,
  PingNotSent,
  PingTimedOut,
  PingUnreachable,
  type Request,
  Requests
} from "./Ping.ts"
import { type Destination, Routing } from "./Routing.ts"

/** Whether echo requests to broadcast and multicast addresses are answered (RFC 1122 §3.2.2.6); false by default. */
export const AnswerBroadcastEcho = Context.Reference<boolean>("@strata/core/Icmp/AnswerBroadcastEcho", {
  defaultValue: () => false
})

export { type EchoReply, PingError, PingNotSent, PingTimedOut, PingUnreachable }

/** Of one echo request. */
export interface PingOptions {
  /** At most 65,507 octets; 56 by default. */
  readonly payload?: Uint8Array | undefined
  /** 0 by default; its low 16 bits count, as those of `identifier`. */
  readonly sequence?: number | undefined
  /** Random by default, and not that of another request on its way. */
  readonly identifier?: number | undefined
  /** Chosen by the route by default. */
  readonly source?: Ipv4Address | undefined
  /** 64 by default. */
  readonly timeToLive?: number | undefined
  /** 1 second by default. */
  readonly timeout?: Duration.Input | undefined
}

/** Octets of nearly every message, and of the largest; a stack that sends none as large needs no room for it. */
const USUAL_MESSAGE = 1500
const LARGEST_MESSAGE = 0xffff

/** ICMP (RFC 792, 1122): answers and asks for echoes, and reports errors both ways. */
export class Icmp extends Context.Service<Icmp, {
  /** A packet from IPv4. */
  readonly input: (device: AttachedDevice, packet: Packet.Packet, destination: Destination) => void
  /** One echo request, and its reply. */
  readonly ping: (destination: Ipv4Address, options?: PingOptions) => Effect.Effect<EchoReply, PingError>
}>()("@strata/core/Icmp") {
  static readonly layer: Layer.Layer<
    Icmp,
    never,
    Ipv4 | Routing | Turn | Timers | Trace | Statistics | Entropy
  > = Layer.effect(
    Icmp,
    Effect.gen(function*() {
      const turn = yield* Turn
      const timers = yield* Timers
      const trace = yield* Trace
      const entropy = yield* Entropy
      const clock = yield* Clock.Clock
      const ipv4 = yield* Ipv4
      const routing = yield* Routing
      const statistics = yield* Statistics
      const drop = yield* makeDrop("icmp")
      const answerBroadcast = yield* AnswerBroadcastEcho
      const received = statistics.counter("icmp.received")
      const sent = statistics.counter("icmp.sent")
      let scratch = Packet.make(USUAL_MESSAGE)
      const limiter = new ErrorLimiter()
      const requests = new Requests()

      /** Empties `scratch`, which has room for so many octets then. */
      const begin = (octets: number): void => {
        if (octets > USUAL_MESSAGE && scratch.bytes.length < LARGEST_MESSAGE) scratch = Packet.make(LARGEST_MESSAGE)
        scratch.reset()
      }

      /** Completes and sends the message in `scratch`; a source of 0 is chosen by the route. */
      const send = (from: number, destination: number): OutputResult => {
        const { start, view } = scratch
        const source = from === 0 ? ipv4.sourceFor(destination) : from
        scratch.source = source
        scratch.destination = destination
        scratch.protocol = Protocol.icmp
        setHeader.checksum(view, start, 0)
        setHeader.checksum(view, start, Checksum.finish(scratch.sum(0, start)))
        sent.value++
        if (trace.enabled) {
          const bytes = scratch.toBytes()
          trace.emit({ _tag: "Packet", layer: "icmp", direction: "out", network: { source, destination }, bytes })
        }
        return ipv4.output(scratch)
      }
      /** RFC 1122 §3.2.2.6: an answer comes from the address that was asked, where that is one of a host. */
      const answerFrom = (device: AttachedDevice, packet: Packet.Packet, destination: Destination): number =>
        destination === "local" ? packet.destination : routing.interfaceOf(device)?.address ?? 0

      /** Milliseconds since midnight UTC. */
      const timeOfDay = (): number => clock.currentTimeMillisUnsafe() % MILLISECONDS_PER_DAY

      const answerEcho = (device: AttachedDevice, packet: Packet.Packet, destination: Destination) => {
        if (destination !== "local" && !answerBroadcast) return drop("broadcastEcho", packet)
        begin(packet.end - packet.start)
        scratch.append(packet.bytes.subarray(packet.start, packet.end))
        setHeader.type(scratch.view, scratch.start, IcmpType.echoReply)
        scratch.typeOfService = packet.typeOfService & DSCP
        const address = answerFrom(device, packet, destination)
        const options = packet.bytes.subarray(packet.networkStart + Ipv4Header.size, packet.start)
        if (options.length > 0) scratch.networkOptions = replyOptions(options, { address, time: timeOfDay() })
        send(address, packet.source)
      }
      const answerTimestamp = (device: AttachedDevice, packet: Packet.Packet, destination: Destination) => {
        if (destination !== "local") return drop("broadcastTimestamp", packet)
        if (packet.length < IcmpTimestampHeader.size) return drop("truncated", packet)
        const time = timeOfDay()
        begin(IcmpTimestampHeader.size)
        scratch.append(packet.bytes.subarray(packet.start, packet.start + IcmpTimestampHeader.size))
        setHeader.type(scratch.view, scratch.start, IcmpType.timestampReply)
        IcmpTimestampHeader.set.receive(scratch.view, scratch.start, time)
        IcmpTimestampHeader.set.transmit(scratch.view, scratch.start, time)
        scratch.typeOfService = packet.typeOfService & DSCP
        send(answerFrom(device, packet, destination), packet.source)
      }

      const report = (packet: Packet.Packet, type: number, code: number, parameter: number) => {
        const silent = silence(packet, routing.isBroadcast)
        if (silent !== undefined) return void statistics.counter(`icmp.silent.${silent}`).value++
        if (!routing.isLocal(packet.source) && !limiter.permits(packet.source, turn.now())) {
          return void statistics.counter("icmp.silent.rateLimited").value++
        }
        const quoteEnd = Math.min(packet.end, packet.networkStart + MAX_QUOTE)
        begin(IcmpHeader.size + quoteEnd - packet.networkStart)
        scratch.end += IcmpHeader.size
        setHeader.type(scratch.view, scratch.start, type)
        setHeader.code(scratch.view, scratch.start, code)
        setHeader.rest(scratch.view, scratch.start, parameter)
        scratch.append(packet.bytes.subarray(packet.networkStart, quoteEnd))
        scratch.typeOfService = INTERNETWORK_CONTROL | (packet.typeOfService & TYPE_OF_SERVICE)
        send(packet.destination, packet.source)
      }

      const requestOf = ({ start, view }: Packet.Packet, address: number): Request | undefined =>
        requests.find(echo.identifier(view, start), echo.sequence(view, start), address)

      const inputReply = (packet: Packet.Packet) => {
        const request = requestOf(packet, packet.source)
        if (request === undefined) return drop("unexpectedReply", packet)
        request.succeed({
          address: toIpv4(packet.source),
          length: packet.length,
          identifier: request.identifier,
          sequence: request.sequence,
          timeToLive: packet.timeToLive,
          roundTrip: turn.now() - request.sentAt
        })
      }
      const inputError = (packet: Packet.Packet, destination: Destination) => {
        const { start, view } = packet
        // RFC 1122 §3.2.2: errors concern one host.
        if (destination !== "local") return drop("broadcastError", packet)
        const type = header.type(view, start)
        const kind = kindOf(type, header.code(view, start))
        if (kind === undefined) return drop("unknownCode", packet)
        const mtu = kind === "fragmentationNeeded" ? IcmpUnreachableHeader.get.nextHopMtu(view, start) : 0
        packet.start = start + IcmpHeader.size
        ipv4.deliverError(kind, mtu, packet.source, packet)
      }
      const input = (device: AttachedDevice, packet: Packet.Packet, destination: Destination) => {
        received.value++
        if (packet.length < IcmpHeader.size) return drop("truncated", packet)
        if (packet.checksum === Packet.ChecksumState.unverified && !Checksum.verify(packet.sum(0, packet.start))) {
          return drop("badChecksum", packet)
        }
        if (trace.enabled) {
          trace.emit({
            _tag: "Packet",
            layer: "icmp",
            direction: "in",
            device: device.name,
            network: { source: packet.source, destination: packet.destination },
            interface: routing.interfaceOf(device)?.address,
            bytes: packet.toBytes()
          })
        }
        switch (header.type(packet.view, packet.start)) {
          case IcmpType.echoRequest:
            return answerEcho(device, packet, destination)
          case IcmpType.echoReply:
            return inputReply(packet)
          case IcmpType.destinationUnreachable:
          case IcmpType.timeExceeded:
          case IcmpType.parameterProblem:
            return inputError(packet, destination)
          case IcmpType.timestampRequest:
            return answerTimestamp(device, packet, destination)
          case IcmpType.sourceQuench:
            return drop("sourceQuench", packet)
          case IcmpType.redirect:
            return drop("redirect", packet)
          default:
            // RFC 1122 §3.2.2: an unknown type is dropped silently.
            return drop("unknownType", packet)
        }
      }
      /** An error about an echo request of this host's. */
      const error: ErrorInput = ({ destination, kind, reporter }, quoted) => {
        if (header.type(quoted.view, quoted.start) !== IcmpType.echoRequest) return false
        const request = requestOf(quoted, destination)
        request?.fail(new PingUnreachable({ kind, reporter: toIpv4(reporter) }))
        // Requests leave as ones that may be fragmented, so that nobody can need smaller ones.
        return request !== undefined && kind !== "fragmentationNeeded"
      }

      yield* ipv4.handle(Protocol.icmp, input, error)
      yield* ipv4.reporter(report)

      const unusedIdentifier = (sequence: number): number => {
        let identifier = entropy.below(0x1_0000)
        while (requests.has(identifier, sequence)) identifier = entropy.below(0x1_0000)
        return identifier
      }
      const sendEcho = (request: Request, payload: Uint8Array, options: PingOptions): OutputResult => {
        begin(IcmpEchoHeader.size + payload.length)
        scratch.end += IcmpEchoHeader.size
        setHeader.type(scratch.view, scratch.start, IcmpType.echoRequest)
        setHeader.code(scratch.view, scratch.start, 0)
        IcmpEchoHeader.set.identifier(scratch.view, scratch.start, request.identifier)
        IcmpEchoHeader.set.sequence(scratch.view, scratch.start, request.sequence)
        scratch.append(payload)
        scratch.timeToLive = options.timeToLive ?? 0
        return send(options.source === undefined ? 0 : fromIpv4(options.source), request.destination)
      }
      /** Sends a request; `done` is called once, at the end of a turn, unless the result is called before. */
      const start = (
        destination: number,
        options: PingOptions,
        done: (exit: Exit.Exit<EchoReply, PingError>) => void
      ): () => void => {
        const payload = options.payload ?? DEFAULT_PAYLOAD
        const sequence = (options.sequence ?? 0) & 0xffff
        const timeout = timers.make(() => fail(new PingTimedOut()))
        const withdraw = () => {
          timeout.clear()
          requests.remove(request)
        }
        const finish = (exit: Exit.Exit<EchoReply, PingError>) => {
          withdraw()
          turn.defer("wake", () => done(exit))
        }
        const fail = (reason: PingError["reason"]) => finish(Exit.fail(new PingError({ reason })))
        const request: Request = {
          identifier: (options.identifier ?? unusedIdentifier(sequence)) & 0xffff,
          sequence,
          destination,
          fromAnybody: routing.isBroadcast(destination) || isMulticast(destination),
          sentAt: turn.now(),
          succeed: (reply) => finish(Exit.succeed(reply)),
          fail
        }
        requests.add(request)
        timeout.set(request.sentAt + Duration.toMillis(options.timeout ?? DEFAULT_TIMEOUT))
        const result = payload.length > MAX_PAYLOAD ? "tooBig" : sendEcho(request, payload, options)
        if (result !== "sent") fail(new PingNotSent({ why: explain(result, destination, payload.length) }))
        return withdraw
      }

      return Icmp.of({
        input,
        ping: (destination, options) =>
          Effect.callback((resume) => {
            let withdraw: (() => void) | undefined
            turn.run(() => {
              withdraw = start(fromIpv4(destination), options ?? {}, resume)
            })
            return Effect.sync(() => withdraw?.())
          })
      })
    })
  )
}

const header = IcmpHeader.get
const setHeader = IcmpHeader.set
const echo = IcmpEchoHeader.get

/** The parts of the type of service octet: what routers go by, and what an error copies of it (RFC 1812 §4.3.2.5). */
const DSCP = 0xfc
const TYPE_OF_SERVICE = 0x1e
const INTERNETWORK_CONTROL = 0xc0

const MILLISECONDS_PER_DAY = 86_400_000
const MAX_PAYLOAD = 0xffff - Ipv4Header.size - IcmpEchoHeader.size
const DEFAULT_PAYLOAD = Uint8Array.from({ length: 56 }, (_, index) => index)
const DEFAULT_TIMEOUT = 1000

const explain = (result: OutputResult, destination: number, length: number): string => {
  switch (result) {
    case "unreachable":
      return `there is no route to ${formatIpv4(destination)}`
    case "tooBig":
      return `an echo of ${length} bytes does not fit; the most is ${MAX_PAYLOAD}`
    default:
      return `the device towards ${formatIpv4(destination)} did not take the packet`
  }
}
