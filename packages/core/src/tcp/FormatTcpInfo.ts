/**
 * What is known about a connection in the manner of `ss -ti`: a line with its queues and ends, and one with everything else.
 *
 * The words are those of `ss`, and so are their units: windows and losses in segments, times in milliseconds, rates in bits
 * per second. What `ss` does not have: the stage of the congestion control, and the phase of recovery where it is not `open`.
 */
import type { InetAddressV4 } from "effect/net/NetAddress"
import * as Address from "../wire/Address.ts"
import type { State } from "./ControlBlock.ts"
import type { TcpInfo } from "./TcpInfo.ts"

const STATES: Readonly<Partial<Record<State, string>>> = {
  ESTABLISHED: "ESTAB",
  "SYN-RECEIVED": "SYN-RECV",
  CLOSED: "UNCONN"
}

const endpoint = ({ address, port }: InetAddressV4): string =>
  `${Address.formatIpv4(Address.fromIpv4(address))}:${port}`

/** At most three digits behind the point. */
const number = (value: number): string => String(Math.round(value * 1000) / 1000)

/** `octets` in segments of `mss` octets, one that is not full included. */
const segments = (octets: number, mss: number): number => Math.ceil(octets / mss)

/** Octets per second as bits per second. */
const rate = (value: number): string => `${Math.round(value * 8)}bps`

/** A part of the busy time, with its share. */
const share = (part: number, busy: number): string =>
  `${Math.round(part)}ms(${busy === 0 ? 0 : Math.round((part / busy) * 1000) / 10}%)`

/** `name:value` where the value is not zero or absent. */
const unlessZero = (name: string, value: number | undefined): string =>
  value === undefined || value === 0 ? "" : `${name}:${number(value)}`

const options = ({ congestion, options: agreed, phase }: TcpInfo): ReadonlyArray<string> => [
  agreed.timestamps ? "ts" : "",
  agreed.selectiveAcknowledgement ? "sack" : "",
  agreed.explicitCongestionNotification ? "ecn" : "",
  congestion.algorithm,
  `stage:${congestion.stage.replaceAll(" ", "-")}`,
  phase === "open" ? "" : `phase:${phase}`,
  agreed.windowScale === undefined ? "" : `wscale:${agreed.windowScale.send},${agreed.windowScale.receive}`
]

const path = ({ congestion, receiving, roundTrip, segmentSize }: TcpInfo): ReadonlyArray<string> => [
  `rto:${number(roundTrip.timeout)}`,
  unlessZero("backoff", roundTrip.backOff),
  roundTrip.smoothed === undefined ? "" : `rtt:${number(roundTrip.smoothed)}/${number(roundTrip.variance)}`,
  unlessZero("ato", receiving.acknowledgementDelay),
  `mss:${segmentSize.send}`,
  `pmtu:${segmentSize.pathMtu}`,
  `rcvmss:${segmentSize.receive}`,
  `advmss:${segmentSize.announced}`,
  `cwnd:${Math.floor(congestion.window / segmentSize.send)}`,
  congestion.slowStartThreshold === Infinity
    ? ""
    : `ssthresh:${Math.floor(congestion.slowStartThreshold / segmentSize.send)}`
]

const traffic = ({ counts, traffic: all }: TcpInfo): ReadonlyArray<string> => [
  unlessZero("bytes_sent", all.octetsSent),
  unlessZero("bytes_retrans", counts.retransmittedOctets),
  unlessZero("bytes_acked", all.octetsAcknowledged),
  unlessZero("bytes_received", all.octetsReceived),
  unlessZero("segs_out", all.segmentsSent),
  unlessZero("segs_in", all.segmentsReceived),
  unlessZero("data_segs_out", all.textSegmentsSent),
  unlessZero("data_segs_in", all.textSegmentsReceived)
]

const pace = ({ congestion, delivery, roundTrip, time }: TcpInfo): ReadonlyArray<string> => [
  roundTrip.smoothed === undefined || roundTrip.smoothed === 0
    ? ""
    : `send ${rate((congestion.window / roundTrip.smoothed) * 1000)}`,
  time.sinceSent === undefined ? "" : `lastsnd:${number(time.sinceSent)}`,
  time.sinceReceived === undefined ? "" : `lastrcv:${number(time.sinceReceived)}`,
  time.sinceAcknowledged === undefined ? "" : `lastack:${number(time.sinceAcknowledged)}`,
  congestion.pacingRate === undefined ? "" : `pacing_rate ${rate(congestion.pacingRate)}`,
  delivery.rate === undefined ? "" : `delivery_rate ${rate(delivery.rate)}`,
  delivery.rate !== undefined && delivery.applicationLimited ? "app_limited" : ""
]

const limits = ({ time: { busy, receiveWindowLimited, sendBufferLimited } }: TcpInfo): ReadonlyArray<string> => [
  busy === 0 ? "" : `busy:${Math.round(busy)}ms`,
  receiveWindowLimited === 0 ? "" : `rwnd_limited:${share(receiveWindowLimited, busy)}`,
  sendBufferLimited === 0 ? "" : `sndbuf_limited:${share(sendBufferLimited, busy)}`
]

const losses = ({ counts, delivery, receiving, roundTrip, segmentSize, sending }: TcpInfo): ReadonlyArray<string> => [
  unlessZero("delivered", segments(delivery.delivered, segmentSize.send)),
  unlessZero("unacked", segments(sending.unacknowledged, segmentSize.send)),
  unlessZero("retrans", counts.retransmitted),
  unlessZero("lost", segments(sending.lost, segmentSize.send)),
  unlessZero("sacked", segments(sending.selectivelyAcknowledged, segmentSize.send)),
  unlessZero("dsack_dups", counts.duplicatesReported),
  unlessZero("reord_seen", counts.reorderings),
  unlessZero("rcv_rtt", receiving.roundTrip),
  unlessZero("rcv_space", receiving.taken),
  unlessZero("notsent", sending.unsent),
  unlessZero("minrtt", roundTrip.minimum),
  unlessZero("snd_wnd", sending.window)
]

/** One connection as text, in the words of `ss -ti`. */
export const format = (info: TcpInfo): string => {
  const { local, receiving, remote, sending, state } = info
  const head = [STATES[state] ?? state, receiving.queued, sending.queued, endpoint(local), endpoint(remote)]
  const rest = [options, path, traffic, pace, limits, losses].flatMap((part) => part(info))
  return `${head.join(" ")}\n\t ${rest.filter((word) => word !== "").join(" ")}`
}
