/**
 * The contract of `Socket` and `SocketServer`.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type { SocketServer, SocketServerError } from "effect/socket/SocketServer"
import * as Stream from "effect/Stream"
import assert from "node:assert/strict"
import { digest, patterned } from "../support/transfer.ts"
import { type Case, Ends, type ServerOptions, type SocketOptions } from "./Ends.ts"

type Pull = Effect.Effect<readonly [Uint8Array, ...Array<Uint8Array>], Socket.SocketError>

const decoder = new TextDecoder()

/** All that arrives until the reader fails, and with what. */
const readAll = Effect.fnUntraced(function*(pull: Pull) {
  const chunks: Array<Uint8Array> = []
  const error = yield* Effect.flip(Effect.forever(Effect.map(pull, (more) => void chunks.push(...more))))
  const bytes = new Uint8Array(Buffer.concat(chunks))
  return { bytes, text: decoder.decode(bytes), reason: error.reason }
})

/** Reads until that many octets are there. */
const readSome = Effect.fnUntraced(function*(pull: Pull, length: number) {
  let bytes = Buffer.alloc(0)
  while (bytes.length < length) bytes = Buffer.concat([bytes, ...(yield* pull)])
  return bytes.toString()
})

const closedWith = (reason: Socket.SocketErrorReason, code: number) => {
  assert.equal(reason._tag, "SocketCloseError")
  assert.equal((reason as Socket.SocketCloseError).code, code)
}

const portOf = ({ address }: SocketServer["Service"]): number => (address as NetAddress.InetAddress).port

/** A server that handles connections in the background; its port. */
const serving = Effect.fnUntraced(function*<E>(
  handler: (socket: Socket.Socket) => Effect.Effect<unknown, E, Scope.Scope>,
  options: Partial<ServerOptions> = {}
) {
  const server = yield* (yield* Ends).server.server({ port: 0, ...options })
  yield* Effect.forkScoped(server.run((socket) => Effect.ignore(Effect.scoped(handler(socket)))))
  return portOf(server)
})

const socketTo = Effect.fnUntraced(function*(port: number, options: Partial<SocketOptions> = {}) {
  const { client, server } = yield* Ends
  return yield* client.socket({ host: server.host, port, ...options })
})

/** A connected socket. */
const dial = Effect.fnUntraced(function*(port: number, options: Partial<SocketOptions> = {}) {
  const socket = yield* socketTo(port, options)
  const pull = yield* Socket.readerBytes(socket)
  const { write, writeAll } = yield* socket.writer
  return { pull, write, writeAll, socket }
})

/** Sends back what arrives, until the end. */
const echo = Effect.fnUntraced(function*(socket: Socket.Socket) {
  const pull = yield* Socket.readerBytes(socket)
  const { writeAll } = yield* socket.writer
  yield* Effect.forever(Effect.flatMap(pull, writeAll))
})

const tests: Record<string, Case["program"]> = {
  "what is sent comes back": Effect.gen(function*() {
    const { pull, write, writeAll } = yield* dial(yield* serving(echo))
    yield* write("hello")
    assert.equal(yield* readSome(pull, 5), "hello")
    yield* writeAll(["a ", new TextEncoder().encode("ß "), "c"])
    assert.equal(yield* readSome(pull, 6), "a ß c")
  }),

  "a channel carries both directions": Effect.gen(function*() {
    const socket = yield* socketTo(yield* serving(echo, { allowHalfOpen: true }))
    let echoed = ""
    const error = yield* Stream.make("one ", "two ", "three").pipe(
      Stream.encodeText,
      Stream.pipeThroughChannelOrFail(Socket.toChannel(socket)),
      Stream.decodeText(),
      Stream.runForEach((text) => Effect.sync(() => void (echoed += text))),
      Effect.flip
    )
    assert.equal(echoed, "one two three")
    closedWith(error.reason, 1000)
  }),

  "a megabyte goes each way": Effect.gen(function*() {
    const bytes = patterned(1_000_000, 1)
    const { pull, write } = yield* dial(yield* serving(echo))
    yield* Effect.forkChild(write(bytes))
    const back: Array<Uint8Array> = []
    for (let length = 0; length < bytes.length;) {
      for (const chunk of yield* pull) {
        back.push(chunk)
        length += chunk.length
      }
    }
    assert.equal(digest(Buffer.concat(back)), digest(bytes))
  }),

  "the client closes its half, and still gets the answer": Effect.gen(function*() {
    const port = yield* serving(
      Effect.fnUntraced(function*(socket) {
        const { reason, text } = yield* readAll(yield* Socket.readerBytes(socket))
        closedWith(reason, 1000)
        yield* (yield* socket.writer).write(text.toUpperCase())
      }),
      { allowHalfOpen: true }
    )
    const socket = yield* socketTo(port)
    const pull = yield* Socket.readerBytes(socket)
    yield* Effect.scoped(Effect.flatMap(socket.writer, ({ write }) => write("question")))
    const { reason, text } = yield* readAll(pull)
    assert.equal(text, "QUESTION")
    closedWith(reason, 1000)
  }),

  "the server closes its half, and still hears": Effect.gen(function*() {
    const heard = yield* Deferred.make<string>()
    const port = yield* serving(
      Effect.fnUntraced(function*(socket) {
        const pull = yield* Socket.readerBytes(socket)
        yield* Effect.scoped(Effect.flatMap(socket.writer, ({ write }) => write("go on")))
        const { reason, text } = yield* readAll(pull)
        closedWith(reason, 1000)
        yield* Deferred.succeed(heard, text)
      }),
      { allowHalfOpen: true }
    )
    const socket = yield* socketTo(port, { allowHalfOpen: true })
    yield* Effect.scoped(Effect.gen(function*() {
      const { write } = yield* socket.writer
      const { reason, text } = yield* readAll(yield* Socket.readerBytes(socket))
      assert.equal(text, "go on")
      closedWith(reason, 1000)
      yield* write("thank you")
    }))
    assert.equal(yield* Deferred.await(heard), "thank you")
  }),

  "by default, whoever has read the peer's end can answer at once, or not at all": Effect.gen(function*() {
    const outcome = yield* Deferred.make<Exit.Exit<void, unknown>>()
    const port = yield* serving(Effect.fnUntraced(function*(socket) {
      const { write } = yield* socket.writer
      closedWith((yield* readAll(yield* Socket.readerBytes(socket))).reason, 1000)
      yield* write("in time")
      yield* Effect.sleep(20)
      yield* Deferred.succeed(outcome, yield* Effect.exit(Effect.timeout(write("too late"), 100)))
    }))
    const socket = yield* socketTo(port)
    const pull = yield* Socket.readerBytes(socket)
    yield* Effect.scoped(socket.writer)
    const { reason, text } = yield* readAll(pull)
    closedWith(reason, 1000)
    assert.equal(text, "in time")
    assert.ok(Exit.isFailure(yield* Deferred.await(outcome)))
  }),

  "what arrived before the end is read before it": Effect.gen(function*() {
    const port = yield* serving(Effect.fnUntraced(function*(socket) {
      yield* socket.reader
      yield* (yield* socket.writer).write("last words")
    }))
    const { pull } = yield* dial(port)
    yield* Effect.sleep(100)
    const { reason, text } = yield* readAll(pull)
    assert.equal(text, "last words")
    closedWith(reason, 1000)
    closedWith((yield* Effect.flip(pull)).reason, 1000)
  }),

  "a close event of 1000 is a clean end on both sides": Effect.gen(function*() {
    const seen = yield* Deferred.make<Socket.SocketErrorReason>()
    const port = yield* serving((socket) =>
      Effect.flatMap(
        Socket.readerBytes(socket),
        (pull) => Effect.flatMap(readAll(pull), ({ reason }) => Deferred.succeed(seen, reason))
      )
    )
    const { pull, write } = yield* dial(port)
    yield* write(new Socket.CloseEvent())
    closedWith((yield* Effect.flip(pull)).reason, 1000)
    closedWith(yield* Deferred.await(seen), 1000)
  }),

  "any other close event is an error here, and a clean end there": Effect.gen(function*() {
    const seen = yield* Deferred.make<Socket.SocketErrorReason>()
    const port = yield* serving((socket) =>
      Effect.flatMap(
        Socket.readerBytes(socket),
        (pull) => Effect.flatMap(readAll(pull), ({ reason }) => Deferred.succeed(seen, reason))
      )
    )
    const { pull, write } = yield* dial(port)
    const pulling = yield* Effect.forkChild(Effect.flip(pull), { startImmediately: true })
    yield* write(new Socket.CloseEvent(4001, "enough"))
    const { reason } = yield* Fiber.join(pulling)
    assert.equal(reason._tag, "SocketReadError")
    assert.match(String((reason as Socket.SocketReadError).cause), /4001/)
    closedWith(yield* Deferred.await(seen), 1000)
  }),

  "nobody listens": Effect.gen(function*() {
    const port = yield* Effect.scoped(Effect.map((yield* Ends).server.server({ port: 0 }), portOf))
    const socket = yield* socketTo(port)
    const { reason } = yield* Effect.flip(Effect.scoped(socket.reader))
    assert.equal(reason._tag, "SocketOpenError")
    assert.equal((reason as Socket.SocketOpenError).kind, "Unknown")
  }),

  "a peer that closes before it has read all resets the connection": Effect.gen(function*() {
    const port = yield* serving(Effect.fnUntraced(function*(socket) {
      const pull = yield* Socket.readerBytes(socket)
      const { write } = yield* socket.writer
      yield* pull
      yield* Effect.sleep(200)
      yield* write(new Socket.CloseEvent())
    }))
    const { pull, write } = yield* dial(port)
    yield* Effect.forkChild(Effect.ignore(write(patterned(8_000_000, 3))), { startImmediately: true })
    assert.equal((yield* readAll(pull)).reason._tag, "SocketReadError")
    const failed = yield* Effect.exit(Effect.timeout(write("more"), 100))
    assert.ok(Exit.isFailure(failed))
  }),

  "a connection takes too long": Effect.gen(function*() {
    const { blackHole, client } = yield* Ends
    if (blackHole === undefined) return
    const socket = yield* client.socket({ host: blackHole, port: 7, openTimeout: 100 })
    const { reason } = yield* Effect.flip(Effect.scoped(socket.reader))
    assert.equal(reason._tag, "SocketOpenError")
    assert.equal((reason as Socket.SocketOpenError).kind, "Timeout")
  }),

  "connecting is interrupted": Effect.gen(function*() {
    const { blackHole, client } = yield* Ends
    if (blackHole === undefined) return
    const socket = yield* client.socket({ host: blackHole, port: 7 })
    const exit = yield* Effect.exit(Effect.timeout(Effect.scoped(socket.reader), 50))
    assert.ok(Exit.isFailure(exit))
  }),

  "a pull that was interrupted has taken nothing": Effect.gen(function*() {
    const { pull, write } = yield* dial(yield* serving(echo))
    const waiting = yield* Effect.forkChild(pull, { startImmediately: true })
    yield* Fiber.interrupt(waiting)
    yield* write("still here")
    assert.equal(yield* readSome(pull, 10), "still here")
  }),

  "the end of the reader's scope fails a pull that waits": Effect.gen(function*() {
    const socket = yield* socketTo(yield* serving(echo))
    const scope = yield* Scope.make()
    const pull = yield* Scope.provide(Socket.readerBytes(socket), scope)
    const waiting = yield* Effect.forkChild(Effect.flip(pull), { startImmediately: true })
    yield* Scope.close(scope, Exit.void)
    closedWith((yield* Fiber.join(waiting)).reason, 1006)
  }),

  "a write waits for the connection": Effect.gen(function*() {
    const socket = yield* socketTo(yield* serving(echo))
    const { write } = yield* socket.writer
    const writing = yield* Effect.forkChild(write("early"), { startImmediately: true })
    const pull = yield* Socket.readerBytes(socket)
    yield* Fiber.join(writing)
    assert.equal(yield* readSome(pull, 5), "early")
  }),

  "each acquisition of the reader is a connection of its own": Effect.gen(function*() {
    let connections = 0
    const port = yield* serving((socket) => {
      connections++
      return echo(socket)
    })
    const socket = yield* socketTo(port)
    for (const text of ["first", "second"]) {
      yield* Effect.scoped(Effect.gen(function*() {
        const pull = yield* Socket.readerBytes(socket)
        yield* (yield* socket.writer).write(text)
        assert.equal(yield* readSome(pull, text.length), text)
      }))
    }
    assert.equal(connections, 2)
  }),

  "many connections at once": Effect.gen(function*() {
    const port = yield* serving(echo)
    const one = Effect.fnUntraced(function*(index: number) {
      const { pull, write } = yield* dial(port)
      const text = `connection ${index}`
      yield* write(text)
      assert.equal(yield* readSome(pull, text.length), text)
    }, Effect.scoped)
    yield* Effect.forEach(Array.from({ length: 40 }, (_, index) => index), one, { concurrency: "unbounded" })
  }),

  "who writes waits for a reader that does not read": Effect.gen(function*() {
    const start = yield* Deferred.make<void>()
    const length = 16_000_000
    const arrived = yield* Deferred.make<number>()
    const port = yield* serving(Effect.fnUntraced(function*(socket) {
      const pull = yield* Socket.readerBytes(socket)
      yield* Deferred.await(start)
      const { bytes } = yield* readAll(pull)
      yield* Deferred.succeed(arrived, bytes.length)
    }))
    const socket = yield* socketTo(port)
    yield* socket.reader
    let written = 0
    const piece = new Uint8Array(64_000)
    const writing = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
      const { write } = yield* socket.writer
      while (written < length) {
        yield* write(piece)
        written += piece.length
      }
    })))
    yield* Effect.sleep(500)
    assert.ok(written < length)
    yield* Deferred.succeed(start, undefined)
    yield* Fiber.join(writing)
    assert.equal(yield* Deferred.await(arrived), length)
  }),

  "connections wait until the server runs": Effect.gen(function*() {
    const server = yield* (yield* Ends).server.server({ port: 0 })
    const { pull, write } = yield* dial(portOf(server))
    yield* write("patience")
    yield* Effect.sleep(50)
    yield* Effect.forkScoped(server.run((socket) => Effect.ignore(Effect.scoped(echo(socket)))))
    assert.equal(yield* readSome(pull, 8), "patience")
  }),

  "a handler that fails ends nothing but itself": Effect.gen(function*() {
    let first = true
    const port = yield* serving((socket) => {
      if (!first) return echo(socket)
      first = false
      return Effect.andThen(socket.reader, Effect.fail("no good"))
    })
    closedWith((yield* readAll((yield* dial(port)).pull)).reason, 1000)
    const { pull, write } = yield* dial(port)
    yield* write("next")
    assert.equal(yield* readSome(pull, 4), "next")
  }),

  "interrupting the server interrupts its handlers, and later ones run again": Effect.gen(function*() {
    const server = yield* (yield* Ends).server.server({ port: 0 })
    const interrupted = yield* Deferred.make<void>()
    const running = yield* Effect.forkScoped(
      server.run((socket) =>
        Effect.scoped(Effect.andThen(socket.reader, Effect.never)).pipe(
          Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
        )
      )
    )
    const { pull } = yield* dial(portOf(server))
    yield* Effect.sleep(50)
    yield* Fiber.interrupt(running)
    yield* Deferred.await(interrupted)
    closedWith((yield* readAll(pull)).reason, 1000)
    yield* Effect.forkScoped(server.run((socket) => Effect.ignore(Effect.scoped(echo(socket)))))
    const again = yield* dial(portOf(server))
    yield* again.write("again")
    assert.equal(yield* readSome(again.pull, 5), "again")
  }),

  "the address is the one that was bound": Effect.gen(function*() {
    const { server } = yield* Ends
    const one = yield* server.server({ host: server.host, port: 0 })
    assert.equal(NetAddress.formatIp((one.address as NetAddress.InetAddress).address), server.host)
    assert.ok(portOf(one) > 0)
    const other = yield* server.server({ host: server.host, port: 0 })
    assert.notEqual(portOf(one), portOf(other))
    const taken = yield* Effect.flip(server.server({ host: server.host, port: portOf(one) }))
    assert.equal((taken as SocketServerError).reason._tag, "SocketServerOpenError")
  }),

  "nobody can listen on an address of somebody else": Effect.gen(function*() {
    const failure = yield* Effect.flip((yield* Ends).server.server({ host: "198.51.100.9", port: 0 }))
    assert.equal(failure.reason._tag, "SocketServerOpenError")
  }),

  "a port is free again when the server's scope ends": Effect.gen(function*() {
    const { server } = yield* Ends
    const port = yield* Effect.scoped(Effect.map(server.server({ host: server.host, port: 0 }), portOf))
    assert.equal(portOf(yield* server.server({ host: server.host, port })), port)
  }),

  "text is decoded across chunks": Effect.gen(function*() {
    const port = yield* serving(Effect.fnUntraced(function*(socket) {
      yield* socket.reader
      const { write } = yield* socket.writer
      const bytes = new TextEncoder().encode("grüße")
      yield* write(bytes.subarray(0, 3))
      yield* Effect.sleep(50)
      yield* write(bytes.subarray(3))
    }))
    const pull = yield* Socket.readerString(yield* socketTo(port))
    let text = ""
    while (text !== "grüße") text += (yield* pull).join("")
  }),

  "a TLS upgrade needs what it needs": Effect.gen(function*() {
    const { reader } = yield* socketTo(yield* serving(echo))
    const { upgrade } = yield* reader
    const { reason } = yield* Effect.flip(upgrade({ cert: "one without the other" }))
    assert.equal(reason._tag, "SocketUpgradeError")
  })
}

export const streams: ReadonlyArray<Case> = Object.entries(tests).map(([name, program]) => ({ name, program }))
