/**
 * ICMP echo requests, reported as the ping of iputils does.
 */
import { type EchoReply, Icmp, type PingError } from "@strata/core/ip/Icmp"
import { Routing } from "@strata/core/ip/Routing"
import { fromIpv4 } from "@strata/core/wire/Address"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Ipv4Address } from "effect/net/NetAddress"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Failure } from "../Exit.ts"
import * as Host from "../Host.ts"
import type { HostOptions } from "../Options.ts"
import * as Output from "../Output.ts"

export interface PingOptions {
  readonly destination: Ipv4Address
  /** Of the host; chosen by the route when none is given. */
  readonly source?: Ipv4Address | undefined
  /** Infinity to go on until interrupted. */
  readonly count: number
  /** Seconds from one request to the next; with 0 the next follows the reply. */
  readonly interval: number
  /** Octets of payload. */
  readonly size: number
  /** Seconds to wait for each reply. */
  readonly timeout: number
}

/** What was seen so far. */
interface Tally {
  readonly transmitted: number
  readonly received: number
  readonly errors: number
  /** Round-trip times in milliseconds: of all replies the least, the greatest, the sum and the sum of squares. */
  readonly least: number
  readonly greatest: number
  readonly sum: number
  readonly squares: number
}

const none: Tally = {
  transmitted: 0,
  received: 0,
  errors: 0,
  least: Infinity,
  greatest: 0,
  sum: 0,
  squares: 0
}

const withReply = (tally: Tally, roundTrip: number): Tally => ({
  ...tally,
  received: tally.received + 1,
  least: Math.min(tally.least, roundTrip),
  greatest: Math.max(tally.greatest, roundTrip),
  sum: tally.sum + roundTrip,
  squares: tally.squares + roundTrip * roundTrip
})

/** Three significant digits, as iputils prints round-trip times. */
const formatTime = (milliseconds: number): string =>
  milliseconds.toFixed(milliseconds >= 100 ? 0 : milliseconds >= 10 ? 1 : milliseconds >= 1 ? 2 : 3)

const formatReply = (reply: EchoReply, sequence: number): string =>
  `${reply.length} bytes from ${reply.address}: icmp_seq=${sequence} ttl=${reply.timeToLive} ` +
  `time=${formatTime(reply.roundTrip)} ms`

const words: Record<string, string> = {
  netUnreachable: "Destination Net Unreachable",
  hostUnreachable: "Destination Host Unreachable",
  protocolUnreachable: "Destination Protocol Unreachable",
  portUnreachable: "Destination Port Unreachable",
  fragmentationNeeded: "Frag needed and DF set",
  sourceRouteFailed: "Source Route Failed",
  prohibited: "Packet filtered",
  timeExceeded: "Time to live exceeded",
  parameterProblem: "Parameter problem",
  sourceQuench: "Source Quench"
}

/** Undefined where there is nothing to say: a reply that did not come is only counted. */
const formatError = (error: PingError, sequence: number): string | undefined => {
  const { reason } = error
  switch (reason._tag) {
    case "PingTimedOut":
      return undefined
    case "PingUnreachable":
      return `From ${reason.reporter} icmp_seq=${sequence} ${words[reason.kind] ?? reason.kind}`
    case "PingNotSent":
      return `icmp_seq=${sequence} not sent: ${reason.why}`
  }
}

/** The lines at the end; `elapsed` is in milliseconds. */
const formatTally = (destination: Ipv4Address, tally: Tally, elapsed: number): ReadonlyArray<string> => {
  const { errors, received, transmitted } = tally
  const loss = transmitted === 0 ? 0 : 100 * (transmitted - received) / transmitted
  const counts =
    `${transmitted} packets transmitted, ${received} received, ${errors > 0 ? `+${errors} errors, ` : ""}` +
    `${Number(loss.toPrecision(6))}% packet loss, time ${Math.round(elapsed)}ms`
  const lines = ["", `--- ${destination} ping statistics ---`, counts]
  if (received === 0) return lines
  const average = tally.sum / received
  const deviation = Math.sqrt(Math.max(0, tally.squares / received - average * average))
  const times = [tally.least, average, tally.greatest, deviation].map((time) => time.toFixed(3)).join("/")
  return [...lines, `rtt min/avg/max/mdev = ${times} ms`]
}

/** Nothing came back. The statistics have said so; the exit code says it to programs. */
export class NoReply extends Schema.TaggedError<NoReply>()("NoReply", {}) {
  override readonly [Runtime.errorExitCode] = 1
  override readonly [Runtime.errorReported] = false
  override readonly message = "no reply"
}

/** Sends the requests and prints what happens and, also when it is interrupted, the statistics. Fails as `print` does. */
export const pings = Effect.fnUntraced(function*<E>(
  options: PingOptions,
  print: (line: string) => Effect.Effect<void, E>
): Effect.fn.Return<Tally, E | NoReply, Icmp> {
  const icmp = yield* Icmp
  const { destination, interval, size, source } = options
  const timeout = options.timeout * 1000
  const payload = Uint8Array.from({ length: size }, (_, index) => index)
  let firstSent = 0
  let lastSent = 0
  let tally = none

  const probe = Effect.fnUntraced(function*(sequence: number) {
    lastSent = yield* Clock.currentTimeMillis
    if (sequence === 1) firstSent = lastSent
    tally = { ...tally, transmitted: tally.transmitted + 1 }
    return yield* icmp.ping(destination, { payload, sequence: sequence & 0xffff, source, timeout })
      .pipe(
        Effect.match({
          onSuccess: (reply) => {
            tally = withReply(tally, reply.roundTrip)
            return formatReply(reply, sequence)
          },
          onFailure: (error) => {
            const line = formatError(error, sequence)
            if (line !== undefined) tally = { ...tally, errors: tally.errors + 1 }
            return line
          }
        })
      )
  })
  const conclude = Effect.gen(function*() {
    for (const line of formatTally(destination, tally, lastSent - firstSent)) yield* print(line)
    if (tally.received === 0) return yield* new NoReply()
    return tally
  })
  const later = Stream.range(2, options.count)
  const sequences = Stream.concat(
    Stream.make(1),
    interval > 0 ? Stream.schedule(later, Schedule.fixed(interval * 1000)) : later
  )

  const from = source === undefined ? "" : `from ${source} : `
  yield* print(`PING ${destination} (${destination}) ${from}${size}(${size + 28}) bytes of data.`)
  yield* sequences.pipe(
    Stream.mapEffect(probe, { concurrency: interval > 0 ? "unbounded" : 1, unordered: true }),
    Stream.runForEach((line) => line === undefined ? Effect.void : print(line)),
    Effect.onInterrupt(() => conclude)
  )
  return yield* conclude
})

const isNoReply = (reason: Cause.Reason<unknown>): boolean =>
  Cause.isFailReason(reason) && reason.error instanceof NoReply

/** The requests of a source that is not the host's own would be refused one by one. */
const checkSource = Effect.fnUntraced(function*(source: Ipv4Address) {
  if (!(yield* Routing).isLocal(fromIpv4(source))) {
    return yield* new Failure({ message: `${source} is not an address of this stack` })
  }
})

export const ping = (host: HostOptions, options: PingOptions) =>
  Effect.gen(function*() {
    if (options.source !== undefined) yield* checkSource(options.source)
    yield* Host.showLog
    return yield* pings(options, Output.line)
  }).pipe(
    // An interruption, which is how an endless ping ends, would hide the failure from whoever looks further out.
    Effect.onExit((exit) =>
      Effect.sync(() => {
        if (Exit.isFailure(exit) && exit.cause.reasons.some(isNoReply)) process.exitCode = 1
      })
    ),
    Host.run(host)
  )
