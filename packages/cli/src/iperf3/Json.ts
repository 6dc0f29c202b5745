/**
 * A test as one JSON document, of the shape that `iperf3 -J` prints.
 */
import { formatIpv4, fromIpv4 } from "@strata/core/wire/Address"
import type { InetAddressV4 } from "effect/net/NetAddress"
import type { Ended, Event, Interval, Load, Sample, SideTotal, StreamName, StreamTotal } from "./Event.ts"

type Json = Readonly<Record<string, unknown>>
type Started = Extract<Event, { readonly _tag: "Started" }>

export interface About {
  /** What made the document, such as `strata 0.1.0`. */
  readonly version: string
  readonly system: string
}

const host = ({ address }: InetAddressV4): string => formatIpv4(fromIpv4(address))
const perSecond = (bytes: number, seconds: number): number => seconds > 0 ? (bytes * 8) / seconds : 0
const percent = (part: number, whole: number): number => whole > 0 ? (100 * part) / whole : 0
const microseconds = (milliseconds: number): number => Math.round(milliseconds * 1000)

/** Seconds, to the microsecond. */
const precise = (seconds: number): number => Math.round(seconds * 1e6) / 1e6

const span = (start: number, end: number, bytes: number): Json => ({
  start: precise(start),
  end: precise(end),
  seconds: precise(end - start),
  bytes,
  bits_per_second: perSecond(bytes, end - start)
})

const losses = (jitter: number, lost: number, packets: number): Json => ({
  jitter_ms: jitter,
  lost_packets: lost,
  packets,
  lost_percent: percent(lost, packets)
})

const startOf = (about: About, events: ReadonlyArray<Event>): Json => {
  const started = events.find((event) => event._tag === "Started")
  const accepted = events.find((event) => event._tag === "Accepted")
  const connecting = events.find((event) => event._tag === "Connecting")
  return {
    connected: (started?.streams ?? []).map(({ local, remote, socket }) => ({
      socket,
      local_host: host(local),
      local_port: local.port,
      remote_host: host(remote),
      remote_port: remote.port
    })),
    version: about.version,
    system_info: about.system,
    ...connecting && { connecting_to: { host: host(connecting.remote), port: connecting.remote.port } },
    ...accepted && { accepted_connection: { host: host(accepted.remote), port: accepted.remote.port } },
    ...started && testOf(started)
  }
}

const testOf = ({ control, cookie, parameters, time }: Started): Json => ({
  timestamp: { time: new Date(time).toUTCString(), timesecs: Math.floor(time / 1000) },
  cookie,
  ...parameters.protocol === "tcp" && { tcp_mss_default: parameters.segmentSize ?? control.segmentSize },
  ...parameters.title !== undefined && { title: parameters.title },
  ...parameters.extraData !== undefined && { extra_data: parameters.extraData },
  target_bitrate: parameters.rate,
  sock_bufsize: parameters.window ?? 0,
  test_start: {
    protocol: parameters.protocol.toUpperCase(),
    num_streams: parameters.parallel,
    blksize: parameters.length,
    omit: parameters.omit,
    duration: parameters.time,
    bytes: parameters.bytes,
    blocks: parameters.blocks,
    reverse: parameters.direction === "reverse" ? 1 : 0,
    tos: 0,
    target_bitrate: parameters.rate,
    bidir: parameters.direction === "both" ? 1 : 0
  }
})

const datagramsOf = ({ stream, totals }: Sample): Json =>
  stream.sends ? { packets: totals.blocks } : losses(totals.jitter, totals.lost, totals.highest)

const sampleOf = (udp: boolean, { end, omitted, start }: Interval, sample: Sample): Json => {
  const { path, stream, totals } = sample
  return {
    socket: stream.socket,
    ...span(start, end, totals.bytes),
    ...path && {
      retransmits: path.retransmits,
      snd_cwnd: Math.round(path.congestionWindow),
      snd_wnd: path.sendWindow,
      rtt: microseconds(path.roundTrip),
      rttvar: microseconds(path.roundTripVariance),
      pmtu: path.pathMtu
    },
    ...udp && datagramsOf(sample),
    omitted,
    sender: stream.sends
  }
}

const add = <A>(list: ReadonlyArray<A>, pick: (item: A) => number): number =>
  list.reduce((sum, item) => sum + pick(item), 0)

const sumOf = (udp: boolean, { end, omitted, start }: Interval, samples: ReadonlyArray<Sample>): Json => {
  const { path, stream } = samples[0]!
  const packets = add(samples, ({ totals }) => stream.sends ? totals.blocks : totals.highest)
  const jitter = add(samples, ({ totals }) => totals.jitter) / samples.length
  return {
    ...span(start, end, add(samples, ({ totals }) => totals.bytes)),
    ...path && { retransmits: add(samples, (sample) => sample.path?.retransmits ?? 0) },
    ...udp && (stream.sends ? { packets } : losses(jitter, add(samples, ({ totals }) => totals.lost), packets)),
    omitted,
    sender: stream.sends
  }
}

/** What belongs to the direction from client to server, or the only one, and what to the one back. */
const byDirection = <A extends { readonly stream: StreamName }>(
  started: Started | undefined,
  list: ReadonlyArray<A>
): readonly [ReadonlyArray<A>, ReadonlyArray<A>] => {
  if (started?.parameters.direction !== "both") return [list, []]
  const forth = started.side === "client"
  return [list.filter(({ stream }) => stream.sends === forth), list.filter(({ stream }) => stream.sends !== forth)]
}

const intervalOf = (started: Started | undefined, interval: Interval): Json => {
  const udp = started?.parameters.protocol === "udp"
  const [forth, back] = byDirection(started, interval.samples)
  return {
    streams: interval.samples.map((sample) => sampleOf(udp, interval, sample)),
    sum: sumOf(udp, interval, forth),
    ...back.length > 0 && { sum_bidir_reverse: sumOf(udp, interval, back) }
  }
}

const NONE: SideTotal = { seconds: 0, bytes: 0, retransmits: undefined, packets: 0, lost: 0, outOfOrder: 0, jitter: 0 }

const tcpStreamOf = ({ path, receiver = NONE, sender = NONE, stream }: StreamTotal): Json => {
  const { congestionWindow, roundTrips, sendWindow } = path
  const mean = roundTrips.length === 0 ? 0 : add(roundTrips, (time) => time) / roundTrips.length
  return {
    sender: {
      socket: stream.socket,
      ...span(0, sender.seconds, sender.bytes),
      ...sender.retransmits !== undefined && { retransmits: sender.retransmits },
      ...stream.sends && {
        max_snd_cwnd: Math.round(congestionWindow),
        max_snd_wnd: sendWindow,
        max_rtt: microseconds(roundTrips.length === 0 ? 0 : Math.max(...roundTrips)),
        min_rtt: microseconds(roundTrips.length === 0 ? 0 : Math.min(...roundTrips)),
        mean_rtt: microseconds(mean)
      },
      sender: stream.sends
    },
    receiver: {
      socket: stream.socket,
      ...span(0, receiver.seconds, receiver.bytes),
      sender: stream.sends
    }
  }
}

const udpStreamOf = ({ receiver, sender, stream }: StreamTotal): Json => {
  const own = (stream.sends ? sender : receiver) ?? NONE
  const heard = receiver ?? NONE
  return {
    udp: {
      socket: stream.socket,
      ...span(0, own.seconds, own.bytes),
      ...losses(heard.jitter, heard.lost, (sender ?? heard).packets),
      out_of_order: heard.outOfOrder,
      sender: stream.sends
    }
  }
}

const totalOf = (udp: boolean, totals: ReadonlyArray<SideTotal>, sender: boolean, sends: boolean): Json => {
  const seconds = Math.max(0, ...totals.map((total) => total.seconds))
  const retransmits = totals.some((total) => total.retransmits !== undefined)
  return {
    ...span(0, seconds, add(totals, ({ bytes }) => bytes)),
    ...sender && retransmits && { retransmits: add(totals, (total) => total.retransmits ?? 0) },
    ...udp && losses(
      sender ? 0 : add(totals, ({ jitter }) => jitter) / totals.length,
      sender ? 0 : add(totals, ({ lost }) => lost),
      add(totals, ({ packets }) => packets)
    ),
    sender: udp ? sender : sends
  }
}

const sumsOf = (udp: boolean, streams: ReadonlyArray<StreamTotal>, suffix: string): Json => {
  const sends = streams[0]!.stream.sends
  const sent = totalOf(udp, streams.map(({ sender }) => sender ?? NONE), true, sends)
  const received = totalOf(udp, streams.map(({ receiver }) => receiver ?? NONE), false, sends)
  const heard = {
    jitter_ms: received.jitter_ms,
    lost_packets: received.lost_packets,
    lost_percent: received.lost_percent
  }
  return {
    ...udp && { [`sum${suffix}`]: sends ? { ...sent, ...heard } : received },
    [`sum_sent${suffix}`]: sent,
    [`sum_received${suffix}`]: received
  }
}

const loadOf = (load: Load, prefix: string): Json => ({
  [`${prefix}_total`]: load.total,
  [`${prefix}_user`]: load.user,
  [`${prefix}_system`]: load.system
})

const endOf = (started: Started | undefined, ended: Ended): Json => {
  const udp = started?.parameters.protocol === "udp"
  const [forth, back] = byDirection(started, ended.streams)
  return {
    streams: ended.streams.map(udp ? udpStreamOf : tcpStreamOf),
    ...sumsOf(udp, forth, ""),
    ...back.length > 0 && sumsOf(udp, back, "_bidir_reverse"),
    cpu_utilization_percent: { ...loadOf(ended.load, "host"), ...loadOf(ended.remoteLoad, "remote") },
    ...ended.congestion.sender !== undefined && { sender_tcp_congestion: ended.congestion.sender },
    ...ended.congestion.receiver !== undefined && { receiver_tcp_congestion: ended.congestion.receiver }
  }
}

/** The document of one test, as far as it came. */
export const document = (about: About, events: ReadonlyArray<Event>): Json => {
  const started = events.find((event) => event._tag === "Started")
  const ended = events.find((event) => event._tag === "Ended")
  const failed = events.find((event) => event._tag === "Failed")
  const intervals = events.filter((event) => event._tag === "Interval")
  const output = ended?.serverOutput
  return {
    start: startOf(about, events),
    intervals: intervals.map((interval) => intervalOf(started, interval)),
    end: ended === undefined ? {} : endOf(started, ended),
    ...output?.text !== undefined && { server_output_text: output.text },
    ...output?.json !== undefined && { server_output_json: output.json },
    ...failed && { error: failed.message }
  }
}
