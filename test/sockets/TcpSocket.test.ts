import { describe, expect, it } from "@effect/vitest"
import { Tcp } from "@strata/core"
import { TcpServer, TcpSocket } from "@strata/sockets"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { bytes, type Host, leftovers, NOTHING, pair, RIGHT, virtually } from "../support/tcpHosts.ts"

const on = (host: Host) => Effect.provideService(Tcp, host.tcp)

describe("TcpSocket and TcpServer", () => {
  it(
    "echoes to many clients with the shortest of servers, and keeps nothing",
    virtually(Effect.gen(function*() {
      const { left, right } = yield* pair()
      const server = yield* on(right)(TcpServer.listen({ port: 7 }))
      yield* server.connections.pipe(
        Stream.mapEffect((peer) => Stream.run(peer.incoming, peer.outgoing), { concurrency: "unbounded" }),
        Stream.runDrain,
        Effect.forkScoped
      )
      const talk = (index: number) =>
        Effect.gen(function*() {
          const socket = yield* TcpSocket.connect({ host: RIGHT, port: 7 })
          const sent = Array.from({ length: 100 }, (_, line) => `${index}: line ${line}\n`)
          const [received] = yield* Effect.all([
            socket.incoming.pipe(Stream.decodeText, Stream.mkString),
            Stream.run(Stream.fromIterable(sent.map(bytes)), socket.outgoing)
          ], { concurrency: "unbounded" })
          expect(received).toBe(sent.join(""))
          yield* socket.closed
        }).pipe(Effect.scoped, on(left))
      yield* Effect.forEach(Array.from({ length: 50 }, (_, index) => index), talk, { concurrency: "unbounded" })
      yield* Effect.sleep("2 minutes")
      expect(yield* leftovers(left)).toEqual(NOTHING)
      expect(yield* leftovers(right)).toEqual({ ...NOTHING, listeners: 1 })
    }))
  )

  it(
    "closes each connection when its handler is done",
    virtually(Effect.gen(function*() {
      const { left, right } = yield* pair()
      const server = yield* on(right)(TcpServer.listen())
      const serving = yield* Effect.forkScoped(TcpServer.serve(server, (peer) => peer.write("good day\r\n")))
      const socket = yield* on(left)(TcpSocket.connect({ remote: `${RIGHT}:${server.address.port}` }))
      expect(yield* socket.incoming.pipe(Stream.decodeText, Stream.mkString)).toBe("good day\r\n")
      yield* socket.close
      yield* Effect.sleep("2 minutes")
      expect(yield* leftovers(right)).toEqual({ ...NOTHING, listeners: 1 })
      yield* Fiber.interrupt(serving)
    }))
  )
})
