/**
 * Congestion control as a value: a few pure functions over a sub-record of the
 * control block, so that users can write their own.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { Reno } from "./Reno.ts"

/** All in octets. An algorithm may keep more in a record that extends this one. */
export interface CongestionState {
  readonly window: number
  readonly slowStartThreshold: number
}

/** What an algorithm is told about the connection; octets and milliseconds. */
export interface CongestionView {
  readonly mss: number
  /** SND.MAX − SND.UNA before the event. */
  readonly inFlight: number
  readonly smoothedRtt: number | undefined
  readonly now: number
}

export interface CongestionAlgorithm {
  readonly name: string
  readonly initial: (mss: number) => CongestionState
  /** `acknowledged` octets were acknowledged for the first time, outside of recovery. */
  readonly onAck: (state: CongestionState, acknowledged: number, view: CongestionView) => CongestionState
  /** Loss found by duplicate acknowledgements: recovery begins. */
  readonly onLoss: (state: CongestionState, view: CongestionView) => CongestionState
  /** One more duplicate acknowledgement during recovery (RFC 5681 §3.2, step 4). */
  readonly onDuplicate: (state: CongestionState, view: CongestionView) => CongestionState
  /**
   * An acknowledgement of `acknowledged` octets during recovery that leaves some of what was in flight when it began
   * (RFC 6582 §3.2, step 3).
   */
  readonly onPartial: (state: CongestionState, acknowledged: number, view: CongestionView) => CongestionState
  /** Recovery is over; `view.inFlight` is what is still unacknowledged. */
  readonly onRecovered: (state: CongestionState, view: CongestionView) => CongestionState
  /** The retransmission timer expired; `first` is false when the same segment timed out before. */
  readonly onTimeout: (state: CongestionState, first: boolean, view: CongestionView) => CongestionState
}

/** The algorithm that new connections of a stack use. */
export class CongestionControl extends Context.Service<CongestionControl, CongestionAlgorithm>()(
  "@strata/core/CongestionControl"
) {
  /** Reno (RFC 5681, RFC 6582). */
  static readonly layer: Layer.Layer<CongestionControl> = Layer.succeed(CongestionControl, Reno)

  /** Any other algorithm. */
  static readonly layerOf = (algorithm: CongestionAlgorithm): Layer.Layer<CongestionControl> =>
    Layer.succeed(CongestionControl, algorithm)
}
