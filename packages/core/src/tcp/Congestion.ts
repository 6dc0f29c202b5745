/**
 * Congestion control as a value: a few pure functions over a sub-record of the
 * control block, so that users can write their own.
 *
 * What was lost, and what is to be sent again, is not the algorithm's business:
 * it is told what was delivered and what was lost, and answers with a window
 * and, if it likes, a rate. While losses are repaired, the window of an
 * algorithm that does not say `ownsRecovery` is set by proportional rate
 * reduction (RFC 9937) towards its slow-start threshold.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { Cubic } from "./Cubic.ts"

/** All in octets. An algorithm may keep more in a record that extends this one. */
export interface CongestionState {
  readonly window: number
  readonly slowStartThreshold: number
  /** Octets per millisecond at which segments may leave; undefined for as fast as the window allows. */
  readonly pacingRate?: number | undefined
}

/** What an algorithm is told about the connection; octets and milliseconds. */
export interface CongestionView {
  readonly mss: number
  /** What is in the network before the event: sent, and neither acknowledged nor thought lost (the pipe of RFC 6675 §4). */
  readonly inFlight: number
  /** SRTT, undefined before the first measurement. */
  readonly smoothedRtt: number | undefined
  /** The least round-trip time of late, `Infinity` before the first measurement. */
  readonly minimumRtt: number
  readonly now: number
  /** Whether the peer tells what it received after gaps (RFC 2018); so it is when absent. */
  readonly selective?: boolean | undefined
}

/** How fast the network delivered a flight (draft-ietf-ccwg-bbr, delivery rate samples): of the latest segment this acknowledgement delivered. */
export interface RateSample {
  /** Octets delivered between the sending of that segment and now. */
  readonly delivered: number
  /** Octets delivered in all when that segment was sent: a round trip begins with the first that was sent after the last began. */
  readonly priorDelivered: number
  /** Milliseconds that `delivered` took: the longer one of sending and acknowledging. */
  readonly interval: number
  /** Octets in flight when it was sent, itself included. */
  readonly inFlightAtSend: number
  /** Octets thought lost between its sending and now. */
  readonly lost: number
  /** Whether the program, and not the network, limited what was sent. */
  readonly applicationLimited: boolean
}

/** What one acknowledgement told. */
export interface Delivery {
  /** Octets acknowledged cumulatively. */
  readonly acknowledged: number
  /** Octets that were delivered for the first time, cumulatively or selectively. */
  readonly delivered: number
  /** Octets delivered since the connection began, these included. */
  readonly totalDelivered: number
  /** Octets newly thought lost. */
  readonly lost: number
  /** In how many places they are missing; in one when absent. */
  readonly lostRanges?: number | undefined
  /** A round-trip time in milliseconds, if one was measured. */
  readonly rtt: number | undefined
  readonly rate: RateSample | undefined
  /** Whether the window, and not the program or the peer, limited what was sent lately (RFC 7661, RFC 9438 §5.8). */
  readonly windowLimited: boolean
  /** Whether losses are being repaired. */
  readonly recovering: boolean
  /** Whether what a retransmission timeout left is being sent again: slow start is more careful then (RFC 3465 §2.3). */
  readonly afterTimeout: boolean
  /** SND.UNA after it and SND.NXT, to tell rounds by (RFC 9406 §4.2). */
  readonly una: number
  readonly nxt: number
  /** Whether it echoes congestion (RFC 3168 §6.1.2). */
  readonly congestionEcho: boolean
}

/**
 * `CongestionAlgorithm.onAck` without anything made anew, for the acknowledgements by which nothing is lost or repaired: nearly all of them.
 */
export interface InPlace {
  /** That of the algorithm. In one that has another, `acknowledge` is not what it does, and is not called. */
  readonly onAck: CongestionAlgorithm["onAck"]
  /** Makes `mine`, which `keep` has made, what `onAck` would return. `delivery` and `view` are the caller's, and used again. */
  readonly acknowledge: (mine: CongestionState, delivery: Delivery, view: CongestionView) => void
}

/** A congestion control: what it is told, and what it answers, as pure functions over a record of its own. */
export interface CongestionAlgorithm {
  readonly name: string
  /** What it is at, for people; where it does not say, "slow start" or "congestion avoidance", as the threshold is. */
  readonly stage?: ((state: CongestionState) => string | undefined) | undefined
  /** Whether the algorithm sets its own window during recovery; otherwise RFC 9937 does. */
  readonly ownsRecovery?: boolean | undefined
  /** `smoothedRtt` is SRTT after the handshake, if it could be measured. */
  readonly initial: (mss: number, smoothedRtt?: number) => CongestionState
  /** Something was delivered, or lost. Called for each acknowledgement that says so, during recovery as well. */
  readonly onAck: (state: CongestionState, delivery: Delivery, view: CongestionView) => CongestionState
  /**
   * Loss or an echo of congestion, once per window: lowers the slow-start threshold, and the window of one that
   * `ownsRecovery`.
   */
  readonly onCongestion: (state: CongestionState, cause: "loss" | "echo", view: CongestionView) => CongestionState
  /** Everything that was in flight at the last `onCongestion` is delivered; the window stands where recovery left it. */
  readonly onRecovered: (state: CongestionState, view: CongestionView) => CongestionState
  /** The retransmission timer expired; `first` is false when the same segment timed out before (RFC 5681 §3.1). */
  readonly onTimeout: (state: CongestionState, first: boolean, view: CongestionView) => CongestionState
  /** The last `onCongestion` or `onTimeout` was a mistake; `before` is the state then. By default the windows are as before. */
  readonly onSpurious?:
    | ((state: CongestionState, before: CongestionState, view: CongestionView) => CongestionState)
    | undefined
  /**
   * A record equal to `state` that nobody else holds: `mine`, changed, where it is given. With it a connection keeps one record for as long
   * as it lives (see `Ownership`); without, it keeps whatever the algorithm has made last. An algorithm that is another one with more in its
   * record has a `keep` of its own, or none: the other one's knows nothing of what is more.
   */
  readonly keep?: ((mine: CongestionState | undefined, state: CongestionState) => CongestionState) | undefined
  readonly inPlace?: InPlace | undefined
  /** Nothing was sent for `idle` milliseconds, longer than the retransmission timeout. By default RFC 5681 §4.1 applies. */
  readonly onIdle?: ((state: CongestionState, idle: number, view: CongestionView) => CongestionState) | undefined
}

/** The algorithm that new connections of a stack use. */
export class CongestionControl extends Context.Service<CongestionControl, CongestionAlgorithm>()(
  "@strata/core/CongestionControl"
) {
  /** CUBIC (RFC 9438) with HyStart++ (RFC 9406). */
  static readonly layer: Layer.Layer<CongestionControl> = Layer.succeed(CongestionControl, Cubic)

  /** Any other algorithm: Reno, one of your own. */
  static readonly layerOf = (algorithm: CongestionAlgorithm): Layer.Layer<CongestionControl> =>
    Layer.succeed(CongestionControl, algorithm)
}
