/**
 * What is known about a connection, as `ss -ti` shows it for those of Linux.
 */
import type { InetAddressV4 } from "effect/net/NetAddress"
import type { LiveConnection } from "./Connection.ts"
import type { ControlBlock, State } from "./ControlBlock.ts"
import type { Counts } from "./Counts.ts"
import { localOf, remoteOf } from "./InetAddress.ts"
import * as Rack from "./Rack.ts"
import type { RecoveryState } from "./RecoveryState.ts"
import * as SendWindow from "./SendWindow.ts"
import * as Transmissions from "./Transmissions.ts"

/** Octets, milliseconds, and octets per second; the names that Linux has in `struct tcp_info` stand beside the fields. */
export interface TcpInfo {
  readonly local: InetAddressV4
  readonly remote: InetAddressV4
  /** `tcpi_state`, by its name in RFC 9293 §3.3.2. */
  readonly state: State
  /** Where the repair of losses stands (`tcpi_ca_state`): nothing is missing, fast recovery, or after a timeout. */
  readonly phase: RecoveryState["phase"]
  /** `tcpi_options`: those in use; while the connection opens, those offered. */
  readonly options: {
    /** By how many bits the peer's window and ours are shifted (`tcpi_snd_wscale`, `tcpi_rcv_wscale`), if they are. */
    readonly windowScale: { readonly send: number; readonly receive: number } | undefined
    readonly timestamps: boolean
    readonly selectiveAcknowledgement: boolean
    readonly explicitCongestionNotification: boolean
  }
  readonly roundTrip: {
    /** SRTT and RTTVAR of RFC 6298 (`tcpi_rtt`, `tcpi_rttvar`); undefined before the first measurement, as are the next two. */
    readonly smoothed: number | undefined
    readonly variance: number
    /** The last measurement, and the least of the last five minutes (`tcpi_min_rtt`). */
    readonly latest: number | undefined
    readonly minimum: number | undefined
    /** RTO (`tcpi_rto`), and timeouts in a row that led to it (`tcpi_backoff`). */
    readonly timeout: number
    readonly backOff: number
  }
  readonly congestion: {
    readonly algorithm: string
    /** What the algorithm is at, such as `"slow start"`. */
    readonly stage: string
    /** `tcpi_snd_cwnd`, in octets. */
    readonly window: number
    /** `tcpi_snd_ssthresh`, in octets; `Infinity` until congestion was met. */
    readonly slowStartThreshold: number
    /** `tcpi_pacing_rate`, in octets per second; undefined when segments leave as the window allows. */
    readonly pacingRate: number | undefined
    /** RACK's reordering window in milliseconds: for how long what is overtaken is not thought lost; and whether any was seen. */
    readonly reorderWindow: number
    readonly reordering: boolean
  }
  /** Octets of text in a segment. */
  readonly segmentSize: {
    /** What we send at most (`tcpi_snd_mss`). */
    readonly send: number
    /** What the peer sends, as far as was seen (`tcpi_rcv_mss`). */
    readonly receive: number
    /** The MSS option that we sent. */
    readonly announced: number
    /** The path's MTU (`tcpi_pmtu`). */
    readonly pathMtu: number
  }
  readonly sending: {
    /** Octets in the send buffer, and those of them that were not sent yet (`tcpi_notsent_bytes`). */
    readonly queued: number
    readonly unsent: number
    /** Octets sent and not acknowledged (`tcpi_unacked`); in the network, selectively acknowledged (`tcpi_sacked`), and thought lost (`tcpi_lost`). */
    readonly unacknowledged: number
    readonly inFlight: number
    readonly selectivelyAcknowledged: number
    readonly lost: number
    /** The peer's window (`tcpi_snd_wnd`). */
    readonly window: number
    /** Octets the send buffer holds, as it has grown so far. */
    readonly capacity: number
  }
  readonly receiving: {
    /** Octets that the program has not read, and those that wait for others before them. */
    readonly queued: number
    readonly outOfOrder: number
    /** Our window as last announced (`tcpi_rcv_wnd`). */
    readonly window: number
    /** Octets the receive buffer holds, as it has grown so far. */
    readonly capacity: number
    /** A round trip as the receiver sees it (`tcpi_rcv_rtt`), and the most octets that the program has taken within one (`tcpi_rcv_space`). */
    readonly roundTrip: number | undefined
    readonly taken: number
    /** How long an acknowledgement may wait for text to go with it (`tcpi_ato`), milliseconds. */
    readonly acknowledgementDelay: number
  }
  readonly delivery: {
    /** Octets that arrived at the peer (`tcpi_delivered` counts segments), and that were thought lost, in all. */
    readonly delivered: number
    readonly lost: number
    /** `tcpi_delivery_rate`, in octets per second: the last that the network set, or a greater one since; undefined before the first. */
    readonly rate: number | undefined
    /** Whether the program, and not the network, limited that rate (`tcpi_delivery_rate_app_limited`). */
    readonly applicationLimited: boolean
  }
  /** Milliseconds. */
  readonly time: {
    /** Something was to be sent or acknowledged (`tcpi_busy_time`), … */
    readonly busy: number
    /** … in this part of it more could not be sent because of the peer's window (`tcpi_rwnd_limited`) … */
    readonly receiveWindowLimited: number
    /** … and in this because the send buffer is too small (`tcpi_sndbuf_limited`). */
    readonly sendBufferLimited: number
    /** Since the last text or FIN left (`tcpi_last_data_sent`), came (`tcpi_last_data_recv`), and an ACK came (`tcpi_last_ack_recv`). */
    readonly sinceSent: number | undefined
    readonly sinceReceived: number | undefined
    readonly sinceAcknowledged: number | undefined
  }
  readonly traffic: {
    /** Octets of text, retransmissions included (`tcpi_bytes_sent`), acknowledged (`tcpi_bytes_acked`), and received in order (`tcpi_bytes_received`). */
    readonly octetsSent: number
    readonly octetsAcknowledged: number
    readonly octetsReceived: number
    /** `tcpi_segs_out`, `tcpi_segs_in`; with text or a FIN, `tcpi_data_segs_out`, `tcpi_data_segs_in`. */
    readonly segmentsSent: number
    readonly segmentsReceived: number
    readonly textSegmentsSent: number
    readonly textSegmentsReceived: number
  }
  /** What happened so far: retransmissions (`tcpi_total_retrans`), recoveries, probes, … */
  readonly counts: Counts
}

const stageOf = ({ algorithm, congestion }: ControlBlock): string =>
  algorithm.stage?.(congestion) ??
    (congestion.window < congestion.slowStartThreshold ? "slow start" : "congestion avoidance")

const finite = (value: number): number | undefined => Number.isFinite(value) ? value : undefined

export const infoOf = (connection: LiveConnection): TcpInfo => {
  const { chronograph, host, sending, tcb, traffic } = connection
  const now = host.turn.now()
  const { congestion, delivery, endpoints, options, rcv, rtt, snd, transmissions } = tcb
  const since = (time: number | undefined) => time === undefined ? undefined : now - time
  return {
    local: localOf(endpoints),
    remote: remoteOf(endpoints),
    state: tcb.state,
    phase: tcb.recovery.phase,
    options: {
      windowScale: options.windowScale ? { send: snd.scale, receive: rcv.scale } : undefined,
      timestamps: options.timestamps,
      selectiveAcknowledgement: options.sack,
      explicitCongestionNotification: options.ecn
    },
    roundTrip: {
      smoothed: rtt.smoothed,
      variance: rtt.variance,
      latest: rtt.latest,
      minimum: finite(rtt.minimum),
      timeout: rtt.timeout,
      backOff: tcb.attempts
    },
    congestion: {
      algorithm: tcb.algorithm.name,
      stage: stageOf(tcb),
      window: congestion.window,
      slowStartThreshold: congestion.slowStartThreshold,
      pacingRate: congestion.pacingRate === undefined ? undefined : congestion.pacingRate * 1000,
      reorderWindow: rtt.smoothed === undefined ? 0 : Rack.reorderWindow(tcb),
      reordering: tcb.rack.reordering
    },
    segmentSize: {
      send: snd.mss,
      receive: rcv.fullSize,
      announced: rcv.mss,
      pathMtu: host.mtuFor(endpoints.remoteAddress)
    },
    sending: {
      queued: sending.queued,
      unsent: Math.max(0, sending.queued - SendWindow.flight(snd)),
      unacknowledged: Transmissions.outstanding(transmissions),
      inFlight: SendWindow.inFlight(tcb),
      selectivelyAcknowledged: transmissions.sacked,
      lost: transmissions.lost,
      window: snd.wnd,
      capacity: sending.capacity
    },
    receiving: {
      queued: rcv.unread,
      outOfOrder: rcv.ranges.reduce((sum, { left, right }) => sum + ((right - left) >>> 0), 0),
      window: rcv.wnd,
      capacity: rcv.capacity,
      roundTrip: tcb.tuning.rtt,
      taken: tcb.tuning.most,
      acknowledgementDelay: tcb.settings.delayedAcknowledgement
    },
    delivery: {
      delivered: delivery.delivered,
      lost: delivery.lost,
      rate: delivery.rate === 0 ? undefined : delivery.rate * 1000,
      applicationLimited: delivery.isRateLimited
    },
    time: {
      busy: chronograph.busy(now),
      receiveWindowLimited: chronograph.spent("receiveWindow", now),
      sendBufferLimited: chronograph.spent("sendBuffer", now),
      sinceSent: since(traffic.sentAt),
      sinceReceived: since(traffic.receivedAt),
      sinceAcknowledged: since(traffic.acknowledgedAt)
    },
    traffic: {
      octetsSent: traffic.octetsSent,
      octetsAcknowledged: traffic.octetsAcknowledged,
      octetsReceived: traffic.octetsReceived,
      segmentsSent: traffic.segmentsSent,
      segmentsReceived: traffic.segmentsReceived,
      textSegmentsSent: traffic.textSegmentsSent,
      textSegmentsReceived: traffic.textSegmentsReceived
    },
    counts: tcb.counts
  }
}
