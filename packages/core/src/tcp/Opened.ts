/**
 * The control block of a connection that was just opened.
 */
import {
  type ControlBlock,
  DEFAULT_MSS,
  type EcnState,
  type KeepAliveState,
  NEVER,
  type State
} from "./ControlBlock.ts"
import { NO_COUNTS } from "./Counts.ts"
import * as Rack from "./Rack.ts"
import * as RateSampling from "./RateSampling.ts"
import * as ReceiveTuning from "./ReceiveTuning.ts"
import * as ReceiveWindow from "./ReceiveWindow.ts"
import * as RecoveryState from "./RecoveryState.ts"
import * as Rtt from "./Rtt.ts"
import type { OpenParameters } from "./TcpMachine.ts"
import * as Transmissions from "./Transmissions.ts"

// What connections have alike they share: there may be very many.
const NOTHING: ReadonlyArray<never> = []
const NO_MARKS: EcnState = { echo: false, reduced: false }
const UNHEARD: KeepAliveState = { heardAt: -Infinity, asked: 0, isDue: false }

/** It has sent and received nothing. */
export const make = (state: State, parameters: OpenParameters): ControlBlock => {
  const { iss, receiveCapacity, receiveMaximum = receiveCapacity, receiveMaximumSegmentSize, settings } = parameters
  return {
    state,
    endpoints: parameters.endpoints,
    passive: state === "LISTEN",
    snd: {
      una: iss,
      nxt: iss,
      wnd: 0,
      up: iss,
      wl1: 0,
      wl2: iss,
      iss,
      max: iss,
      maxWnd: 0,
      mss: DEFAULT_MSS,
      closing: false,
      fin: undefined,
      small: iss,
      sentAt: Infinity,
      forced: false,
      scale: 0,
      peak: 0,
      paceAt: 0
    },
    rcv: {
      nxt: 0,
      // RFC 7323 §2.2: the window of a SYN is never scaled.
      wnd: ReceiveWindow.largest(receiveCapacity, 0),
      up: 0,
      irs: 0,
      capacity: receiveCapacity,
      maximum: receiveMaximum,
      unread: 0,
      ranges: NOTHING,
      fin: undefined,
      mss: receiveMaximumSegmentSize,
      fullSize: Math.min(DEFAULT_MSS, receiveMaximumSegmentSize),
      latestSize: 0,
      unacknowledged: 0,
      acknowledge: "none",
      quick: settings.quickAcknowledgements,
      cautious: 0,
      interactive: false,
      pushed: false,
      textAt: -Infinity,
      scale: settings.windowScaling ? ReceiveWindow.shiftFor(receiveMaximum) : 0,
      acknowledged: 0,
      edge: 0,
      recent: NOTHING,
      duplicate: undefined
    },
    transmissions: Transmissions.empty(iss),
    rtt: Rtt.initial(settings),
    rack: Rack.initial,
    recovery: RecoveryState.initial(iss),
    delivery: RateSampling.initial,
    congestion: parameters.congestion.initial(DEFAULT_MSS),
    algorithm: parameters.congestion,
    deadlines: NEVER,
    attempts: 0,
    probes: 0,
    options: {
      windowScale: settings.windowScaling,
      timestamps: settings.timestamps,
      sack: settings.selectiveAcknowledgement,
      ecn: settings.explicitCongestionNotification !== "off"
    },
    timestamps: { recent: 0, recentAt: -Infinity, offset: parameters.timestampOffset },
    tuning: ReceiveTuning.initial(receiveMaximumSegmentSize),
    ecn: NO_MARKS,
    path: { limit: DEFAULT_MSS, failed: DEFAULT_MSS + 1, losses: 0, probe: undefined, probeAt: Infinity },
    keepAlive: UNHEARD,
    challengedAt: -Infinity,
    reason: undefined,
    softError: false,
    counts: NO_COUNTS,
    settings
  }
}
