/**
 * All measurements of `npm run bench`, in the order in which they are made.
 */
import { apis } from "./support/apis.ts"
import { type Case, gigabits, linux, microseconds, type Reading, strata, thousands } from "./support/cases.ts"
import { iperf3 } from "./support/iperf3.ts"
import type { Work } from "./support/load.ts"
import type { Contender, Measurement } from "./support/measurement.ts"
import { idleMemory, linuxMemory, peakMemory } from "./support/memory.ts"
import { program } from "./support/program.ts"

/** Bulk transfers, once with large segments and once with each of them as it is on the wire. */
const bulk = (name: string, title: string, mode: "send" | "receive" | "echo"): ReadonlyArray<Measurement> => {
  const wanted: Case = { work: { mode }, reading: gigabits }
  const shared = { unit: "Gbit/s", better: "higher" } as const
  return [
    {
      ...shared,
      name: `bulk ${name}, offload`,
      title: `${title}, with offload`,
      contenders: [
        ...strata(wanted, "kernel"),
        linux(wanted, "veth"),
        linux(wanted, "loopback"),
        ...mode === "echo" ? [] : [iperf3(mode)]
      ]
    },
    {
      ...shared,
      name: `bulk ${name}, plain`,
      title: `${title}, MTU 1500, nothing offloaded to the kernel`,
      contenders: [
        ...strata(wanted, "driver"),
        ...strata(wanted, "none", ", no offload at all").slice(0, 1),
        linux(wanted, "vethPlain")
      ]
    }
  ]
}

/** Many small things, on a TAP with offload. */
const small = (
  name: string,
  title: string,
  work: Work,
  options: Partial<Pick<Measurement, "rounds" | "isLong">> & { readonly sameProcessor?: boolean } = {}
): Measurement => {
  const { sameProcessor = false, ...rest } = options
  const wanted: Case = { work, reading: thousands, sameProcessor }
  return {
    ...rest,
    name,
    title,
    unit: "k/s",
    better: "higher",
    contenders: [...strata(wanted, "kernel"), linux(wanted, "veth"), linux(wanted, "loopback")]
  }
}

/** What the stack answers without a program; Linux does so wherever the client is, so that strata is there, too. */
const ping = (name: string, title: string, work: Work, reading: Reading, unit: string): Measurement => {
  const wanted: Case = { work, reading, sameProcessor: true }
  return {
    name,
    title: `${title}, one processor`,
    unit,
    better: unit === "µs" ? "lower" : "higher",
    contenders: [
      { ...strata(wanted, "kernel")[0]!, title: "strata" },
      linux(wanted, "veth"),
      linux(wanted, "loopback")
    ]
  }
}

const request = { mode: "rr", size: 64 } as const

const memory: ReadonlyArray<Measurement> = [
  {
    name: "memory, idle",
    title: "Memory of a connection that has spoken and is idle (10,000 held)",
    unit: "KiB",
    better: "lower",
    rounds: 1,
    isLong: true,
    contenders: [...apis.map((api) => idleMemory(api)), linuxMemory]
  },
  {
    name: "memory, peak",
    title: "Memory of a connection while 10,000 exchange 64 octets, at its peak, the process included",
    unit: "KiB",
    better: "lower",
    rounds: 1,
    isLong: true,
    contenders: apis.map(peakMemory)
  }
]

/** What runs in one process, without a kernel. */
const inProcess = (name: string, title: string, unit: string, cases: ReadonlyArray<Contender>): Measurement => ({
  name,
  title,
  unit,
  better: unit === "ns" ? "lower" : "higher",
  contenders: cases
})

const codec = (name: string, title: string, ...against: readonly [string, string]): Measurement =>
  inProcess(`codec, ${name}`, title, "ns", [
    program("strata", "codec", `${name}, ${against[0]}`),
    { ...program(against[1], "codec", `${name}, ${against[1]}`), isBaseline: true }
  ])

const linuxItself = linux({ work: { mode: "receive" }, reading: gigabits }, "loopback", true)

const processes: ReadonlyArray<Measurement> = [
  inProcess("stack to stack", "Stack to stack in one process, both ends on one processor", "Gbit/s", [
    program("two whole stacks, segments of up to 64 KiB", "stacks", "offload"),
    program("two whole stacks, checksums left out", "stacks", "no checksums"),
    program("two whole stacks", "stacks", "checksums"),
    program("two TCPs and nothing between", "stacks", "tcp"),
    linuxItself
  ]),
  inProcess("tcp machine", "The TCP machine alone, for a segment", "ns", [
    program("receive, in batches of 32", "machine", "receive in batches"),
    { ...program("receive, read and acknowledged at once", "machine", "receive"), isLong: true },
    { ...program("send", "machine", "send"), isLong: true },
    program("request and answer", "machine", "exchange"),
    program("receive, in batches of 32, in place", "machine", "receive in batches in place"),
    { ...program("receive, read and acknowledged at once, in place", "machine", "receive in place"), isLong: true },
    { ...program("send, in place", "machine", "send in place"), isLong: true },
    program("request and answer, in place", "machine", "exchange in place")
  ]),
  inProcess("connections", "Connections without a network: a whole stack, for each connection or exchange", "ns", [
    program("opened and closed, Streams", "connections", "connect stream"),
    program("opened and closed, `Tcp`", "connections", "connect plain"),
    program("echo, 64 connections, Streams", "connections", "echo stream 64"),
    program("echo, 1,000 connections, Streams", "connections", "echo stream 1000"),
    { ...program("echo, 10,000 connections, Streams", "connections", "echo stream 10000"), isLong: true }
  ]),
  codec("tcp header", "Nine fields of a TCP header", "accessors", "by hand"),
  codec("arp header", "Two hardware addresses of an ARP header", "accessors", "by hand"),
  codec("tcp options", "A timestamps option", "parse", "codec"),
  codec("checksum of 20", "The checksum of 20 octets", "by words", "by pairs"),
  codec("checksum of 1460", "The checksum of 1,460 octets", "by words", "by pairs"),
  inProcess("simulation", "Networks in virtual time", "k packets/s", [
    program("1 MiB over a lossy wire, bare", "simulation", "transfer, bare"),
    program("with invariants, the default", "simulation", "transfer, invariants"),
    program("with invariants and a capture", "simulation", "transfer, invariants and capture"),
    { ...program("100 hosts on a switch, with both", "simulation", "lan, invariants and capture"), isLong: true }
  ])
]

export const measurements: ReadonlyArray<Measurement> = [
  ...bulk("receive", "Bulk TCP, strata receives", "send"),
  ...bulk("send", "Bulk TCP, strata sends", "receive"),
  ...bulk("echo", "Bulk TCP, echoed", "echo"),
  small("rr 1", "Request and response, 64 octets, one connection, two processors", request),
  small("rr 1, one processor", "Request and response, 64 octets, one connection, one processor", request, {
    sameProcessor: true
  }),
  small("rr 64", "Request and response, 64 connections", { ...request, connections: 64 }),
  small("connect", "Connect and close, 32 at a time", { mode: "connect", connections: 32 }),
  small("udp 1", "UDP echo, 64 octets, one outstanding, one processor", { mode: "udp", outstanding: 1 }, {
    sameProcessor: true
  }),
  small("udp 32", "UDP echo, 32 outstanding", { mode: "udp", outstanding: 32 }),
  ping("ping", "Ping, one each millisecond", { mode: "ping", interval: 1000 }, microseconds, "µs"),
  ping("ping flood", "Ping, as fast as answers come", { mode: "ping" }, thousands, "k/s"),
  small("echo 100", "100 concurrent echo connections", { ...request, connections: 100 }),
  small("echo 1000", "1,000 concurrent echo connections", { ...request, connections: 1000 }),
  small("echo 10000", "10,000 concurrent echo connections", { ...request, connections: 10_000 }, { isLong: true }),
  ...memory,
  ...processes
]
