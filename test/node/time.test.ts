/**
 * Virtual time and real time: programs of Effect on a simulated network in the one, programs of Node on the same network in
 * the other, and what those are told who mix them.
 */
import { assert, describe, it } from "@effect/vitest"
import { NetworkStack, type Tcp, type Udp } from "@strata/core"
import { Distribution, Loopback, Loss } from "@strata/drivers"
import { type Host as SimulatedHost, Network, Simulation } from "@strata/simulation"
import { StrataSocket, StrataSocketServer } from "@strata/sockets"
import { makeDgram, makeNet, StrataNode } from "@strata/sockets/node"
import * as StrataHttp from "@strata/sockets/StrataHttp"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import express from "express"
import { once } from "node:events"
import type { Server } from "node:net"
import { Agent, fetch } from "undici"
import { digest, patterned } from "../support/transfer.ts"

const Host = Loopback.layer.pipe(Layer.provideMerge(NetworkStack.layer))

const PORT = 8080
/** Milliseconds from one host to the other. */
const LATENCY = 20

/** A network of two hosts, of whose packets one in a hundred is lost. */
const apart = Effect.gen(function*() {
  const network = yield* Network
  const client = yield* network.host("client")
  const server = yield* network.host("server")
  const wire = yield* network.wire(client, server, {
    latency: Distribution.constant(LATENCY),
    loss: Loss.bernoulli(0.01)
  })
  const lost = Effect.map(wire.counters, ({ back, forth }) => back.lost + forth.lost)
  return { client, server, wire, lost }
})

/** A program of Node's on a host; what it has opened ends with it. */
const onNode = <A>(program: (node: StrataNode.StrataNode["Service"]) => Promise<A>) =>
  Effect.flatMap(StrataNode.StrataNode, (node) => Effect.promise(() => program(node))).pipe(
    Effect.provide(StrataNode.layer, { local: true })
  )

/** Serves on a host for as long as that is up; listening when this is done. */
const serving = Effect.fnUntraced(
  function*(host: SimulatedHost, make: (node: StrataNode.StrataNode["Service"]) => Server) {
    const listening = yield* Deferred.make<void>()
    const program = onNode(async (node) => {
      const server = make(node).listen(PORT)
      await once(server, "listening")
      Deferred.doneUnsafe(listening, Effect.void)
      await once(server, "close")
    })
    yield* host.fork(program)
    yield* Deferred.await(listening)
  }
)

const joined = (chunks: ReadonlyArray<Uint8Array | string>): Uint8Array =>
  Buffer.concat(chunks.map((chunk) => Buffer.from(chunk)))

describe("in virtual time", () => {
  it.effect("programs of Effect exchange octets, and wait for a day", () =>
    Effect.gen(function*() {
      const bytes = patterned(300_000, 5)
      const program = Effect.gen(function*() {
        const { client, lost, server } = yield* apart
        yield* server.fork(
          Effect.flatMap(
            StrataSocketServer.make({ port: PORT }),
            (listener) =>
              listener.run((socket) =>
                Effect.scoped(Effect.gen(function*() {
                  const { pull } = yield* socket.reader
                  const { write } = yield* socket.writer
                  yield* Effect.ignore(Effect.forever(Effect.flatMap(pull, (chunks) => write(joined(chunks)))))
                }))
              )
          )
        )
        const echoed = yield* client.run(Effect.gen(function*() {
          const socket = yield* StrataSocket.makeNet({ host: "server", port: PORT })
          const { pull } = yield* socket.reader
          const { write } = yield* socket.writer
          yield* Effect.forkScoped(write(bytes))
          const chunks: Array<Uint8Array | string> = []
          for (let octets = 0; octets < bytes.length;) {
            for (const chunk of yield* pull) {
              octets += chunk.length
              chunks.push(chunk)
            }
          }
          yield* Effect.sleep("1 day")
          return joined(chunks)
        }))
        return { echoed, lost: yield* lost, time: yield* Clock.currentTimeMillis }
      })
      const first = yield* Simulation.run(program)
      const again = yield* Simulation.run(program)
      assert.strictEqual(digest(first.echoed), digest(bytes))
      assert.isAbove(first.lost, 0)
      assert.deepStrictEqual([again.time, again.lost], [first.time, first.lost])
    }))
})

describe("in real time", () => {
  it.effect("express answers fetch over a simulated link that loses packets", () =>
    Simulation.runLive(Effect.gen(function*() {
      const { client, lost, server } = yield* apart
      const bytes = patterned(400_000, 6)
      const app = express()
      app.get("/bytes", (_, response) => void response.send(Buffer.from(bytes)))
      app.put("/digest", express.raw({ limit: "1mb" }), (request, response) => void response.send(digest(request.body)))
      yield* serving(server, ({ http }) => http.createServer(app))
      yield* client.run(onNode(async ({ undici }) => {
        const dispatcher = new Agent({ connect: undici.connect })
        const url = `http://server:${PORT}`
        for (let round = 0; round < 2; round++) {
          const start = performance.now()
          const got = await fetch(`${url}/bytes`, { dispatcher })
          assert.strictEqual(digest(await got.bytes()), digest(bytes))
          // There and back at least: it is the time of the wall.
          assert.isAtLeast(performance.now() - start, 2 * LATENCY)
          const put = await fetch(`${url}/digest`, {
            dispatcher,
            method: "PUT",
            body: bytes,
            headers: { "content-type": "application/octet-stream" }
          })
          assert.strictEqual(await put.text(), digest(bytes))
        }
        await dispatcher.close()
      }))
      // Of more than a thousand packets.
      assert.isAbove(yield* lost, 0)
    })))

  it.effect("a protocol on net.Socket waits out a partition, which its timeout tells of", () =>
    Simulation.runLive(Effect.gen(function*() {
      const { client, server, wire } = yield* apart
      yield* serving(server, ({ net }) => net.createServer((socket) => void socket.pipe(socket)))
      const now = Effect.runPromiseWith(yield* Effect.context())
      const events = yield* client.run(onNode(async ({ net }) => {
        const seen: Array<string> = []
        const socket = net.connect({ host: "server", port: PORT })
        await once(socket, "connect")
        await now(wire.partition)
        socket.setTimeout(200)
        socket.write("are you there?")
        await once(socket, "timeout")
        seen.push("timeout")
        await now(wire.heal)
        const [answer] = await once(socket, "data")
        seen.push(String(answer))
        socket.end()
        await once(socket, "close")
        return seen
      }))
      assert.deepStrictEqual(events, ["timeout", "are you there?"])
    })))

  it.effect("a host that crashes and is there again knows nothing of its connections: ECONNRESET", () =>
    Simulation.runLive(Effect.gen(function*() {
      const { client, server } = yield* apart
      yield* serving(server, ({ net }) => net.createServer((socket) => void socket.resume()))
      const now = Effect.runPromiseWith(yield* Effect.context())
      const error = yield* client.run(onNode(async ({ net }) => {
        const socket = net.connect({ host: "server", port: PORT })
        await once(socket, "connect")
        const failed = new Promise<NodeJS.ErrnoException>((resolve) => void socket.once("error", resolve))
        await now(server.restart)
        socket.write("are you there?")
        return await failed
      }))
      assert.deepStrictEqual([error.code, error.syscall], ["ECONNRESET", "read"])
    })))

  it.effect("fails with what its program fails with, and is interrupted with it", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Simulation.runLive(Effect.andThen(apart, Effect.fail("no"))))
      assert.strictEqual(error, "no")
      let ended = false
      const fiber = yield* Effect.forkChild(
        Simulation.runLive(Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (ended = true)))),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(fiber)
      assert.isTrue(ended)
    }))
})

/** What is made of Node's streams. */
const makers: ReadonlyArray<readonly [string, Effect.Effect<unknown, never, Tcp | Udp | Scope.Scope>]> = [
  ["net", makeNet],
  ["dgram", makeDgram],
  ["a server of StrataHttp", StrataHttp.makeServer],
  ["an agent of StrataHttp", StrataHttp.makeAgent()]
]

describe("whoever mixes them is told so", () => {
  it.effect.each(makers)("%s in a simulation", ([, make]) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Simulation.run(Effect.flatMap(apart, ({ client }) => client.run(make))))
      assert.match(
        Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it succeeded",
        /Node's streams need real time, and a simulation runs in virtual time: .*Simulation.runLive/
      )
    }))

  it.effect.each(makers)("%s under the clock of a test", ([, make]) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.scoped(Effect.provide(make, Host, { local: true })))
      assert.match(
        Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it succeeded",
        /Node's streams need real time, and the clock of a test stands still: use it.live/
      )
    }))

  it.live("where time is real there is nothing to tell", () =>
    Effect.gen(function*() {
      for (const [, make] of makers) yield* Effect.scoped(Effect.provide(make, Host, { local: true }))
    }))
})
