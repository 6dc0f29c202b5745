/**
 * What the contract does not say of `StrataSocket` and `StrataSocketServer`: their own options, and errors by their names.
 */
import { assert, describe, it } from "@effect/vitest"
import { Tcp } from "@strata/core"
import { Distribution } from "@strata/drivers"
import { type Host, Network, Simulation } from "@strata/simulation"
import { StrataSocket, StrataSocketServer } from "@strata/sockets"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { formatIp, type InetAddress, inetAddressFromIpStringUnsafe, type InetAddressV4 } from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type { SocketServerError } from "effect/socket/SocketServer"
import { readdirSync, readFileSync } from "node:fs"
import { builtinModules } from "node:module"

interface Hosts {
  readonly client: Host
  readonly server: Host
}

/** A program with a client and a server on a wire. */
const simulated = (program: (hosts: Hosts) => Effect.Effect<void, unknown, Scope.Scope>) => () =>
  Simulation.run(Effect.gen(function*() {
    const network = yield* Network
    const client = yield* network.host("client")
    const server = yield* network.host("server")
    yield* network.wire(client, server, { latency: Distribution.constant(1) })
    yield* program({ client, server })
  }))

const echo = Effect.fnUntraced(
  function*(socket: Socket.Socket) {
    const pull = yield* Socket.readerBytes(socket)
    const { writeAll } = yield* socket.writer
    yield* Effect.forever(Effect.flatMap(pull, writeAll))
  },
  (effect) => Effect.ignore(effect),
  Effect.scoped
)

/** Runs a server of port 7 on the host. */
const serving = (
  host: Host,
  handler: (socket: Socket.Socket) => Effect.Effect<unknown, unknown, StrataSocket.NetSocket | Scope.Scope> = echo,
  options: Partial<StrataSocketServer.Options> = {}
) =>
  Effect.gen(function*() {
    const listening = yield* Deferred.make<void>()
    yield* host.fork(Effect.gen(function*() {
      const server = yield* StrataSocketServer.make({ port: 7, ...options })
      yield* Deferred.succeed(listening, undefined)
      yield* server.run(handler as (socket: Socket.Socket) => Effect.Effect<unknown, unknown>)
    }))
    yield* Deferred.await(listening)
  })

const openCause = (options: StrataSocket.NetOptions) =>
  Effect.gen(function*() {
    const socket = yield* StrataSocket.makeNet(options)
    const { reason } = yield* Effect.flip(Effect.scoped(socket.reader))
    assert.strictEqual(reason._tag, "SocketOpenError")
    return String((reason as Socket.SocketOpenError).cause)
  })

describe("StrataSocket", () => {
  it.effect(
    "sends what was written, whatever becomes of the memory after the write",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        yield* serving(server)
        yield* client.run(Effect.scoped(Effect.gen(function*() {
          const socket = yield* StrataSocket.makeNet({ host: "server", port: 7 })
          const pull = yield* Socket.readerBytes(socket)
          const { write } = yield* socket.writer
          const chunk = new Uint8Array(20_000).fill(1)
          yield* write(chunk)
          chunk.fill(2)
          for (let octets = 0; octets < chunk.length;) {
            for (const bytes of yield* pull) {
              octets += bytes.length
              assert.isTrue(bytes.every((octet) => octet === 1))
            }
          }
        })))
      })
    )
  )

  it.effect(
    "finds hosts by name, and says what is wrong with others",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        yield* serving(server)
        yield* client.run(Effect.gen(function*() {
          const socket = yield* StrataSocket.makeNet({ host: "server", port: 7 })
          yield* socket.reader
          assert.match(yield* openCause({ host: "nobody", port: 7 }), /nobody/)
          assert.match(yield* openCause({ host: "server", port: 8 }), /refused/)
          assert.match(yield* openCause({ host: "server", port: 70_000 }), /port must be/)
          assert.match(yield* openCause({ host: "::1", port: 7 }), /::1 is not an address of IPv4/)
          assert.match(yield* openCause({ host: "198.51.100.1", port: 7 }), /unreachable/)
          assert.match(yield* openCause({ host: "server", port: 7, localAddress: "198.51.100.1" }), /not an address of/)
        }))
      })
    )
  )

  it.effect(
    "asks nobody for names where there is no AddressResolver",
    simulated(({ client }) =>
      Effect.gen(function*() {
        const tcp = yield* client.run(Tcp)
        const asking = Effect.provideService(openCause({ host: "server", port: 7 }), Tcp, tcp)
        assert.match(yield* asking, /no AddressResolver/)
      })
    )
  )

  it.effect(
    "writes to a connection that is over fail",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        yield* serving(server, (socket) =>
          Effect.gen(function*() {
            yield* Effect.flatMap(socket.reader, ({ pull }) => pull)
            yield* (yield* StrataSocket.NetSocket).abort
          }))
        yield* client.run(Effect.gen(function*() {
          const socket = yield* StrataSocket.makeNet({ host: "server", port: 7 })
          const { pull } = yield* socket.reader
          const { write, writeAll } = yield* socket.writer
          yield* write("reset me")
          const { reason } = yield* Effect.flip(pull)
          assert.strictEqual(reason._tag, "SocketReadError")
          assert.match(String((reason as Socket.SocketReadError).cause), /reset/)
          for (const writing of [write("more"), writeAll(["and", "more"])]) {
            assert.strictEqual((yield* Effect.flip(writing)).reason._tag, "SocketWriteError")
          }
        }))
      })
    )
  )

  it.effect(
    "writes after its own half-close, and after the peer's, fail",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        const late = yield* Deferred.make<Socket.SocketErrorReason>()
        yield* serving(server, (socket) =>
          Effect.gen(function*() {
            const { pull } = yield* socket.reader
            const { write } = yield* socket.writer
            yield* Effect.flip(Effect.forever(pull))
            yield* Effect.sleep(1)
            yield* Deferred.succeed(late, (yield* Effect.flip(write("too late"))).reason)
          }))
        yield* client.run(Effect.gen(function*() {
          const socket = yield* StrataSocket.makeNet({ host: "server", port: 7 })
          yield* socket.reader
          const { write } = yield* Effect.scoped(socket.writer)
          assert.strictEqual((yield* Effect.flip(write("more"))).reason._tag, "SocketWriteError")
        }))
        assert.strictEqual((yield* Deferred.await(late))._tag, "SocketWriteError")
      })
    )
  )

  it.effect(
    "gives no more chunks in a pull than it was told to",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        yield* serving(server, (socket) =>
          Effect.gen(function*() {
            yield* socket.reader
            const { write } = yield* socket.writer
            yield* write(new Uint8Array(200_000).fill(1))
          }))
        yield* client.run(Effect.gen(function*() {
          const socket = yield* StrataSocket.makeNet({ host: "server", port: 7, chunkSize: 1 })
          const { pull } = yield* socket.reader
          yield* Effect.sleep(1000)
          let octets = 0
          let pulls = 0
          yield* Effect.ignore(Effect.forever(Effect.map(pull, (chunks) => {
            assert.strictEqual(chunks.length, 1)
            octets += chunks[0].length
            pulls++
          })))
          assert.strictEqual(octets, 200_000)
          assert.isAbove(pulls, 1)
        }))
      })
    )
  )

  it.effect(
    "tells TCP what Node's options say",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        const tcp = yield* Deferred.make<readonly [nagle: boolean, keepAlive: boolean]>()
        yield* serving(server, (socket) =>
          Effect.gen(function*() {
            yield* socket.reader
            const { settings } = (yield* StrataSocket.NetSocket).controlBlock()
            yield* Deferred.succeed(tcp, [settings.nagle, settings.keepAlive])
          }), { noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 })
        yield* client.run(
          Effect.flatMap(StrataSocket.makeNet({ host: "server", port: 7 }), ({ reader }) => reader)
        )
        assert.deepStrictEqual(yield* Deferred.await(tcp), [false, true])
      })
    )
  )

  it.effect(
    "has what was written, whatever becomes of the memory it was in",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        yield* serving(server, (socket) =>
          Effect.gen(function*() {
            yield* socket.reader
            const { write } = yield* socket.writer
            const bytes = new Uint8Array(100_000)
            for (const value of [1, 2, 3]) {
              yield* write(bytes.fill(value))
              bytes.fill(255)
            }
          }))
        yield* client.run(Effect.gen(function*() {
          const pull = yield* Socket.readerBytes(yield* StrataSocket.makeNet({ host: "server", port: 7 }))
          const counts = new Map<number, number>()
          yield* Effect.ignore(Effect.forever(Effect.map(pull, (chunks) => {
            for (const value of chunks.flatMap((chunk) => [...chunk])) counts.set(value, (counts.get(value) ?? 0) + 1)
          })))
          assert.deepStrictEqual([...counts], [[1, 100_000], [2, 100_000], [3, 100_000]])
        }))
      })
    )
  )

  it.effect(
    "is told of no TLS",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        yield* serving(server)
        yield* client.run(Effect.gen(function*() {
          const { upgrade } = yield* (yield* StrataSocket.makeNet({ host: "server", port: 7 })).reader
          const { reason } = yield* Effect.flip(upgrade())
          assert.strictEqual(reason._tag, "SocketUpgradeError")
          assert.match(reason.message, /does not support/)
        }))
      })
    )
  )
})

describe("StrataSocketServer", () => {
  it.effect(
    "runs as many handlers as it may, and the others wait",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        let running = 0
        let most = 0
        let served = 0
        yield* serving(server, (socket) =>
          Effect.gen(function*() {
            most = Math.max(most, ++running)
            yield* Effect.sleep(100)
            yield* socket.reader
            running--
            served++
          }), { concurrency: 2 })
        const socket = yield* client.run(StrataSocket.makeNet({ host: "server", port: 7 }))
        const one = Effect.scoped(Effect.flatMap(socket.reader, ({ pull }) => Effect.flip(Effect.forever(pull))))
        yield* client.run(Effect.all(Array.from({ length: 7 }, () => one), { concurrency: "unbounded" }))
        assert.deepStrictEqual([most, served, running], [2, 7, 0])
      })
    )
  )

  it.effect(
    "lets no more connections wait than the backlog holds",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const listening = yield* server.run(
          Scope.provide(StrataSocketServer.make({ port: 7, backlog: 2, synCookies: "off" }), scope)
        )
        let open = 0
        const dial = Effect.scoped(Effect.gen(function*() {
          const socket = yield* StrataSocket.makeNet({ host: "server", port: 7 })
          yield* socket.reader
          yield* (yield* socket.writer).write("hello")
          open++
          yield* Effect.never
        }))
        yield* client.fork(Effect.all(Array.from({ length: 8 }, () => dial), { concurrency: "unbounded" }))
        yield* Effect.sleep(500)
        const waiting = open
        let handled = 0
        yield* Effect.forkScoped(listening.run(() => Effect.andThen(Effect.sync(() => handled++), Effect.never)))
        yield* Effect.sleep(60_000)
        assert.isBelow(waiting, 8)
        assert.deepStrictEqual([open, handled], [8, 8])
        yield* Scope.close(scope, Exit.void)
      })
    )
  )

  it.effect(
    "closes the connection of a handler that never read",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        yield* serving(server, () => Effect.void)
        const error = yield* client.run(
          Effect.flatMap(
            StrataSocket.makeNet({ host: "server", port: 7 }),
            (socket) => Effect.flatMap(socket.reader, ({ pull }) => Effect.flip(pull))
          )
        )
        assert.strictEqual((error.reason as Socket.SocketCloseError).code, 1000)
      })
    )
  )

  it.effect(
    "has no second reader once the first one is released",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        const again = yield* Deferred.make<Socket.SocketErrorReason>()
        yield* serving(server, (socket) =>
          Effect.gen(function*() {
            yield* Effect.scoped(socket.reader)
            yield* Deferred.succeed(again, (yield* Effect.flip(Effect.scoped(socket.reader))).reason)
          }))
        yield* client.run(Effect.flatMap(StrataSocket.makeNet({ host: "server", port: 7 }), ({ reader }) =>
          Effect.scoped(Effect.flatMap(reader, ({ pull }) =>
            Effect.ignore(pull)))))
        const reason = yield* Deferred.await(again)
        assert.strictEqual((reason as Socket.SocketCloseError).code, 1000)
      })
    )
  )

  it.effect(
    "hands a connection that was reset meanwhile to its handler, whose reader says so",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        const reason = yield* Deferred.make<Socket.SocketErrorReason>()
        yield* serving(server, (socket) =>
          Effect.gen(function*() {
            yield* Effect.sleep(50)
            yield* Deferred.succeed(reason, (yield* Effect.flip(socket.reader)).reason)
          }))
        yield* client.run(Effect.gen(function*() {
          const remote = inetAddressFromIpStringUnsafe(formatIp(server.addresses()[0]!), 7) as InetAddressV4
          const connection = yield* (yield* Tcp).connect({ remote })
          yield* Effect.sleep(10)
          yield* connection.abort
        }))
        assert.match(String(((yield* Deferred.await(reason)) as Socket.SocketOpenError).cause), /reset/)
      })
    )
  )

  it.effect(
    "says why it cannot listen, and that it no longer can",
    simulated(({ server }) =>
      Effect.gen(function*() {
        const reasonOf = (options: StrataSocketServer.Options) =>
          server.run(
            Effect.map(
              Effect.flip(Effect.scoped(StrataSocketServer.make(options))),
              (error) => `${(error as SocketServerError).reason._tag}: ${(error as SocketServerError).cause}`
            )
          )
        yield* serving(server)
        assert.match(yield* reasonOf({ port: 7 }), /^SocketServerOpenError: .*in use/)
        assert.match(yield* reasonOf({ host: "198.51.100.1" }), /^SocketServerOpenError: .*not an address of/)
        assert.match(yield* reasonOf({ host: "nobody" }), /^SocketServerOpenError: .*nobody/)
        const scope = yield* Scope.make()
        const listening = yield* server.run(Scope.provide(StrataSocketServer.make({ port: 8 }), scope))
        const running = yield* Effect.forkScoped(Effect.flip(listening.run(() => Effect.void)))
        yield* Effect.sleep(1)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Fiber.join(running)).reason._tag, "SocketServerUnknownError")
        assert.strictEqual((listening.address as InetAddress).port, 8)
      })
    )
  )
})

describe("the package", () => {
  it("needs Node for TLS, HTTP and Node's own sockets only", () => {
    const src = new URL("../../packages/sockets/src/", import.meta.url)
    const importsOf = (name: string) =>
      [...readFileSync(new URL(name, src), "utf8").matchAll(/ from "([^"]+)"/g)].map(([, id]) => id!)
    const needsNode = (name: string, seen = new Set<string>()): boolean =>
      importsOf(name).some((id) => {
        if (!id.startsWith(".")) return builtinModules.includes(id.replace(/^node:/, ""))
        const next = new URL(id, new URL(name, src)).href.slice(src.href.length)
        if (seen.has(next)) return false
        seen.add(next)
        return needsNode(next, seen)
      })
    const entries = readdirSync(src, { encoding: "utf8" }).filter((name) => name.endsWith(".ts"))
    assert.isTrue(needsNode("node/index.ts"))
    assert.deepStrictEqual(entries.filter((name) => needsNode(name)).toSorted(), ["StrataHttp.ts", "StrataTls.ts"])
  })
})
