/**
 * `net` of `@strata/sockets/node` between two stacks, in real time.
 */
import type { NetServer, NetServerOptions, NetSocket } from "@strata/sockets/node"
import { once } from "node:events"
import { setTimeout as pause } from "node:timers/promises"
import { assert, describe, test } from "vitest"
import { between, type NodeHost, RIGHT } from "../support/nodeHosts.ts"
import { digest, patterned } from "../support/transfer.ts"

const serve = async (
  host: NodeHost,
  handler: (socket: NetSocket) => void,
  options: NetServerOptions = {}
): Promise<NetServer> => {
  const server = host.node.net.createServer(options, handler).listen(0)
  await once(server, "listening")
  return server
}

const portOf = (server: NetServer): number => server.address()!.port

/** All that is read until the end. */
const readAll = async (socket: NetSocket): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** The names of events, in the order in which they come. */
const eventsOf = (socket: NetSocket): Array<string> => {
  const events: Array<string> = []
  for (const name of ["lookup", "connect", "ready", "data", "end", "finish", "error", "timeout"]) {
    socket.on(name, () => events.push(name))
  }
  socket.on("close", (hadError: boolean) => events.push(`close ${hadError}`))
  return events
}

type Failure = NodeJS.ErrnoException & { readonly address?: string; readonly port?: number }

const failureOf = async (socket: NetSocket): Promise<Failure> => {
  const [error] = await once(socket, "error") as [Failure]
  await once(socket, "close")
  return error
}

describe("a socket", () => {
  test(
    "exchanges octets both ways, and closes in order",
    between(async ({ left, right }) => {
      const server = await serve(right, (socket) => socket.pipe(socket))
      const socket = left.node.net.connect(portOf(server), RIGHT)
      const events = eventsOf(socket)
      socket.end("hello")
      await once(socket, "close")
      assert.deepStrictEqual(events, ["connect", "ready", "finish", "data", "end", "close false"])
      assert.deepStrictEqual([socket.bytesRead, socket.bytesWritten], [5, 5])
    })
  )

  test(
    "carries much through backpressure at both ends",
    between(async ({ left, right }) => {
      const bytes = patterned(20_000_000, 3)
      const server = await serve(right, (socket) => socket.pipe(socket))
      const socket = left.node.net.connect(portOf(server), RIGHT)
      socket.end(bytes)
      assert.strictEqual(digest(await readAll(socket)), digest(bytes))
    }, { offload: true })
  )

  test(
    "says that nobody listens, as Node does",
    between(async ({ left }) => {
      const { address, code, errno, message, port, syscall } = await failureOf(left.node.net.connect(9, RIGHT))
      assert.deepStrictEqual({ address, code, errno, message, port, syscall }, {
        address: RIGHT,
        code: "ECONNREFUSED",
        errno: -111,
        message: `connect ECONNREFUSED ${RIGHT}:9`,
        port: 9,
        syscall: "connect"
      })
    })
  )

  test(
    "says that the peer has reset the connection",
    between(async ({ left, right }) => {
      const server = await serve(right, (socket) => void socket.once("data", () => socket.resetAndDestroy()))
      const socket = left.node.net.connect(portOf(server), RIGHT)
      socket.write("a question")
      const { code, message, syscall } = await failureOf(socket)
      assert.deepStrictEqual([code, message, syscall], ["ECONNRESET", "read ECONNRESET", "read"])
    })
  )
})

describe("a server", () => {
  test(
    "does not listen where another one does",
    between(async ({ right }) => {
      const server = await serve(right, () => {})
      const port = portOf(server)
      const [error] = await once(right.node.net.createServer().listen(port, RIGHT), "error") as [Failure]
      assert.deepStrictEqual(
        [error.code, error.syscall, error.address, error.port, error.message],
        ["EADDRINUSE", "listen", RIGHT, port, `listen EADDRINUSE: address already in use ${RIGHT}:${port}`]
      )
    })
  )

  test(
    "is closed when its last connection is",
    between(async ({ left, right }) => {
      const server = await serve(right, (socket) => void socket.resume())
      const socket = left.node.net.connect(portOf(server), RIGHT)
      await once(server, "connection")
      let closed = false
      server.close(() => {
        closed = true
      })
      await pause(20)
      assert.deepStrictEqual([closed, server.listening, server.address()], [false, false, null])
      socket.end()
      await once(server, "close")
      assert.isTrue(closed)
    })
  )
})
