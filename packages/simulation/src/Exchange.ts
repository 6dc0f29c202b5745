/**
 * The programs of a scenario's traffic, and what has to come of them. Each end
 * of a transfer knows what it has to receive, to the octet.
 */
import { Statistics, Tcp } from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import type { TcpError } from "@strata/core/tcp/TcpError"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import { type InetAddressV4, inetAddressV4 } from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Host, HostDown } from "./Host.ts"
import { Network } from "./Network.ts"
import { describe } from "./Report.ts"
import type { Scenario } from "./Scenario.ts"
import { nameOf, type Stage } from "./Topology.ts"
import type { End, Transfer } from "./Traffic.ts"

/** What is wrong. */
export class Broken extends Schema.TaggedError<Broken>()("Broken", {
  /** Such as `b (server of 1)`. */
  who: Schema.String,
  what: Schema.String
}) {
  override get message() {
    return `${this.who} ${this.what}`
  }
}

/** The octet at a position of one of the streams of octets. */
const octet = (stream: number, position: number): number =>
  (position * 31 + (position >>> 8) * 17 + stream * 101) & 0xff

const text = (stream: number, from: number, to: number): Uint8Array => {
  const bytes = new Uint8Array(to - from)
  for (let at = from; at < to; at++) bytes[at - from] = octet(stream, at)
  return bytes
}

/** Which octet of a chunk that follows `position` others is not what was written; −1 when all are. */
const mismatch = (stream: number, position: number, chunk: Uint8Array): number => {
  for (let at = 0; at < chunk.length; at++) if (chunk[at] !== octet(stream, position + at)) return at
  return -1
}

/** One end of a transfer. */
interface Part {
  readonly who: string
  readonly mine: End
  readonly theirs: End
  /** Numbers of the streams of octets. */
  readonly sends: number
  readonly receives: number
  /** Octets of the peer's to be read before a chunk of our own is written; 0 to write freely. */
  readonly awaited: (chunk: number) => number
}

/** How an end of a transfer ended. */
interface Ended {
  /** Whether it came to TIME-WAIT. */
  readonly waited: boolean
}

/** Writes, reads and closes as the part says; done when both directions are closed. */
const play = (connection: Connection, part: Part): Effect.Effect<Ended, Broken | TcpError> =>
  Effect.gen(function*() {
    const { mine, receives, sends, theirs, who } = part
    const progress = yield* Latch.make(false)
    let received = 0

    const read = Effect.gen(function*() {
      for (const chunk of yield* connection.read) {
        const wrong = mismatch(receives, received, chunk)
        if (wrong >= 0) return yield* new Broken({ who, what: `reads a wrong octet ${received + wrong}` })
        received += chunk.length
      }
      if (received > theirs.octets) return yield* new Broken({ who, what: "reads more than was written" })
      yield* progress.open
      if (mine.digest > 0) yield* Effect.sleep(mine.digest)
    })
    const reader = Effect.forever(read).pipe(
      Effect.catchTag("Done", () =>
        received === theirs.octets
          ? Effect.void
          : Effect.fail(new Broken({ who, what: `reads the end after ${received} of ${theirs.octets} octets` })))
    )
    const arrived = (octets: number): Effect.Effect<void> =>
      Effect.suspend(() =>
        received >= octets
          ? Effect.void
          : progress.close.pipe(Effect.andThen(progress.await), Effect.andThen(arrived(octets)))
      )
    const writer = Effect.gen(function*() {
      for (let at = 0, chunk = 0; at < mine.octets; at += mine.chunk, chunk++) {
        yield* arrived(part.awaited(chunk))
        yield* connection.write(text(sends, at, Math.min(at + mine.chunk, mine.octets)))
        if (mine.pause > 0) yield* Effect.sleep(mine.pause)
      }
    })
    const closed = yield* Effect.forkChild(Effect.map(connection.closed, () => connection.state() === "TIME-WAIT"))
    const close = connection.closeWrite
    yield* mine.closes === "first"
      ? Effect.all([reader, Effect.andThen(writer, close)], { concurrency: "unbounded", discard: true })
      : Effect.andThen(Effect.all([reader, writer], { concurrency: "unbounded", discard: true }), close)
    return { waited: yield* Fiber.join(closed) }
  })

/** By turns, the client writes its next chunk after the server's last one, and the server after the client's next. */
const partsOf = (self: Transfer, number: number): readonly [client: Part, server: Part] => {
  const [client, server] = self.ends
  const byTurns = self.manner === "turns"
  const read = (of: End, chunks: number) => byTurns ? Math.min(of.octets, chunks * of.chunk) : 0
  return [
    {
      who: `${nameOf(self.client)} (client of ${number + 1})`,
      mine: client,
      theirs: server,
      sends: 2 * number,
      receives: 2 * number + 1,
      awaited: (chunk) => read(server, chunk)
    },
    {
      who: `${nameOf(self.server)} (server of ${number + 1})`,
      mine: server,
      theirs: client,
      sends: 2 * number + 1,
      receives: 2 * number,
      awaited: (chunk) => read(client, chunk + 1)
    }
  ]
}

/** One end of a transfer, to be run on its host. */
interface Program {
  readonly who: string
  readonly host: Host
  readonly run: Effect.Effect<Ended, Broken | TcpError, Tcp>
}

const SERVER_PORT = 7001
const CLIENT_PORT = 8001

const optionsOf = ({ mine }: Part) => ({
  receiveBuffer: mine.buffer,
  sendBuffer: mine.buffer,
  // So that a partition of ten seconds, and more, at the start is survived.
  settings: { synRetransmissions: 12 }
})

/** Programs try again at the multiples of so many milliseconds, so that two who open to each other meet. */
const AGAIN = 4000

/**
 * After a loss of every question for its hardware address, a host is unreachable for a while; and who opens to a peer that
 * waits for that to pass is refused. Programs try again then.
 */
const patiently = <A, R>(
  opening: Effect.Effect<A, TcpError, R>,
  reasons: ReadonlyArray<TcpError["reason"]["_tag"]>,
  times = 10
): Effect.Effect<A, TcpError, R> =>
  Effect.catchTag(opening, "TcpError", (error) =>
    times === 0 || !reasons.includes(error.reason._tag)
      ? Effect.fail(error)
      : Effect.andThen(nextTime, patiently(opening, reasons, times - 1)))

const nextTime = Effect.flatMap(Clock.monotonicTimeNanos, (now) => Effect.sleep(AGAIN - Number(now) / 1e6 % AGAIN))

const connect = (part: Part, remote: InetAddressV4) =>
  Effect.flatMap(Tcp, (tcp) => patiently(tcp.connect({ ...optionsOf(part), remote }), ["Unreachable"]))

const accept = Effect.fnUntraced(function*(part: Part, port: number) {
  const listener = yield* (yield* Tcp).listen({ ...optionsOf(part), port })
  return yield* listener.accept
})

const open = Effect.fnUntraced(function*(part: Part, port: number, foreign: InetAddressV4) {
  const tcp = yield* Tcp
  const opened = tcp.open({ ...optionsOf(part), mode: "active", local: { port }, foreign })
  return yield* patiently(Effect.tap(opened, (connection) => connection.established), [
    "Unreachable",
    "ConnectionRefused"
  ])
})

/** Both ends of a transfer, to be run at the same time. */
const programsOf = (self: Transfer, number: number, stage: Stage): readonly [client: Program, server: Program] => {
  const [client, server] = partsOf(self, number)
  const [clientHost, serverHost] = [stage.hosts[self.client]!, stage.hosts[self.server]!]
  const [clientPort, serverPort] = [CLIENT_PORT + number, SERVER_PORT + number]
  const toServer = Result.getOrThrow(inetAddressV4(stage.addressOf(self.server, self.client), serverPort))
  const toClient = Result.getOrThrow(inetAddressV4(stage.addressOf(self.client, self.server), clientPort))
  return self.opens === "both"
    ? [
      program(client, clientHost, self.start, open(client, clientPort, toServer)),
      program(server, serverHost, self.start, open(server, serverPort, toClient))
    ]
    : [
      program(client, clientHost, self.start, connect(client, toServer)),
      program(server, serverHost, 0, accept(server, serverPort))
    ]
}

const program = (
  part: Part,
  host: Host,
  delay: number,
  opening: Effect.Effect<Connection, TcpError, Tcp | Scope.Scope>
): Program => ({
  who: part.who,
  host,
  run: Effect.sleep(delay).pipe(
    Effect.andThen(opening),
    Effect.flatMap((connection) => play(connection, part)),
    Effect.scoped
  )
})

/** When a run has taken too long, in milliseconds. */
const MOST = 30 * 60_000
/** After which a host that lost its peer has noticed, if it had anything to say. */
const NOTICE = 5 * 60_000
/** After which TIME-WAIT, and the patience with a peer whose program let go, are over. */
const AFTERMATH = 2 * 60_000

/**
 * Every octet arrives, once, in order and unchanged; both ends reach CLOSED or TIME-WAIT, and at least one of them
 * TIME-WAIT; nothing is left of the connections afterwards; and nothing is sent twice when nothing was lost.
 *
 * When a host crashes, its connections may fail: what was delivered until then is right, and a peer that has octets to
 * send does not wait for ever.
 */
export const everythingArrives = (
  scenario: Scenario,
  stage: Stage
): Effect.Effect<void, Broken | HostDown, Network> =>
  Effect.gen(function*() {
    const transfers = Effect.forEach(scenario.traffic, (transfer, number) => bothEnds(transfer, number, stage), {
      concurrency: "unbounded",
      discard: true
    })
    yield* Effect.raceFirst(transfers, tooLate)
    if (!scenario.faults.some((fault) => fault._tag === "Crash")) {
      yield* Effect.sleep(AFTERMATH)
      yield* nothingLeft
    }
    if (isSmooth(scenario)) yield* nothingTwice
  })

const tooLate = Effect.gen(function*() {
  yield* Effect.sleep(MOST)
  const report = yield* describe(yield* Network)
  return yield* new Broken({ who: "the network", what: `is not done after ${MOST / 60_000} minutes:\n${report}` })
})

const bothEnds = Effect.fnUntraced(function*(transfer: Transfer, number: number, stage: Stage) {
  const crashed = yield* Deferred.make<void>()
  const programs = programsOf(transfer, number, stage)
  for (const { host } of programs) {
    const lookout = Effect.catchTag(host.run(Effect.never), "HostDown", () => Deferred.succeed(crashed, undefined))
    yield* Effect.forkChild(lookout)
  }
  const ends = yield* Effect.forEach(programs, (end) => endOf(end, crashed), { concurrency: "unbounded" })
  if (ends.every((end) => end !== undefined && !end.waited)) {
    return yield* new Broken({ who: `transfer ${number + 1}`, what: "is closed, and nobody was in TIME-WAIT" })
  }
})

/** Runs a program to its end; undefined when its host, or its peer's, crashes before. */
const endOf = ({ host, run, who }: Program, crashed: Deferred.Deferred<void>) => {
  const undone = Effect.succeed(undefined)
  const bereaved = Deferred.await(crashed).pipe(
    Effect.andThen(Effect.sleep(NOTICE)),
    Effect.andThen(statusOf(host)),
    Effect.flatMap((connections) =>
      connections.some(({ sendQueue }) => sendQueue > 0)
        ? Effect.fail(new Broken({ who, what: "has octets to send and does not notice that its peer is gone" }))
        : undone
    )
  )
  return Effect.raceFirst(host.run(run), bereaved).pipe(
    Effect.catchTags({
      HostDown: () => undone,
      TcpError: (error) =>
        Deferred.isDoneUnsafe(crashed) ? undone : Effect.fail(new Broken({ who, what: `fails: ${error.message}` }))
    })
  )
}

const statusOf = (host: Host) => host.run(Effect.flatMap(Tcp, (tcp) => tcp.status))

const nothingLeft = Effect.gen(function*() {
  for (const host of (yield* Network).hosts()) {
    const left = (yield* statusOf(host)).find(({ state }) => state !== "LISTEN")
    if (left !== undefined) {
      return yield* new Broken({ who: host.name, what: `has a connection in ${left.state}, long after its end` })
    }
  }
})

/** Whether nothing can be lost, nor be thought to be. */
const isSmooth = ({ faults, traffic }: Scenario): boolean =>
  faults.length === 0 && traffic.every(({ ends }) => ends.every((end) => end.digest === 0))

const nothingTwice = Effect.gen(function*() {
  for (const host of (yield* Network).hosts()) {
    const counters = yield* host.run(Effect.flatMap(Statistics, (statistics) => statistics.snapshot))
    if ((counters["tcp.retransmitted"] ?? 0) > 0) {
      return yield* new Broken({ who: host.name, what: "sends text again, although nothing was lost" })
    }
  }
})
