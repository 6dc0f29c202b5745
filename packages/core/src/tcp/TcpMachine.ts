/**
 * The transitions of a control block, as a service: pure functions over
 * immutable values (RFC 9293 §3.10). Being a service, the machine can be
 * replaced: by a wrong one in a test of the tests, or by a user's own.
 *
 * Nothing here knows of buffers, packets or time: `now` is an argument in
 * milliseconds, text is a range of sequence numbers, and what is to be done is
 * told in an `Outcome`.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { arrives } from "./Arrival.ts"
import * as Calls from "./Calls.ts"
import type { CongestionAlgorithm } from "./Congestion.ts"
import type { ControlBlock, Endpoints } from "./ControlBlock.ts"
import { make } from "./Opened.ts"
import { output } from "./Output.ts"
import { reject } from "./Reply.ts"
import type { Segment } from "./Segment.ts"
import type { TcpSettings } from "./TcpSettings.ts"

/** What a connection starts from. */
export interface OpenParameters {
  readonly endpoints: Endpoints
  /** The initial send sequence number (RFC 6528); unsigned 32-bit. */
  readonly iss: number
  /** The MSS to announce: the device's MTU minus 40 octets. */
  readonly receiveMaximumSegmentSize: number
  /** Octets the receive buffer holds. */
  readonly receiveCapacity: number
  /** Octets up to which it grows as the program reads; as many as it holds by default. */
  readonly receiveMaximum?: number | undefined
  readonly congestion: CongestionAlgorithm
  readonly settings: TcpSettings
  /** Added to the clock to give this connection's timestamps (RFC 7323 §5.4); unsigned 32-bit. */
  readonly timestampOffset: number
}

/** A segment to be put on the wire; its text, if any, starts `textOffset` octets after SND.UNA's octet in the send buffer. */
export interface Emission extends Segment {
  readonly textOffset: number
  /** Routers may mark its packet instead of dropping it (RFC 3168 §6.1). */
  readonly congestionCapable?: boolean | undefined
}

/** What came of an event; the shell compares `tcb` with the one before to see changes of state. */
export interface Outcome {
  readonly tcb: ControlBlock
  /** Octets of the send buffer that the peer acknowledged: they can be freed. */
  readonly acknowledged: number
  /**
   * Text to be kept: `textLength` octets from `textSkip` octets into the segment's text, to be written `textOffset`
   * octets after the first octet that was not yet received in order. Everything up to the new RCV.NXT is then readable.
   */
  readonly textSkip: number
  readonly textLength: number
  readonly textOffset: number
  /** A segment to be sent at once, such as a reset or a challenge acknowledgement. */
  readonly reply: Emission | undefined
  /**
   * A SYN in TIME-WAIT that may begin the next incarnation of the connection (RFC 9293 §3.6.1). The caller may forget this
   * control block and hand the segment to a listener, with an ISS beyond SND.MAX; `reply` is then not to be sent.
   */
  readonly reopens: boolean
}

/** The transitions of a control block, as a service: a test may put another machine in its place. */
export class TcpMachine extends Context.Service<TcpMachine, {
  /** Active OPEN: SYN-SENT; `output` emits the SYN. */
  readonly connect: (parameters: OpenParameters, now: number) => ControlBlock
  /** Passive OPEN: LISTEN. `arrives` moves it to SYN-RECEIVED; the remote endpoint is then the sender's, filled in by the caller. */
  readonly listen: (parameters: OpenParameters) => ControlBlock
  /**
   * RFC 9293 §3.10.7.2 to .4. A connection that goes back from SYN-RECEIVED to LISTEN has forgotten its peer: the caller
   * empties the receive buffer.
   */
  readonly arrives: (tcb: ControlBlock, segment: Segment, now: number) => Outcome
  /** RFC 9293 §3.10.7.1: the reset that answers a segment nobody has a connection for, or undefined. */
  readonly reject: (segment: Segment) => Emission | undefined
  /**
   * The next segment to send, or undefined. `queued` is the number of octets in the send buffer from SND.UNA's octet on,
   * sent or not. `limit` is the most octets of text that a device cuts into segments; the effective MSS where it is smaller.
   */
  readonly output: (
    tcb: ControlBlock,
    queued: number,
    now: number,
    limit?: number
  ) => { readonly tcb: ControlBlock; readonly segment: Emission } | undefined
  /** The next time at which `elapse` has something to do, or `Infinity`. */
  readonly deadline: (tcb: ControlBlock) => number
  /** Does what is due at `now`: retransmission, persist, delayed acknowledgement, TIME-WAIT; then call `output`. `queued` as for `output`. */
  readonly elapse: (tcb: ControlBlock, queued: number, now: number) => ControlBlock
  /** CLOSE of RFC 9293 §3.10.4: a FIN follows the last octet queued. */
  readonly close: (tcb: ControlBlock, now: number) => ControlBlock
  /** ABORT of RFC 9293 §3.10.5: CLOSED, with a reset for a peer that knows of the connection. */
  readonly abort: (tcb: ControlBlock, now: number) => Outcome
  /** The program took `octets` out of the receive buffer; may make a window update due (RFC 9293 §3.8.6.2.2). */
  readonly consumed: (tcb: ControlBlock, octets: number, now: number) => ControlBlock
  /**
   * An ICMP error about one of our segments (RFC 9293 §3.9.2.2, RFC 5927): `hard` ones close a connection that is not
   * synchronized; soft ones are remembered as the reason of a later timeout. `seq` is the quoted sequence number.
   */
  readonly unreachable: (tcb: ControlBlock, seq: number, hard: boolean, now: number) => ControlBlock
  /** The path's MTU shrank to `mtu` octets (RFC 1191): a smaller send MSS, and what was lost is sent again. */
  readonly pathMtu: (tcb: ControlBlock, seq: number, mtu: number, now: number) => ControlBlock
}>()("@strata/core/TcpMachine") {
  /** The machine of RFC 9293. */
  static readonly layer: Layer.Layer<TcpMachine> = Layer.sync(TcpMachine, () => rfc9293)
}

/** The machine of RFC 9293, for those who need no service. */
export const rfc9293: TcpMachine["Service"] = {
  connect: (parameters) => make("SYN-SENT", parameters),
  listen: (parameters) => make("LISTEN", parameters),
  arrives,
  reject,
  output,
  deadline: Calls.deadline,
  elapse: Calls.elapse,
  close: Calls.close,
  abort: Calls.abort,
  consumed: Calls.consumed,
  unreachable: Calls.unreachable,
  pathMtu: Calls.pathMtu
}
