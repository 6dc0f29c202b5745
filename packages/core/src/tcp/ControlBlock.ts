/**
 * The state of one connection (RFC 9293 §3.3.1), as an immutable value.
 */
import type { CongestionAlgorithm, CongestionState } from "./Congestion.ts"
import * as ReceiveWindow from "./ReceiveWindow.ts"
import * as Rtt from "./Rtt.ts"
import type { OpenParameters, TcpSettings } from "./TcpMachine.ts"

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
  /** The highest sequence number ever sent plus one; `nxt` goes back to `una` when a timeout resends. */
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
  /** The segment at `una` is to be sent again, whatever the windows say (fast retransmit). */
  readonly resend: boolean
  /** A timer demands a segment, although the peer's window is closed or silly (RFC 9293 §3.8.6.1, §3.8.6.2.1). */
  readonly forced: boolean
}

/** The receive sequence space (RFC 9293 §3.3.1, figure 4). */
export interface ReceiveSpace {
  readonly nxt: number
  /** The window last announced, in octets from `nxt`. */
  readonly wnd: number
  readonly up: number
  readonly irs: number
  /** Octets the receive buffer holds. */
  readonly capacity: number
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
  /** Octets received since the last acknowledgement was sent. */
  readonly unacknowledged: number
  /** Whether an acknowledgement is owed: not at all, by the delayed-ACK deadline, or now. */
  readonly acknowledge: "none" | "delayed" | "now"
}

/** RFC 6298; milliseconds. */
export interface RttState {
  /** SRTT, undefined before the first measurement. */
  readonly smoothed: number | undefined
  /** RTTVAR */
  readonly variance: number
  /** RTO */
  readonly timeout: number
  /** A segment being timed (Karn): measured when `seq` is acknowledged. */
  readonly timing: { readonly seq: number; readonly sentAt: number } | undefined
}

/** Deadlines in milliseconds of `now`; `Infinity` when a timer is not running. */
export interface Deadlines {
  readonly retransmit: number
  readonly persist: number
  readonly acknowledge: number
  readonly timeWait: number
}

export interface ControlBlock {
  readonly state: State
  readonly endpoints: Endpoints
  readonly passive: boolean
  readonly snd: SendSpace
  readonly rcv: ReceiveSpace
  readonly rtt: RttState
  readonly congestion: CongestionState
  readonly algorithm: CongestionAlgorithm
  readonly deadlines: Deadlines
  /** Consecutive timeouts (retransmission or persist) without an answer. */
  readonly attempts: number
  /** Probes sent since the peer's window closed. */
  readonly probes: number
  /** Consecutive duplicate acknowledgements (RFC 5681 §2). */
  readonly duplicates: number
  /** Fast recovery (RFC 5681 §3.2): until this sequence number is acknowledged. */
  readonly recover: number | undefined
  /** Duplicates up to this number stem from what was sent again and start no fast recovery (RFC 6582 §3.2, step 2). */
  readonly resentUntil: number | undefined
  /** When a segment without text and FIN was last answered by a challenge acknowledgement (RFC 5961 §7), in milliseconds. */
  readonly challengedAt: number
  /** Set in CLOSED. */
  readonly reason: CloseReason | undefined
  /** The last soft error (RFC 5461), told when the connection times out. */
  readonly softError: boolean
  readonly settings: TcpSettings
}

export const NEVER: Deadlines = { retransmit: Infinity, persist: Infinity, acknowledge: Infinity, timeWait: Infinity }

/** RFC 9293 §3.7.1: the send MSS towards a peer that announced none. */
export const DEFAULT_MSS = 536

/** A control block that has sent and received nothing. */
export const make = (state: State, parameters: OpenParameters): ControlBlock => ({
  state,
  endpoints: parameters.endpoints,
  passive: state === "LISTEN",
  snd: {
    una: parameters.iss,
    nxt: parameters.iss,
    wnd: 0,
    up: parameters.iss,
    wl1: 0,
    wl2: parameters.iss,
    iss: parameters.iss,
    max: parameters.iss,
    maxWnd: 0,
    mss: DEFAULT_MSS,
    closing: false,
    fin: undefined,
    small: parameters.iss,
    sentAt: Infinity,
    resend: false,
    forced: false
  },
  rcv: {
    nxt: 0,
    wnd: ReceiveWindow.largest(parameters.receiveCapacity),
    up: 0,
    irs: 0,
    capacity: parameters.receiveCapacity,
    unread: 0,
    ranges: [],
    fin: undefined,
    mss: parameters.receiveMaximumSegmentSize,
    fullSize: Math.min(DEFAULT_MSS, parameters.receiveMaximumSegmentSize),
    unacknowledged: 0,
    acknowledge: "none"
  },
  rtt: Rtt.initial(parameters.settings),
  congestion: parameters.congestion.initial(DEFAULT_MSS),
  algorithm: parameters.congestion,
  deadlines: NEVER,
  attempts: 0,
  probes: 0,
  duplicates: 0,
  recover: undefined,
  resentUntil: undefined,
  challengedAt: -Infinity,
  reason: undefined,
  softError: false,
  settings: parameters.settings
})

/**
 * A copy with other records. It is written out because it is made several times for each segment: a spread of this many
 * properties takes twice as long.
 */
export const copy = (
  tcb: ControlBlock,
  snd: SendSpace,
  rcv: ReceiveSpace,
  rtt: RttState,
  congestion: CongestionState,
  deadlines: Deadlines
): ControlBlock => ({
  state: tcb.state,
  endpoints: tcb.endpoints,
  passive: tcb.passive,
  snd,
  rcv,
  rtt,
  congestion,
  algorithm: tcb.algorithm,
  deadlines,
  attempts: tcb.attempts,
  probes: tcb.probes,
  duplicates: tcb.duplicates,
  recover: tcb.recover,
  resentUntil: tcb.resentUntil,
  challengedAt: tcb.challengedAt,
  reason: tcb.reason,
  softError: tcb.softError,
  settings: tcb.settings
})

/** CLOSED, with no timer running. */
export const close = (tcb: ControlBlock, reason: CloseReason): ControlBlock => ({
  ...tcb,
  state: "CLOSED",
  reason,
  deadlines: NEVER
})

/** Whether our SYN is still to be acknowledged. */
export const isOpening = (tcb: ControlBlock): boolean => tcb.state === "SYN-SENT" || tcb.state === "SYN-RECEIVED"
