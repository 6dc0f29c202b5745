/**
 * The state of one connection (RFC 9293 §3.3.1), as an immutable value.
 */
import type { CongestionAlgorithm, CongestionState } from "./Congestion.ts"
import type { TcpSettings } from "./TcpMachine.ts"

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
  /** Consecutive timeouts (retransmission or persist) without an acknowledgement. */
  readonly attempts: number
  /** Consecutive duplicate acknowledgements (RFC 5681 §2). */
  readonly duplicates: number
  /** Fast recovery (RFC 5681 §3.2): until this sequence number is acknowledged. */
  readonly recover: number | undefined
  /** Set in CLOSED. */
  readonly reason: CloseReason | undefined
  /** The last soft error (RFC 5461), told when the connection times out. */
  readonly softError: boolean
  readonly settings: TcpSettings
}
