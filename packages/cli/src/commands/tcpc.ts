/**
 * Connects, sends stdin and prints what comes back.
 */
import * as TcpSocket from "@strata/sockets/TcpSocket"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { InetAddressV4, Ipv4Address } from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Host from "../Host.ts"
import * as Info from "../Info.ts"
import type { HostOptions } from "../Options.ts"
import * as Output from "../Output.ts"

export interface ClientOptions {
  readonly source: Option.Option<Ipv4Address>
  readonly port: Option.Option<number>
  readonly remote: InetAddressV4
}

export interface TcpClientOptions extends ClientOptions {
  /** Whether to tell at the end what is known about the connection. */
  readonly info: boolean
}

/** How long stdin may pause, in milliseconds, once the peer has closed its half. */
const PAUSE = 1000

/**
 * The end of stdin half-closes the connection, and the command ends when the peer closes its half. When the peer is the
 * first to close, what stdin still brings is sent until it pauses.
 */
export const tcpc = (host: HostOptions, options: TcpClientOptions) =>
  Effect.gen(function*() {
    const stdio = yield* Stdio.Stdio
    const socket = yield* TcpSocket.connect({
      remote: options.remote,
      localAddress: Option.getOrUndefined(options.source),
      localPort: Option.getOrUndefined(options.port)
    })
    yield* Host.showLog
    if (options.info) yield* Info.atEnd(Effect.map(socket.info, Array.of))
    // Odd while a write waits for room.
    let steps = 0
    const step = Effect.sync(() => void steps++)
    const send = (bytes: Uint8Array) => Effect.andThen(step, Effect.ensuring(socket.write(bytes), step))
    const paused = Effect.gen(function*() {
      for (;;) {
        const before = steps
        yield* Effect.sleep(PAUSE)
        if (steps === before && steps % 2 === 0) return
      }
    })
    const sending = yield* Stream.runForEach(stdio.stdin, send).pipe(
      Effect.andThen(socket.closeWrite),
      Effect.forkScoped
    )
    yield* Stream.runForEach(socket.incoming, Output.write)
    // Why sending failed no longer matters: the peer has said all it had to say.
    yield* Effect.raceFirst(Effect.exit(Fiber.join(sending)), paused)
  }).pipe(Host.run(host))
