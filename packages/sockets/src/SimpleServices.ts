/**
 * The simple services of old, each of a few lines: echo (RFC 862), discard
 * (RFC 863), the character generator (RFC 864) and daytime (RFC 867).
 *
 * A service listens when its Effect is done, and ends in order with the scope.
 * Each serves up to 4,096 connections at once; more wait in the backlog. No
 * service keeps what a slow peer does not take: it waits.
 */
import type { Tcp } from "@strata/core/tcp/Tcp"
import type { TcpError } from "@strata/core/tcp/TcpError"
import type { Udp, UdpError } from "@strata/core/udp/Udp"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { InetAddressV4, Ipv4Address } from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TcpServer from "./TcpServer.ts"
import type { TcpSocket } from "./TcpSocket.ts"
import * as UdpSocket from "./UdpSocket.ts"

/** Of a service. */
export interface Options {
  /** All addresses of the host by default. */
  readonly address?: Ipv4Address | undefined
  readonly port: number
}

const MAXIMUM_CONNECTIONS = 4096

/** Serves every connection; what goes wrong on one ends that one only. */
const serve = Effect.fnUntraced(function*(
  options: Options,
  handler: (peer: TcpSocket) => Effect.Effect<void, TcpError>
) {
  const server = yield* TcpServer.listen(options)
  yield* Effect.forkScoped(TcpServer.serve(server, handler, { concurrency: MAXIMUM_CONNECTIONS }))
  return server.address
})

/** Sends back what it receives (RFC 862, TCP). */
export const echo = (options: Options): Effect.Effect<InetAddressV4, TcpError, Tcp | Scope.Scope> =>
  serve(options, (peer) => Stream.run(peer.incoming, peer.outgoing))

/** Receives and forgets (RFC 863, TCP). */
export const discard = (options: Options): Effect.Effect<InetAddressV4, TcpError, Tcp | Scope.Scope> =>
  serve(options, (peer) => Stream.runDrain(peer.incoming))

/** Ninety-five lines of 72 printing characters, each starting one character later than the last (RFC 864). */
const characters: Uint8Array = (() => {
  const FIRST = 0x20
  const PRINTING = 95
  const line = (start: number) =>
    String.fromCharCode(...Array.from({ length: 72 }, (_, column) => FIRST + (start + column) % PRINTING))
  const text = Array.from({ length: PRINTING }, (_, start) => `${line(start)}\r\n`).join("")
  return new TextEncoder().encode(text)
})()

/** Sends printing characters, ignoring what it receives, until the peer closes (RFC 864, TCP). */
export const chargen = (options: Options): Effect.Effect<InetAddressV4, TcpError, Tcp | Scope.Scope> =>
  serve(options, (peer) =>
    Effect.raceFirst(
      Stream.run(Stream.forever(Stream.succeed(characters)), peer.outgoing),
      Stream.runDrain(peer.incoming)
    ))

const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December"
]

/** In the first syntax that RFC 867 suggests, such as `Tuesday, February 22, 1982 17:37:43-UTC`. */
const formatDaytime = (time: DateTime.DateTime): string => {
  const parts = DateTime.toPartsUtc(time)
  const clock = [parts.hour, parts.minute, parts.second].map((part) => String(part).padStart(2, "0")).join(":")
  return `${WEEKDAYS[parts.weekDay]}, ${MONTHS[parts.month - 1]} ${parts.day}, ${parts.year} ${clock}-UTC\r\n`
}

/** How long a peer that was told the time may take to close its half: while it sends, closing would reset it. */
const PATIENCE = "10 seconds"

/** Sends the date and time as a line of text and closes, ignoring what it receives (RFC 867, TCP). */
export const daytime = (options: Options): Effect.Effect<InetAddressV4, TcpError, Tcp | Scope.Scope> =>
  serve(
    options,
    Effect.fnUntraced(function*(peer) {
      yield* peer.write(formatDaytime(yield* DateTime.now))
      yield* peer.closeWrite
      yield* Effect.timeoutOption(Stream.runDrain(peer.incoming), PATIENCE)
    })
  )

/** The UDP ports of services that answer whatever they get: echo, daytime, quote of the day, chargen. */
const ANSWERING_PORTS = new Set([0, 7, 13, 17, 19])

/**
 * Sends back each datagram (RFC 862, UDP), but not to a port that would answer in turn: two such services would never
 * stop, and a forged source address is all it takes.
 */
export const echoUdp = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<InetAddressV4, UdpError, Udp | Scope.Scope> {
  const socket = yield* UdpSocket.bind(options)
  yield* socket.datagrams.pipe(
    Stream.filter((datagram) => !ANSWERING_PORTS.has(datagram.source.port)),
    Stream.runForEach((datagram) => Effect.ignore(socket.reply(datagram, datagram.payload))),
    Effect.forkScoped
  )
  return socket.local
})
