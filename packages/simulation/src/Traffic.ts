/**
 * What programs on the hosts of a scenario say to each other over TCP, as a
 * value; `Exchange` has the programs.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { integer, oneOf, pick } from "./Arbitraries.ts"
import { nameOf } from "./Topology.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Positive = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** What one end does. Durations are in milliseconds. */
export const End = Schema.Struct({
  /** Octets it writes in all, … */
  octets: Count,
  /** … this many at a time, … */
  chunk: Positive,
  /** … and how long it pauses after each write. */
  pause: Count,
  /** How long it pauses after each read. */
  digest: Count,
  /** Octets of its receive and of its send buffer. */
  buffer: Positive,
  /** Closes its half once all is written, or only after it has read the peer's end. */
  closes: Schema.Literals(["first", "last"])
})
export type End = typeof End.Type

/** One connection. */
export const Transfer = Schema.Struct({
  /** Numbers of hosts. */
  client: Count,
  server: Count,
  /** Milliseconds after the start. */
  start: Count,
  /** Who opens: the client, or both at once. */
  opens: Schema.Literals(["client", "both"]),
  /** Both write as they like, or by turns: a chunk of the client's, then one of the server's. */
  manner: Schema.Literals(["stream", "turns"]),
  ends: Schema.Tuple([End, End])
})
export type Transfer = typeof Transfer.Type

/** Who sends what to whom. */
export const Traffic = Schema.Array(Transfer)
export type Traffic = typeof Traffic.Type

/** More writes than this make a run long and teach nothing. */
const MOST_CHUNKS = 30

const anyEnd: Arbitrary.Arbitrary<End> = Arbitrary.map(
  Arbitrary.all({
    octets: oneOf(integer(0, 3), integer(4, 1000), integer(1000, 6000), integer(6000, 30_000)),
    chunk: pick(100_000, 100_000, 1, 100, 1460, 5000),
    pause: pick(0, 0, 0, 3, 60, 300),
    digest: pick(0, 0, 0, 10, 300, 2000),
    buffer: pick(262_144, 262_144, 16_384, 4096, 2000),
    closes: pick("first", "first", "last")
  }),
  (drawn) => ({
    ...drawn,
    chunk: Math.max(drawn.chunk, Math.ceil(drawn.octets / MOST_CHUNKS)),
    // A slow reader of a small buffer has to read as often as there is data.
    digest: drawn.octets > 6000 ? Math.min(drawn.digest, 300) : drawn.digest
  })
)

/** Client and server differ, and somebody closes first. */
const anyTransfer: Arbitrary.Arbitrary<Transfer> = Arbitrary.map(
  Arbitrary.all({
    client: integer(0, 3),
    other: integer(1, 3),
    start: pick(0, 0, 0, 20, 700),
    opens: pick("client", "client", "client", "both"),
    manner: pick("stream", "stream", "turns"),
    ends: Arbitrary.all([anyEnd, anyEnd])
  }),
  ({ other, ...drawn }) => ({ ...drawn, server: drawn.client + other })
)

/** From one to three transfers. */
export const arbitrary: Arbitrary.Arbitrary<Traffic> = Arbitrary.map(
  Arbitrary.all([anyTransfer, anyTransfer, anyTransfer, pick(1, 1, 1, 2, 3)]),
  ([one, two, three, count]) => [one, two, three].slice(0, count)
)

/** Hosts by their numbers in a network of `hosts`; neighbouring ones, where both would be the same; an end that closes. */
export const normalize = (traffic: Traffic, hosts: number): Traffic =>
  traffic.map((self) => {
    const client = self.client % hosts
    const server = self.server % hosts
    const [one, other] = self.ends
    return {
      ...self,
      client,
      server: server === client ? (client + 1) % hosts : server,
      ends: one.closes === "last" && other.closes === "last" ? [{ ...one, closes: "first" }, other] : self.ends
    }
  })

/** How many hosts have a part. */
export const hostsOf = (traffic: Traffic): number =>
  Math.max(2, ...traffic.flatMap(({ client, server }) => [client + 1, server + 1]))

const formatEnd = (end: End, name: string): string =>
  [
    `${name} writes ${end.octets} octets`,
    ...end.octets > end.chunk ? [`${end.chunk} at a time`] : [],
    ...end.pause > 0 ? [`pausing ${end.pause} ms`] : [],
    ...end.digest > 0 ? [`reads every ${end.digest} ms`] : [],
    ...end.buffer < 262_144 ? [`buffers ${end.buffer}`] : [],
    end.closes === "first" ? "closes when it has written" : "closes when it has read all"
  ].join(", ")

/** In words. */
export const format = (self: Transfer): string => {
  const [client, server] = [nameOf(self.client), nameOf(self.server)]
  const how = self.opens === "both" ? `${client} and ${server} open to each other` : `${client} connects to ${server}`
  const when = self.start === 0 ? "" : ` after ${self.start} ms`
  const by = self.manner === "turns" ? ", by turns" : ""
  return `${how}${when}${by}: ${formatEnd(self.ends[0], client)}; ${formatEnd(self.ends[1], server)}`
}

const plainest: End = { octets: 0, chunk: 100_000, pause: 0, digest: 0, buffer: 262_144, closes: "first" }

const simplerEnd = (end: End): ReadonlyArray<End> =>
  [
    plainest,
    { ...plainest, octets: end.octets, closes: end.closes },
    { ...end, octets: end.octets >> 2 },
    { ...end, octets: end.octets - (end.octets >> 2) },
    { ...end, octets: 0 },
    { ...end, octets: Math.max(1, Math.ceil(end.octets / 1000)) * 1000 },
    { ...end, chunk: plainest.chunk },
    { ...end, pause: 0 },
    { ...end, digest: 0 },
    { ...end, buffer: plainest.buffer },
    { ...end, closes: "first" } as const
  ].filter((candidate) => weightOf(candidate) < weightOf(end))

/** How much there is to read about an end. */
const weightOf = (end: End): number =>
  end.octets + (end.octets % 1000 === 0 ? 0 : 400) + 1000 * Number(end.chunk < end.octets) +
  1000 * Number(end.chunk !== plainest.chunk) + 1000 * Number(end.pause > 0) + 1000 * Number(end.digest > 0) +
  1000 * Number(end.buffer !== plainest.buffer) + 500 * Number(end.closes === "last")

const simplerTransfer = (self: Transfer): ReadonlyArray<Transfer> => {
  const [client, server] = self.ends
  return [
    ...self.opens === "both" ? [{ ...self, opens: "client" } as const] : [],
    ...self.manner === "turns" ? [{ ...self, manner: "stream" } as const] : [],
    ...self.start > 0 ? [{ ...self, start: 0 }] : [],
    ...simplerEnd(client).map((end): Transfer => ({ ...self, ends: [end, server] })),
    ...simplerEnd(server).map((end): Transfer => ({ ...self, ends: [client, end] }))
  ]
}

/** One transfer alone, where there are several. */
export const fewer = (traffic: Traffic): ReadonlyArray<Traffic> =>
  traffic.length > 1 ? traffic.map((transfer) => [transfer]) : []

/** With a little less in one transfer, the simplest first. */
export const simpler = (traffic: Traffic): ReadonlyArray<Traffic> =>
  traffic.flatMap((transfer, index) => simplerTransfer(transfer).map((candidate) => traffic.with(index, candidate)))
