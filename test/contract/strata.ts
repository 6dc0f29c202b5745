/**
 * An end made of strata, on the stack of whoever asks.
 */
import { Tcp, Udp } from "@strata/core"
import { StrataDatagramSocket, StrataSocket, StrataSocketServer } from "@strata/sockets"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Side } from "./Ends.ts"

export const side = Effect.fnUntraced(function*(host: string): Effect.fn.Return<Side, never, Tcp | Udp> {
  const stack = Context.make(Tcp, yield* Tcp).pipe(Context.add(Udp, yield* Udp))
  return {
    host,
    socket: (options) => Effect.provideContext(StrataSocket.makeNet(options), stack),
    server: (options) => Effect.provideContext(StrataSocketServer.make(options), stack),
    datagrams: (options) => Effect.provideContext(StrataDatagramSocket.make(options), stack)
  }
})
