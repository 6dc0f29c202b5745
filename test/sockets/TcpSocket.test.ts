import { describe, expect, it } from "@effect/vitest"
import { Tcp } from "@strata/core"
import { TcpServer, TcpSocket } from "@strata/sockets"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  bytes,
  type Host,
  LEFT,
  leftovers,
  NOTHING,
  pair,
  RIGHT,
  text as show,
  virtually
} from "../support/tcpHosts.ts"
import { digest, patterned } from "../support/transfer.ts"

const on = (host: Host) => Effect.provideService(Tcp, host.tcp)
const text = (socket: TcpSocket.TcpSocket) => socket.incoming.pipe(Stream.decodeText, Stream.mkString)

const pieces = (all: Uint8Array) =>
  Stream.fromIterable(Array.from({ length: 100 }, (_, index) => all.subarray(index * 10_000, (index + 1) * 10_000)))

/** A server on port 7 of the right host, and a client of it on the left. */
const connected = Effect.fnUntraced(function*(options: {
  readonly client?: TcpSocket.LocalOptions
  readonly server?: TcpServer.ListenOptions
} = {}) {
  const hosts = yield* pair()
  const server = yield* on(hosts.right)(TcpServer.listen({ port: 7, ...options.server }))
  const [client, peer] = yield* Effect.all([
    on(hosts.left)(TcpSocket.connect({ ...options.client, host: RIGHT, port: 7 })),
    Effect.flatMap(Stream.runHead(server.connections), Effect.fromOption)
  ], { concurrency: "unbounded" })
  return { ...hosts, server, client, peer }
})

describe("TcpSocket", () => {
  it(
    "has addresses and a state",
    virtually(Effect.gen(function*() {
      const { client, peer } = yield* connected({ client: { localAddress: LEFT, localPort: 5000 } })
      expect([show(client.local), show(client.remote)]).toEqual([`${LEFT}:5000`, `${RIGHT}:7`])
      expect([show(peer.local), show(peer.remote)]).toEqual([`${RIGHT}:7`, `${LEFT}:5000`])
      expect(yield* client.state).toBe("ESTABLISHED")
      yield* client.closeWrite
      yield* Effect.sleep(10)
      expect([yield* client.state, yield* peer.state]).toEqual(["FIN-WAIT-2", "CLOSE-WAIT"])
    }))
  )

  it(
    "connects to text, to an address, and says what is wrong with others",
    virtually(Effect.gen(function*() {
      const { client, left } = yield* connected()
      yield* on(left)(TcpSocket.connect({ remote: `${RIGHT}:7` }))
      yield* on(left)(TcpSocket.connect({ remote: client.remote }))
      yield* on(left)(TcpSocket.connect({ host: client.remote.address, port: 7 }))
      const wrong: ReadonlyArray<readonly [TcpSocket.ConnectOptions, string]> = [
        [{ host: "10.0.0.256", port: 7 }, "10.0.0.256 is not an address"],
        [{ host: "example.org", port: 7 }, "example.org is not an address"],
        [{ host: "::1", port: 7 }, "::1 is not an address: IPv6"],
        [{ host: RIGHT, port: 70_000 }, `${RIGHT}:70000 is not an address`],
        [{ remote: "10.0.0.2" }, "10.0.0.2 is not an address"],
        [{ remote: "10.0.0.2:7", localAddress: "here" }, "here is not an address"]
      ]
      for (const [options, message] of wrong) {
        const error = yield* Effect.flip(on(left)(TcpSocket.connect(options)))
        expect(error.reason._tag).toBe("InvalidAddress")
        expect(error.message).toContain(message)
      }
      const error = yield* Effect.flip(on(left)(TcpServer.listen({ address: "nowhere" })))
      expect(error.reason._tag).toBe("InvalidAddress")
    }))
  )

  it(
    "streams a megabyte each way through Stream and Sink",
    virtually(Effect.gen(function*() {
      const { client, peer } = yield* connected()
      const there = patterned(1_000_000, 1)
      const back = patterned(1_000_000, 2)
      const [atPeer, atClient] = yield* Effect.all([
        Stream.runCollect(peer.incoming),
        Stream.runCollect(client.incoming),
        Stream.run(pieces(there), client.outgoing),
        Stream.run(pieces(back), peer.outgoing)
      ], { concurrency: "unbounded" })
      expect(digest(Buffer.concat(atPeer))).toBe(digest(there))
      expect(digest(Buffer.concat(atClient))).toBe(digest(back))
      yield* client.closed
      yield* peer.closed
    }))
  )

  it(
    "holds back the stream that is written while nobody reads",
    virtually(Effect.gen(function*() {
      const { client, peer } = yield* connected({ client: { sendBuffer: 10_000 }, server: { receiveBuffer: 10_000 } })
      let pulled = 0
      const endless = Stream.fromEffectRepeat(Effect.sync(() => {
        pulled++
        return new Uint8Array(1000)
      }))
      const writing = yield* Effect.forkChild(Stream.run(Stream.take(endless, 1000), client.outgoing))
      yield* Effect.sleep("1 minute")
      expect(pulled).toBeLessThan(30)
      expect((yield* Stream.runCollect(peer.incoming)).reduce((sum, chunk) => sum + chunk.length, 0)).toBe(1_000_000)
      yield* Fiber.join(writing)
    }))
  )

  it.each([1, 5, 100, 1000, 20_000])(
    "writes chunks that come together in their order, where %i octets each fit or do not",
    (size) =>
      virtually(Effect.gen(function*() {
        const { client, peer } = yield* connected({ client: { sendBuffer: 10_000 } })
        const all = patterned(40 * size, 1)
        const chunks = Array.from({ length: 40 }, (_, index) => all.subarray(index * size, (index + 1) * size))
        yield* Effect.forkChild(Stream.run(Stream.fromArray(chunks), client.outgoing))
        expect(digest(Buffer.concat(yield* Stream.runCollect(peer.incoming)))).toBe(digest(all))
      }))()
  )

  it(
    "stops in the middle of a stream that is interrupted while it waits, and lets others write then",
    virtually(Effect.gen(function*() {
      const { client, peer } = yield* connected({ client: { sendBuffer: 1000 }, server: { receiveBuffer: 1000 } })
      const all = Array.from({ length: 100 }, () => new Uint8Array(300).fill(120))
      const writing = yield* Effect.forkChild(Stream.run(Stream.fromArray(all), client.outgoing))
      yield* Effect.sleep(1000)
      yield* Fiber.interrupt(writing)
      yield* Effect.forkChild(Effect.andThen(client.write("end"), client.closeWrite))
      const received = yield* text(peer)
      expect(received).toMatch(/^x+end$/)
      expect(received.length).toBeLessThan(100 * 300)
    }))
  )

  it(
    "sends text as UTF-8",
    virtually(Effect.gen(function*() {
      const { client, peer } = yield* connected()
      yield* client.write("naïve ∑")
      yield* client.closeWrite
      expect(yield* text(peer)).toBe("naïve ∑")
    }))
  )

  it(
    "fails its stream when the peer resets, and its sink too",
    virtually(Effect.gen(function*() {
      const { client, peer } = yield* connected()
      const reading = yield* Effect.forkChild(Effect.flip(Stream.runDrain(client.incoming)))
      const writing = yield* Effect.forkChild(
        Effect.flip(Stream.run(Stream.forever(Stream.succeed(new Uint8Array(1000))), client.outgoing))
      )
      yield* Effect.sleep(10)
      yield* peer.abort
      expect(yield* Fiber.join(reading)).toMatchObject({ reason: { _tag: "ConnectionReset" } })
      expect(yield* Fiber.join(writing)).toMatchObject({ reason: { _tag: "ConnectionReset" } })
      expect(yield* Effect.flip(client.closed)).toMatchObject({ reason: { _tag: "ConnectionReset" } })
    }))
  )

  it(
    "leaves the connection open when the stream that is written fails",
    virtually(Effect.gen(function*() {
      const { client, peer } = yield* connected()
      yield* Effect.flip(Stream.run(Stream.concat(Stream.succeed(bytes("a")), Stream.fail("broken")), client.outgoing))
      yield* client.write("b")
      yield* client.closeWrite
      expect(yield* text(peer)).toBe("ab")
    }))
  )
})

describe("TcpServer", () => {
  it(
    "with the shortest of programs echoes to many clients, and keeps nothing",
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
            text(socket),
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

  it.each([undefined, 1])(
    "closes a connection when its handler is done, fails, dies or is interrupted, and goes on; concurrency: %s",
    (concurrency) =>
      virtually(Effect.gen(function*() {
        const { left, right } = yield* pair()
        const server = yield* on(right)(TcpServer.listen({ port: 7 }))
        let count = 0
        const endings: ReadonlyArray<Effect.Effect<void, string>> = [
          Effect.void,
          Effect.fail("tired"),
          Effect.die("broken"),
          Effect.interrupt,
          Effect.void
        ]
        yield* Effect.forkScoped(
          TcpServer.serve(
            server,
            (peer) => Effect.andThen(peer.write(`good day ${count}\r\n`), endings[count++]!),
            { concurrency }
          )
        )
        for (let client = 0; client < endings.length; client++) {
          const socket = yield* on(left)(TcpSocket.connect({ host: RIGHT, port: 7 }))
          expect(yield* text(socket)).toBe(`good day ${client}\r\n`)
          yield* socket.close
        }
        yield* Effect.sleep("2 minutes")
        expect(yield* leftovers(right)).toEqual({ ...NOTHING, listeners: 1 })
      }))()
  )

  it(
    "closes all its connections at a time, however long they linger",
    virtually(Effect.gen(function*() {
      const { left, right } = yield* pair()
      const scope = yield* Scope.make()
      const server = yield* on(right)(Scope.provide(TcpServer.listen({ port: 7, linger: 1000 }), scope))
      for (let client = 0; client < 5; client++) {
        yield* on(left)(TcpSocket.connect({ host: RIGHT, port: 7, receiveBuffer: 4096 }))
      }
      // More than their peers read.
      const peers = yield* Stream.runCollect(Stream.take(server.connections, 5))
      yield* Effect.forEach(peers, (peer) => peer.write(new Uint8Array(20_000)))
      const before = yield* Clock.currentTimeMillis
      yield* Scope.close(scope, Exit.void)
      expect((yield* Clock.currentTimeMillis) - before).toBe(1000)
    }))
  )

  it(
    "gives each handler a scope of its own",
    virtually(Effect.gen(function*() {
      const { left, right } = yield* pair()
      const server = yield* on(right)(TcpServer.listen({ port: 7 }))
      const released = yield* Deferred.make<void>()
      yield* Effect.forkScoped(TcpServer.serve(server, (peer) =>
        Effect.andThen(
          Effect.addFinalizer(() => Deferred.succeed(released, undefined)),
          Stream.runDrain(peer.incoming)
        )))
      const socket = yield* on(left)(TcpSocket.connect({ host: RIGHT, port: 7 }))
      yield* socket.closeWrite
      yield* Deferred.await(released)
      expect(yield* text(socket)).toBe("")
    }))
  )

  it(
    "handles no more connections at a time than it was told",
    virtually(Effect.gen(function*() {
      const { left, right } = yield* pair()
      const server = yield* on(right)(TcpServer.listen({ port: 7 }))
      let most = 0
      let now = 0
      const handler = (peer: TcpSocket.TcpSocket) =>
        Effect.gen(function*() {
          most = Math.max(most, ++now)
          yield* Effect.sleep(100)
          yield* peer.write("done")
          now--
        })
      yield* Effect.forkScoped(TcpServer.serve(server, handler, { concurrency: 3 }))
      const answers = yield* Effect.forEach(
        Array.from({ length: 10 }),
        () => Effect.scoped(Effect.flatMap(on(left)(TcpSocket.connect({ host: RIGHT, port: 7 })), text)),
        { concurrency: "unbounded" }
      )
      expect(answers).toEqual(Array.from({ length: 10 }, () => "done"))
      expect(most).toBe(3)
    }))
  )

  it(
    "ends with its scope: the stream ends, connections are closed in order",
    virtually(Effect.gen(function*() {
      const { left, right } = yield* pair()
      const scope = yield* Scope.make()
      const server = yield* on(right)(Scope.provide(TcpServer.listen({ port: 7 }), scope))
      const accepted: Array<TcpSocket.TcpSocket> = []
      const serving = yield* Effect.forkChild(
        Stream.runForEach(
          server.connections,
          (peer) => Effect.andThen(peer.write("the last thing it says"), Effect.sync(() => accepted.push(peer)))
        )
      )
      const socket = yield* on(left)(TcpSocket.connect({ host: RIGHT, port: 7 }))
      yield* Effect.sleep(10)
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(serving)
      expect(yield* text(socket)).toBe("the last thing it says")
      expect(accepted.length).toBe(1)
      yield* socket.close
      yield* accepted[0]!.closed
      expect((yield* right.counters)["tcp.resetsSent"]).toBeUndefined()
      expect(yield* leftovers(right)).toMatchObject({ listeners: 0, established: 0 })
    }))
  )

  it.each([undefined, 3])(
    "closes the connections of handlers that are interrupted with the server; concurrency: %s",
    (concurrency) =>
      virtually(Effect.gen(function*() {
        const { left, right } = yield* pair()
        const server = yield* on(right)(TcpServer.listen({ port: 7 }))
        const serving = yield* Effect.forkChild(TcpServer.serve(server, () => Effect.never, { concurrency }))
        const sockets = yield* Effect.forEach([1, 2, 3], () => on(left)(TcpSocket.connect({ host: RIGHT, port: 7 })))
        yield* Effect.sleep(10)
        yield* Fiber.interrupt(serving)
        for (const socket of sockets) expect(yield* text(socket)).toBe("")
        for (const socket of sockets) yield* socket.close
        yield* Effect.sleep("2 minutes")
        expect(yield* leftovers(right)).toEqual({ ...NOTHING, listeners: 1 })
      }))()
  )

  it(
    "says when its port is taken",
    virtually(Effect.gen(function*() {
      const { right } = yield* pair()
      yield* on(right)(TcpServer.listen({ port: 7 }))
      const error = yield* Effect.flip(on(right)(TcpServer.listen({ port: 7 })))
      expect(error.reason._tag).toBe("AddressInUse")
      expect(error.message).toContain("0.0.0.0:7")
    }))
  )
})
