/**
 * The server of `shout.ts` in a simulation, on a host whose network loses every twentieth packet.
 */
import { assert, it } from "@effect/vitest"
import { Distribution, Loss } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import { StrataSocket, StrataSocketServer } from "@strata/sockets"
import { Effect } from "effect"
import { Socket } from "effect/socket"
import { server } from "../shout.ts"

const ask = Effect.gen(function*() {
  const socket = yield* Socket.Socket
  const pull = yield* Socket.readerString(socket)
  yield* (yield* socket.writer).write("is anybody there?")
  return (yield* pull).join("")
})

it.effect("shouts in virtual time", () =>
  Simulation.run(
    Effect.gen(function*() {
      const network = yield* Network
      const client = yield* network.host("client")
      const shouting = yield* network.host("server", {
        boot: Effect.provide(server, StrataSocketServer.layer({ port: 7000 }))
      })
      yield* network.wire(client, shouting, { latency: Distribution.around(20, 5), loss: Loss.bernoulli(0.05) })
      const answer = yield* client.run(
        Effect.provide(ask, StrataSocket.layerNet({ host: "server", port: 7000 }))
      )
      assert.strictEqual(answer, "IS ANYBODY THERE?")
    }),
    { seed: 7 }
  ))
