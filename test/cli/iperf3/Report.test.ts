/**
 * Reports, beside lines that iperf3 3.12 printed for the same numbers.
 */
import type { Event, PathSample, Sample, SideTotal, StreamName } from "@strata/cli/iperf3/Event"
import * as Json from "@strata/cli/iperf3/Json"
import type { Parameters } from "@strata/cli/iperf3/Parameters"
import * as Report from "@strata/cli/iperf3/Report"
import { NOTHING, type Totals } from "@strata/cli/iperf3/Tally"
import { NetAddress } from "effect/net"
import { describe, expect, it } from "vitest"
import { second } from "./network.ts"

const MiB = 1024 * 1024
const GiB = 1024 * MiB

const inet = (address: string, port: number) =>
  NetAddress.inetAddressUnsafe(NetAddress.ipFromStringUnsafe(address), port) as NetAddress.InetAddressV4
const SERVER = inet("192.0.2.1", 5201)

const stream = (socket: number, sends: boolean): StreamName => ({
  socket,
  sends,
  local: inet("192.0.2.2", 34_316 + socket),
  remote: SERVER
})

const started = (side: "client" | "server", changes: Partial<Parameters>, ...streams: ReadonlyArray<StreamName>) =>
  ({
    _tag: "Started",
    side,
    cookie: "abc",
    control: { remote: SERVER, segmentSize: 1448 },
    parameters: { ...second, length: 131_072, ...changes },
    streams,
    time: 1_795_379_534_000
  }) as const satisfies Event

const path = (retransmits: number, congestionWindow: number): PathSample => ({
  retransmits,
  congestionWindow,
  sendWindow: 65_536,
  roundTrip: 0.028,
  roundTripVariance: 0.002,
  pathMtu: 1500
})

const sample = (name: StreamName, totals: Partial<Totals>, sent?: PathSample): Sample => ({
  stream: name,
  totals: { ...NOTHING, ...totals },
  path: sent
})

const interval = (start: number, end: number, omitted: boolean, ...samples: ReadonlyArray<Sample>) =>
  ({ _tag: "Interval", start, end, omitted, samples }) as const satisfies Event

const side = (changes: Partial<SideTotal>): SideTotal => ({
  seconds: 1,
  bytes: 0,
  retransmits: undefined,
  packets: 0,
  lost: 0,
  outOfOrder: 0,
  jitter: 0,
  ...changes
})

const ended = (
  ...streams: ReadonlyArray<readonly [StreamName, SideTotal | undefined, SideTotal | undefined]>
): Event => ({
  _tag: "Ended",
  streams: streams.map(([name, sender, receiver]) => ({
    stream: name,
    sender,
    receiver,
    path: { congestionWindow: 785_408, sendWindow: 65_536, roundTrips: [0.02, 0.04] }
  })),
  load: { total: 3, user: 2, system: 1 },
  remoteLoad: { total: 6, user: 4, system: 2 },
  congestion: { sender: "cubic", receiver: "bbr" },
  serverOutput: undefined
})

const lines = (...events: ReadonlyArray<Event>) => Report.text(events).replace(/\n$/, "").split("\n")

describe("the report of a test", () => {
  it("over TCP, of the side that sends", () => {
    const one = stream(5, true)
    expect(Report.text([
      { _tag: "Connecting", remote: SERVER },
      started("client", {}, one),
      interval(0, 1, false, sample(one, { bytes: 1.25 * MiB }, path(0, 767 * 1024))),
      interval(1, 1.31, false, sample(one, { bytes: 384 * 1024 }, path(12, 1.12 * MiB))),
      ended([
        one,
        side({ seconds: 1.31, bytes: 1.62 * MiB, retransmits: 12 }),
        side({ seconds: 1.32, bytes: 896 * 1024 })
      ]),
      { _tag: "Done" }
    ])).toBe(
      [
        "Connecting to host 192.0.2.1, port 5201",
        "[  5] local 192.0.2.2 port 34321 connected to 192.0.2.1 port 5201",
        "[ ID] Interval           Transfer     Bitrate         Retr  Cwnd",
        "[  5]   0.00-1.00   sec  1.25 MBytes  10.5 Mbits/sec    0    767 KBytes       ",
        "[  5]   1.00-1.31   sec   384 KBytes  10.1 Mbits/sec   12   1.12 MBytes       ",
        "- - - - - - - - - - - - - - - - - - - - - - - - -",
        "[ ID] Interval           Transfer     Bitrate         Retr",
        "[  5]   0.00-1.31   sec  1.62 MBytes  10.4 Mbits/sec   12             sender",
        "[  5]   0.00-1.32   sec   896 KBytes  5.56 Mbits/sec                  receiver",
        "",
        "iperf Done.",
        ""
      ].join("\n")
    )
  })

  it("over two streams of TCP in reverse", () => {
    const both = [stream(5, false), stream(7, false)] as const
    const pass = (start: number, bytes: number) =>
      interval(start, start + 1, false, ...both.map((each) => sample(each, { bytes })))
    const total = side({ seconds: 2, bytes: 2.64 * GiB })
    expect(lines(
      started("client", { direction: "reverse", parallel: 2, time: 2 }, ...both),
      pass(0, 1.3 * GiB),
      pass(1, 1.34 * GiB),
      ended([both[0], { ...total, retransmits: 11 }, total], [both[1], { ...total, retransmits: 4 }, total])
    )).toEqual([
      "Reverse mode, remote host 192.0.2.1 is sending",
      "[  5] local 192.0.2.2 port 34321 connected to 192.0.2.1 port 5201",
      "[  7] local 192.0.2.2 port 34323 connected to 192.0.2.1 port 5201",
      "[ ID] Interval           Transfer     Bitrate",
      "[  5]   0.00-1.00   sec  1.30 GBytes  11.2 Gbits/sec                  ",
      "[  7]   0.00-1.00   sec  1.30 GBytes  11.2 Gbits/sec                  ",
      "[SUM]   0.00-1.00   sec  2.60 GBytes  22.3 Gbits/sec                  ",
      "- - - - - - - - - - - - - - - - - - - - - - - - -",
      "[  5]   1.00-2.00   sec  1.34 GBytes  11.5 Gbits/sec                  ",
      "[  7]   1.00-2.00   sec  1.34 GBytes  11.5 Gbits/sec                  ",
      "[SUM]   1.00-2.00   sec  2.68 GBytes  23.0 Gbits/sec                  ",
      "- - - - - - - - - - - - - - - - - - - - - - - - -",
      "[ ID] Interval           Transfer     Bitrate         Retr",
      "[  5]   0.00-2.00   sec  2.64 GBytes  11.3 Gbits/sec   11             sender",
      "[  5]   0.00-2.00   sec  2.64 GBytes  11.3 Gbits/sec                  receiver",
      "[  7]   0.00-2.00   sec  2.64 GBytes  11.3 Gbits/sec    4             sender",
      "[  7]   0.00-2.00   sec  2.64 GBytes  11.3 Gbits/sec                  receiver",
      "[SUM]   0.00-2.00   sec  5.28 GBytes  22.7 Gbits/sec   15             sender",
      "[SUM]   0.00-2.00   sec  5.28 GBytes  22.7 Gbits/sec                  receiver"
    ])
  })

  it("in both directions, of a server", () => {
    const heard = stream(5, false)
    const sent = stream(7, true)
    const two = [sample(heard, { bytes: 1.34 * GiB }), sample(sent, { bytes: 1.26 * GiB }, path(12, 1023 * 1024))]
    expect(
      lines(
        { _tag: "Accepted", remote: inet("192.0.2.9", 34_324) },
        started("server", { direction: "both" }, heard, sent),
        interval(0, 1, true, ...two),
        ended(
          [heard, undefined, side({ bytes: 1.34 * GiB })],
          [sent, side({ bytes: 1.26 * GiB, retransmits: 12 }), undefined]
        )
      ).filter((line) => !line.includes("connected to"))
    ).toEqual([
      "Accepted connection from 192.0.2.9, port 34324",
      "[ ID][Role] Interval           Transfer     Bitrate         Retr  Cwnd",
      "[  5][RX-S]   0.00-1.00   sec  1.34 GBytes  11.5 Gbits/sec                  (omitted)",
      "[  7][TX-S]   0.00-1.00   sec  1.26 GBytes  10.8 Gbits/sec   12   1023 KBytes       (omitted)",
      "- - - - - - - - - - - - - - - - - - - - - - - - -",
      "[ ID][Role] Interval           Transfer     Bitrate         Retr",
      "[  5][RX-S]   0.00-1.00   sec  1.34 GBytes  11.5 Gbits/sec                  receiver",
      "[  7][TX-S]   0.00-1.00   sec  1.26 GBytes  10.8 Gbits/sec   12             sender"
    ])
  })

  it("over UDP, of both ends, with what is lost", () => {
    const parameters = { protocol: "udp", length: 1000 } as const
    const sent = stream(5, true)
    expect(
      lines(
        started("client", parameters, sent),
        interval(0, 1, false, sample(sent, { bytes: 131_072, blocks: 91 })),
        ended([
          sent,
          side({ bytes: 131_072, packets: 91 }),
          side({ bytes: 122_000, packets: 91, lost: 6, jitter: 0.027 })
        ])
      ).slice(1)
    ).toEqual([
      "[ ID] Interval           Transfer     Bitrate         Total Datagrams",
      "[  5]   0.00-1.00   sec   128 KBytes  1.05 Mbits/sec  91  ",
      "- - - - - - - - - - - - - - - - - - - - - - - - -",
      "[ ID] Interval           Transfer     Bitrate         Jitter    Lost/Total Datagrams",
      "[  5]   0.00-1.00   sec   128 KBytes  1.05 Mbits/sec  0.000 ms  0/91 (0%)  sender",
      "[  5]   0.00-1.00   sec   119 KBytes   976 Kbits/sec  0.027 ms  6/91 (6.6%)  receiver"
    ])
    const heard = [stream(5, false), stream(7, false)] as const
    expect(
      lines(
        started("server", { ...parameters, parallel: 2 }, ...heard),
        interval(
          0,
          1,
          false,
          sample(heard[0], { bytes: 131_072, highest: 100, lost: 1, jitter: 0.016 }),
          sample(heard[1], { bytes: 131_072, highest: 100, lost: 2, jitter: 0.014 })
        )
      ).slice(2)
    ).toEqual([
      "[ ID] Interval           Transfer     Bitrate         Jitter    Lost/Total Datagrams",
      "[  5]   0.00-1.00   sec   128 KBytes  1.05 Mbits/sec  0.016 ms  1/100 (1%)  ",
      "[  7]   0.00-1.00   sec   128 KBytes  1.05 Mbits/sec  0.014 ms  2/100 (2%)  ",
      "[SUM]   0.00-1.00   sec   256 KBytes  2.10 Mbits/sec  0.015 ms  3/200 (1.5%)  "
    ])
  })

  it("shows the server's own, without what would steer a terminal", () => {
    const one = stream(5, true)
    const end = { ...ended([one, side({}), side({})]), serverOutput: { text: "one\n\u001b[2Jtwo\tthree\n" } } as Event
    expect(lines(started("client", {}, one), end, { _tag: "Done" }).slice(-7)).toEqual([
      "",
      "Server output:",
      "one",
      "?[2Jtwo\tthree",
      "",
      "",
      "iperf Done."
    ])
  })

  it("has a title in front of each line", () => {
    const one = stream(5, false)
    expect(lines(started("client", { title: "night", direction: "reverse" }, one))).toEqual([
      "night:  Reverse mode, remote host 192.0.2.1 is sending",
      "night:  [  5] local 192.0.2.2 port 34321 connected to 192.0.2.1 port 5201"
    ])
  })
})

describe("the document of a test", () => {
  const about = { version: "strata 1", system: "here" }

  it("has sums of each direction", () => {
    const sent = stream(5, true)
    const heard = stream(7, false)
    const document = Json.document(about, [
      { _tag: "Connecting", remote: SERVER },
      started("client", { direction: "both" }, sent, heard),
      interval(0, 1, false, sample(sent, { bytes: 1000 }, path(3, 14_480.5)), sample(heard, { bytes: 500 })),
      ended(
        [sent, side({ bytes: 1000, retransmits: 3 }), side({ seconds: 1.25, bytes: 900 })],
        [heard, side({ bytes: 600, retransmits: 1 }), side({ bytes: 500 })]
      )
    ])
    expect(document).toMatchObject({
      start: {
        connected: [{ socket: 5, local_port: 34_321, remote_host: "192.0.2.1" }, { socket: 7 }],
        connecting_to: { host: "192.0.2.1", port: 5201 },
        cookie: "abc",
        tcp_mss_default: 1448,
        timestamp: { time: "Sun, 22 Nov 2026 20:32:14 GMT", timesecs: 1_795_379_534 },
        test_start: { protocol: "TCP", num_streams: 1, duration: 1, reverse: 0, bidir: 1 }
      },
      intervals: [{
        streams: [{ socket: 5, retransmits: 3, snd_cwnd: 14_481, rtt: 28, rttvar: 2, pmtu: 1500, sender: true }, {
          socket: 7,
          bytes: 500,
          bits_per_second: 4000,
          sender: false
        }],
        sum: { bytes: 1000, retransmits: 3, sender: true },
        sum_bidir_reverse: { bytes: 500, sender: false }
      }],
      end: {
        streams: [
          { sender: { max_snd_cwnd: 785_408, min_rtt: 20, max_rtt: 40, mean_rtt: 30 }, receiver: { bytes: 900 } },
          { sender: { bytes: 600 }, receiver: { bytes: 500 } }
        ],
        sum_sent: { bytes: 1000, retransmits: 3 },
        sum_received: { bytes: 900, end: 1.25, bits_per_second: 5760 },
        sum_sent_bidir_reverse: { bytes: 600, retransmits: 1 },
        sum_received_bidir_reverse: { bytes: 500 },
        cpu_utilization_percent: { host_total: 3, remote_system: 2 },
        sender_tcp_congestion: "cubic",
        receiver_tcp_congestion: "bbr"
      }
    })
    expect(document).not.toHaveProperty("error")
  })

  it("tells of datagrams what the receiver knows", () => {
    const sent = stream(5, true)
    const document = Json.document(about, [
      started("client", { protocol: "udp", length: 1000 }, sent),
      ended([
        sent,
        side({ bytes: 91_000, packets: 91 }),
        side({ bytes: 85_000, packets: 90, lost: 9, outOfOrder: 2, jitter: 0.5 })
      ])
    ])
    expect(document).toMatchObject({
      end: {
        streams: [{
          udp: { bytes: 91_000, packets: 91, lost_packets: 9, jitter_ms: 0.5, out_of_order: 2, sender: true }
        }],
        sum: { bytes: 91_000, packets: 91, lost_packets: 9, lost_percent: 10, jitter_ms: 0.5, sender: true },
        sum_sent: { bytes: 91_000, lost_packets: 0, packets: 91 },
        sum_received: { bytes: 85_000, lost_packets: 9, packets: 90 }
      }
    })
  })

  it("says what went wrong, as far as the test came", () => {
    expect(Json.document(about, [{ _tag: "Connecting", remote: SERVER }, { _tag: "Failed", message: "no" }])).toEqual({
      start: {
        connected: [],
        version: "strata 1",
        system_info: "here",
        connecting_to: { host: "192.0.2.1", port: 5201 }
      },
      intervals: [],
      end: {},
      error: "no"
    })
  })
})
