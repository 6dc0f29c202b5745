/**
 * `net` of `@strata/sockets/node` between two stacks, in real time.
 */
import * as Distribution from "@strata/drivers/path/Distribution"
import * as Loss from "@strata/drivers/path/Loss"
import { makeNet, type NetServer, type NetServerOptions, type NetSocket } from "@strata/sockets/node"
import { NetServer as OwnServer } from "@strata/sockets/node/NetServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Dns from "effect/net/Dns"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { once } from "node:events"
import type { DropArgument } from "node:net"
import { setTimeout as pause } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { assert, describe, test } from "vitest"
import { between, LEFT, type NodeHost, nodeHosts, RIGHT } from "../support/nodeHosts.ts"
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

const resolve = (_: string, done: (found: unknown) => void) => void setImmediate(done, Result.fail("nobody knows"))

/** A host of whose names nobody knows anything, and what it holds. */
const nameless = () => {
  const held = { open: new Set(), holds: 0 }
  const hold = { take: () => void held.holds++, release: () => void held.holds-- }
  return { held, host: { open: held.open, hold, resolve } as never }
}

const noSocket = (): never => assert.fail("no connection was expected")

describe("a server", () => {
  test("that could not listen leaves nothing, and is held while it looks a name up", async () => {
    const { held, host } = nameless()
    const server = new OwnServer(host, noSocket)
    server.listen(80, "nobody.test")
    assert.deepStrictEqual([held.open.size, held.holds], [1, 1])
    const [error] = await once(server, "error") as [NodeJS.ErrnoException]
    assert.strictEqual(error.code, "ENOTFOUND")
    assert.deepStrictEqual([held.open.size, held.holds], [0, 0])
  })

  test("that is closed while it looks a name up does not hear of it", async () => {
    const { held, host } = nameless()
    const server = new OwnServer(host, noSocket).on("error", assert.fail)
    server.listen(80, "nobody.test").close()
    await once(server, "close")
    await pause(20)
    assert.deepStrictEqual([held.open.size, held.holds], [0, 0])
  })
})

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
      const bytes = patterned(5_000_000, 3)
      const server = await serve(right, (socket) => socket.pipe(socket))
      const socket = left.node.net.connect(portOf(server), RIGHT)
      socket.end(bytes)
      assert.strictEqual(digest(await readAll(socket)), digest(bytes))
    }, { offload: true })
  )

  test(
    "carries all of it over a bad wire",
    between(async ({ left, right }) => {
      const bytes = patterned(400_000, 4)
      const server = await serve(right, (socket) => socket.pipe(socket))
      const socket = left.node.net.connect(portOf(server), RIGHT)
      socket.end(bytes)
      assert.strictEqual(digest(await readAll(socket)), digest(bytes))
    }, { conditions: { latency: Distribution.uniform(1, 4), loss: Loss.bernoulli(0.02), duplication: 0.02 } })
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

  test.each(["in its turn", "when there is something to read"])(
    "reads what came before a reset that comes with it: %s",
    (how) =>
      between(async ({ left, right }) => {
        const server = await serve(right, (socket) => void socket.write("some", () => socket.resetAndDestroy()))
        const socket = left.node.net.connect(portOf(server), RIGHT)
        const seen: Array<string> = []
        if (how === "in its turn") {
          const reading = async () => {
            for await (const chunk of socket) seen.push(String(chunk))
          }
          await reading().catch((error: Failure) => seen.push(error.message))
        } else {
          socket.on("readable", () => seen.push(String(socket.read() ?? "nothing")))
          seen.push((await failureOf(socket)).message)
        }
        assert.deepStrictEqual(seen, ["some", "read ECONNRESET"])
      })()
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

  test(
    "copies what it writes: its memory may be used again when the write is done",
    between(async ({ left, right }) => {
      const bytes = Buffer.from(patterned(150_000, 5))
      const expected = digest(bytes)
      const server = await serve(right, () => {}, { pauseOnConnect: true, receiveBuffer: 10_000 })
      const accepted = once(server, "connection") as Promise<[NetSocket]>
      const socket = left.node.net.connect(portOf(server), RIGHT)
      await new Promise((written) => socket.write(bytes, written))
      bytes.fill(0)
      socket.end()
      const [peer] = await accepted
      assert.strictEqual(digest(await readAll(peer)), expected)
    })
  )

  test(
    "takes nothing from the connection while it is paused, so that the peer has to wait",
    between(async ({ left, right }) => {
      const server = await serve(right, () => {}, { pauseOnConnect: true, receiveBuffer: 100_000 })
      const accepted = once(server, "connection") as Promise<[NetSocket]>
      const socket = left.node.net.connect({ port: portOf(server), host: RIGHT, sendBuffer: 100_000 })
      const bytes = patterned(1_000_000, 6)
      let written = false
      socket.end(bytes, () => {
        written = true
      })
      const [peer] = await accepted
      await pause(100)
      assert.deepStrictEqual([peer.bytesRead, written], [0, false])
      const { iss, nxt } = left.opened[0]!.controlBlock().snd
      assert.isBelow((nxt - iss) >>> 0, 200_000)
      assert.strictEqual(digest(await readAll(peer)), digest(bytes))
      assert.isTrue(written)
    })
  )

  test(
    "puts what arrives into one buffer with `onread`",
    between(async ({ left, right }) => {
      const bytes = patterned(200_000, 7)
      const server = await serve(right, (socket) => void socket.end(bytes))
      const buffer = Buffer.alloc(1000)
      const seen: Array<Buffer> = []
      const socket: NetSocket = left.node.net.connect({
        port: portOf(server),
        host: RIGHT,
        onread: {
          buffer,
          callback: (count, same) => {
            assert.strictEqual(same, buffer)
            seen.push(Buffer.from(buffer.subarray(0, count)))
            // It wants no more for a while, now and then.
            if (seen.length % 50 !== 0) return true
            setImmediate(() => socket.resume())
            return false
          }
        }
      })
      await once(socket, "close")
      assert.strictEqual(digest(Buffer.concat(seen)), digest(bytes))
      assert.strictEqual(socket.bytesRead, bytes.length)
    })
  )

  test(
    "has its connection set as it says, before and after there is one",
    between(async ({ left, right }) => {
      const server = await serve(right, (socket) => void socket.resume())
      const settingsOf = (index: number) => left.opened[index]!.controlBlock().settings
      const options = { port: portOf(server), host: RIGHT, noDelay: true, keepAlive: true, keepAliveInitialDelay: 5500 }
      const socket = left.node.net.connect(options)
      await Promise.all([once(socket, "connect"), once(server, "connection")])
      const { keepAlive, keepAliveIdle, keepAliveInterval, keepAliveProbes, nagle } = settingsOf(0)
      assert.deepStrictEqual(
        { keepAlive, keepAliveIdle, keepAliveInterval, keepAliveProbes, nagle },
        { keepAlive: true, keepAliveIdle: 5000, keepAliveInterval: 1000, keepAliveProbes: 10, nagle: false }
      )
      socket.setNoDelay(false).setKeepAlive(false)
      assert.deepStrictEqual([settingsOf(0).keepAlive, settingsOf(0).nagle], [false, true])

      const later = new left.node.net.Socket().setNoDelay().setKeepAlive(true, 1000)
      later.connect(portOf(server), RIGHT)
      await Promise.all([once(later, "connect"), once(server, "connection")])
      assert.deepStrictEqual([settingsOf(1).keepAliveIdle, settingsOf(1).nagle], [1000, false])
    })
  )

  test(
    "knows names by its lookup, and tries one address after the other",
    between(async ({ left, right }) => {
      const server = await serve(right, (socket) => void socket.end("here"))
      const socket = left.node.net.connect({
        port: portOf(server),
        host: "somewhere.example",
        lookup: (_, __, done) => {
          process.nextTick(done, null, [{ address: LEFT, family: 4 }, { address: RIGHT, family: 4 }])
        }
      })
      const attempts: Array<string> = []
      socket.on("connectionAttempt", (address) => attempts.push(address))
      assert.strictEqual(String(await readAll(socket)), "here")
      assert.deepStrictEqual(attempts, [LEFT, RIGHT])
      assert.strictEqual(socket.autoSelectFamilyAttemptedAddresses.length, 2)
    })
  )

  test(
    "goes on to the next address when one does not answer in time",
    between(async ({ left, right }) => {
      const server = await serve(right, (socket) => void socket.end("here"))
      const socket = left.node.net.connect({
        port: portOf(server),
        host: "somewhere.example",
        autoSelectFamilyAttemptTimeout: 20,
        lookup: (_, __, done) => done(null, [{ address: "192.0.2.77", family: 4 }, { address: RIGHT, family: 4 }])
      })
      const timedOut: Array<string> = []
      socket.on("connectionAttemptTimeout", (address) => timedOut.push(address))
      assert.strictEqual(String(await readAll(socket)), "here")
      assert.deepStrictEqual([timedOut, socket.destroyed], [["192.0.2.77"], true])
    })
  )

  test("knows names by the `Dns` of its context", () =>
    Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const { left, right } = yield* nodeHosts()
      const net = yield* makeNet.pipe(
        Effect.provide(Dns.layerStatic({ hosts: { "service.example": [RIGHT] } })),
        Effect.provideContext(left.context)
      )
      yield* Effect.promise(async () => {
        const server = await serve(right, (socket) => void socket.end("here"))
        const socket = net.connect(portOf(server), "service.example")
        const found = once(socket, "lookup")
        assert.strictEqual(String(await readAll(socket)), "here")
        assert.deepStrictEqual(await found, [null, RIGHT, 4, "service.example"])
        const { code, syscall } = await failureOf(net.connect(80, "nobody.example"))
        assert.deepStrictEqual([code, syscall], ["ENOTFOUND", "getaddrinfo"])
      })
    }))))

  test(
    "refuses what a stack has not",
    between(async ({ left }) => {
      const { net } = left.node
      assert.throws(() => new net.Socket().connect({ path: "/tmp/socket" }), /strata has no sockets in the file system/)
      assert.throws(() => net.createServer().listen("/tmp/socket"), /strata has no sockets in the file system/)
      const { code } = await failureOf(net.connect(80, "::1"))
      assert.strictEqual(code, "EAFNOSUPPORT")
    })
  )

  test(
    "connects to nobody on its block list, and a server lets nobody in who is on its own",
    between(async ({ left, right }) => {
      const blockList = new left.node.net.BlockList()
      blockList.addAddress(RIGHT)
      blockList.addAddress(LEFT)
      const { code } = await failureOf(left.node.net.connect({ port: 7, host: RIGHT, blockList }))
      assert.strictEqual(code, "ERR_IP_BLOCKED")
      const server = await serve(right, () => assert.fail("it was let in"), { blockList })
      const dropped = once(server, "drop") as Promise<[DropArgument]>
      left.node.net.connect(portOf(server), RIGHT)
      assert.strictEqual((await dropped)[0].remoteAddress, LEFT)
    })
  )

  test("ends with the adapter", async () => {
    const scope = Scope.makeUnsafe()
    const { left, right } = await Effect.runPromise(Scope.provide(nodeHosts(), scope))
    const server = await serve(right, (socket) => void socket.resume())
    const socket = left.node.net.connect(portOf(server), RIGHT)
    await Promise.all([once(socket, "connect"), once(server, "connection")])
    const closed = Promise.all([once(socket, "close"), once(server, "close")])
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await closed
    assert.deepStrictEqual([socket.destroyed, server.listening], [true, false])
  })
})

/** A program of its own process. */
const start = (program: string, ...given: ReadonlyArray<string>) => {
  const path = fileURLToPath(new URL(`programs/${program}`, import.meta.url))
  const child = spawn(process.execPath, [path, ...given], { stdio: ["pipe", "pipe", "inherit"] })
  return { child, ended: once(child, "exit") as Promise<[number | null]> }
}

describe("a process", () => {
  test.each(["a server", "a server that is held again", "a connection", "a connection of nobody's"])(
    "goes on while %s is there, and no longer",
    async (what) => {
      const { child, ended } = start("alive.ts", what)
      try {
        await once(child.stdout, "data")
        await Promise.race([pause(300), ended])
        assert.isNull(child.exitCode, "it ended")
        child.stdin.end("let go")
        assert.deepStrictEqual((await ended)[0], 0)
      } finally {
        child.kill("SIGKILL")
      }
    }
  )

  test("ends while what is there holds nobody", async () => {
    const { child, ended } = start("alive.ts", "nothing")
    try {
      assert.deepStrictEqual((await ended)[0], 0)
    } finally {
      child.kill("SIGKILL")
    }
  })

  test("hears of what its listeners throw, and its stack goes on", async () => {
    const { child, ended } = start("throws.ts")
    const printed: Array<Buffer> = []
    child.stdout.on("data", (chunk: Buffer) => printed.push(chunk))
    try {
      assert.deepStrictEqual((await ended)[0], 0)
      assert.deepStrictEqual(
        new Set(Buffer.concat(printed).toString().trim().split("\n")),
        new Set(["uncaught: connect", "uncaught: connection", "uncaught: data", "echoed: second"])
      )
    } finally {
      child.kill("SIGKILL")
    }
  })
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
