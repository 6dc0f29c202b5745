/**
 * Segments that belong to no connection (RFC 9293 §3.10.7.1 and .2): SYNs for those who let connections in,
 * acknowledgements that bring a SYN cookie back, and the rest, which is answered by resets.
 */
import type { Packet } from "../device/Packet.ts"
import type { Entropy } from "../Entropy.ts"
import type { Statistics } from "../Statistics.ts"
import type { Turn } from "../time/Turn.ts"
import type { Drop } from "../Trace.ts"
import type { Acceptor, Acceptors } from "./Acceptors.ts"
import type { LiveConnection } from "./Connection.ts"
import { DEFAULT_MSS, type Endpoints } from "./ControlBlock.ts"
import { type Segment, type SegmentOptions, TcpFlag } from "./Segment.ts"
import type { WriteSegment } from "./SegmentWriter.ts"
import * as Sequence from "./Sequence.ts"
import { type Extras, stamp, stamped, SynCookies } from "./SynCookies.ts"
import type { ConnectionOptions } from "./Tcp.ts"
import type { OpenParameters, TcpMachine } from "./TcpMachine.ts"

export interface AdmissionServices {
  readonly turn: Turn["Service"]
  readonly machine: TcpMachine["Service"]
  readonly entropy: Entropy["Service"]
  readonly statistics: Statistics["Service"]
  readonly acceptors: Acceptors
  readonly writeSegment: WriteSegment
  readonly drop: Drop
  readonly parameters: (endpoints: Endpoints, iss: number, options: ConnectionOptions) => OpenParameters
  readonly initialSequence: (endpoints: Endpoints, now: number) => number
  /** Whether one more reset may leave; if so, it counts. */
  readonly mayReset: () => boolean
  /** Puts a connection in the table. */
  readonly add: (connection: LiveConnection) => void
}

export interface Admission {
  /** A segment for which there is no connection. */
  readonly welcome: (endpoints: Endpoints, segment: Segment, packet: Packet) => void
  /** The same, for a SYN that replaces a connection in TIME-WAIT: `iss` is beyond what that one has sent. */
  readonly replace: (endpoints: Endpoints, segment: Segment, packet: Packet, iss: number) => void
}

const { ack, cwr, ece, fin, rst, syn } = TcpFlag

const isSyn = ({ flags }: Segment): boolean => (flags & (syn | ack | rst | fin)) === syn
/** Whether a segment may acknowledge a cookie; resets and SYNs do not. */
const mayConfirm = ({ flags }: Segment): boolean => (flags & (syn | ack | rst)) === ack

/** A SYN that says nothing but what a cookie can keep without timestamps. */
const withoutOptions = (segment: Segment): Segment => ({
  ...segment,
  flags: segment.flags & ~(ece | cwr),
  options: { maximumSegmentSize: segment.options.maximumSegmentSize }
})

/** The SYN that a cookie stands for, as far as it is known. */
const remembered = (segment: Segment, mss: number, isStamped: boolean): Segment => {
  const { timestamps } = segment.options
  const extras: Extras | undefined = isStamped && timestamps !== undefined ? stamped(timestamps.echoReply) : undefined
  const options: SegmentOptions = extras === undefined ? { maximumSegmentSize: mss } : {
    maximumSegmentSize: mss,
    windowScale: extras.windowScale,
    sackPermitted: extras.sack,
    timestamps: { value: timestamps!.value, echoReply: 0 }
  }
  const flags = extras?.ecn === true ? syn | ece | cwr : syn
  return { seq: Sequence.add(segment.seq, -1), ack: 0, flags, wnd: segment.wnd, up: 0, length: 0, options }
}

export const makeAdmission = (services: AdmissionServices): Admission => {
  const { acceptors, add, drop, initialSequence, machine, mayReset, parameters, statistics, turn, writeSegment } =
    services
  const cookies = new SynCookies(services.entropy)
  // Linux: SyncookiesSent, SyncookiesRecv, SyncookiesFailed
  const cookiesSent = statistics.counter("tcp.synCookiesSent")
  const cookiesReceived = statistics.counter("tcp.synCookiesReceived")
  const cookiesFailed = statistics.counter("tcp.synCookiesFailed")

  const reject = (endpoints: Endpoints, segment: Segment, packet: Packet): void => {
    const reset = machine.reject(segment)
    if (reset === undefined) return drop("noConnection", packet)
    if (!mayReset()) return drop("resetLimited", packet)
    drop("noConnection", packet)
    writeSegment(endpoints, reset)
  }

  /** Answers a SYN and keeps nothing of it. */
  const answer = (acceptor: Acceptor, endpoints: Endpoints, segment: Segment): void => {
    const now = turn.now()
    const mss = segment.options.maximumSegmentSize ?? DEFAULT_MSS
    const iss = cookies.issue(endpoints, segment.seq, mss, now)
    const start = parameters(endpoints, iss, acceptor.options)
    const isStamped = start.settings.timestamps && segment.options.timestamps !== undefined
    const heard = { ...(isStamped ? segment : withoutOptions(segment)), length: 0 }
    const { tcb } = machine.arrives(machine.listen(start), heard, now)
    const next = machine.output(tcb, 0, now)
    if (next === undefined) return
    const { options } = next.segment
    const { ecn, sack, windowScale } = tcb.options
    const extras: Extras = { ecn, sack, windowScale: windowScale ? tcb.snd.scale : undefined }
    const timestamps = options.timestamps === undefined
      ? undefined
      : { ...options.timestamps, value: stamp(options.timestamps.value, extras) }
    writeSegment(endpoints, { ...next.segment, options: { ...options, timestamps } })
    cookiesSent.value++
  }

  /** Makes the connection that a cookie stands for: as if its SYN had just been answered. False when it is no cookie. */
  const resume = (acceptor: Acceptor, endpoints: Endpoints, segment: Segment, packet: Packet): boolean => {
    const now = turn.now()
    if (!cookies.isAwaiting(now) || !mayConfirm(segment)) return false
    const iss = Sequence.add(segment.ack, -1)
    const mss = cookies.check(endpoints, Sequence.add(segment.seq, -1), iss, now)
    if (mss === undefined) {
      cookiesFailed.value++
      return false
    }
    const connection = acceptor.resume(endpoints, iss)
    // The peer will come again with its text, and bring the cookie along.
    if (connection === undefined) {
      drop("acceptQueueFull", packet)
      return true
    }
    cookiesReceived.value++
    add(connection)
    const asked = remembered(segment, mss, connection.tcb.settings.timestamps)
    const { tcb } = machine.arrives(connection.tcb, asked, now)
    const answered = machine.output(tcb, 0, now)?.tcb ?? tcb
    // When it was answered is not known, and so no round-trip time.
    connection.restart({ ...answered, snd: { ...answered.snd, sentAt: Infinity } })
    connection.arrives(packet, segment)
    return true
  }

  const admit = (acceptor: Acceptor, endpoints: Endpoints, segment: Segment, packet: Packet, iss: number): void => {
    const admitted = acceptor.admit(endpoints, iss)
    if (admitted === "cookie") return answer(acceptor, endpoints, segment)
    if (typeof admitted === "string") return drop(admitted, packet)
    add(admitted)
    admitted.arrives(packet, segment)
  }

  return {
    welcome: (endpoints, segment, packet) => {
      const acceptor = acceptors.find(endpoints)
      if (acceptor === undefined) return reject(endpoints, segment, packet)
      if (isSyn(segment)) return admit(acceptor, endpoints, segment, packet, initialSequence(endpoints, turn.now()))
      // RFC 9293 §3.10.7.2: a reset is ignored, an acknowledgement answered with one.
      if ((segment.flags & ack) === 0) return drop("notASyn", packet)
      if (!resume(acceptor, endpoints, segment, packet)) reject(endpoints, segment, packet)
    },
    replace: (endpoints, segment, packet, iss) => {
      const acceptor = acceptors.find(endpoints)
      if (acceptor !== undefined) admit(acceptor, endpoints, segment, packet, iss)
    }
  }
}
