/**
 * What must hold of every connection and every packet of a simulation, whatever
 * the network does to it, and what happens when it does not.
 *
 * `InvariantRules`, `InvariantSegments` and `InvariantRepair` have the rules of
 * a control block, `InvariantMachine` puts them around a host's `TcpMachine`; `InvariantStreams`
 * compares what programs write and read; `InvariantPackets` adds up counters.
 */
import type { Endpoints } from "@strata/core/tcp/ControlBlock"
import * as Address from "@strata/core/wire/Address"
import * as Schema from "effect/Schema"

/** What must hold at any time, by name. */
export const Invariant = Schema.Literals([
  /** SND.UNA =< SND.NXT =< SND.MAX, and neither SND.UNA nor SND.MAX goes back (RFC 9293 §3.4). */
  "sendOrder",
  /** What is sent for the first time fits the peer's window, but for the one octet of a probe (§3.8.6). */
  "sendWindow",
  /** Nothing comes of a segment that acknowledges what was never sent (§3.10.7.4, fifth). */
  "unsentAcknowledged",
  /** RCV.NXT moves on by what was received in order, text is kept where its sequence number says, ranges ascend (§3.4). */
  "receiveOrder",
  /** The right edge of the announced window, RCV.NXT + RCV.WND, never moves left (§3.8.6). */
  "windowEdge",
  /** The peer's FIN stays where it is, and nothing is accepted behind it (§3.10.7.4, seventh and eighth). */
  "afterFin",
  /** What is unread, and what the announced window lets in, fit the receive buffer; what is queued the send buffer. */
  "buffers",
  /** Timers run for live connections only, and whatever waits for one has one (§3.8). */
  "timers",
  /** States change as in figure 5 of RFC 9293, and agree with the sequence numbers. */
  "state",
  /** A segment that is sent says what the control block says. */
  "emission",
  /** The scoreboard covers what is on its way, and only what is thought lost, or probed, is sent again (RFC 6675, RFC 8985). */
  "repair",
  /** What is sent keeps to the congestion window and the pace, unless a timer demands it (RFC 5681). */
  "congestion",
  /** A connection does not go on sending within one instant without getting anywhere. */
  "progress",
  /** What is read is a prefix of what was written, octet by octet. */
  "delivery",
  /** The end of a stream is read after all that was written before it. */
  "endOfStream",
  /** Every packet arrived, was dropped by name, or is still under way. */
  "accounting"
])
export type Invariant = typeof Invariant.Type

/** An invariant does not hold. The run ends at once; what came later is not to be trusted. */
export class InvariantViolated extends Schema.TaggedError<InvariantViolated>()("InvariantViolated", {
  invariant: Invariant,
  seed: Schema.Number,
  /** Milliseconds since the network was made. */
  time: Schema.Number,
  /** The number of the last packet in a capture of all links of the network; 0 when there was none yet. */
  packet: Schema.Number,
  /** A host, or a link. */
  where: Schema.String,
  /** Local and remote endpoint. */
  connection: Schema.optionalKey(Schema.String),
  what: Schema.String,
  /** The control block, when it is about one: before, and after. */
  before: Schema.optionalKey(Schema.String),
  after: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const connection = this.connection === undefined ? "" : `, connection ${this.connection}`
    const blocks = this.before === undefined ? "" : `; the control block was ${this.before}`
    const after = this.after === undefined ? "" : ` and is ${this.after}`
    return `the invariant ${this.invariant} does not hold at ${this.where}${connection}, ` +
      `${(this.time / 1000).toFixed(6)} s, packet ${this.packet} of the capture, seed ${this.seed}: ${this.what}` +
      blocks + after
  }
}

/** What a rule has found. */
export interface Finding {
  readonly invariant: Invariant
  readonly where: string
  readonly what: string
  readonly connection?: string
  readonly before?: string
  readonly after?: string
}

/** Where the findings of one network go. */
export interface Watch {
  /** The first finding, which makes all later ones worthless. */
  readonly violation: () => InvariantViolated | undefined
  readonly report: (finding: Finding) => void
  /** Counts a packet, as a capture of all links does. */
  readonly packet: () => void
}

export interface WatchOptions {
  readonly seed: number
  /** Milliseconds since the network was made. */
  readonly now: () => number
  /** Called once. */
  readonly onViolation: (violation: InvariantViolated) => void
}

export const makeWatch = (options: WatchOptions): Watch => {
  let packets = 0
  let first: InvariantViolated | undefined
  return {
    violation: () => first,
    report: (finding) => {
      if (first !== undefined) return
      first = new InvariantViolated({ ...finding, seed: options.seed, time: options.now(), packet: packets })
      options.onViolation(first)
    },
    packet: () => {
      packets++
    }
  }
}

const endpoint = (address: number, port: number): string => `${Address.formatIpv4(address)}:${port}`

export const formatConnection = (self: Endpoints): string =>
  `${endpoint(self.localAddress, self.localPort)} to ${endpoint(self.remoteAddress, self.remotePort)}`
