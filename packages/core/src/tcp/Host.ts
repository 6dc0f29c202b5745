/**
 * TCP's plain half: which connection a segment belongs to, and what becomes of
 * those that belong to none.
 *
 * Bounds are those of `TcpDefaults`, and connections that nobody accepted yet by
 * their listener.
 */
import * as Effect from "effect/Effect"
import type { AttachedDevice } from "../device/Devices.ts"
import type { Packet } from "../device/Packet.ts"
import { Entropy } from "../Entropy.ts"
import { type DeliveryError, type ErrorInput, Ipv4 } from "../ip/Ipv4.ts"
import { type Destination, Routing } from "../ip/Routing.ts"
import { LinkedList } from "../LinkedList.ts"
import { Statistics } from "../Statistics.ts"
import { Timers } from "../time/Timers.ts"
import { Turn } from "../time/Turn.ts"
import { type Drop, makeDrop, Trace } from "../Trace.ts"
import * as Address from "../wire/Address.ts"
import { TcpHeader } from "../wire/TcpHeader.ts"
import { type Acceptor, Acceptors } from "./Acceptors.ts"
import { makeAdmission } from "./Admission.ts"
import { CongestionControl } from "./Congestion.ts"
import { LiveConnection } from "./Connection.ts"
import type { ConnectionHost } from "./ConnectionHost.ts"
import { ConnectionTable } from "./ConnectionTable.ts"
import type { ControlBlock, Endpoints, State } from "./ControlBlock.ts"
import * as InitialSequence from "./InitialSequence.ts"
import * as Options from "./Options.ts"
import { Orphans } from "./Orphans.ts"
import { ReplyBudget } from "./ReplyBudget.ts"
import { type Segment, TcpFlag, wireSegments } from "./Segment.ts"
import { makeReader } from "./SegmentReader.ts"
import { makeWriter } from "./SegmentWriter.ts"
import { SteadyPath } from "./steady/SteadyPath.ts"
import type { ConnectionOptions } from "./Tcp.ts"
import { makeTcpCounters } from "./TcpCounters.ts"
import * as TcpDefaults from "./TcpDefaults.ts"
import { type OpenParameters, type Outcome, rfc9293, TcpMachine } from "./TcpMachine.ts"
import type { TcpSettings } from "./TcpSettings.ts"
import * as TimeWait from "./TimeWait.ts"

/** The headers of IPv4 and TCP without options. */
const HEADERS = 40
/** What the total length of an IPv4 header can say. */
const LARGEST_PACKET = 65_535

const tcp = TcpHeader.get

/**
 * Counters: those of `TcpCounters`, and `tcp.sent` and `tcp.resetsSent` segments. Answers that `TcpDefaults` did not allow:
 * `tcp.challengesLimited`, and `tcp.resetsLimited` for segments of connections that are not established; those of no connection
 * are dropped as `resetLimited`.
 */
export interface Host extends ConnectionHost {
  readonly defaults: TcpDefaults.Defaults
  readonly entropy: Entropy["Service"]
  readonly ipv4: Ipv4["Service"]
  readonly routing: Routing["Service"]
  readonly trace: Trace["Service"]
  readonly drop: Drop
  readonly connections: ConnectionTable<LiveConnection>
  readonly acceptors: Acceptors
  readonly bind: (acceptor: Acceptor) => void
  readonly unbind: (acceptor: Acceptor) => void
  /** Takes a connection that is not one any more out of the table. */
  readonly discard: (connection: LiveConnection) => void
  readonly input: (device: AttachedDevice, packet: Packet, destination: Destination) => void
  readonly error: ErrorInput
  /** SYN-SENT, in the table, in place of a connection of the same endpoints in TIME-WAIT. */
  readonly connect: (endpoints: Endpoints, options: ConnectionOptions) => LiveConnection
  /** LISTEN, not in the table; `iss` is the initial sequence number that a SYN will be answered with. */
  readonly listen: (endpoints: Endpoints, iss: number, options: ConnectionOptions) => LiveConnection
  readonly parameters: (endpoints: Endpoints, iss: number, options: ConnectionOptions) => OpenParameters
}

/** RFC 4022, tcpCurrEstab. */
const countsAsEstablished = (state: State): boolean => state === "ESTABLISHED" || state === "CLOSE-WAIT"
/** Nobody answered; a peer that was told to be unreachable before did not either. */
const isTimedOut = ({ reason, softError, state }: ControlBlock): boolean =>
  state === "CLOSED" && (reason === "timedOut" || (reason === "unreachable" && softError))
const isOpening = (state: State): boolean => state === "SYN-SENT" || state === "SYN-RECEIVED"

export const makeHost = Effect.gen(function*() {
  const turn = yield* Turn
  const timers = yield* Timers
  const trace = yield* Trace
  const statistics = yield* Statistics
  const entropy = yield* Entropy
  const ipv4 = yield* Ipv4
  const routing = yield* Routing
  const machine = yield* TcpMachine
  const congestion = yield* CongestionControl
  const defaults = TcpDefaults.complete(yield* TcpDefaults.TcpDefaults)
  const drop = yield* makeDrop("tcp")
  const counters = makeTcpCounters(statistics)
  const readSegment = makeReader()
  const writeSegment = makeWriter(ipv4, trace, statistics)
  const initialSequence = InitialSequence.make(entropy)
  const timestampOffset = InitialSequence.makeTimestampOffset(entropy)
  const connections = new ConnectionTable<LiveConnection>(entropy.u32())
  const acceptors = new Acceptors()
  const timeWaits = new LinkedList<LiveConnection>()
  const orphans = new Orphans(defaults.orphans, defaults.orphanOctets)

  /** RFC 9293 §3.7.1, RFC 1191 §3.1: what this host can take, whatever is known about the way to the peer. */
  const announced = (remoteAddress: number, { maximumSegmentSize }: TcpSettings): number => {
    const mtu = routing.lookup(remoteAddress)?.device.mtu ?? ipv4.mtuFor(remoteAddress)
    return Math.max(Options.LEAST_MSS, Math.min(mtu - HEADERS, maximumSegmentSize))
  }
  const parameters = (endpoints: Endpoints, iss: number, options: ConnectionOptions): OpenParameters => {
    const settings = TcpDefaults.settingsOf(defaults, options.settings)
    const receiveBuffer = TcpDefaults.boundsOf(options.receiveBuffer, defaults.receiveBuffer)
    return {
      endpoints,
      iss,
      receiveMaximumSegmentSize: announced(endpoints.remoteAddress, settings),
      receiveCapacity: receiveBuffer.initial,
      receiveMaximum: receiveBuffer.maximum,
      congestion: options.congestion ?? defaults.congestion ?? congestion,
      settings,
      timestampOffset: timestampOffset(endpoints)
    }
  }

  const add = (connection: LiveConnection) => {
    connections.add(connection)
    counters.connections.value = connections.size
  }
  const discard = (connection: LiveConnection) => {
    connections.delete(connection)
    timeWaits.delete(connection)
    orphans.delete(connection)
    counters.connections.value = connections.size
  }
  const moved = (connection: LiveConnection, from: State) => {
    const { endpoints, state } = connection
    if (trace.eventful) {
      trace.emit({
        _tag: "TcpState",
        local: { address: endpoints.localAddress, port: endpoints.localPort },
        remote: { address: endpoints.remoteAddress, port: endpoints.remotePort },
        from,
        to: state
      })
    }
    counters.established.value += Number(countsAsEstablished(state)) - Number(countsAsEstablished(from))
    if (from === "LISTEN" && isOpening(state)) counters.passiveOpens.value++
    if (isOpening(from) && (state === "CLOSED" || state === "LISTEN")) counters.failedAttempts.value++
    if (countsAsEstablished(from) && state === "CLOSED") counters.establishedResets.value++
    if (isTimedOut(connection.tcb)) counters.timedOut.value++
    if (state === "TIME-WAIT") {
      orphans.delete(connection)
      timeWaits.add(connection)
      const oldest = timeWaits.first
      if (timeWaits.size > defaults.timeWaits && oldest !== undefined) {
        counters.timeWaitOverflows.value++
        oldest.forget()
      }
    }
    if (state === "CLOSED") discard(connection)
  }

  const orphaned = (connection: LiveConnection) => {
    for (let oldest = orphans.add(connection); oldest !== undefined; oldest = orphans.excess()) {
      counters.orphansReset.value++
      oldest.abort()
    }
  }

  /** RFC 7323 §2.3: a window scale that is too large is to be told. */
  const opens = ({ endpoints }: LiveConnection, { options: { windowScale = 0 } }: Segment) => {
    if (windowScale <= Options.LARGEST_SHIFT || !trace.eventful) return
    const text = `window scale ${windowScale} taken as ${Options.LARGEST_SHIFT}: ` +
      `${Address.formatIpv4(endpoints.remoteAddress)}:${endpoints.remotePort}`
    trace.emit({ _tag: "Message", level: "warning", stage: "tcp.input", text })
  }

  const challenges = new ReplyBudget(entropy, defaults.challengesPerSecond)
  const resets = new ReplyBudget(entropy, defaults.resetsPerSecond)
  const mayReset = () => resets.take(turn.now())
  const mayReply = (before: ControlBlock, { reply, tcb }: Outcome): boolean => {
    if (reply === undefined) return true
    const isChallenge = tcb.counts.challenges !== before.counts.challenges
    if (isChallenge ? challenges.take(turn.now()) : (reply.flags & TcpFlag.rst) === 0 || mayReset()) return true
    if (isChallenge) counters.challengesLimited.value++
    else counters.resetsLimited.value++
    return false
  }
  const { replace, welcome } = makeAdmission({
    turn,
    machine,
    entropy,
    statistics,
    acceptors,
    writeSegment,
    drop,
    parameters,
    initialSequence,
    mayReset,
    add
  })
  const reopen = (connection: LiveConnection, segment: Segment, packet: Packet): boolean => {
    const { endpoints, tcb } = connection
    if (acceptors.find(endpoints) === undefined) return false
    connection.forget()
    replace(endpoints, segment, packet, TimeWait.nextIss(tcb))
    return true
  }

  const coalesced = (segment: Segment): void => {
    const others = wireSegments(segment) - 1
    counters.received.value += others
    counters.coalesced.value += others
  }

  const input = (_device: AttachedDevice, packet: Packet, destination: Destination): void => {
    counters.received.value++
    if (trace.enabled) {
      const network = { source: packet.source, destination: packet.destination }
      trace.emit({ _tag: "Packet", layer: "tcp", direction: "in", network, bytes: packet.toBytes() })
    }
    // RFC 9293 §3.9.2.3: TCP is between two hosts; an answer to many would be an amplifier.
    if (destination !== "local") return drop("notUnicast", packet)
    const segment = readSegment(packet)
    if (typeof segment === "string") return drop(segment, packet)
    if (segment.segmentSize !== 0) coalesced(segment)
    const localPort = tcp.destinationPort(packet.view, packet.start)
    const remotePort = tcp.sourcePort(packet.view, packet.start)
    const connection = connections.get(packet.destination, localPort, packet.source, remotePort)
    if (connection !== undefined) return connection.arrives(packet, segment)
    const endpoints = { localAddress: packet.destination, localPort, remoteAddress: packet.source, remotePort }
    welcome(endpoints, segment, packet)
  }

  const error = ({ destination, kind, mtu, reporter, source }: DeliveryError, quoted: Packet): boolean => {
    const { start, view } = quoted
    const ignored = (reason: string): false => {
      drop(reason, quoted)
      return false
    }
    if (quoted.length < 8) return ignored("truncatedError")
    const localPort = tcp.sourcePort(view, start)
    const connection = connections.get(source, localPort, destination, tcp.destinationPort(view, start))
    if (connection === undefined) return ignored("errorWithoutConnection")
    const seq = tcp.sequence(view, start)
    const { max, una } = connection.tcb.snd
    // RFC 5927 §4: only who sees our segments knows a sequence number that is on its way.
    if (((seq - una) | 0) < 0 || ((seq - max) | 0) >= 0) return ignored("errorOutOfWindow")
    switch (kind) {
      // RFC 6633 §5: a source quench is ignored.
      case "sourceQuench":
        return ignored("sourceQuench")
      case "fragmentationNeeded":
        connection.pathMtu(seq, mtu)
        return true
      // RFC 9293 §3.9.2.2: what may pass is remembered only.
      case "netUnreachable":
      case "hostUnreachable":
      case "sourceRouteFailed":
      case "timeExceeded":
      case "parameterProblem":
        // This host's own word is better than a router's: nothing was ever sent.
        connection.unreachable(seq, routing.isLocal(reporter))
        return true
      case "protocolUnreachable":
      case "portUnreachable":
      case "prohibited":
        connection.unreachable(seq, true)
        return true
    }
  }

  const changed = (tag: "PortBound" | "PortReleased", { address, port }: Acceptor) => {
    counters.listeners.value = acceptors.size
    trace.emit({ _tag: tag, protocol: "tcp", address, port })
  }
  const make = (tcb: LiveConnection["tcb"], options: ConnectionOptions) =>
    new LiveConnection(
      host,
      tcb,
      TcpDefaults.boundsOf(options.sendBuffer, defaults.sendBuffer),
      options.linger ?? defaults.linger,
      options.copyWrites ?? defaults.copyWrites
    )
  const host: Host = {
    turn,
    timers,
    machine,
    // A machine that is another one in anything shall do all of it itself.
    steady: machine === rfc9293 ? new SteadyPath() : undefined,
    defaults,
    entropy,
    ipv4,
    routing,
    trace,
    writeSegment,
    mtuFor: ipv4.mtuFor,
    segmentationFor: ({ localAddress, remoteAddress }) =>
      Math.min(routing.lookup(remoteAddress, localAddress)?.device.offload.segmentation ?? 0, LARGEST_PACKET),
    counters,
    moved,
    orphaned,
    opens,
    mayReply,
    reopen,
    drop,
    connections,
    acceptors,
    input,
    error,
    parameters,
    bind: (acceptor) => {
      acceptors.add(acceptor)
      changed("PortBound", acceptor)
    },
    unbind: (acceptor) => {
      acceptors.delete(acceptor)
      changed("PortReleased", acceptor)
    },
    discard,
    listen: (endpoints, iss, options) => make(machine.listen(parameters(endpoints, iss, options)), options),
    connect: (endpoints, options) => {
      const { localAddress, localPort, remoteAddress, remotePort } = endpoints
      const previous = connections.get(localAddress, localPort, remoteAddress, remotePort)
      const iss = previous === undefined ? initialSequence(endpoints, turn.now()) : TimeWait.nextIss(previous.tcb)
      if (previous !== undefined) counters.timeWaitsReused.value++
      previous?.forget()
      const connection = make(machine.connect(parameters(endpoints, iss, options), turn.now()), options)
      counters.activeOpens.value++
      add(connection)
      connection.outputLater()
      return connection
    }
  }
  return host
})
