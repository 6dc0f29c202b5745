/**
 * The state of one connection (RFC 9293 §3.3.1), as an immutable value.
 */
import type { CongestionAlgorithm, CongestionState } from "./Congestion.ts"
import type { Counts } from "./Counts.ts"
import type * as Rack from "./Rack.ts"
import type * as RateSampling from "./RateSampling.ts"
import type * as ReceiveTuning from "./ReceiveTuning.ts"
import type * as RecoveryState from "./RecoveryState.ts"
import * as Sequence from "./Sequence.ts"
import type { TcpSettings } from "./TcpSettings.ts"
import type * as Transmissions from "./Transmissions.ts"

/** RFC 9293 §3.3.2 */
export type State =
  | "LISTEN"
  | "SYN-SENT"
  | "SYN-RECEIVED"
  | "ESTABLISHED"
  | "FIN-WAIT-1"
  | "FIN-WAIT-2"
  | "CLOSE-WAIT"
  | "CLOSING"
  | "LAST-ACK"
  | "TIME-WAIT"
  | "CLOSED"

/** Addresses are unsigned 32-bit integers; 0 is "any". */
export interface Endpoints {
  readonly localAddress: number
  readonly localPort: number
  readonly remoteAddress: number
  readonly remotePort: number
}

/** Why a connection is CLOSED. */
export type CloseReason = "finished" | "refused" | "reset" | "timedOut" | "unreachable" | "aborted"

/** Received octets after a gap: from `left` up to but not including `right`. */
export interface Range {
  readonly left: number
  readonly right: number
}

/** The send sequence space (RFC 9293 §3.3.1, figure 3). */
export interface SendSpace {
  readonly una: number
  readonly nxt: number
  /** Octets, scaled. */
  readonly wnd: number
  readonly up: number
  readonly wl1: number
  readonly wl2: number
  readonly iss: number
  /** The highest sequence number ever sent plus one: beyond `nxt` when a window probe carried an octet. */
  readonly max: number
  /** The largest window the peer ever offered, for silly-window avoidance. */
  readonly maxWnd: number
  /** The effective send MSS in octets of text (RFC 9293 §3.7.1). */
  readonly mss: number
  /** The program called CLOSE; a FIN follows the last octet. */
  readonly closing: boolean
  /** The FIN's sequence number once it was sent. */
  readonly fin: number | undefined
  /** One past the last octet of the last segment that was sent with less than `mss` octets, for Nagle's algorithm. */
  readonly small: number
  /** When text or a FIN was last sent, in milliseconds; `Infinity` before. */
  readonly sentAt: number
  /** A timer demands a segment, whatever the windows say (RFC 9293 §3.8.6.1, §3.8.6.2.1, RFC 6298 §5.4). */
  readonly forced: boolean
  /** Snd.Wind.Shift (RFC 7323 §2.3): by how many bits the peer's window field is to be shifted, 0–14. */
  readonly scale: number
  /** Octets that were in flight right after the last segment left: whether the congestion window was used up. */
  readonly peak: number
  /** When the next segment may leave at the pacing rate, in milliseconds. */
  readonly paceAt: number
}

/** The receive sequence space (RFC 9293 §3.3.1, figure 4). */
export interface ReceiveSpace {
  readonly nxt: number
  /** The window last announced, in octets from `nxt`. */
  readonly wnd: number
  readonly up: number
  readonly irs: number
  /** Octets the receive buffer holds, and at most will hold. */
  readonly capacity: number
  readonly maximum: number
  /** Octets received in order that the program has not taken. */
  readonly unread: number
  /** Octets after gaps, ascending and apart. */
  readonly ranges: ReadonlyArray<Range>
  /** The FIN's sequence number once one arrived, in order or not. */
  readonly fin: number | undefined
  /** The MSS announced to the peer. */
  readonly mss: number
  /** What counts as a full-sized segment for the delayed acknowledgement: the most text one brought, at most `mss`. */
  readonly fullSize: number
  /** Octets of the last segment with text. */
  readonly latestSize: number
  /** Octets received since the last acknowledgement was sent. */
  readonly unacknowledged: number
  /** Whether an acknowledgement is owed: not at all, by the delayed-ACK deadline, or now. */
  readonly acknowledge: "none" | "delayed" | "now"
  /** Segments that are still to be acknowledged one by one. */
  readonly quick: number
  /** Segments for which it still counts that something was missing, or came twice. */
  readonly cautious: number
  /** The program answers what it reads. */
  readonly interactive: boolean
  /** Something that the peer's program wrote has come to its end since the last acknowledgement. */
  readonly pushed: boolean
  /** When RCV.NXT last moved, in milliseconds; `-Infinity` before. */
  readonly textAt: number
  /** Rcv.Wind.Shift (RFC 7323 §2.3): by how many bits our window is shifted to fit its field, 0–14. */
  readonly scale: number
  /** Last.ACK.sent (RFC 7323 §4.3): the acknowledgement number we sent last. */
  readonly acknowledged: number
  /** One past the last octet that any window we announced let in: with scaled windows up to a unit beyond `wnd` (RFC 7323 §2.4). */
  readonly edge: number
  /** The left edges of `ranges` in the order in which they were last added to, the latest first (RFC 2018 §4). */
  readonly recent: ReadonlyArray<number>
  /** Octets that arrived though they were here already, to be reported once (RFC 2883). */
  readonly duplicate: Range | undefined
}

/** RFC 6298; milliseconds. */
export interface RttState {
  /** SRTT, undefined before the first measurement. */
  readonly smoothed: number | undefined
  /** RTTVAR */
  readonly variance: number
  /** RTO */
  readonly timeout: number
  /** The last measurement, undefined before the first. */
  readonly latest: number | undefined
  /** The least measurement of late, and when it was made; `Infinity` before the first. */
  readonly minimum: number
  readonly minimumAt: number
}

/** Deadlines in milliseconds of `now`; `Infinity` when a timer is not running. */
export interface Deadlines {
  /** RTO (RFC 6298 §5) */
  readonly retransmit: number
  readonly persist: number
  readonly acknowledge: number
  readonly timeWait: number
  /** RACK's reordering timer (RFC 8985 §6.2, step 5). */
  readonly reorder: number
  /** PTO, the tail loss probe (RFC 8985 §7.2). */
  readonly tail: number
  /** The next paced segment. */
  readonly pace: number
  /** RFC 9293 §3.8.4 */
  readonly keepAlive: number
  /** RFC 5482: when the connection is given up, unless there is progress. */
  readonly userTimeout: number
}

/** Options in use; while the connection opens, those that we offer. */
export interface AgreedOptions {
  /** RFC 7323 §2 */
  readonly windowScale: boolean
  /** RFC 7323 §3 */
  readonly timestamps: boolean
  /** RFC 2018 */
  readonly sack: boolean
  /** RFC 3168 */
  readonly ecn: boolean
}

/** RFC 7323 §4 */
export interface TimestampState {
  /** TS.Recent: the value to echo. */
  readonly recent: number
  /** When `recent` was taken, in milliseconds; `-Infinity` before. */
  readonly recentAt: number
  /** Added to milliseconds of `now` to give our timestamps (§5.4: unlike those of other connections). */
  readonly offset: number
}

/** RFC 3168 §6.1 */
export interface EcnState {
  /** Congestion was experienced, and our acknowledgements say ECE until the peer's CWR. */
  readonly echo: boolean
  /** The congestion window was reduced, and our next new text says CWR. */
  readonly reduced: boolean
}

/** RFC 9293 §3.8.4 */
export interface KeepAliveState {
  /** When the last acceptable segment arrived, in milliseconds; not kept without keep-alive. */
  readonly heardAt: number
  /** How many questions have no answer yet. */
  readonly asked: number
  /** One is to be sent. */
  readonly isDue: boolean
}

/** What is known about the sizes that the path carries (RFC 8899); octets of text in a segment. */
export interface PathState {
  /** The most that both ends take. */
  readonly limit: number
  /** The least that is known not to pass; beyond `limit` while nothing is known. */
  readonly failed: number
  /** Probes of the size in question that were lost. */
  readonly losses: number
  /** The probe on its way, and whether it was found lost. */
  readonly probe: (Range & { readonly isLost: boolean }) | undefined
  /** When the next probe may leave, in milliseconds; `Infinity` while there is nothing to search for. */
  readonly probeAt: number
}

export interface ControlBlock {
  readonly state: State
  readonly endpoints: Endpoints
  readonly passive: boolean
  readonly snd: SendSpace
  readonly rcv: ReceiveSpace
  /** What is on its way: the scoreboard. */
  readonly transmissions: Transmissions.Transmissions
  readonly rtt: RttState
  readonly rack: Rack.RackState
  readonly recovery: RecoveryState.RecoveryState
  readonly delivery: RateSampling.DeliveryState
  readonly congestion: CongestionState
  readonly algorithm: CongestionAlgorithm
  readonly deadlines: Deadlines
  /** Consecutive timeouts (retransmission or persist) without an answer. */
  readonly attempts: number
  /** Probes sent since the peer's window closed. */
  readonly probes: number
  readonly options: AgreedOptions
  readonly timestamps: TimestampState
  readonly tuning: ReceiveTuning.TuningState
  readonly ecn: EcnState
  readonly path: PathState
  readonly keepAlive: KeepAliveState
  /** When a segment without text and FIN was last answered by a challenge acknowledgement (RFC 5961 §7), in milliseconds. */
  readonly challengedAt: number
  /** Set in CLOSED. */
  readonly reason: CloseReason | undefined
  /** The last soft error (RFC 5461), told when the connection times out. */
  readonly softError: boolean
  /** What happened so far, for `TcpInfo` and the counters of the stack. */
  readonly counts: Counts
  readonly settings: TcpSettings
}

export const NEVER: Deadlines = {
  retransmit: Infinity,
  persist: Infinity,
  acknowledge: Infinity,
  timeWait: Infinity,
  reorder: Infinity,
  tail: Infinity,
  pace: Infinity,
  keepAlive: Infinity,
  userTimeout: Infinity
}

/** RFC 9293 §3.7.1: the send MSS towards a peer that announced none. */
export const DEFAULT_MSS = 536

/** A control block in the making, which nobody else has seen yet. */
export type Draft = Writable<ControlBlock>

/** Without `readonly`. */
export type Writable<A> = { -readonly [Field in keyof A]: A[Field] }

/**
 * A copy to be changed before it is given away. It is written out because it is made for each segment: a spread of this many
 * properties takes twice as long.
 */
export const draft = (tcb: ControlBlock): Draft => ({
  state: tcb.state,
  endpoints: tcb.endpoints,
  passive: tcb.passive,
  snd: tcb.snd,
  rcv: tcb.rcv,
  transmissions: tcb.transmissions,
  rtt: tcb.rtt,
  rack: tcb.rack,
  recovery: tcb.recovery,
  delivery: tcb.delivery,
  congestion: tcb.congestion,
  algorithm: tcb.algorithm,
  deadlines: tcb.deadlines,
  attempts: tcb.attempts,
  probes: tcb.probes,
  options: tcb.options,
  timestamps: tcb.timestamps,
  tuning: tcb.tuning,
  ecn: tcb.ecn,
  path: tcb.path,
  keepAlive: tcb.keepAlive,
  challengedAt: tcb.challengedAt,
  reason: tcb.reason,
  softError: tcb.softError,
  counts: tcb.counts,
  settings: tcb.settings
})

/** A copy of the send space to be changed before it is given away, written out like `draft`. */
export const draftSend = (snd: SendSpace): Writable<SendSpace> => ({
  una: snd.una,
  nxt: snd.nxt,
  wnd: snd.wnd,
  up: snd.up,
  wl1: snd.wl1,
  wl2: snd.wl2,
  iss: snd.iss,
  max: snd.max,
  maxWnd: snd.maxWnd,
  mss: snd.mss,
  closing: snd.closing,
  fin: snd.fin,
  small: snd.small,
  sentAt: snd.sentAt,
  forced: snd.forced,
  scale: snd.scale,
  peak: snd.peak,
  paceAt: snd.paceAt
})

/** A receive space in the making, which nobody else has seen yet. */
export type ReceiveDraft = Writable<ReceiveSpace>

/** A copy of the receive space to be changed before it is given away, written out like `draft`. */
export const draftReceive = (rcv: ReceiveSpace): ReceiveDraft => ({
  nxt: rcv.nxt,
  wnd: rcv.wnd,
  up: rcv.up,
  irs: rcv.irs,
  capacity: rcv.capacity,
  maximum: rcv.maximum,
  unread: rcv.unread,
  ranges: rcv.ranges,
  fin: rcv.fin,
  mss: rcv.mss,
  fullSize: rcv.fullSize,
  latestSize: rcv.latestSize,
  unacknowledged: rcv.unacknowledged,
  acknowledge: rcv.acknowledge,
  quick: rcv.quick,
  cautious: rcv.cautious,
  interactive: rcv.interactive,
  pushed: rcv.pushed,
  textAt: rcv.textAt,
  scale: rcv.scale,
  acknowledged: rcv.acknowledged,
  edge: rcv.edge,
  recent: rcv.recent,
  duplicate: rcv.duplicate
})

/** A copy of the deadlines to be changed before it is given away, written out like `draft`. */
export const draftDeadlines = (deadlines: Deadlines): Writable<Deadlines> => ({
  retransmit: deadlines.retransmit,
  persist: deadlines.persist,
  acknowledge: deadlines.acknowledge,
  timeWait: deadlines.timeWait,
  reorder: deadlines.reorder,
  tail: deadlines.tail,
  pace: deadlines.pace,
  keepAlive: deadlines.keepAlive,
  userTimeout: deadlines.userTimeout
})

/** A copy with other records. */
export const copy = (
  tcb: ControlBlock,
  snd: SendSpace,
  rcv: ReceiveSpace,
  transmissions: Transmissions.Transmissions,
  congestion: CongestionState,
  deadlines: Deadlines
): ControlBlock => {
  const next = draft(tcb)
  next.snd = snd
  next.rcv = rcv
  next.transmissions = transmissions
  next.congestion = congestion
  next.deadlines = deadlines
  return next
}

/** CLOSED, with no timer running. */
export const close = (tcb: ControlBlock, reason: CloseReason): ControlBlock => ({
  ...tcb,
  state: "CLOSED",
  reason,
  deadlines: NEVER
})

/** Whether our SYN is still to be acknowledged. */
export const isOpening = (tcb: ControlBlock): boolean => tcb.state === "SYN-SENT" || tcb.state === "SYN-RECEIVED"

/** Sequence numbers from `left` on that fit `size` octets of text, one segment's by default: a FIN takes none of the room. */
export const fitting = ({ fin, mss }: SendSpace, left: number, size = mss): number =>
  fin !== undefined && Sequence.difference(left, fin) <= size ? size + 1 : size
