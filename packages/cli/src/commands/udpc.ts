/**
 * Sends each line of stdin as a datagram and prints what comes back.
 */
import * as UdpSocket from "@strata/sockets/UdpSocket"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Host from "../Host.ts"
import { lines } from "../Lines.ts"
import type { HostOptions } from "../Options.ts"
import * as Output from "../Output.ts"
import type { ClientOptions } from "./tcpc.ts"

export interface UdpClientOptions extends ClientOptions {
  /** Seconds to wait for an answer, once stdin has ended. */
  readonly wait: Option.Option<number>
}

/** Seconds to wait by default. */
const PATIENCE = { first: 4, another: 1 }

/** The most a datagram can carry over IPv4. */
const LARGEST_PAYLOAD = 65_507

export const udpc = (host: HostOptions, options: UdpClientOptions) =>
  Effect.gen(function*() {
    const stdio = yield* Stdio.Stdio
    const socket = yield* UdpSocket.connect({
      remote: options.remote,
      address: Option.getOrUndefined(options.source),
      port: Option.getOrUndefined(options.port)
    })
    yield* Host.findNeighbour(options.remote.address)
    yield* Host.showLog
    let patience = Option.getOrElse(options.wait, () => PATIENCE.first) * 1000
    let active = 0
    const noteActivity = Effect.map(Clock.currentTimeMillis, (now) => {
      active = now
    })
    const printing = Stream.runForEach(socket.datagrams, (datagram) => {
      patience = Option.getOrElse(options.wait, () => PATIENCE.another) * 1000
      return Effect.andThen(noteActivity, Output.write(datagram.payload))
    })
    const quiet = Effect.gen(function*() {
      yield* noteActivity
      for (;;) {
        const left = active + patience - (yield* Clock.currentTimeMillis)
        if (left <= 0) return
        // An answer may shorten the rest of the wait.
        yield* Effect.sleep(Math.min(left, 100))
      }
    })
    const sending = stdio.stdin.pipe(
      lines(LARGEST_PAYLOAD),
      Stream.runForEach((line) => socket.send(line)),
      Effect.andThen(quiet)
    )
    yield* Effect.raceFirst(sending, printing)
  }).pipe(Host.run(host))
