/**
 * `node:dgram` on strata: what `import * as dgram from "node:dgram"` gives, for one stack.
 *
 * ```ts
 * const dgram = yield* makeDgram
 * const socket = dgram.createSocket("udp4", (message, from) => socket.send(message, from.port, from.address))
 * socket.bind(7)
 * ```
 *
 * Sockets live in real time, as all of Node does, and close with the scope. There is IPv4 only: a `udp6` socket fails with
 * EAFNOSUPPORT when it is bound. Names are looked up by the socket's `lookup`, else by the `AddressResolver` of the context.
 */
import { Udp } from "@strata/core"
import { formatIpv4, fromIpv4 } from "@strata/core/wire/Address"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { SocketOptions, SocketType } from "node:dgram"
import * as HostAddress from "../internal/HostAddress.ts"
import { Hold } from "../internal/NodeHost.ts"
import * as RealTime from "../internal/RealTime.ts"
import { Departure } from "./DgramDeparture.ts"
import { type DgramHost, DgramSocket, type MessageListener } from "./DgramSocket.ts"
import * as NodeErrors from "./NodeErrors.ts"

export type { DgramSocket, MessageListener }

export interface StrataDgram {
  readonly Socket: new(type: SocketType | SocketOptions, listener?: MessageListener) => DgramSocket
  readonly createSocket: (type: SocketType | SocketOptions, listener?: MessageListener) => DgramSocket
}

export const makeDgram: Effect.Effect<StrataDgram, never, Udp | Scope.Scope> = Effect.gen(function*() {
  yield* RealTime.needed
  const context = yield* Effect.context<Udp>()
  const udp = yield* Udp
  const host: DgramHost = {
    udp,
    departure: new Departure(udp),
    open: new Set(),
    hold: new Hold(),
    lookup: (hostname, done) =>
      void Effect.runForkWith(context)(Effect.map(
        Effect.result(HostAddress.resolve(hostname)),
        (found) =>
          process.nextTick(() =>
            Result.isSuccess(found)
              ? done(null, formatIpv4(fromIpv4(found.success[0])))
              : done(NodeErrors.notFound(hostname), "")
          )
      ))
  }
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      host.open.forEach((socket) => socket.shut())
      host.departure.close()
    })
  )
  class Socket extends DgramSocket {
    constructor(type: SocketType | SocketOptions, listener?: MessageListener) {
      super(host, type, listener)
    }
  }
  return { Socket, createSocket: (type, listener) => new Socket(type, listener) }
})
