/**
 * Cost against size: `npm run bench -- --sizes`. Ratios are to the smallest size, or to Linux at the same one.
 */
import { apis } from "./support/apis.ts"
import { linux, strata, thousands } from "./support/cases.ts"
import type { Contender, Measurement } from "./support/measurement.ts"
import { idleMemory } from "./support/memory.ts"
import { program } from "./support/program.ts"
import { CONNECTED, HOSTS } from "./support/sizes.ts"

const count = (size: number, one: string): string => `${size.toLocaleString("en")} ${one}${size === 1 ? "" : "s"}`

/** What the first one is, the others are compared with. */
const series = (contenders: ReadonlyArray<Contender>): ReadonlyArray<Contender> =>
  contenders.map((contender, index) => index === 0 ? { ...contender, isBaseline: true } : contender)

const echoOf = (connections: number) => ({ work: { mode: "rr", size: 64, connections }, reading: thousands }) as const

const [streams] = apis

const inProcess = (what: string, sizes: ReadonlyArray<number>, one: string): ReadonlyArray<Contender> =>
  series(sizes.map((size) => program(count(size, one), "sizes", `${what} ${size}`)))

export const sizes: ReadonlyArray<Measurement> = [
  {
    name: "connections",
    title: "Echo of 64 octets, all connections at a time",
    unit: "k/s",
    better: "higher",
    text:
      "A connection is found by its four numbers in a table, and a deadline is kept in a heap, so that the cost of an exchange " +
      "should hardly depend on how many there are. With few connections, two processors wait for each other; with many, batches grow, " +
      "and then no cache holds what is kept of each connection: what Linux loses on the same way is that of the load.",
    contenders: series(CONNECTED.map((size) => ({
      ...strata(echoOf(size), "kernel")[0]!,
      title: count(size, "connection")
    })))
  },
  {
    name: "connections of linux",
    title: "The same, Linux over veth",
    unit: "k/s",
    better: "higher",
    contenders: series(CONNECTED.map((size) => ({ ...linux(echoOf(size), "veth"), title: count(size, "connection") })))
  },
  {
    name: "memory",
    title: "Memory of an idle connection",
    unit: "KiB",
    better: "lower",
    rounds: 1,
    text:
      "What a connection keeps once its buffers are empty. It should not depend on how many there are; what few of them share " +
      "weighs more.",
    contenders: series(
      // Fewer are lost in what else is on the heap.
      [1000, 10_000].map((size) => ({ ...idleMemory(streams!, size), title: count(size, "connection") }))
    )
  },
  {
    name: "routes",
    title: "Finding the route of a packet",
    unit: "ns",
    better: "lower",
    text:
      "Routes are found by longest prefix; all of these have the same length, and packets go to all of them in turns.",
    contenders: inProcess("routes", CONNECTED, "route")
  },
  {
    name: "neighbours",
    title: "Handing a packet to a neighbour",
    unit: "ns",
    better: "lower",
    text:
      "A neighbour is found by its number in a table, and its Ethernet header is written in front of the packet. Packets go to all " +
      "of them in turns, so that caches of the processor are what is lost with size.",
    contenders: inProcess("neighbours", CONNECTED, "neighbour")
  },
  {
    name: "hosts",
    title: "A network in virtual time: each host sends 10 KiB to the one before it, through one switch that loses 1 %",
    unit: "k packets/s",
    better: "higher",
    rounds: 1,
    text:
      "All hosts are whole stacks in one process. Each asks for the address of its neighbour, and everybody hears the question, so " +
      "that the number of frames grows faster than that of hosts.",
    contenders: inProcess("hosts", HOSTS, "host")
  }
]
