/**
 * `net` of `@strata/sockets/node` over a TAP: Node's own sockets, and nc, are at the other end, in the kernel.
 */
import { assert, layer } from "@effect/vitest"
import { makeNet, type NetServer, type NetSocket, type StrataNet } from "@strata/sockets/node"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { describeOffloads, hostWith, KERNEL, Kernel, STACK } from "../support/linux.ts"
import type { Namespace } from "../support/namespace.ts"
import { digest, patterned } from "../support/transfer.ts"

const OCTETS = 8_000_000

/** A program of Node in the kernel's namespace, with `net` and `hash`; it prints what is to be known. */
const PRELUDE = `
const net = require("node:net")
const hash = (stream) => new Promise((resolve) => {
  const all = require("node:crypto").createHash("sha256")
  stream.on("data", (chunk) => all.update(chunk))
  stream.on("end", () => resolve(all.digest("hex")))
})
const print = (value) => process.stdout.write(JSON.stringify(value) + "\\n")
const told = ({ code, syscall, message }) => ({ code, syscall, message })
`

const run = (kernel: Namespace, program: string) => kernel.spawn(process.execPath, "-e", PRELUDE + program)

/** What a program has printed, when it has ended. */
const linesOf = (kernel: Namespace, program: string) =>
  Effect.map(
    kernel.succeed(process.execPath, "-e", PRELUDE + program),
    ({ stdout }) => stdout.trim().split("\n").map((line) => JSON.parse(line) as unknown)
  )

const listen = (net: StrataNet, port: number, handler: (socket: NetSocket) => void) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = net.createServer(handler).listen(port)
      await once(server, "listening")
      return server
    }),
    (server: NetServer) => Effect.sync(() => server.close())
  )

const readAll = async (socket: NetSocket): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const failureOf = (socket: NetSocket) =>
  Effect.promise(async () => {
    const [error] = await once(socket, "error") as [NodeJS.ErrnoException]
    assert.deepStrictEqual(await once(socket, "close"), [true])
    return [error.code, error.syscall, error.message]
  })

describeOffloads("Linux, Node's sockets", ["nc"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("exchange much with a server of Node's, both ways at once", () =>
      Effect.gen(function*() {
        const net = yield* makeNet
        const kernel = yield* Kernel
        const peer = yield* run(
          kernel,
          `net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(9000, () => print("listening"))`
        )
        yield* peer.prints(/listening/)
        const bytes = patterned(OCTETS, 1)
        const socket = net.connect(9000, KERNEL)
        socket.end(bytes)
        assert.strictEqual(digest(yield* Effect.promise(() => readAll(socket))), digest(bytes))
        assert.deepStrictEqual([socket.bytesRead, socket.bytesWritten], [OCTETS, OCTETS])
      }))

    it.effect("serve a client of Node's", () =>
      Effect.gen(function*() {
        const net = yield* makeNet
        const kernel = yield* Kernel
        const bytes = patterned(OCTETS, 2)
        yield* listen(net, 7000, (socket) => socket.end(bytes))
        const [hashed, remote] = yield* linesOf(
          kernel,
          `const socket = net.connect(7000, "${STACK}", () => socket.end())
           hash(socket).then((all) => { print(all); print([socket.bytesRead, socket.readableEnded]) })`
        )
        assert.strictEqual(hashed, digest(bytes))
        assert.deepStrictEqual(remote, [OCTETS, true])
      }))

    it.effect("know who is who", () =>
      Effect.gen(function*() {
        const net = yield* makeNet
        const kernel = yield* Kernel
        yield* listen(net, 7001, (socket) => {
          const { localAddress, localFamily, localPort, remoteAddress, remoteFamily } = socket
          socket.end(JSON.stringify({ localAddress, localFamily, localPort, remoteAddress, remoteFamily }))
        })
        const [seen] = yield* linesOf(
          kernel,
          `const socket = net.connect(7001, "${STACK}"); socket.on("data", (data) => print(JSON.parse(data)))`
        )
        assert.deepStrictEqual(seen, {
          localAddress: STACK,
          localFamily: "IPv4",
          localPort: 7001,
          remoteAddress: KERNEL,
          remoteFamily: "IPv4"
        })
      }))

    it.effect("answer nc after it has ended, and end when it does", () =>
      Effect.gen(function*() {
        const net = yield* makeNet
        const kernel = yield* Kernel
        yield* listen(net, 7002, (socket) => socket.pipe(socket))
        const { exitCode, stdout } = yield* kernel.execWith({ input: "over and out" }, "nc", "-N", STACK, "7002")
        assert.deepStrictEqual([exitCode, stdout], [0, "over and out"])
      }))

    it.effect("tell of resets as Node does, on both sides", () =>
      Effect.gen(function*() {
        const net = yield* makeNet
        const kernel = yield* Kernel
        yield* listen(net, 7003, (socket) => void socket.once("data", () => socket.resetAndDestroy()))
        const theirs = yield* linesOf(
          kernel,
          `const socket = net.connect(7003, "${STACK}", () => socket.write("a question"))
           socket.on("error", (error) => print(told(error)))
           socket.on("close", print)`
        )
        assert.deepStrictEqual(theirs, [{ code: "ECONNRESET", syscall: "read", message: "read ECONNRESET" }, true])

        const peer = yield* run(
          kernel,
          `net.createServer((socket) => socket.once("data", () => socket.resetAndDestroy())).listen(9003, () => print("listening"))`
        )
        yield* peer.prints(/listening/)
        const socket = net.connect(9003, KERNEL)
        socket.write("a question")
        assert.deepStrictEqual(yield* failureOf(socket), ["ECONNRESET", "read", "read ECONNRESET"])
      }))

    it.effect("tell that nobody listens, that nobody answers, and that nobody is there", () =>
      Effect.gen(function*() {
        const net = yield* makeNet
        const kernel = yield* Kernel
        assert.deepStrictEqual(
          yield* failureOf(net.connect(9, KERNEL)),
          ["ECONNREFUSED", "connect", `connect ECONNREFUSED ${KERNEL}:9`]
        )
        assert.deepStrictEqual(
          yield* linesOf(kernel, `net.connect(9, "${STACK}").on("error", (error) => print(told(error)))`),
          [{ code: "ECONNREFUSED", syscall: "connect", message: `connect ECONNREFUSED ${STACK}:9` }]
        )
        assert.deepStrictEqual(
          yield* failureOf(net.connect(9, "192.0.2.77")),
          ["EHOSTUNREACH", "connect", "connect EHOSTUNREACH 192.0.2.77:9"]
        )
        yield* kernel.succeed("ip", "route", "add", "blackhole", "203.0.113.0/24")
        const silent = net.connect({ port: 9, host: "203.0.113.1", settings: { synRetransmissions: 0 } })
        const [code, syscall] = yield* failureOf(silent)
        assert.deepStrictEqual([code, syscall], ["ETIMEDOUT", "connect"])
      }))

    it.effect("write to who has closed", () =>
      Effect.gen(function*() {
        const net = yield* makeNet
        const kernel = yield* Kernel
        const peer = yield* run(
          kernel,
          `net.createServer((socket) => socket.destroy()).listen(9004, () => print("listening"))`
        )
        yield* peer.prints(/listening/)
        const socket = net.connect({ port: 9004, host: KERNEL, allowHalfOpen: true })
        socket.resume()
        yield* Effect.promise(() => once(socket, "end"))
        const writing = setInterval(() => socket.write("is anybody there?"), 20)
        const failed = yield* Effect.ensuring(failureOf(socket), Effect.sync(() => clearInterval(writing)))
        assert.deepStrictEqual(failed, ["EPIPE", "write", "write EPIPE"])
      }))
  })
})
