/**
 * TLS over a stack that talks to itself, in real time: `node:tls` knows no other.
 */
import { assert, layer } from "@effect/vitest"
import { NetworkStack } from "@strata/core"
import { Loopback } from "@strata/drivers"
import { StrataSocket, StrataSocketServer } from "@strata/sockets"
import * as StrataTls from "@strata/sockets/StrataTls"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InetAddress } from "effect/net/NetAddress"
import * as Redacted from "effect/Redacted"
import * as Socket from "effect/socket/Socket"
import type { SocketServer } from "effect/socket/SocketServer"
import { readFileSync } from "node:fs"
import { digest, patterned } from "../support/transfer.ts"

const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8")
const cert = fixture("tls.crt")
const key = fixture("tls.key")
const identity = { cert, key: Redacted.make(key) }

const Host = StrataTls.layer.pipe(
  Layer.provideMerge(Loopback.layer.pipe(Layer.provideMerge(NetworkStack.layer)))
)

const portOf = ({ address }: SocketServer["Service"]) => (address as InetAddress).port

const readText = Effect.fnUntraced(function*(
  pull: Effect.Effect<ReadonlyArray<Uint8Array | string>, Socket.SocketError>,
  length: number
) {
  let text = ""
  while (text.length < length) {
    text += (yield* pull).map((chunk) => Buffer.from(chunk as Uint8Array).toString()).join("")
  }
  return text
})

const echo = Effect.fnUntraced(
  function*(socket: Socket.Socket) {
    const { pull } = yield* socket.reader
    const { writeAll } = yield* socket.writer
    yield* Effect.forever(Effect.flatMap(pull, writeAll))
  },
  (effect) => Effect.ignore(effect),
  Effect.scoped
)

/** A server that answers PLAIN with its name, and goes on in TLS. */
const startTls = Effect.fnUntraced(function*(options: Socket.TlsUpgradeOptions = identity) {
  const failed = yield* Deferred.make<Socket.SocketError>()
  const server = yield* StrataSocketServer.make({ port: 0 })
  yield* Effect.forkScoped(server.run((socket) =>
    Effect.gen(function*() {
      const { pull, upgrade } = yield* socket.reader
      const { write, writeAll } = yield* socket.writer
      yield* readText(pull, 5)
      yield* write("ready")
      yield* Effect.tapError(upgrade(options), (error) => Deferred.succeed(failed, error))
      yield* Effect.forever(Effect.flatMap(pull, writeAll))
    }).pipe(Effect.ignore, Effect.scoped)
  ))
  return { port: portOf(server), failed: Deferred.await(failed) }
})

const prepared = Effect.fnUntraced(function*(port: number) {
  const socket = yield* StrataSocket.makeNet({ host: "localhost", port })
  const reader = yield* socket.reader
  const writer = yield* socket.writer
  yield* writer.write("PLAIN")
  assert.strictEqual(yield* readText(reader.pull, 5), "ready")
  return { ...reader, ...writer }
})

const upgradeError = Effect.fnUntraced(function*(upgrade: Effect.Effect<void, Socket.SocketError>) {
  const { reason } = yield* Effect.flip(upgrade)
  assert.strictEqual(reason._tag, "SocketUpgradeError")
  return String((reason as Socket.SocketUpgradeError).cause)
})

layer(Host, { excludeTestServices: true })("StrataTls", (it) => {
  it.effect("upgrades a connection in its midst", () =>
    Effect.gen(function*() {
      const { port } = yield* startTls()
      const { pull, upgrade, write } = yield* prepared(port)
      yield* upgrade({ ca: cert })
      yield* write("secret")
      assert.strictEqual(yield* readText(pull, 6), "secret")
      assert.match(yield* upgradeError(upgrade({ ca: cert })), /already upgraded/)
    }))

  it.effect("does not upgrade to a stranger", () =>
    Effect.gen(function*() {
      const { port } = yield* startTls()
      const { pull, upgrade } = yield* prepared(port)
      assert.match(yield* upgradeError(upgrade()), /self-signed/)
      // The connection is of no use any more.
      assert.strictEqual((yield* Effect.flip(pull)).reason._tag, "SocketUpgradeError")
    }))

  it.effect("knows the name it called", () =>
    Effect.gen(function*() {
      const { port } = yield* startTls()
      const { upgrade } = yield* prepared(port)
      assert.match(yield* upgradeError(upgrade({ ca: cert, servername: "other.test" })), /other\.test/)
    }))

  it.effect("wants a server to have an identity", () =>
    Effect.gen(function*() {
      const { failed, port } = yield* startTls({})
      yield* prepared(port)
      const { reason } = yield* failed
      assert.match(String((reason as Socket.SocketUpgradeError).cause), /requires both key and cert/)
    }))

  it.effect("does not upgrade with what is no certificate", () =>
    Effect.gen(function*() {
      const { port } = yield* startTls()
      const { upgrade } = yield* prepared(port)
      yield* upgradeError(upgrade({ cert: "no certificate", key: Redacted.make("no key") }))
    }))

  it.effect("speaks TLS from the first octet", () =>
    Effect.gen(function*() {
      const server = yield* StrataTls.makeServer({ port: 0, tls: { cert, key } })
      yield* Effect.forkScoped(server.run(echo))
      const socket = yield* StrataTls.makeTls({ host: "127.0.0.1", port: portOf(server), tls: { ca: cert } })
      const { pull, upgrade } = yield* socket.reader
      const { write } = yield* socket.writer
      const bytes = patterned(1_000_000, 5)
      yield* Effect.forkScoped(write(bytes))
      const back: Array<Uint8Array> = []
      for (let length = 0; length < bytes.length;) {
        for (const chunk of yield* pull) {
          back.push(chunk as Uint8Array)
          length += chunk.length
        }
      }
      assert.strictEqual(digest(Buffer.concat(back)), digest(bytes))
      assert.match(yield* upgradeError(upgrade()), /already upgraded/)
      yield* write(new Socket.CloseEvent())
      assert.strictEqual(((yield* Effect.flip(pull)).reason as Socket.SocketCloseError).code, 1000)
    }))

  it.effect("tells the end of what the server says", () =>
    Effect.gen(function*() {
      const server = yield* StrataTls.makeServer({ port: 0, tls: { cert, key } })
      yield* Effect.forkScoped(server.run((socket) =>
        Effect.scoped(Effect.andThen(socket.reader, Effect.flatMap(socket.writer, ({ write }) => write("goodbye"))))
      ))
      const socket = yield* StrataTls.makeTls({ host: "localhost", port: portOf(server), tls: { ca: cert } })
      const { pull } = yield* socket.reader
      assert.strictEqual(yield* readText(pull, 7), "goodbye")
      assert.strictEqual(((yield* Effect.flip(pull)).reason as Socket.SocketCloseError).code, 1000)
    }))

  it.effect("goes on serving when somebody does not speak TLS, or does not trust it", () =>
    Effect.gen(function*() {
      const server = yield* StrataTls.makeServer({ port: 0, tls: { cert, key } })
      yield* Effect.forkScoped(server.run(echo))
      const port = portOf(server)
      const plain = yield* StrataSocket.makeNet({ port })
      const { pull } = yield* plain.reader
      yield* (yield* plain.writer).write("GET / HTTP/1.1\r\n\r\n")
      assert.isTrue(Socket.isSocketError(yield* Effect.flip(Effect.forever(pull))))
      const stranger = yield* StrataTls.makeTls({ port })
      assert.strictEqual((yield* Effect.flip(Effect.scoped(stranger.reader))).reason._tag, "SocketOpenError")
      const friend = yield* StrataTls.makeTls({ port, tls: { ca: cert } })
      const { pull: read } = yield* friend.reader
      yield* (yield* friend.writer).write("hello")
      assert.strictEqual(yield* readText(read, 5), "hello")
    }))

  it.effect("refuses a server that has no valid identity", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(StrataTls.makeServer({ port: 0, tls: { cert: "none", key } }))
      assert.strictEqual(error.reason._tag, "SocketServerOpenError")
    }))
})
